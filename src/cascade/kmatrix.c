/* kmatrix.c - the named shapes, and checks of what the user says (kmatrix.h). */
#include "cascade/kmatrix.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

linn_cascade_settings linn_cascade_settings_default(void)
{
    return (linn_cascade_settings){
        .shape = LINN_CASCADE_AUTO,
        .k = 4,
        .maxgram = true,
        .block = 10,
        .lenience = 1,
        .lenience_rule = LINN_LENIENCE_SCORE,
        .verify = LINN_VERIFY_COUPLED,
        .explore = 0.005f,
    };
}

static int check_settings(const linn_cascade_settings *s, linn_error *err)
{
    if (s->shape < LINN_CASCADE_AUTO || s->shape > LINN_CASCADE_K)
        return linn_fail(err, LINN_EINVAL, "cascade: unknown shape %d", (int)s->shape);
    if (s->verify != LINN_VERIFY_COUPLED && s->verify != LINN_VERIFY_REJECTION)
        return linn_fail(err, LINN_EINVAL, "cascade: unknown verification %d", (int)s->verify);
    if (s->lenience_rule != LINN_LENIENCE_SCORE && s->lenience_rule != LINN_LENIENCE_PAPER)
        return linn_fail(err, LINN_EINVAL, "cascade: unknown lenience rule %d",
                         (int)s->lenience_rule);
    if (!(s->lenience >= 1) || !isfinite(s->lenience))
        return linn_fail(err, LINN_EINVAL, "lenience %g: must be a number of at least 1",
                         (double)s->lenience);
    if (!(s->explore >= 0) || s->explore > 1)
        return linn_fail(err, LINN_EINVAL, "explore %g: must be from 0 to 1", (double)s->explore);
    if (s->k < 1 || s->k > LINN_MAX_DRAFT)
        return linn_fail(err, LINN_EINVAL, "k %d: must be from 1 to %d tokens", s->k,
                         LINN_MAX_DRAFT);
    if (s->block < 1 || s->block > LINN_MAX_DRAFT)
        return linn_fail(err, LINN_EINVAL, "block %d: must be from 1 to %d tokens", s->block,
                         LINN_MAX_DRAFT);
    return LINN_OK;
}

/* Until the policy decides as it goes: a few tokens of each drafter, each of which reviews a few of
 * the cheapest below it. Short, since on a CPU a pass is flat only up to some five rows. */
static void fill_fixed(linn_kmatrix *k, int n_levels)
{
    for (int r = 0; r < k->n_models; r++)
        for (int j = r + 1; j < n_levels; j++)
            k->share[r][j] = r == 0 || j == n_levels - 1 ? 3 : 0;
    k->block = 3;
}

static int fill_given(linn_kmatrix *k, int n_levels, const linn_cascade_settings *s,
                      linn_error *err)
{
    int order = n_levels - 1;
    if (s->k_order != order)
        return linn_fail(err, LINN_EINVAL,
                         "K matrix of %d rows: with %d drafter%s%s it must have %d, for the target "
                         "and for every drafter but the last",
                         s->k_order, k->n_models - 1, k->n_models == 2 ? "" : "s",
                         s->maxgram ? " and Max-Gram"
                         : s->ngram ? " and the n-gram table"
                                    : "",
                         order);
    int64_t first = 0;
    for (int r = 0; r < order; r++)
        for (int j = 0; j < order; j++) {
            int32_t n = s->k_matrix[r * order + j];
            if (n < 0 || n > LINN_MAX_DRAFT)
                return linn_fail(err, LINN_EINVAL,
                                 "K matrix: %d in row %d, column %d: must be from 0 to %d", n,
                                 r + 1, j + 1, LINN_MAX_DRAFT);
            if (j < r && n != 0)
                return linn_fail(err, LINN_EINVAL,
                                 "K matrix: %d in row %d, column %d: must be 0 below the diagonal",
                                 n, r + 1, j + 1);
            k->share[r][j + 1] = n;
            first += r == 0 ? n : 0;
        }
    if (first == 0)
        return linn_fail(err, LINN_EINVAL,
                         "K matrix: row 1 is all zeros, so nothing is drafted: say off instead");
    return LINN_OK;
}

/* The longest drafts, from the bottom up: a loop that goes on while it has less than its total ends
 * with at most that less one and a whole step more. */
static int measure(linn_kmatrix *k, int n_levels, linn_error *err)
{
    int64_t step[LINN_MAX_LEVELS] = {0};
    for (int r = n_levels - 1; r >= 0; r--) {
        if (r == k->n_models) {
            step[r] = k->block;
            continue;
        }
        int64_t total = 0, longest = 0;
        for (int j = r + 1; j < n_levels; j++) {
            total += k->share[r][j];
            if (total > 0 && longest < total - 1 + step[j])
                longest = total - 1 + step[j];
        }
        if (longest > LINN_MAX_DRAFT)
            return linn_fail(err, LINN_EINVAL,
                             "K matrix: row %d can make drafts of %lld tokens: must be at most %d",
                             r + 1, (long long)longest, LINN_MAX_DRAFT);
        k->longest[r] = (int32_t)longest;
        step[r] = longest + 1;
    }
    return LINN_OK;
}

int linn_kmatrix_make(linn_kmatrix *k, const linn_cascade_settings *s, size_t n_drafters,
                      linn_error *err)
{
    memset(k, 0, sizeof *k);
    int rc = check_settings(s, err);
    if (rc)
        return rc;
    if (n_drafters > LINN_MAX_MODELS - 1)
        return linn_fail(err, LINN_EINVAL, "%zu drafters: at most %d", n_drafters,
                         LINN_MAX_MODELS - 1);
    k->n_models = 1;
    k->block = s->block;
    if (s->shape == LINN_CASCADE_AUTO || s->shape == LINN_CASCADE_K) {
        k->n_models += (int)n_drafters;
        k->statistical = s->maxgram || s->ngram;
    } else if (s->shape == LINN_CASCADE_SPEC) {
        if (n_drafters == 0)
            return linn_fail(err, LINN_EINVAL, "speculative decoding needs a drafter");
        k->n_models = 2;
        k->share[0][1] = s->k;
    } else if (s->shape == LINN_CASCADE_MAXGRAM) {
        k->statistical = true;
        k->share[0][1] = k->block = s->k;
    }
    int n_levels = k->n_models + k->statistical;
    if (s->shape == LINN_CASCADE_AUTO || (s->shape == LINN_CASCADE_K && !s->k_matrix))
        fill_fixed(k, n_levels);
    else if (s->shape == LINN_CASCADE_K)
        rc = fill_given(k, n_levels, s, err);
    return rc ? rc : measure(k, n_levels, err);
}

void linn_kmatrix_open(linn_kmatrix *k)
{
    k->open = true;
    k->block = LINN_OPEN_DRAFT;
    for (int r = 0; r < k->n_models; r++)
        k->longest[r] = r + 1 < k->n_models + k->statistical ? LINN_OPEN_DRAFT : 0;
}
