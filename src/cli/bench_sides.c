/* bench_sides.c - the ways to decode that linn bench cascade compares. */
#include "bench_cascade.h"
#include "profiles.h"
#include "rows.h"

#include <stdio.h>
#include <string.h>

/* What is tried for the best k, on so many prompts. */
static const int32_t tried[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16};
enum { TRIED = sizeof tried / sizeof *tried, SEARCH_PROMPTS = 8 };

linn_bench_side *linn_bench_add_side(linn_cascade_bench *b, const char *name, linn_shape shape,
                                     size_t first, size_t n)
{
    linn_bench_side *side = &b->sides[b->n_sides++];
    snprintf(side->name, sizeof side->name, "%s", name);
    side->settings = linn_cascade_settings_default();
    side->settings.shape = shape;
    side->settings.ngram = b->models.ngram;
    side->settings.session.n_ctx = (int32_t)b->s->ctx;
    side->first = first;
    side->n = n;
    side->temperature = -1;
    return side;
}

int linn_bench_open_side(linn_cascade_bench *b)
{
    linn_bench_side *side = &b->sides[b->n_sides - 1];
    linn_error err;
    if (side->settings.shape == LINN_CASCADE_K)
        side->settings.k_matrix = side->matrix;
    if (side->settings.shape == LINN_CASCADE_SPEC)
        side->settings.ngram = NULL;
    int rc = linn_cascade_create(&side->cascade, b->models.items[0],
                                 (const linn_model *const *)(b->models.items + side->first),
                                 side->n, &side->settings, &err);
    if (rc == LINN_OK)
        return LINN_PARSED;
    b->n_sides--;
    return rc == LINN_EINVAL ? linn_cli_misuse(b->self, "%s: %s", side->name, err.message)
                             : linn_cli_fail(b->self, "%s: %s", side->name, err.message);
}

static int add_matrix(linn_cascade_bench *b, const char *name, const char *matrix, size_t first,
                      double lenience)
{
    linn_bench_side *side =
        linn_bench_add_side(b, name, LINN_CASCADE_K, first, b->models.n - first);
    side->settings.block = (int32_t)b->s->block;
    side->settings.lenience = (float)lenience;
    side->settings.lenience_rule = (linn_lenience_rule)b->s->rule;
    int status =
        linn_cli_read_matrix(b->self, "--k-matrix", matrix, side->matrix, &side->settings.k_order);
    if (status == LINN_PARSED)
        return linn_bench_open_side(b);
    b->n_sides--;
    return status;
}

/* ---- the best k --------------------------------------------------------------------------------
 */

int linn_bench_try(linn_cascade_bench *b, linn_bench_side *side, int temperature, size_t n,
                   double *worth)
{
    size_t from = b->s->search ? b->n : 0, all = b->prompts.n - from;
    double tokens = 0, cost = 0;
    n = n < all ? n : all;
    for (size_t i = 0; i < n; i++) {
        linn_outcome o;
        int status = linn_bench_run(b, side, temperature, from + i * all / n, &o);
        if (status != LINN_PARSED)
            return status;
        tokens += o.stats.tokens;
        for (int j = 0; j < o.stats.n_levels && b->s->by; j++)
            cost += (double)o.stats.levels[j].passes * (double)o.stats.levels[j].n_parameters;
        cost += b->s->by ? 0 : o.ms;
    }
    *worth = cost > 0 ? tokens / cost : 0;
    return LINN_PARSED;
}

/* A side of the shape with the k that is best at the temperature, or with the one that was given.
 * All are opened, each is run on the same prompts, and the best one stays. */
static int add_best(linn_cascade_bench *b, const char *name, linn_shape shape, size_t drafter,
                    int temperature)
{
    linn_bench_side best = {0};
    double most = -1;
    int status = LINN_PARSED;
    for (size_t i = 0; i < (b->s->k ? 1 : TRIED) && status == LINN_PARSED; i++) {
        linn_bench_side *side =
            linn_bench_add_side(b, name, shape, drafter, shape == LINN_CASCADE_SPEC);
        double worth = 0;
        side->settings.k = b->s->k ? (int32_t)b->s->k : tried[i];
        side->two = shape == LINN_CASCADE_SPEC;
        side->temperature = temperature;
        snprintf(side->name, sizeof side->name, "%.32s, k = %d", name, side->settings.k);
        status = linn_bench_open_side(b);
        if (status == LINN_PARSED && !b->s->k)
            status = linn_bench_try(b, side, temperature, SEARCH_PROMPTS, &worth);
        if (status != LINN_PARSED)
            break;
        linn_bench_side loser = worth > most ? best : *side;
        if (worth > most) {
            best = *side;
            most = worth;
        }
        linn_cascade_free(loser.cascade);
        b->n_sides--;
    }
    if (status == LINN_PARSED)
        b->sides[b->n_sides++] = best;
    else
        linn_cascade_free(best.cascade);
    return status;
}

static int add_all_best(linn_cascade_bench *b)
{
    int status = LINN_PARSED;
    for (int t = 0; t < b->n_temperatures; t++) {
        if (b->methods[LINN_BENCH_MAXGRAM] && status == LINN_PARSED)
            status = add_best(b, "Max-Gram", LINN_CASCADE_MAXGRAM, 1, t);
        for (size_t i = 1; i < b->models.n && b->methods[LINN_BENCH_SPEC]; i++)
            if (status == LINN_PARSED)
                status = add_best(b, linn_model_describe(b->models.items[i]).name,
                                  LINN_CASCADE_SPEC, i, t);
    }
    return status;
}

/* ---- all ----------------------------------------------------------------------------------------
 */

/* The K matrices of the authors' runs (github.com/lfsszd/CS-Drafting): FLAN-T5-xxl with base and
 * small on MMLU at lenience 2, LLaMA-7B with llama-160m at lenience 3. */
static int add_paper(linn_cascade_bench *b)
{
    int status = LINN_PARSED;
    if (b->models.n == 3)
        status = add_matrix(b, "paper, two drafters", "5 14 10; 0 1 10; 0 0 10", 1, 2);
    if (b->models.n > 1 && status == LINN_PARSED)
        status = add_matrix(b, "paper, one drafter", "13 10; 0 10", b->models.n - 1, 3);
    return status;
}

int linn_bench_make_sides(linn_cascade_bench *b)
{
    const linn_texts *given = &b->s->matrices;
    size_t most = 6 + given->n + (size_t)b->n_temperatures * (b->models.n + b->s->search);
    if (most > LINN_BENCH_SIDES)
        return linn_cli_misuse(b->self, "--k-matrix: too many ways to decode: at most %d in all",
                               LINN_BENCH_SIDES);
    linn_bench_add_side(b, "plain", LINN_CASCADE_OFF, 1, 0);
    int status = linn_bench_open_side(b);
    if (status == LINN_PARSED)
        status = add_all_best(b);
    if (b->methods[LINN_BENCH_PAPER] && status == LINN_PARSED)
        status = add_paper(b);
    for (size_t i = 0; i < given->n && b->methods[LINN_BENCH_GIVEN] && status == LINN_PARSED; i++) {
        char name[48];
        snprintf(name, sizeof name, "K %s", given->items[i]);
        status = add_matrix(b, name, given->items[i], 1, b->s->lenience);
    }
    for (int t = 0; t < b->n_temperatures && b->s->search && status == LINN_PARSED; t++)
        status = linn_bench_search(b, t);
    if (b->methods[LINN_BENCH_AUTO] && status == LINN_PARSED) {
        char folder[PATH_MAX];
        linn_bench_side *side =
            linn_bench_add_side(b, "auto", LINN_CASCADE_AUTO, 1, b->models.n - 1);
        side->is_auto = true;
        if (b->s->profile)
            side->settings.profiles = linn_cli_profiles(folder);
        status = linn_bench_open_side(b);
        side->settings.profiles = NULL; /* borrowed */
        if (status == LINN_PARSED)
            linn_cli_profile_found(b->self, side->cascade);
    }
    return status;
}

void linn_bench_free_sides(linn_cascade_bench *b)
{
    for (int i = 0; i < b->n_sides; i++)
        linn_cascade_free(b->sides[i].cascade);
    b->n_sides = 0;
}
