/* ngram_drafter.c - guesses from an n-gram table (ngram.h says which).
 *
 * The successors of all context lengths are gathered, longest context first, in a list
 * without repeats; a small hash table finds a token in it. For sampling most of them need
 * no exact noise: a quick bound on their score shows that they cannot win.
 */
#include "draft/ngram.h"

#include "base/error.h"
#include "base/memory.h"
#include "kernels/math.h"
#include "kernels/noise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CANDIDATES = LINN_NGRAM_CONTEXT * LINN_NGRAM_SUCCESSORS, /* at most */
    SLOTS = 2 * CANDIDATES,                                  /* a power of two */
};

typedef struct ngram_drafter {
    linn_drafter base;
    const linn_ngram *table;
    linn_token *tokens; /* [n_positions] */
    int32_t n_positions, committed, length;
    linn_choice choice;
    int n_candidates;
    linn_token candidate[CANDIDATES];
    double q[CANDIDATES];
    int16_t slots[SLOTS]; /* a candidate's number + 1; 0: free */
} ngram_drafter;

/* ---- the distribution ------------------------------------------------------------------------ */

/* The place of a token in the list of candidates, where it is put if it was not. */
static double *candidate(ngram_drafter *g, linn_token token)
{
    uint32_t slot = (uint32_t)token * 0x9e3779b1u >> 16 & (SLOTS - 1);
    for (; g->slots[slot]; slot = (slot + 1) & (SLOTS - 1))
        if (g->candidate[g->slots[slot] - 1] == token)
            return &g->q[g->slots[slot] - 1];
    int i = g->n_candidates++;
    g->slots[slot] = (int16_t)(i + 1);
    g->candidate[i] = token;
    g->q[i] = 0;
    return &g->q[i];
}

/* Fills the candidates for what follows these tokens: first by the shortest context, and then each
 * longer one puts its own shares over that. */
static void gather(ngram_drafter *g, const linn_token *newest_first, int known)
{
    g->n_candidates = 0;
    memset(g->slots, 0, sizeof g->slots);
    for (int n = 1; n <= known; n++) {
        double total, here = 0, before = 0, q;
        const uint32_t *words = linn_ngram_find(g->table, newest_first, n, &total), *word = words;
        if (!words)
            continue;
        for (bool last = false; !last; word++) {
            here += ((double)linn_ngram_count(*word) - LINN_NGRAM_DISCOUNT) / total;
            before += *candidate(g, linn_ngram_token(*word));
            last = (*word & LINN_NGRAM_LAST) != 0;
        }
        double rest = here < 1 && before < 1 ? (1 - here) / (1 - before) : 0;
        for (int i = 0; i < g->n_candidates; i++)
            g->q[i] *= rest;
        word = words;
        for (bool last = false; !last; word++) {
            q = ((double)linn_ngram_count(*word) - LINN_NGRAM_DISCOUNT) / total;
            *candidate(g, linn_ngram_token(*word)) = q;
            last = (*word & LINN_NGRAM_LAST) != 0;
        }
    }
}

/* ---- the choice ------------------------------------------------------------------------------ */

static bool better(const ngram_drafter *g, double score, int i, double best_score, int best)
{
    if (best < 0 || score > best_score)
        return true;
    return !(score < best_score) && g->candidate[i] < g->candidate[best];
}

static int most_likely(const ngram_drafter *g)
{
    int best = -1;
    for (int i = 0; i < g->n_candidates; i++)
        if (better(g, g->q[i], i, best < 0 ? 0 : g->q[best], best))
            best = i;
    return best;
}

/* log x within 0.09 above; x > 0 and normal. The mantissa's logarithm is taken for linear. */
static double log_above(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    double log2_x = (double)(int64_t)(bits - 0x3ff0000000000000u) * 0x1p-52;
    return 0.6931471805599453 * log2_x + 0.06;
}

static int sample(const ngram_drafter *g, int32_t position)
{
    int best = -1;
    double best_score = 0, heat = 1 / (double)g->choice.temperature;
    for (int i = 0; i < g->n_candidates; i++) {
        uint32_t words[4], v = (uint32_t)g->candidate[i];
        linn_noise_words(g->choice.seed, LINN_STREAM_GUMBEL, position, v >> 2, words);
        /* g = -log E with E = -log(1 - u) >= u, so g <= log(1 / u) */
        double bound = log_above(1 / linn_uniform(words[v & 3])) + heat * log_above(g->q[i]);
        if (best >= 0 && bound < best_score)
            continue;
        double score = (double)linn_gumbel_of(words[v & 3]) + heat * linn_log64(g->q[i]);
        if (better(g, score, i, best_score, best)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static int32_t propose(linn_drafter *d, int32_t n, linn_proposal *out)
{
    ngram_drafter *g = (ngram_drafter *)d;
    for (int32_t i = 0; i < n; i++) {
        int32_t position = g->length + i, known = 0;
        linn_token newest_first[LINN_NGRAM_CONTEXT];
        for (; known < LINN_NGRAM_CONTEXT && known < position; known++) {
            int32_t at = position - 1 - known;
            newest_first[known] = at < g->length ? g->tokens[at] : out[at - g->length].token;
        }
        gather(g, newest_first, known);
        if (g->n_candidates == 0)
            return i;
        int chosen = g->choice.temperature > 0 ? sample(g, position) : most_likely(g);
        out[i] = (linn_proposal){
            .token = g->candidate[chosen],
            .source = LINN_SOURCE_NGRAM,
            .confidence = (float)g->q[chosen],
        };
    }
    return n > 0 ? n : 0;
}

/* ---- the timeline ------------------------------------------------------------------------------
 */

static void push(linn_drafter *d, linn_token token)
{
    ngram_drafter *g = (ngram_drafter *)d;
    assert(g->length < g->n_positions && token >= 0);
    g->tokens[g->length++] = token;
}

static void roll_back(linn_drafter *d, int32_t length)
{
    ngram_drafter *g = (ngram_drafter *)d;
    assert(length >= g->committed && length <= g->length);
    g->length = length;
}

static void commit(linn_drafter *d, int32_t committed)
{
    ngram_drafter *g = (ngram_drafter *)d;
    assert(committed >= g->committed && committed <= g->length);
    g->committed = committed;
}

static void restart(linn_drafter *d, linn_choice choice)
{
    ngram_drafter *g = (ngram_drafter *)d;
    g->committed = g->length = 0;
    g->choice = choice;
}

static void free_drafter(linn_drafter *d)
{
    ngram_drafter *g = (ngram_drafter *)d;
    free(g->tokens);
    free(g);
}

int linn_ngram_drafter_create(linn_drafter **out, const linn_ngram *table, int32_t n_positions,
                              linn_error *err)
{
    *out = NULL;
    if (n_positions < 1)
        return linn_fail(err, LINN_EINVAL, "n-gram drafter: %d positions: must be at least 1",
                         n_positions);
    ngram_drafter *g = linn_alloc(1, sizeof *g);
    if (!g)
        return linn_fail(err, LINN_ENOMEM, "n-gram drafter: out of memory");
    g->base = (linn_drafter){"n-gram", LINN_SOURCE_NGRAM, propose,     push, roll_back,
                             commit,   restart,           free_drafter};
    g->table = table;
    g->n_positions = n_positions;
    g->tokens = linn_alloc((size_t)n_positions, sizeof *g->tokens);
    if (!g->tokens) {
        free_drafter(&g->base);
        return linn_fail(err, LINN_ENOMEM, "n-gram drafter: out of memory");
    }
    *out = &g->base;
    return LINN_OK;
}
