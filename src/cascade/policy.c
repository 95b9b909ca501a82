/* policy.c - the K matrix as a policy, and asking statistical drafters (policy.h).
 *
 * Of a reviewer's draft each level below has a share, and the shares are parts of one running
 * total, as in the paper's Algorithm 1: a level writes while the draft is shorter than the shares
 * so far, unless it had nothing to add.
 */
#include "cascade/cascade.h"

#include "base/clock.h"

int32_t linn_ask(linn_cascade *c, int i, int32_t n)
{
    c->proposer = i;
    c->n_proposed = c->statistical[i]->propose(c->statistical[i], n, c->proposals);
    return c->n_proposed;
}

/* Max-Gram's match of a single token is no better than another guess: a table of n-grams is asked
 * before it (docs/decisions.md has the figures). */
static bool weak(const linn_cascade *c)
{
    return c->proposer + 1 < c->n_statistical && c->proposals[0].source == LINN_SOURCE_MAXGRAM &&
           c->proposals[0].confidence < 2;
}

/* Asks one after the other; whoever is the last to know anything, however weak, is asked again. */
static bool ask_all(linn_cascade *c, int32_t n)
{
    bool found = false;
    for (int turn = 0; turn < 2 * c->n_statistical && !found; turn++) {
        int i = turn % c->n_statistical;
        int64_t start = linn_now_ns();
        found = linn_ask(c, i, n) > 0 && (turn >= c->n_statistical || !weak(c));
        c->stats->levels[c->k.n_models + i].ms += (double)(linn_now_ns() - start) * 1e-6;
    }
    return found;
}

int linn_policy_fixed(linn_policy *p, linn_cascade *c, linn_draft *d)
{
    (void)p;
    int n_levels = c->k.n_models + c->k.statistical;
    int32_t total = 0, n = c->length - d->base;
    for (int j = d->reviewer + 1; j < n_levels; j++) {
        total += c->k.share[d->reviewer][j];
        bool silent = j == d->source && c->length == d->before;
        if (j < d->source || n >= total || silent)
            continue;
        int32_t most = d->most - n < c->k.block ? d->most - n : c->k.block;
        if (j < c->k.n_models || ask_all(c, most))
            return j;
    }
    return 0;
}
