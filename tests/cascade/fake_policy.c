/* fake_policy.c - a policy that decides at random (fake_policy.h). */
#include "test.h"
#include "fake_level.h"
#include "fake_policy.h"

typedef struct fake_policy {
    linn_policy policy;
    uint64_t seed, n;
} fake_policy;

static int below(fake_policy *f, int n)
{
    return (int)(fake_hash(f->seed, f->n++) % (uint64_t)n);
}

static int next(linn_policy *p, linn_cascade *c, linn_draft *d)
{
    fake_policy *f = (fake_policy *)p;
    int n_below = c->k.n_models + c->k.statistical - d->reviewer - 1;
    if (n_below == 0 || below(f, 4) == 0)
        return 0;
    int j = d->reviewer + 1 + below(f, n_below);
    if (j == c->k.n_models)
        linn_ask(c, below(f, c->n_statistical), 1 + below(f, d->most - (c->length - d->base)));
    return j;
}

static void release(linn_policy *p)
{
    free(p);
}

void fake_policy_install(linn_cascade *c, uint64_t seed)
{
    fake_policy *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->policy = (linn_policy){.next = next, .wants_margins = seed & 1, .free = release};
    f->seed = seed;
    assert_true(c->k.open);
    if (c->policy->free)
        c->policy->free(c->policy);
    c->policy = &f->policy;
}
