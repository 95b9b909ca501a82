/* cascade.c - putting a cascade together; all its memory is taken here (cascade.h). */
#include "cascade/auto.h"

#include "base/error.h"
#include "base/memory.h"
#include "kernels/math.h"

#include <stdlib.h>

/* Laws of the draft tokens and of the row under review, in two blocks of memory. */
static bool make_laws(linn_cascade *c)
{
    size_t n_draft = (size_t)c->k.longest[0] + 1, n = n_draft + 3, v = (size_t)c->n_vocab;
    c->laws = linn_alloc(n_draft, sizeof *c->laws);
    size_t cells;
    if (!c->laws || linn_mul_overflows(n, v, &cells))
        return false;
    c->law_ids = linn_alloc(cells, sizeof *c->law_ids);
    c->law_p = linn_alloc(cells, sizeof *c->law_p);
    if (!c->law_ids || !c->law_p)
        return false;
    linn_law *extra[] = {&c->p, &c->rest, &c->scratch};
    for (size_t i = 0; i < n; i++) {
        linn_law *law = i < n_draft ? &c->laws[i] : extra[i - n_draft];
        *law = (linn_law){0, c->law_ids + i * v, c->law_p + i * v};
    }
    return true;
}

static int make_room(linn_cascade *c, linn_error *err)
{
    size_t n = (size_t)c->n_ctx;
    c->text = linn_alloc(n, sizeof *c->text);
    c->origin = linn_alloc(n, sizeof *c->origin);
    c->q = linn_alloc(n, sizeof *c->q);
    c->proposals = linn_alloc((size_t)c->k.block, sizeof *c->proposals);
    bool good = c->text && c->origin && c->q && c->proposals;
    for (int i = 0; i < c->k.n_models; i++)
        good &= (c->cached[i] = linn_alloc(n, sizeof **c->cached)) != NULL;
    if (!good)
        return linn_fail(err, LINN_ENOMEM, "cascade: no memory for %d positions", c->n_ctx);
    if (c->verify == LINN_VERIFY_REJECTION && !make_laws(c))
        return linn_fail(err, LINN_ENOMEM, "cascade: no memory for the laws of %d draft tokens",
                         c->k.longest[0]);
    return linn_sampler_create(&c->sampler, c->n_vocab, c->n_ctx, err);
}

int linn_cascade_assemble(linn_cascade **out, const linn_kmatrix *k, linn_level *const *levels,
                          linn_drafter *const *statistical, int n_statistical,
                          const linn_tokenizer *tokenizer, const linn_cascade_settings *s,
                          linn_error *err)
{
    *out = NULL;
    linn_cascade *c = calloc(1, sizeof *c);
    if (!c) {
        for (int i = 0; i < k->n_models; i++)
            levels[i]->free(levels[i]);
        for (int i = 0; i < n_statistical; i++)
            statistical[i]->free(statistical[i]);
        return linn_fail(err, LINN_ENOMEM, "cascade: out of memory");
    }
    c->k = *k;
    for (int i = 0; i < k->n_models; i++)
        c->levels[i] = levels[i];
    for (int i = 0; i < n_statistical; i++)
        c->statistical[c->n_statistical++] = statistical[i];
    c->tokenizer = tokenizer;
    c->lenience = (double)s->lenience;
    c->log_lenience = (float)linn_log64(c->lenience);
    c->lenience_rule = s->lenience_rule;
    c->verify = s->verify;
    c->n_vocab = levels[0]->n_vocab;
    c->n_ctx = s->session.n_ctx;
    c->draft_limit = LINN_MAX_DRAFT;
    c->fixed = (linn_policy){.next = linn_policy_fixed};
    c->policy = &c->fixed;
    int rc = make_room(c, err);
    if (!rc && k->open)
        rc = linn_auto_install(c, (double)s->explore, err);
    if (rc)
        linn_cascade_free(c);
    else
        *out = c;
    return rc;
}

void linn_cascade_free(linn_cascade *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->k.n_models; i++) {
        c->levels[i]->free(c->levels[i]);
        free(c->cached[i]);
    }
    for (int i = 0; i < c->n_statistical; i++)
        c->statistical[i]->free(c->statistical[i]);
    if (c->policy && c->policy->free)
        c->policy->free(c->policy);
    linn_sampler_free(c->sampler);
    free(c->text);
    free(c->origin);
    free(c->q);
    free(c->proposals);
    free(c->laws);
    free(c->law_ids);
    free(c->law_p);
    free(c);
}
