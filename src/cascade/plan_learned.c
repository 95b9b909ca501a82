/* plan_learned.c - a plan's figures from what the marginal rule has learned (auto.h).
 *
 * Acceptance is that of all tokens of a source together; of pairs that never met it is the guess
 * that the rule itself begins with. Where Max-Gram and an n-gram table take part they are one
 * level, as good as the better one. Auto drafts where it expects to be accepted, and tries
 * seldom elsewhere, so what it learned of a model is on the bright side.
 */
#include "cascade/auto.h"
#include "cascade/plan.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static void take_costs(const linn_auto *a, linn_plan *p)
{
    for (int i = 0; i < a->n_models; i++) {
        linn_pass_cost *c = &p->cost[i];
        for (c->n = 0; c->n < LINN_WIDTH_GRID; c->n++) {
            c->rows[c->n] = linn_widths_rows(c->n);
            c->cost[c->n] = linn_auto_pass_ns(a, i, c->rows[c->n]) * 1e-6;
        }
    }
    if (p->statistical)
        p->cost[a->n_models] = (linn_pass_cost){1, {1}, {0}};
}

static void take_rates(const linn_auto *a, const linn_calibration *now, linn_plan *p)
{
    for (int r = 0; r < a->n_models; r++)
        for (int s = r + 1; s < a->n_sources; s++) {
            int level = s < a->n_models ? s : a->n_models;
            double chance = (double)now->chance[r][s][LINN_ALL_BINS];
            if (p->alpha[r][level] < chance)
                p->alpha[r][level] = chance;
        }
}

int linn_plan_learned(const linn_cascade *c, float temperature, linn_plan *out, linn_error *err)
{
    const linn_auto *a = linn_auto_of(c);
    memset(out, 0, sizeof *out);
    if (!a)
        return linn_fail(err, LINN_EINVAL, "only LINN_CASCADE_AUTO learns");
    if (a->levels[0].widths.n_measured == 0)
        return linn_fail(err, LINN_EINVAL, "nothing was learned of these models yet");
    linn_calibration *now = malloc(sizeof *now);
    if (!now)
        return linn_fail(err, LINN_ENOMEM, "out of memory");
    *now = a->calibration;
    linn_calibration_begin(now, temperature); /* as at the start of a text */
    out->statistical = a->n_sources > a->n_models;
    out->n_levels = a->n_models + out->statistical;
    out->hit = 1;
    take_costs(a, out);
    take_rates(a, now, out);
    free(now);
    return LINN_OK;
}
