/* learned.c - what the marginal rule has learned, as figures for the planner. */
#include "cascade/auto.h"
#include "linn_tools.h"

#include "base/error.h"

static const double ASK_NS = 100; /* Max-Gram's guess takes about that long */

/* Of one source, or of the statistical ones together; a guess where nothing was counted. */
static double rate(const linn_auto *a, int heat, int reviewer, int first, int last)
{
    double passed = 0, all = 0;
    for (int s = first; s <= last; s++) {
        linn_tally t = a->calibration.all[heat][reviewer][s][LINN_ALL_BINS];
        passed += (double)t.passed;
        all += (double)t.passed + (double)t.failed;
    }
    return all > 0 ? passed / all : (double)a->calibration.chance[reviewer][first][LINN_ALL_BINS];
}

static void fill_cost(const linn_auto *a, int r, linn_pass_cost *out)
{
    double more = r > 0 ? linn_auto_token_ns(a, r) - linn_auto_pass_ns(a, r, 1) : 0;
    for (int i = 0; linn_widths_rows(i) <= LINN_OPEN_DRAFT; i++) {
        out->rows[out->n] = linn_widths_rows(i);
        out->cost[out->n++] = linn_auto_pass_ns(a, r, linn_widths_rows(i)) + (more > 0 ? more : 0);
    }
}

int linn_plan_learned(const linn_cascade *c, float temperature, linn_plan *out, linn_error *err)
{
    const linn_auto *a = linn_auto_of(c);
    *out = (linn_plan){0};
    if (!a || !(linn_auto_pass_ns(a, 0, 1) > 0))
        return linn_fail(err, LINN_EINVAL,
                         "nothing was learned: only a cascade of shape auto does, "
                         "and only from texts");
    int n = a->n_models, last = a->n_sources - 1, heat = linn_heat(temperature);
    out->statistical = last >= n;
    out->n_levels = n + out->statistical;
    for (int r = 0; r < n; r++) {
        for (int j = r + 1; j < n; j++)
            out->alpha[r][j] = rate(a, heat, r, j, j);
        if (out->statistical)
            out->alpha[r][n] = rate(a, heat, r, n, last);
        fill_cost(a, r, &out->cost[r]);
    }
    if (out->statistical) {
        out->hit = a->n_asked > 0 ? (double)a->n_answered / (double)a->n_asked : 1;
        double ask = last > n ? a->ask_ns[last - n] : ASK_NS;
        out->cost[n] = (linn_pass_cost){.n = 1, .rows = {1}, .cost = {ask > 0 ? ask : ASK_NS}};
    }
    return LINN_OK;
}
