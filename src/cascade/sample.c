/* sample.c - the token that a row of logits stands for (sample.h).
 *
 * No pass over the vocabulary but one: it finds the maximum of every block of 16 or
 * 64 logits, and what follows looks only into blocks whose maximum can matter:
 *   - top-k: if k blocks have a maximum >= some limit, at least k tokens are >= it,
 *     and all of the first k are among those;
 *   - top-p: tokens of weight 0 (s < -21.5) are left out;
 *   - noise: a token is skipped when even the largest noise that its random word
 *     could stand for does not reach the best score so far.
 * Among the few that are left, the border is found by selection, not by sorting.
 */
#include "cascade/sample.h"

#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "kernels/math.h"
#include "kernels/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALL_BLOCK = 16, /* logits whose maximum is kept, */
    LARGE_BLOCK = 64, /* or so many in a vocabulary of more than 2^15 */
    BISECTIONS = 12,
    TOP_K_DEPTH = 64, /* below the largest logit, where the first k are looked for */
};

typedef struct candidate {
    float z;
    linn_token id;
    uint32_t weight; /* of top-p */
} candidate;

struct linn_sampler {
    int32_t n_vocab, n_ctx;
    linn_sampling settings;
    float log_min_p; /* min-p as a limit of s */
    bool counting;   /* a penalty is set */

    linn_token *text; /* [n_ctx] */
    int32_t n_prompt, length;
    int32_t *count;     /* [n_vocab] in prompt and output */
    int32_t *in_output; /* [n_vocab] */
    linn_token *seen;   /* [n_vocab] the tokens with count > 0, in any order ... */
    int32_t *seen_at;   /* [n_vocab] ... and where they stand there */
    int32_t n_seen;

    uint32_t *mask; /* [n_vocab / 32, rounded up] */
    float *edited;  /* [n_vocab] the row with biases, penalties and mask */

    /* the row read last */
    const float *z; /* [n]: `edited`, or the caller's logits when nothing changes them */
    int32_t n;
    int32_t block, n_blocks;
    float *block_max; /* [n / block, rounded up] */
    linn_token best;  /* the lowest id with z = z_max */
    float z_max;
    candidate *kept; /* [n_vocab] what top-k and top-p keep, in any order */
    int32_t n_kept;  /* -1: they are off, all are kept */
    bool has_border; /* `border` is the last one kept, in the order of top-k */
    candidate border;
};

/* ---- settings ------------------------------------------------------------------------- */

linn_sampling linn_sampling_default(void)
{
    return (linn_sampling){
        .repeat_penalty = 1,
        .temperature = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
    };
}

static int check_number(double value, bool allowed, const char *name, const char *rule,
                        linn_error *err)
{
    if (allowed)
        return LINN_OK;
    return linn_fail(err, LINN_EINVAL, "%s %g: must be %s", name, value, rule);
}

int linn_sampling_check(const linn_sampling *s, int32_t n_vocab, linn_error *err)
{
    int rc = LINN_OK;
    if (!rc)
        rc = check_number(s->temperature, s->temperature >= 0 && isfinite(s->temperature),
                          "temperature", "a number of at least 0", err);
    if (!rc)
        rc = check_number(s->top_k, s->top_k >= 0, "top-k", "at least 0 (0: off)", err);
    if (!rc)
        rc = check_number(s->top_p, s->top_p > 0 && s->top_p <= 1, "top-p",
                          "above 0 and at most 1 (1: off)", err);
    if (!rc)
        rc = check_number(s->min_p, s->min_p >= 0 && s->min_p < 1, "min-p",
                          "at least 0 (0: off) and below 1", err);
    if (!rc)
        rc = check_number(s->repeat_penalty, s->repeat_penalty > 0 && isfinite(s->repeat_penalty),
                          "repeat penalty", "a number above 0 (1: off)", err);
    if (!rc)
        rc = check_number(s->presence_penalty, isfinite(s->presence_penalty), "presence penalty",
                          "a number (0: off)", err);
    if (!rc)
        rc = check_number(s->frequency_penalty, isfinite(s->frequency_penalty), "frequency penalty",
                          "a number (0: off)", err);
    for (size_t i = 0; i < s->n_biases && !rc; i++) {
        const linn_logit_bias *b = &s->biases[i];
        if (b->token < 0 || b->token >= n_vocab)
            rc = linn_fail(err, LINN_EINVAL, "logit bias of token %d: the vocabulary has 0 to %d",
                           b->token, n_vocab - 1);
        else if (!(b->bias < INFINITY)) /* -inf bans a token */
            rc = linn_fail(err, LINN_EINVAL, "logit bias %g of token %d: must be a number",
                           (double)b->bias, b->token);
    }
    const linn_constraint *c = s->constraint;
    if (!rc && c && (!c->mask || !c->advance || !c->roll_back))
        rc = linn_fail(err, LINN_EINVAL, "constraint: mask, advance and roll_back are all needed");
    return rc;
}

/* ---- creation -------------------------------------------------------------------------- */

int linn_sampler_create(linn_sampler **out, int32_t n_vocab, int32_t n_ctx, linn_error *err)
{
    *out = NULL;
    size_t v = (size_t)n_vocab;
    linn_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return linn_fail(err, LINN_ENOMEM, "sampling: out of memory");
    s->n_vocab = n_vocab;
    s->n_ctx = n_ctx;
    s->block = n_vocab > 1 << 15 ? LARGE_BLOCK : SMALL_BLOCK;
    s->text = linn_alloc((size_t)n_ctx, sizeof *s->text);
    s->count = linn_alloc(v, sizeof *s->count);
    s->in_output = linn_alloc(v, sizeof *s->in_output);
    s->seen = linn_alloc(v, sizeof *s->seen);
    s->seen_at = linn_alloc(v, sizeof *s->seen_at);
    s->mask = linn_alloc((v + 31) / 32, sizeof *s->mask);
    s->edited = linn_alloc(v, sizeof *s->edited);
    s->block_max = linn_alloc(v / (size_t)s->block + 1, sizeof *s->block_max);
    s->kept = linn_alloc(v, sizeof *s->kept);
    if (!s->text || !s->count || !s->in_output || !s->seen || !s->seen_at || !s->mask ||
        !s->edited || !s->block_max || !s->kept) {
        linn_sampler_free(s);
        return linn_fail(err, LINN_ENOMEM, "sampling from %d tokens: out of memory", n_vocab);
    }
    *out = s;
    return LINN_OK;
}

void linn_sampler_free(linn_sampler *s)
{
    if (!s)
        return;
    free(s->text);
    free(s->count);
    free(s->in_output);
    free(s->seen);
    free(s->seen_at);
    free(s->mask);
    free(s->edited);
    free(s->block_max);
    free(s->kept);
    free(s);
}

/* ---- the timeline ------------------------------------------------------------------------ */

static void count_up(linn_sampler *s, linn_token token, bool output)
{
    if (token >= s->n_vocab)
        return;
    if (s->count[token]++ == 0) {
        s->seen_at[token] = s->n_seen;
        s->seen[s->n_seen++] = token;
    }
    s->in_output[token] += output;
}

/* Only ever for tokens of the output. */
static void count_down(linn_sampler *s, linn_token token)
{
    if (token >= s->n_vocab)
        return;
    s->in_output[token]--;
    if (--s->count[token] == 0) {
        linn_token last = s->seen[--s->n_seen];
        s->seen[s->seen_at[token]] = last;
        s->seen_at[last] = s->seen_at[token];
    }
}

int linn_sampler_begin(linn_sampler *s, const linn_sampling *settings, const linn_token *prompt,
                       int32_t n_prompt, linn_error *err)
{
    int rc = linn_sampling_check(settings, s->n_vocab, err);
    if (rc)
        return rc;
    while (s->n_seen > 0) {
        linn_token v = s->seen[--s->n_seen];
        s->count[v] = s->in_output[v] = 0;
    }
    s->settings = *settings;
    s->log_min_p = settings->min_p > 0 ? (float)linn_log64((double)settings->min_p) : -INFINITY;
    s->counting = settings->repeat_penalty != 1 || settings->presence_penalty != 0 ||
                  settings->frequency_penalty != 0;
    memcpy(s->text, prompt, (size_t)n_prompt * sizeof *prompt);
    s->n_prompt = s->length = n_prompt;
    if (s->counting)
        for (int32_t i = 0; i < n_prompt; i++)
            count_up(s, prompt[i], false);
    return LINN_OK;
}

int32_t linn_sampler_length(const linn_sampler *s)
{
    return s->length;
}

void linn_sampler_push(linn_sampler *s, linn_token token)
{
    const linn_constraint *c = s->settings.constraint;
    s->text[s->length++] = token;
    if (s->counting)
        count_up(s, token, true);
    if (c)
        c->advance(c->state, token);
}

void linn_sampler_roll_back(linn_sampler *s, int32_t length)
{
    const linn_constraint *c = s->settings.constraint;
    if (c && length < s->length)
        c->roll_back(c->state, s->length - length);
    while (s->length > length) {
        s->length--;
        if (s->counting)
            count_down(s, s->text[s->length]);
    }
}

/* ---- reading a row ----------------------------------------------------------------------- */

static void apply_penalties(const linn_sampler *s, float *z, int32_t n)
{
    const linn_sampling *g = &s->settings;
    for (int32_t i = 0; i < s->n_seen; i++) {
        linn_token v = s->seen[i];
        if (v >= n)
            continue;
        z[v] = z[v] > 0 ? z[v] / g->repeat_penalty : z[v] * g->repeat_penalty;
        if (s->in_output[v] > 0) {
            z[v] = z[v] - (float)s->in_output[v] * g->frequency_penalty;
            z[v] = z[v] - g->presence_penalty;
        }
    }
}

/* Biases, penalties and mask, on a copy of the row if there are any. */
static const float *edit(linn_sampler *s, const float *logits, int32_t n)
{
    const linn_sampling *g = &s->settings;
    if (g->n_biases == 0 && s->n_seen == 0 && !g->constraint)
        return logits;
    float *z = s->edited;
    memcpy(z, logits, (size_t)n * sizeof *z);
    for (size_t i = 0; i < g->n_biases; i++)
        if (g->biases[i].token < n)
            z[g->biases[i].token] += g->biases[i].bias;
    apply_penalties(s, z, n);
    if (g->constraint) {
        g->constraint->mask(g->constraint->state, s->mask, s->n_vocab);
        for (int32_t v = 0; v < n; v++)
            if (!(s->mask[v >> 5] >> (v & 31) & 1) && z[v] == z[v])
                z[v] = -INFINITY;
    }
    return z;
}

static int32_t block_end(const linn_sampler *s, int32_t block)
{
    int32_t end = (block + 1) * s->block;
    return end < s->n ? end : s->n;
}

typedef float lanes __attribute__((vector_size(16)));
typedef int32_t mask __attribute__((vector_size(16)));

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static inline lanes larger4(lanes a, lanes b)
{
    mask m = a > b;
    return (lanes)(((mask)a & m) | ((mask)b & ~m));
}

static inline float maximum4(const float *x)
{
    return larger(larger(x[0], x[1]), larger(x[2], x[3]));
}

static float maximum(const float *x, int32_t n)
{
    float m[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    int32_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            m[j] = larger(x[i + j], m[j]);
    for (; i < n; i++)
        m[0] = larger(x[i], m[0]);
    return maximum4(m);
}

/* The maxima of four times 16 values, and whether there is a NaN among them. */
static inline void four_maxima(const float *x, float out[4], mask *nan)
{
    for (int b = 0; b < 4; b++) {
        lanes v[4];
        float m[4];
        memcpy(v, x + 16 * b, sizeof v);
        *nan |= (v[0] != v[0]) | (v[1] != v[1]) | (v[2] != v[2]) | (v[3] != v[3]);
        v[0] = larger4(larger4(v[0], v[1]), larger4(v[2], v[3]));
        memcpy(m, v, sizeof m);
        out[b] = maximum4(m);
    }
}

/* Fills block_max; returns whether there is a NaN in the row. */
static bool find_block_maxima(linn_sampler *s)
{
    const float *z = s->z;
    int32_t per_four = 4 * SMALL_BLOCK / s->block, whole = s->n / (4 * SMALL_BLOCK);
    mask nan = {0};
    for (int32_t i = 0; i < whole; i++) {
        float m[4];
        four_maxima(z + i * 4 * SMALL_BLOCK, m, &nan);
        if (per_four == 1)
            s->block_max[i] = maximum4(m);
        else
            memcpy(s->block_max + 4 * i, m, sizeof m);
    }
    bool bad = (nan[0] | nan[1] | nan[2] | nan[3]) != 0;
    for (int32_t b = whole * per_four; b < s->n_blocks; b++) {
        int32_t begin = b * s->block, end = block_end(s, b);
        s->block_max[b] = maximum(z + begin, end - begin);
        for (int32_t i = begin; i < end; i++)
            bad |= z[i] != z[i];
    }
    return bad;
}

/* Fills block_max, z_max and best. */
static int find_maximum(linn_sampler *s, const char *who, linn_error *err)
{
    const float *z = s->z;
    s->n_blocks = (s->n + s->block - 1) / s->block;
    bool bad = find_block_maxima(s);
    s->z_max = maximum(s->block_max, s->n_blocks);
    if (bad)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: a logit at position %d is not a number: the weights are damaged, or "
                         "the model needs more precision",
                         who, s->length);
    if (s->z_max == INFINITY)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: a logit at position %d is infinite: the weights are damaged, or the "
                         "model needs more precision",
                         who, s->length);
    if (s->z_max == -INFINITY)
        return linn_fail(err, LINN_EINVAL,
                         "%s: no token may come at position %d: constraint or biases exclude all",
                         who, s->length);
    int32_t top = 0;
    while (s->block_max[top] < s->z_max)
        top++;
    s->best = top * s->block;
    while (z[s->best] != s->z_max)
        s->best++;
    return LINN_OK;
}

/* ---- top-k and top-p ---------------------------------------------------------------------- */

static bool before(const candidate *a, const candidate *b)
{
    return a->z > b->z || (a->z == b->z && a->id < b->id);
}

static void swap(candidate *a, candidate *b)
{
    candidate t = *a;
    *a = *b;
    *b = t;
}

/* The shortest prefix, in the order of `before`, whose weights sum to `target` or more, is moved to
 * the front of c[0..n); returns its length. */
static int32_t select_prefix(candidate *c, int32_t n, uint64_t target)
{
    int32_t low = 0, high = n; /* the border is here; what is before `low` sums to `sum` */
    uint64_t sum = 0;
    while (low < high) {
        candidate *first = &c[low], *middle = &c[low + (high - low) / 2], *last = &c[high - 1];
        if (before(middle, first))
            swap(middle, first);
        if (before(last, middle))
            swap(last, middle);
        if (before(middle, first))
            swap(middle, first);
        swap(middle, last); /* the median is the pivot, at the end */
        candidate pivot = *last;
        uint64_t left = 0;
        int32_t at = low;
        for (int32_t i = low; i < high - 1; i++)
            if (before(&c[i], &pivot)) {
                left += c[i].weight;
                swap(&c[i], &c[at++]);
            }
        swap(&c[at], &c[high - 1]);
        if (sum + left >= target) {
            high = at;
        } else if (sum + left + pivot.weight >= target) {
            return at + 1;
        } else {
            sum += left + pivot.weight;
            low = at + 1;
        }
    }
    return low;
}

static float scaled(const linn_sampler *s, float z)
{
    return (z - s->z_max) / s->settings.temperature;
}

static int32_t blocks_above(const linn_sampler *s, float limit)
{
    int32_t n = 0;
    for (int32_t b = 0; b < s->n_blocks; b++)
        n += s->block_max[b] >= limit;
    return n;
}

/* A limit that at least k block maxima reach, and if it is found soon not twice as many: by
 * bisection, which unlike selection has no branches that nobody can foresee. */
static float lower_limit(const linn_sampler *s, int32_t k)
{
    float low = s->z_max - TOP_K_DEPTH, high = s->z_max;
    int32_t n = blocks_above(s, low);
    if (n < k)
        return -INFINITY;
    for (int i = 0; i < BISECTIONS && n > k + k / 2; i++) {
        float middle = low + (high - low) / 2;
        int32_t above = blocks_above(s, middle);
        if (above < k) {
            high = middle;
        } else {
            low = middle;
            n = above;
        }
    }
    return low;
}

/* Candidates: all tokens with z >= limit and z > -inf. */
static void collect(linn_sampler *s, float limit)
{
    int32_t n = 0;
    for (int32_t b = 0; b < s->n_blocks; b++) {
        if (s->block_max[b] < limit)
            continue;
        for (int32_t v = b * s->block, end = block_end(s, b); v < end; v++)
            if (s->z[v] >= limit && s->z[v] > -INFINITY)
                s->kept[n++] = (candidate){s->z[v], v, 1};
    }
    s->n_kept = n;
}

/* floor(exp(s) 2^31): at most 2^31, and 0 for s < -21.5 */
static uint32_t weight_of(float scaled_z)
{
    return scaled_z < -21.5f ? 0 : (uint32_t)(linn_exp32(scaled_z) * 0x1p31f);
}

static void keep_top_k(linn_sampler *s, int32_t k)
{
    collect(s, lower_limit(s, k));
    if (s->n_kept > k)
        s->n_kept = select_prefix(s->kept, s->n_kept, (uint64_t)k);
}

/* The smallest z that may have a weight: a little below the true limit, whose rounding then does
 * not matter. */
static float weight_limit(const linn_sampler *s)
{
    float limit = s->z_max - 22.0f * s->settings.temperature;
    return limit == limit ? limit : -INFINITY;
}

static void keep_top_p(linn_sampler *s, float p)
{
    if (s->n_kept < 0)
        collect(s, weight_limit(s));
    uint64_t all = 0;
    for (int32_t i = 0; i < s->n_kept; i++) {
        s->kept[i].weight = weight_of(scaled(s, s->kept[i].z));
        all += s->kept[i].weight;
    }
    /* The smallest integer that is >= p * all. */
    double target = ceil((double)p * (double)all);
    s->n_kept = select_prefix(s->kept, s->n_kept, (uint64_t)target);
}

int linn_sampler_read(linn_sampler *s, const char *who, const float *logits, int32_t n,
                      linn_error *err)
{
    const linn_sampling *g = &s->settings;
    linn_fpenv saved = linn_fpenv_enter();
    s->n = n < s->n_vocab ? n : s->n_vocab;
    s->z = edit(s, logits, s->n);
    s->n_kept = -1;
    s->has_border = false;
    int rc = find_maximum(s, who, err);
    if (!rc && g->temperature > 0) {
        if (g->top_k > 0 && g->top_k < s->n)
            keep_top_k(s, g->top_k);
        if (g->top_p < 1)
            keep_top_p(s, g->top_p);
    }
    linn_fpenv_leave(saved);
    return rc;
}

/* ---- the token ------------------------------------------------------------------------------ */

/* Not less than the noise that a word stands for: E = -log(1 - u) >= u, and u >= 2^-(1 + leading
 * zeros of the word), so g = -log E <= (1 + leading zeros) log 2. */
static float noise_limit(uint32_t word)
{
    int zeros = word ? __builtin_clz(word) : 32;
    return 0.6932f * (float)(zeros + 1);
}

typedef struct winner {
    linn_token token;
    float score, second; /* second: the next best score */
    float limit;         /* what is below it is not looked at: score, or second if that is wanted */
    bool wants_second;
} winner;

static void try_token(const linn_sampler *s, winner *w, linn_token v, float sz, uint32_t word)
{
    if (sz + noise_limit(word) < w->limit || sz < s->log_min_p)
        return;
    float score = sz + linn_gumbel_of(word);
    if (score > w->score || (score == w->score && v < w->token)) {
        w->second = w->score;
        w->score = score;
        w->token = v;
    } else if (score > w->second && v != w->token) {
        w->second = score;
    }
    w->limit = w->wants_second ? w->second : w->score;
}

/* Among all tokens, four to a call of the generator. */
static void try_all(const linn_sampler *s, winner *w)
{
    for (int32_t b = 0; b < s->n_blocks; b++) {
        if (scaled(s, s->block_max[b]) + LINN_GUMBEL_MAX < w->limit)
            continue;
        for (int32_t v = b * s->block, end = block_end(s, b); v < end; v += 4) {
            float sz[4];
            bool able = false;
            int32_t m = end - v < 4 ? end - v : 4;
            for (int32_t i = 0; i < m; i++) {
                sz[i] = scaled(s, s->z[v + i]);
                able |= sz[i] + LINN_GUMBEL_MAX >= w->limit && sz[i] >= s->log_min_p;
            }
            if (!able)
                continue;
            uint32_t words[4];
            linn_noise_words(s->settings.seed, LINN_STREAM_GUMBEL, s->length, (uint32_t)v >> 2,
                             words);
            for (int32_t i = 0; i < m; i++)
                if (sz[i] > -INFINITY)
                    try_token(s, w, v + i, sz[i], words[i]);
        }
    }
}

static void try_kept(const linn_sampler *s, winner *w)
{
    for (int32_t i = 0; i < s->n_kept; i++) {
        linn_token v = s->kept[i].id;
        float sz = scaled(s, s->kept[i].z);
        if (v == s->best || sz + LINN_GUMBEL_MAX < w->limit || sz < s->log_min_p)
            continue;
        uint32_t words[4];
        linn_noise_words(s->settings.seed, LINN_STREAM_GUMBEL, s->length, (uint32_t)v >> 2, words);
        try_token(s, w, v, sz, words[v & 3]);
    }
}

/* At temperature 0: the largest z but that of `best`. */
static float second_largest(const linn_sampler *s)
{
    float second = -INFINITY;
    int32_t top = s->best / s->block;
    for (int32_t b = 0; b < s->n_blocks; b++)
        if (b != top && s->block_max[b] > second)
            second = s->block_max[b];
    for (int32_t v = top * s->block, end = block_end(s, top); v < end; v++)
        if (v != s->best && s->z[v] > second)
            second = s->z[v];
    return second;
}

static winner pick(linn_sampler *s, bool wants_second)
{
    if (s->settings.temperature == 0)
        return (winner){.token = s->best,
                        .score = s->z_max,
                        .second = wants_second ? second_largest(s) : -INFINITY};
    linn_fpenv saved = linn_fpenv_enter();
    /* Begin with the likeliest token: with its score most others need no noise. */
    winner w = {.token = s->best,
                .score = linn_gumbel(s->settings.seed, s->length, s->best),
                .second = -INFINITY,
                .wants_second = wants_second};
    w.limit = wants_second ? w.second : w.score;
    if (s->n_kept < 0)
        try_all(s, &w);
    else
        try_kept(s, &w);
    linn_fpenv_leave(saved);
    return w;
}

linn_token linn_sampler_pick(linn_sampler *s)
{
    return pick(s, false).token;
}

linn_token linn_sampler_pick_surely(linn_sampler *s, float *margin)
{
    winner w = pick(s, true);
    *margin = w.score - w.second;
    return w.token;
}

/* ---- scores and laws --------------------------------------------------------------------------
 */

static bool is_kept(linn_sampler *s, linn_token token)
{
    if (s->n_kept >= 0 && !s->has_border) {
        s->border = s->kept[0];
        for (int32_t i = 1; i < s->n_kept; i++)
            if (before(&s->border, &s->kept[i]))
                s->border = s->kept[i];
        s->has_border = true;
    }
    candidate c = {s->z[token], token, 0};
    return c.z > -INFINITY && scaled(s, c.z) >= s->log_min_p &&
           (s->n_kept < 0 || !before(&s->border, &c));
}

float linn_sampler_score(linn_sampler *s, linn_token token)
{
    if (token < 0 || token >= s->n)
        return -INFINITY;
    if (s->settings.temperature == 0)
        return s->z[token];
    linn_fpenv saved = linn_fpenv_enter();
    float score = -INFINITY;
    if (is_kept(s, token))
        score = scaled(s, s->z[token]) + linn_gumbel(s->settings.seed, s->length, token);
    linn_fpenv_leave(saved);
    return score;
}

/* Heap sort: the library's qsort may allocate. */
static void sink(candidate *c, int32_t at, int32_t n)
{
    for (int32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && c[child].id < c[child + 1].id)
            child++;
        if (c[at].id >= c[child].id)
            return;
        swap(&c[at], &c[child]);
    }
}

static void sort_by_id(candidate *c, int32_t n)
{
    for (int32_t i = n / 2 - 1; i >= 0; i--)
        sink(c, i, n);
    for (int32_t i = n - 1; i > 0; i--) {
        swap(&c[0], &c[i]);
        sink(c, 0, i);
    }
}

static void add_weight(const linn_sampler *s, linn_law *law, linn_token v, double *sum)
{
    float sz = scaled(s, s->z[v]);
    float w = sz >= s->log_min_p ? linn_exp32(sz) : 0;
    if (w > 0) {
        law->ids[law->n] = v;
        law->p[law->n++] = w;
        *sum += (double)w;
    }
}

void linn_sampler_law(linn_sampler *s, linn_law *law)
{
    law->n = 0;
    if (s->settings.temperature == 0) {
        law->ids[law->n] = s->best;
        law->p[law->n++] = 1;
        return;
    }
    linn_fpenv saved = linn_fpenv_enter();
    double sum = 0; /* in the order of ids */
    if (s->n_kept >= 0) {
        sort_by_id(s->kept, s->n_kept);
        for (int32_t i = 0; i < s->n_kept; i++)
            add_weight(s, law, s->kept[i].id, &sum);
    } else {
        for (int32_t v = 0; v < s->n; v++)
            add_weight(s, law, v, &sum);
    }
    for (int32_t i = 0; i < law->n; i++)
        law->p[i] = (float)((double)law->p[i] / sum);
    linn_fpenv_leave(saved);
}

double linn_sampler_probability(linn_sampler *s, linn_token token)
{
    if (token < 0 || token >= s->n)
        return 0;
    linn_fpenv saved = linn_fpenv_enter();
    bool greedy = s->settings.temperature == 0;
    double sum = 0, p = 0;
    if (greedy || s->n_kept < 0) {
        for (int32_t v = 0; v < s->n; v++) {
            float sz = greedy ? s->z[v] - s->z_max : scaled(s, s->z[v]);
            double w = greedy || sz >= s->log_min_p ? (double)linn_exp32(sz) : 0;
            sum += w;
            p = v == token ? w : p;
        }
    } else {
        for (int32_t i = 0; i < s->n_kept; i++) {
            float sz = scaled(s, s->kept[i].z);
            double w = sz >= s->log_min_p ? (double)linn_exp32(sz) : 0;
            sum += w;
            p = s->kept[i].id == token ? w : p;
        }
    }
    linn_fpenv_leave(saved);
    return p / sum;
}
