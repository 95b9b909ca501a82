/* plan_search.c - the best numbers for a shape of cascade.
 *
 * A shape says which entries of the K matrix may differ from 0. Their values are found by hill
 * climbing: the best of many small changes is taken until none helps. Expected speed is
 * well-behaved in each entry, but has several hills, so climbing starts at many places; a
 * combined cascade starts at the best of the simpler ones, among others, and so is never worse.
 */
#include "cascade/plan.h"

#include "base/error.h"

#include <string.h>

enum { MAX_CELLS = LINN_MAX_ORDER * (LINN_MAX_ORDER + 1) / 2, MAX_DRAFTERS = LINN_MAX_ORDER };

static const double ALIKE = 2e-4;

typedef struct climber {
    const linn_plan *p;
    int32_t least, most; /* of what may change */
    int32_t total;
    int cells[MAX_CELLS]; /* of the matrix, those that may change; the first row's come first */
    int n_cells, n_first;
    bool block; /* may change */
    linn_plan_cascade best;
    linn_forecast forecast;
} climber;

/* Takes a cascade over if it is faster. */
static bool consider(climber *c, const linn_plan_cascade *candidate)
{
    linn_kmatrix k;
    linn_forecast f;
    if (linn_plan_check(c->p, candidate, &k, NULL)) /* a draft too long */
        return false;
    linn_plan_exact(c->p, &k, &f);
    if (f.speed <= c->forecast.speed * (1 + 1e-12))
        return false;
    c->forecast = f;
    c->best = *candidate;
    return true;
}

static bool allowed(const climber *c, int32_t value)
{
    return value >= c->least && value <= c->most;
}

/* Tries an entry, or the block, at other values. Where the first row's total is fixed, what one of
 * its entries gains another loses. */
static bool try_value(climber *c, const linn_plan_cascade *from, int cell, int32_t value)
{
    linn_plan_cascade next = *from;
    bool better = false;
    if (!allowed(c, value))
        return false;
    if (cell == c->n_cells) {
        next.block = value;
        return value > 0 && consider(c, &next);
    }
    int32_t more = value - from->k_matrix[c->cells[cell]];
    next.k_matrix[c->cells[cell]] = value;
    if (cell >= c->n_first || c->total == 0)
        better = consider(c, &next);
    for (int other = 0; cell < c->n_first && other < c->n_first; other++) {
        int32_t less = from->k_matrix[c->cells[other]] - more;
        if (other == cell || !allowed(c, less))
            continue;
        next.k_matrix[c->cells[other]] = less;
        better |= consider(c, &next);
        next.k_matrix[c->cells[other]] = from->k_matrix[c->cells[other]];
    }
    return better;
}

static void climb(climber *c, const linn_plan_cascade *start)
{
    static const int32_t steps[] = {1, -1, 2, -2, 4, -4};
    linn_forecast before = c->forecast;
    linn_plan_cascade winner = c->best;
    memset(&c->forecast, 0, sizeof c->forecast);
    bool better = consider(c, start);
    while (better) {
        linn_plan_cascade from = c->best;
        better = false;
        for (int cell = 0; cell < c->n_cells + c->block; cell++) {
            int32_t now = cell < c->n_cells ? from.k_matrix[c->cells[cell]] : from.block;
            for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
                better |= try_value(c, &from, cell, now + steps[i]);
            better |= now > 4 && try_value(c, &from, cell, c->least);
        }
    }
    if (c->forecast.speed <= before.speed) {
        c->forecast = before;
        c->best = winner;
    }
}

/* ---- shapes ------------------------------------------------------------------------------------
 */

/* levels[0 .. n): those that take part, the target first. */
static void choose_cells(climber *c, linn_plan_shape shape, const int *levels, int n)
{
    int order = c->p->n_levels - 1;
    c->n_cells = 0;
    for (int r = 0; r < n; r++) {
        for (int j = r + 1; j < n; j++) {
            bool used = shape == LINN_PLAN_COMBINED || (shape == LINN_PLAN_HORIZONTAL && r == 0) ||
                        ((shape == LINN_PLAN_TWO || shape == LINN_PLAN_VERTICAL) && j == r + 1);
            if (used)
                c->cells[c->n_cells++] = levels[r] * order + levels[j] - 1;
        }
        if (r == 0)
            c->n_first = c->n_cells;
    }
    c->block = c->p->statistical && levels[n - 1] == c->p->n_levels - 1;
}

/* All entries alike, the block short or long. */
static void climb_from_all(climber *c)
{
    static const int32_t values[] = {1, 3, 8}, blocks[] = {2, 8};
    if (c->total > 0 && (c->total > c->n_first * c->most || c->total < c->n_first * c->least))
        return;
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (size_t b = 0; b < (c->block ? 2 : 1); b++) {
            linn_plan_cascade start = {.block = blocks[b] < c->most ? blocks[b] : c->most};
            int32_t value = values[v] < c->most ? values[v] : c->most, left = c->total;
            for (int i = 0; i < c->n_cells; i++)
                start.k_matrix[c->cells[i]] = value;
            for (int i = 0; i < c->n_first && c->total > 0; i++) {
                int32_t fair = left / (c->n_first - i);
                start.k_matrix[c->cells[i]] = fair < c->most ? fair : c->most;
                left -= start.k_matrix[c->cells[i]];
            }
            climb(c, &start);
        }
}

/* A shape over each set of drafters, all of which take part; the best becomes c->best. */
static void search_sets(climber *c, linn_plan_shape shape, unsigned drafters)
{
    for (unsigned set = 1; set < 1u << c->p->n_levels; set++) {
        int levels[LINN_MAX_LEVELS] = {0}, n = 1;
        for (int j = 1; j < c->p->n_levels; j++)
            if (set >> j & 1)
                levels[n++] = j;
        if ((set & ~drafters) || (set & 1) || (shape == LINN_PLAN_TWO ? n != 2 : n < 3))
            continue;
        choose_cells(c, shape, levels, n);
        climb_from_all(c);
    }
}

static void search_combined(climber *c, unsigned drafters, const int *levels, int n)
{
    choose_cells(c, LINN_PLAN_COMBINED, levels, n);
    for (int shape = LINN_PLAN_TWO; shape < LINN_PLAN_COMBINED; shape++) {
        linn_plan_search s = {(linn_plan_shape)shape, drafters, c->total, c->most};
        linn_plan_cascade start;
        linn_forecast f;
        if (linn_plan_best(c->p, &s, &start, &f, NULL) == LINN_OK)
            climb(c, &start);
    }
    climb_from_all(c);
    if (c->total == 0)
        consider(c, &(linn_plan_cascade){.block = 1});
}

/* Drafts that are free cost a search nothing either: of cascades that are as good as alike, the one
 * with less of everything. */
static void trim(climber *c, linn_plan_shape shape, const int *levels, int n)
{
    const double speed = c->forecast.speed * (1 - ALIKE);
    choose_cells(c, LINN_PLAN_COMBINED, levels, n);
    for (int cell = c->total ? c->n_first : 0; cell < c->n_cells + c->block; cell++) {
        int32_t least = cell < c->n_cells && shape == LINN_PLAN_COMBINED ? 0 : 1;
        for (;;) {
            linn_plan_cascade next = c->best;
            int32_t *value = cell < c->n_cells ? &next.k_matrix[c->cells[cell]] : &next.block;
            c->forecast.speed = speed;
            if (--*value < least || !consider(c, &next))
                break;
        }
    }
    linn_plan_evaluate(c->p, &c->best, &c->forecast, NULL);
}

int linn_plan_best(const linn_plan *p, const linn_plan_search *s, linn_plan_cascade *out,
                   linn_forecast *forecast, linn_error *err)
{
    const linn_plan_cascade none = {.block = 1};
    climber c = {
        .p = p, .least = s->shape != LINN_PLAN_COMBINED, .most = s->most, .total = s->total};
    linn_kmatrix k;
    int levels[LINN_MAX_LEVELS] = {0}, n = 1;
    int rc = linn_plan_check(p, &none, &k, err);
    if (rc)
        return rc;
    if (s->most < 1 || s->most > 64 || s->total < 0 || s->total > LINN_MAX_DRAFT)
        return linn_fail(err, LINN_EINVAL,
                         "entries up to %d, a row of %d: must be 1 to 64, and 0 to %d", s->most,
                         s->total, LINN_MAX_DRAFT);
    for (int j = 1; j < p->n_levels; j++)
        if (s->levels >> j & 1)
            levels[n++] = j;
    unsigned drafters = s->levels & ((1u << p->n_levels) - 2);
    if (s->shape == LINN_PLAN_COMBINED)
        search_combined(&c, drafters, levels, n);
    else
        search_sets(&c, s->shape, drafters);
    if (c.forecast.speed == 0)
        return linn_fail(err, LINN_EINVAL, "no such cascade with %d drafter%s and drafts of %d",
                         n - 1, n == 2 ? "" : "s", s->total);
    trim(&c, s->shape, levels, n);
    *out = c.best;
    *forecast = c.forecast;
    return LINN_OK;
}
