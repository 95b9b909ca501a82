/* plan.c - the recursion over laws of draft lengths (plan.h). */
#include "cascade/plan.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* ---- one draft ------------------------------------------------------------------------------- */

void linn_sweep_begin(linn_sweep *s)
{
    memset(s, 0, sizeof *s);
    s->drafted[0] = s->alive[0] = 1;
}

double linn_sweep_step(linn_sweep *s, int32_t at, const linn_lengths *step, double alpha)
{
    double drafted = s->drafted[at], alive = s->alive[at];
    if (drafted == 0)
        return 0;
    s->drafted[at] *= step->p[0];
    s->alive[at] *= step->p[0];
    double more = 0; /* chance of a step of more than t tokens */
    for (int32_t m = step->longest; m > 0; m--)
        more += step->p[m];
    double passed = 1; /* alpha^t */
    for (int32_t t = 0; t < step->longest; t++) {
        s->kept[at + t] += alive * more * passed * (1 - alpha);
        passed *= alpha;
        s->drafted[at + t + 1] += drafted * step->p[t + 1];
        s->alive[at + t + 1] += alive * step->p[t + 1] * passed;
        more -= step->p[t + 1];
    }
    if (s->longest < at + step->longest)
        s->longest = at + step->longest;
    return drafted;
}

void linn_sweep_review(const linn_sweep *s, linn_lengths *out)
{
    memset(out, 0, sizeof *out);
    out->longest = s->longest + 1;
    for (int32_t i = 0; i <= s->longest; i++)
        out->p[i + 1] = s->kept[i] + s->alive[i];
}

/* ---- a cascade --------------------------------------------------------------------------------
 */

double linn_plan_cost(const linn_pass_cost *c, int32_t rows)
{
    if (c->n == 1 || rows <= c->rows[0])
        return c->cost[0];
    int i = 1;
    while (i < c->n - 1 && c->rows[i] < rows)
        i++;
    double slope = (c->cost[i] - c->cost[i - 1]) / (c->rows[i] - c->rows[i - 1]);
    double cost = c->cost[i - 1] + slope * (rows - c->rows[i - 1]);
    return cost > 0 ? cost : 0; /* a line that falls ends there */
}

/* One step of a level, with all that it makes the levels below do. */
typedef struct step_law {
    linn_lengths adds;
    double cost, passes[LINN_MAX_LEVELS], rows[LINN_MAX_LEVELS];
} step_law;

static void propose(const linn_plan *p, int level, int32_t block, step_law *out)
{
    out->adds.longest = block;
    out->adds.p[0] = 1 - p->hit;
    out->adds.p[block] = p->hit;
    out->cost = linn_plan_cost(&p->cost[level], block);
    out->passes[level] = 1;
    out->rows[level] = p->hit * block;
}

/* Adds `times` steps of a level below. */
static void add_use(step_law *out, const step_law *below, double times)
{
    out->cost += times * below->cost;
    for (int i = 0; i < LINN_MAX_LEVELS; i++) {
        out->passes[i] += times * below->passes[i];
        out->rows[i] += times * below->rows[i];
    }
}

static void draft_and_review(const linn_plan *p, const linn_kmatrix *k, int level,
                             const step_law *laws, step_law *out)
{
    linn_sweep s;
    int32_t total = 0;
    linn_sweep_begin(&s);
    for (int j = level + 1; j < p->n_levels; j++) {
        double times = 0;
        total += k->share[level][j];
        for (int32_t at = 0; at < total; at++)
            times += linn_sweep_step(&s, at, &laws[j].adds, p->alpha[level][j]);
        add_use(out, &laws[j], times);
    }
    for (int32_t n = 0; n <= s.longest; n++) {
        out->cost += s.drafted[n] * linn_plan_cost(&p->cost[level], n + 1);
        out->rows[level] += s.drafted[n] * (n + 1);
    }
    out->passes[level] += 1;
    linn_sweep_review(&s, &out->adds);
}

void linn_plan_exact(const linn_plan *p, const linn_kmatrix *k, linn_forecast *out)
{
    step_law laws[LINN_MAX_LEVELS];
    memset(laws, 0, sizeof laws);
    for (int level = p->n_levels - 1; level >= 0; level--) {
        if (level == k->n_models)
            propose(p, level, k->block, &laws[level]);
        else
            draft_and_review(p, k, level, laws, &laws[level]);
    }
    memset(out, 0, sizeof *out);
    for (int32_t n = 1; n <= laws[0].adds.longest; n++)
        out->tokens += n * laws[0].adds.p[n];
    out->cost = laws[0].cost;
    out->speed = out->tokens / out->cost * linn_plan_cost(&p->cost[0], 1);
    memcpy(out->passes, laws[0].passes, sizeof out->passes);
    memcpy(out->rows, laws[0].rows, sizeof out->rows);
}

/* ---- checks -----------------------------------------------------------------------------------
 */

static int check_cost(const linn_pass_cost *c, int level, bool free_too, linn_error *err)
{
    if (c->n < 1 || c->n > LINN_MAX_WIDTHS)
        return linn_fail(err, LINN_EINVAL, "level %d: costs at %d widths: must be 1 to %d",
                         level + 1, c->n, LINN_MAX_WIDTHS);
    for (int i = 0; i < c->n; i++) {
        if (!isfinite(c->cost[i]) || c->cost[i] < 0 || (c->cost[i] == 0 && !free_too))
            return linn_fail(err, LINN_EINVAL, "level %d: cost %g of a pass: must be %s 0",
                             level + 1, c->cost[i], free_too ? "at least" : "above");
        if (c->rows[i] < 1 || (i > 0 && c->rows[i] <= c->rows[i - 1]))
            return linn_fail(err, LINN_EINVAL,
                             "level %d: cost of a pass of %d rows: widths must begin at 1 "
                             "or more and rise",
                             level + 1, c->rows[i]);
    }
    return LINN_OK;
}

static int check_figures(const linn_plan *p, linn_error *err)
{
    int models = p->n_levels - p->statistical;
    if (models < 1 || models > LINN_MAX_MODELS)
        return linn_fail(err, LINN_EINVAL, "%d models: must be 1 to %d", models, LINN_MAX_MODELS);
    if (!(p->hit >= 0 && p->hit <= 1))
        return linn_fail(err, LINN_EINVAL, "hit rate %g: must be from 0 to 1", p->hit);
    for (int r = 0; r < p->n_levels; r++) {
        int rc = check_cost(&p->cost[r], r, r >= models, err);
        if (rc)
            return rc;
        for (int j = r + 1; j < p->n_levels && r < models; j++)
            if (!(p->alpha[r][j] >= 0 && p->alpha[r][j] <= 1))
                return linn_fail(err, LINN_EINVAL,
                                 "acceptance %g of level %d by level %d: must be from 0 to 1",
                                 p->alpha[r][j], j + 1, r + 1);
    }
    return LINN_OK;
}

int linn_plan_check(const linn_plan *p, const linn_plan_cascade *c, linn_kmatrix *k,
                    linn_error *err)
{
    int rc = check_figures(p, err);
    if (rc)
        return rc;
    linn_cascade_settings s = linn_cascade_settings_default();
    s.shape = LINN_CASCADE_K;
    s.k_matrix = c->k_matrix;
    s.k_order = p->n_levels - 1;
    s.maxgram = p->statistical;
    s.block = c->block;
    size_t n_drafters = (size_t)(p->n_levels - p->statistical - 1);
    bool drafts = false;
    for (int j = 0; j < s.k_order; j++)
        drafts |= c->k_matrix[j] != 0;
    if (drafts)
        return linn_kmatrix_make(k, &s, n_drafters, err);
    s.shape = LINN_CASCADE_OFF; /* which only the name says in a cascade's settings */
    rc = linn_kmatrix_make(k, &s, n_drafters, err);
    k->n_models = (int)n_drafters + 1;
    k->statistical = p->statistical;
    return rc;
}

int linn_plan_evaluate(const linn_plan *p, const linn_plan_cascade *c, linn_forecast *out,
                       linn_error *err)
{
    linn_kmatrix k;
    int rc = linn_plan_check(p, c, &k, err);
    if (rc == LINN_OK)
        linn_plan_exact(p, &k, out);
    return rc;
}
