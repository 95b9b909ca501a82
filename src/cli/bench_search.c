/* bench_search.c - the best fixed cascade of a grid, by running them.
 *
 * All are run on few prompts, the better ones on more, and the best of those on all of the search's
 * (successive halving: Jamieson and Talwalkar 2016); what is compared with the other sides has
 * then seen none of the prompts that they are compared on.
 */
#include "bench_cascade.h"
#include "interrupt.h"
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ORDER = 3, MOST_CELLS = MOST_ORDER * MOST_ORDER };

typedef struct candidate {
    int8_t k[MOST_CELLS]; /* [order, order] */
    double worth;
} candidate;

typedef struct grid {
    int order;        /* drafters that are models, and Max-Gram */
    candidate *items; /* NULL: only count */
    size_t n;
} grid;

/* Tokens that a draft for the target has of a model, and of Max-Gram; and drafts for models. */
static const int8_t of_model[] = {0, 1, 2, 4}, of_maxgram[] = {0, 1, 2, 3, 4, 8, 16},
                    inner[] = {0, 2};

/* Does any row above draft with this row's model? */
static bool in_use(const grid *g, const int8_t *k, int row)
{
    bool used = row == 0;
    for (int above = 0; above < row; above++)
        used = used || k[above * g->order + row - 1] > 0;
    return used;
}

/* Fills the upper triangle of k from a cell on, in every way. */
static void fill(grid *g, int8_t *k, int row, int column)
{
    if (column == g->order) {
        row++;
        column = row;
    }
    if (row == g->order) {
        if (g->items)
            memcpy(g->items[g->n].k, k, sizeof g->items[g->n].k);
        g->n++;
        return;
    }
    const int8_t *values = inner;
    size_t n = sizeof inner;
    if (row == 0 && column == g->order - 1) {
        values = of_maxgram;
        n = sizeof of_maxgram;
    } else if (row == 0) {
        values = of_model;
        n = sizeof of_model;
    }
    if (!in_use(g, k, row))
        n = 1;
    for (size_t i = 0; i < n; i++) {
        k[row * g->order + column] = values[i];
        fill(g, k, row, column + 1);
    }
}

static int make_grid(linn_cascade_bench *b, grid *g)
{
    int8_t k[MOST_CELLS] = {0};
    *g = (grid){.order = (int)b->models.n};
    if (g->order > MOST_ORDER)
        return linn_cli_misuse(b->self,
                               "--search: %d drafters are too many to try all cascades of "
                               "them: at most %d",
                               g->order - 1, MOST_ORDER - 1);
    fill(g, k, 0, 0);
    g->items = calloc(g->n, sizeof *g->items);
    if (!g->items)
        return linn_cli_fail(b->self, "no memory for a search of %zu cascades", g->n);
    g->n = 0;
    fill(g, k, 0, 0);
    /* the first is all zeros: plain decoding, which is a side of its own */
    memmove(g->items, g->items + 1, --g->n * sizeof *g->items);
    return LINN_PARSED;
}

static void name_side(linn_bench_side *side, const candidate *c, int order)
{
    size_t n = sizeof side->name, at = (size_t)snprintf(side->name, n, "best K");
    for (int i = 0; i < order * order && at < n; i++)
        at += (size_t)snprintf(side->name + at, n - at, "%s %d", i && i % order == 0 ? ";" : "",
                               c->k[i]);
}

/* Tokens that Max-Gram proposes at once: as few as its least share, or it would overstep that. */
static int32_t block_of(const grid *g, const candidate *c, int32_t otherwise)
{
    int32_t least = 0;
    for (int row = 0; row < g->order; row++) {
        int32_t share = c->k[row * g->order + g->order - 1];
        if (share > 0 && (least == 0 || share < least))
            least = share;
    }
    return least > 0 ? least : otherwise;
}

static int add_candidate(linn_cascade_bench *b, const grid *g, const candidate *c, int temperature)
{
    linn_bench_side *side = linn_bench_add_side(b, "", LINN_CASCADE_K, 1, b->models.n - 1);
    side->settings.block = block_of(g, c, (int32_t)b->s->block);
    side->settings.k_order = g->order;
    side->temperature = temperature;
    side->searched = true;
    for (int i = 0; i < g->order * g->order; i++)
        side->matrix[i] = c->k[i];
    name_side(side, c, g->order);
    return linn_bench_open_side(b);
}

static int by_worth(const void *a, const void *b)
{
    double x = ((const candidate *)a)->worth, y = ((const candidate *)b)->worth;
    return (x < y) - (x > y);
}

/* Runs all that are left on so many prompts, and sorts them, the best first. */
static int run_grid(linn_cascade_bench *b, grid *g, int temperature, size_t prompts)
{
    static const char what[] = "searching";
    linn_progress progress;
    int status = LINN_PARSED;
    linn_cli_progress_begin(&progress, what);
    for (size_t i = 0; i < g->n && status == LINN_PARSED; i++) {
        status = add_candidate(b, g, &g->items[i], temperature);
        if (status == LINN_PARSED) {
            linn_bench_side *side = &b->sides[--b->n_sides];
            status = linn_bench_try(b, side, temperature, prompts, &g->items[i].worth);
            linn_cascade_free(side->cascade);
        }
        linn_cli_progress(&progress, i + 1, g->n);
    }
    linn_cli_progress_end(&progress);
    qsort(g->items, g->n, sizeof *g->items, by_worth);
    return status;
}

int linn_bench_search(linn_cascade_bench *b, int temperature)
{
    static const size_t prompts[] = {2, 8, 32, SIZE_MAX},
                        keep[] = {4, 4, 4, 1}; /* of them, a part */
    grid g;
    int status = make_grid(b, &g);
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts && status == LINN_PARSED; i++) {
        status = run_grid(b, &g, temperature, prompts[i]);
        g.n = (g.n + keep[i] - 1) / keep[i];
    }
    if (status == LINN_PARSED)
        status = add_candidate(b, &g, g.items, temperature);
    free(g.items);
    return status;
}
