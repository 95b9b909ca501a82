/* plan_simulate.c - the same cascades by drawing: Algorithm 1 walked round by round, each
 * acceptance a draw of its own. It shares no step of reasoning with plan.c, so that each checks
 * the other.
 */
#include "cascade/plan.h"

#include "kernels/noise.h"

#include <math.h>
#include <string.h>

typedef struct simulation {
    const linn_plan *p;
    const linn_kmatrix *k;
    linn_forecast sum;
    uint64_t seed;
    uint64_t drawn;
    uint32_t words[4];
} simulation;

static bool chance(simulation *s, double probability)
{
    uint64_t i = s->drawn++;
    if (i % 4 == 0)
        linn_noise_words(s->seed, (uint32_t)(i >> 33), (int32_t)(i >> 2 & INT32_MAX), 0, s->words);
    return linn_uniform(s->words[i % 4]) < probability;
}

/* One step of a level: returns how many tokens it adds. */
static int32_t step(simulation *s, int level)
{
    const linn_plan *p = s->p;
    s->sum.passes[level] += 1;
    if (level == s->k->n_models) {
        s->sum.cost += linn_plan_cost(&p->cost[level], s->k->block);
        int32_t n = chance(s, p->hit) ? s->k->block : 0;
        s->sum.rows[level] += n;
        return n;
    }
    int from[LINN_MAX_DRAFT]; /* who wrote each token of the draft */
    int32_t n = 0, total = 0, kept = 0;
    for (int j = level + 1; j < p->n_levels; j++) {
        total += s->k->share[level][j];
        for (int32_t more = 1; n < total && more > 0;) {
            more = step(s, j);
            for (int32_t i = 0; i < more; i++)
                from[n++] = j;
        }
    }
    s->sum.cost += linn_plan_cost(&p->cost[level], n + 1);
    s->sum.rows[level] += n + 1;
    while (kept < n && chance(s, p->alpha[level][from[kept]]))
        kept++;
    return kept + 1;
}

int linn_plan_simulate(const linn_plan *p, const linn_plan_cascade *c, int64_t rounds,
                       uint64_t seed, linn_forecast *out, linn_error *err)
{
    linn_kmatrix k;
    int rc = linn_plan_check(p, c, &k, err);
    if (rc)
        return rc;
    simulation s = {.p = p, .k = &k, .seed = seed};
    double tokens2 = 0, cost2 = 0, product = 0, n = (double)rounds;
    for (int64_t i = 0; i < rounds; i++) {
        double before = s.sum.cost, tokens = step(&s, 0), cost = s.sum.cost - before;
        s.sum.tokens += tokens;
        tokens2 += tokens * tokens;
        cost2 += cost * cost;
        product += tokens * cost;
    }
    *out = s.sum;
    out->tokens /= n;
    out->cost /= n;
    for (int i = 0; i < LINN_MAX_LEVELS; i++) {
        out->passes[i] /= n;
        out->rows[i] /= n;
    }
    /* Speed is a ratio of means: its error is that of tokens - ratio cost, over the mean cost. */
    double ratio = out->tokens / out->cost, one = linn_plan_cost(&p->cost[0], 1);
    double variance = (tokens2 - 2 * ratio * product + ratio * ratio * cost2) / n;
    out->speed = ratio * one;
    out->error = sqrt(variance > 0 ? variance / n : 0) / out->cost * one;
    return LINN_OK;
}
