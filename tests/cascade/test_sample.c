/* Sampling against its definition, written out plainly, and against the laws of chance. */
#include "test.h"
#include "alloc_fail.h"
#include "cascade/sample.h"
#include "kernels/math.h"
#include "kernels/noise.h"

#include <math.h>

static uint64_t rng_state = 1;

static uint64_t rng(void) /* splitmix64 */
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static double uniform(double a, double b)
{
    return a + (b - a) * ((double)(rng() >> 11) * 0x1p-53);
}

static int below(int n)
{
    return (int)(rng() % (uint64_t)n);
}

static linn_sampling plain(float temperature, uint64_t seed)
{
    return (linn_sampling){
        .repeat_penalty = 1, .temperature = temperature, .top_p = 1, .seed = seed};
}

static linn_sampler *sampler_for(int32_t n_vocab, int32_t n_ctx)
{
    linn_sampler *s;
    assert_int_equal(linn_sampler_create(&s, n_vocab, n_ctx, NULL), LINN_OK);
    return s;
}

static const linn_token start[] = {0};

static void begin(linn_sampler *s, const linn_sampling *g)
{
    assert_int_equal(linn_sampler_begin(s, g, start, 1, NULL), LINN_OK);
}

/* ---- the definition ---------------------------------------------------------------------- */

typedef struct item {
    float z;
    int32_t id;
} item;

static int falling(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->z != y->z)
        return x->z < y->z ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* What sample.h says, with everything sorted and nothing skipped. score[v]: -inf if filtered. */
static linn_token defined(const linn_sampling *g, const float *logits, int32_t n,
                          const linn_token *text, int32_t n_prompt, int32_t length,
                          const uint32_t *mask, float *score)
{
    float *z = malloc((size_t)n * sizeof *z);
    item *items = malloc((size_t)n * sizeof *items);
    for (int32_t v = 0; v < n; v++) {
        int count = 0, output = 0;
        z[v] = logits[v];
        for (size_t i = 0; i < g->n_biases; i++)
            if (g->biases[i].token == v)
                z[v] += g->biases[i].bias;
        for (int32_t i = 0; i < length; i++) {
            count += text[i] == v;
            output += i >= n_prompt && text[i] == v;
        }
        if (count)
            z[v] = z[v] > 0 ? z[v] / g->repeat_penalty : z[v] * g->repeat_penalty;
        if (output) {
            z[v] = z[v] - (float)output * g->frequency_penalty;
            z[v] = z[v] - g->presence_penalty;
        }
        if (mask && !(mask[v / 32] >> (v % 32) & 1))
            z[v] = -INFINITY;
        items[v] = (item){z[v], v};
    }
    qsort(items, (size_t)n, sizeof *items, falling);
    float z_max = items[0].z;
    int32_t kept = n;
    if (g->temperature > 0) {
        if (g->top_k > 0 && g->top_k < kept)
            kept = g->top_k;
        uint64_t all = 0, sum = 0;
        for (int32_t i = 0; i < kept; i++)
            all += (uint64_t)(linn_exp32((items[i].z - z_max) / g->temperature) * 0x1p31f);
        if (g->top_p < 1) {
            int32_t m = 0;
            while ((double)sum < (double)g->top_p * (double)all)
                sum += (uint64_t)(linn_exp32((items[m++].z - z_max) / g->temperature) * 0x1p31f);
            kept = m;
        }
        while (g->min_p > 0 &&
               (items[kept - 1].z - z_max) / g->temperature < (float)linn_log64((double)g->min_p))
            kept--;
    }
    for (int32_t v = 0; v < n; v++)
        score[v] = -INFINITY;
    linn_token best = items[0].id;
    for (int32_t i = 0; i < kept; i++) {
        linn_token v = items[i].id;
        score[v] = g->temperature > 0
                       ? (z[v] - z_max) / g->temperature + linn_gumbel(g->seed, length, v)
                       : z[v];
        if (g->temperature > 0 && (score[v] > score[best] || (score[v] == score[best] && v < best)))
            best = v;
    }
    free(items);
    free(z);
    return best;
}

/* ---- a constraint that forbids a set of tokens that depends on the length ------------------- */

typedef struct parity {
    int32_t length;
} parity;

static uint32_t parity_word(int32_t length)
{
    return length % 2 ? 0x55555555 : 0xdb6db6db;
}

static void parity_mask(void *state, uint32_t *bits, int32_t n_vocab)
{
    for (int32_t i = 0; i < (n_vocab + 31) / 32; i++)
        bits[i] = parity_word(((parity *)state)->length);
}

static void parity_advance(void *state, linn_token token)
{
    (void)token;
    ((parity *)state)->length++;
}

static void parity_roll_back(void *state, int32_t n)
{
    ((parity *)state)->length -= n;
}

/* ---- comparisons --------------------------------------------------------------------------- */

typedef struct trial {
    linn_sampling g;
    linn_logit_bias biases[3];
    parity state;
    linn_constraint constraint;
    int32_t n, n_prompt, length;
    linn_token text[64];
    float logits[700];
} trial;

static void draw_logits(trial *t)
{
    double spread = (double[]){0, 0.3, 3, 30, 300}[below(5)];
    for (int32_t v = 0; v < t->n; v++) {
        t->logits[v] = (float)uniform(-spread, spread);
        if (below(3) == 0) /* ties */
            t->logits[v] = rintf(t->logits[v]);
        if (below(50) == 0)
            t->logits[v] = -INFINITY;
    }
    t->logits[below(t->n)] = (float)spread;
}

static void draw_trial(trial *t)
{
    memset(t, 0, sizeof *t);
    t->n = below(4) ? 1 + below(699) : 1 + below(8);
    t->g = plain((float[]){0, 0.01f, 0.7f, 1, 1.3f, 50}[below(6)], rng());
    t->g.top_k = (int32_t[]){0, 1, 5, 40, 300, 10000}[below(6)];
    t->g.top_p = (float[]){1, 1, 0.95f, 0.5f, 1e-6f, 0.9999999f}[below(6)];
    t->g.min_p = (float[]){0, 0, 0.05f, 0.9f}[below(4)];
    if (below(2)) {
        t->g.repeat_penalty = (float[]){1, 1.2f, 0.7f}[below(3)];
        t->g.presence_penalty = (float[]){0, 0.5f, -1}[below(3)];
        t->g.frequency_penalty = (float[]){0, 0.25f, -0.3f}[below(3)];
    }
    if (below(3) == 0) {
        for (int i = 0; i < 3; i++)
            t->biases[i] =
                (linn_logit_bias){below(t->n), i == 2 ? -INFINITY : (float)uniform(-3, 3)};
        t->g.biases = t->biases;
        t->g.n_biases = t->n > 8 ? 3 : 2;
    }
    t->n_prompt = 1 + below(20);
    t->length = t->n_prompt + below(20);
    for (int32_t i = 0; i < t->length; i++)
        t->text[i] = below(t->n < 30 ? t->n : 30);
    if (below(4) == 0 && t->n > 8) {
        t->state.length = t->n_prompt;
        t->constraint = (linn_constraint){&t->state, parity_mask, parity_advance, parity_roll_back};
        t->g.constraint = &t->constraint;
    }
    draw_logits(t);
}

/* The timeline is reached over detours: drafts pushed and rolled back. */
static void reach(linn_sampler *s, const trial *t)
{
    assert_int_equal(linn_sampler_begin(s, &t->g, t->text, t->n_prompt, NULL), LINN_OK);
    for (int32_t i = t->n_prompt; i < t->length; i++) {
        int32_t detour = below(5);
        for (int32_t j = 0; j < detour; j++)
            linn_sampler_push(s, below(t->n));
        linn_sampler_roll_back(s, i);
        linn_sampler_push(s, t->text[i]);
    }
    assert_int_equal(linn_sampler_length(s), t->length);
}

static void check_law(linn_sampler *s, const trial *t, const float *score, linn_token token)
{
    static linn_token ids[700];
    static float p[700];
    linn_law law = {0, ids, p};
    linn_sampler_law(s, &law);
    double sum = 0;
    int32_t next = 0;
    for (int32_t v = 0; v < t->n; v++) {
        bool in = next < law.n && ids[next] == v;
        if (in)
            sum += (double)p[next++];
        if (t->g.temperature > 0) {
            assert_true(!in || score[v] > -INFINITY);
            double want = in ? (double)p[next - 1] : 0;
            assert_true(fabs(linn_sampler_probability(s, v) - want) <= 1e-6);
        }
    }
    assert_int_equal(next, law.n);
    assert_true(fabs(sum - 1) < 1e-5);
    if (t->g.temperature == 0)
        assert_true(law.n == 1 && ids[0] == token);
}

static void definition(void **state)
{
    (void)state;
    static trial t;
    static float score[700];
    linn_sampler *s = sampler_for(700, 64), *large = sampler_for((1 << 15) + 1, 64);
    linn_sampler *small[9] = {NULL};
    size_t picked_other = 0;
    for (int i = 0; i < 20000; i++) {
        draw_trial(&t);
        linn_sampler *use = s; /* rows shorter than the vocabulary, and of its very size */
        if (below(3) == 0)
            use = large; /* has wider blocks */
        if (t.n < 9 && below(2)) {
            if (!small[t.n])
                small[t.n] = sampler_for(t.n, 64);
            use = small[t.n];
        }
        reach(use, &t);
        uint32_t mask[22];
        parity at = {t.length};
        parity_mask(&at, mask, 700);
        float saved[700];
        memcpy(saved, t.logits, sizeof saved);
        linn_token want = defined(&t.g, t.logits, t.n, t.text, t.n_prompt, t.length,
                                  t.g.constraint ? mask : NULL, score);
        bool possible = score[want] > -INFINITY;
        assert_int_equal(linn_sampler_read(use, "test", t.logits, t.n, NULL),
                         possible ? LINN_OK : LINN_EINVAL);
        assert_memory_equal(saved, t.logits, sizeof saved);
        if (!possible)
            continue;
        assert_int_equal(linn_sampler_pick(use), want);
        float margin, second = -INFINITY;
        assert_int_equal(linn_sampler_pick_surely(use, &margin), want);
        for (int j = 0; j < t.n; j++)
            second = j != want && score[j] > second ? score[j] : second;
        assert_true(margin == score[want] - second);
        picked_other += score[want] != t.logits[want];
        for (int j = 0; j < 20; j++) {
            linn_token v = j == 0 ? want : below(t.n);
            assert_true(linn_sampler_score(use, v) == score[v]);
        }
        if (i % 10 == 0)
            check_law(use, &t, score, want);
    }
    assert_true(picked_other > 1000);
    assert_true(linn_sampler_score(s, 5000) == -INFINITY && linn_sampler_score(s, -1) == -INFINITY);
    linn_sampler_free(s);
    linn_sampler_free(large);
    for (int i = 0; i < 9; i++)
        linn_sampler_free(small[i]);
}

/* Tokens beyond the vocabulary cannot come, however likely. */
static void padding(void **state)
{
    (void)state;
    linn_sampler *s = sampler_for(10, 4);
    float logits[64] = {[7] = 1, [12] = 100, [63] = NAN};
    linn_sampling g = plain(0, 1);
    begin(s, &g);
    assert_int_equal(linn_sampler_read(s, "test", logits, 64, NULL), LINN_OK);
    assert_int_equal(linn_sampler_pick(s), 7);
    linn_sampler_free(s);
}

/* ---- laws of chance -------------------------------------------------------------------------- */

/* Upper bound of the quantile 1 - 1e-4 of chi-square, by Wilson and Hilferty. */
static double chi_limit(int freedom)
{
    double k = freedom, c = 1 - 2 / (9 * k) + 3.719 * sqrt(2 / (9 * k));
    return k * c * c * c;
}

enum { MOST_TOKENS = 1000 };

static double chi_square(linn_sampler *s, const linn_sampling *g, const float *logits, int32_t n,
                         int draws, int *freedom)
{
    double p[MOST_TOKENS], sum = 0, chi2 = 0, rest_p = 0, rest = 0;
    int count[MOST_TOKENS] = {0};
    for (int32_t v = 0; v < n; v++)
        sum += p[v] = exp((double)logits[v] / (double)g->temperature);
    begin(s, g);
    for (int i = 0; i < draws; i++) {
        assert_int_equal(linn_sampler_read(s, "test", logits, n, NULL), LINN_OK);
        linn_token v = linn_sampler_pick(s);
        assert_true(v >= 0 && v < n);
        count[v]++;
        linn_sampler_push(s, v);
    }
    *freedom = -1;
    for (int32_t v = 0; v < n; v++) {
        double want = p[v] / sum * draws;
        if (want < 8) {
            rest_p += want;
            rest += count[v];
            continue;
        }
        chi2 += (count[v] - want) * (count[v] - want) / want;
        (*freedom)++;
    }
    if (rest_p > 0) {
        chi2 += (rest - rest_p) * (rest - rest_p) / rest_p;
        (*freedom)++;
    }
    return chi2;
}

static void distributions(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    static float logits[MOST_TOKENS];
    linn_sampler *s = sampler_for(MOST_TOKENS, DRAWS + 1);
    for (int shape = 0; shape < 4; shape++) {
        int32_t n = (int32_t[]){12, 1000, 97, 300}[shape];
        for (int32_t v = 0; v < n; v++)
            logits[v] = shape == 0   ? (float)v * 0.5f
                        : shape == 1 ? (float)uniform(-3, 3)
                        : shape == 2 ? 1
                                     : -(float)v * 0.1f;
        linn_sampling g = plain((float[]){1, 0.7f, 1, 1.3f}[shape], rng());
        int freedom;
        double chi2 = chi_square(s, &g, logits, n, DRAWS, &freedom);
        print_message("%d tokens: chi-square %.1f, %d degrees of freedom\n", n, chi2, freedom);
        assert_true(chi2 < chi_limit(freedom));
    }
    linn_sampler_free(s);
}

/* A million positions, 32,000 tokens, most of them too unlikely ever to be seen: noise computed
 * in plain float32 would let one of them win in about one position of a thousand. */
static void unlikely_tokens(void **state)
{
    (void)state;
    enum { VOCAB = 32000, DRAWS = 1000000 };
    static float logits[VOCAB];
    for (int32_t v = 0; v < VOCAB; v++)
        logits[v] = -0.12f * (float)((v + VOCAB - 5000) % VOCAB);
    linn_sampler *s = sampler_for(VOCAB, DRAWS + 1);
    linn_sampling g = plain(1, 7);
    begin(s, &g);
    assert_int_equal(linn_sampler_read(s, "test", logits, VOCAB, NULL), LINN_OK);
    int32_t furthest = 0;
    for (int i = 0; i < DRAWS; i++) {
        linn_token v = linn_sampler_pick(s);
        int32_t rank = (v + VOCAB - 5000) % VOCAB;
        furthest = rank > furthest ? rank : furthest;
        linn_sampler_push(s, v);
    }
    double p = exp(-0.12 * furthest) * (1 - exp(-0.12));
    print_message("the unlikeliest token drawn has probability %.2g\n", p);
    assert_true(p > 1e-12);
    linn_sampler_free(s);
}

/* ---- bad input ---------------------------------------------------------------------------------
 */

static void refused(const linn_sampling *g, const char *word)
{
    linn_sampler *s = sampler_for(10, 4);
    linn_error err = {0};
    assert_int_equal(linn_sampler_begin(s, g, start, 1, &err), LINN_EINVAL);
    assert_non_null(strstr(err.message, word));
    linn_sampler_free(s);
}

static void bad_settings(void **state)
{
    (void)state;
    linn_sampling g, good = linn_sampling_default();
    assert_int_equal(linn_sampling_check(&good, 10, NULL), LINN_OK);
#define REFUSED(field, value, word) \
    do {                            \
        g = good;                   \
        g.field = value;            \
        refused(&g, word);          \
    } while (0)
    REFUSED(temperature, NAN, "temperature nan");
    REFUSED(temperature, -1, "temperature");
    REFUSED(temperature, INFINITY, "temperature");
    REFUSED(top_k, -1, "top-k");
    REFUSED(top_p, 2, "top-p 2");
    REFUSED(top_p, 0, "top-p");
    REFUSED(top_p, NAN, "top-p");
    REFUSED(min_p, 1, "min-p");
    REFUSED(min_p, -0.1f, "min-p");
    REFUSED(min_p, NAN, "min-p");
    REFUSED(repeat_penalty, 0, "repeat");
    REFUSED(repeat_penalty, NAN, "repeat");
    REFUSED(presence_penalty, INFINITY, "presence");
    REFUSED(frequency_penalty, NAN, "frequency");
    linn_logit_bias bias = {10, 1};
    linn_constraint constraint = {.mask = parity_mask};
    g = good;
    g.biases = &bias;
    g.n_biases = 1;
    refused(&g, "token 10");
    bias = (linn_logit_bias){3, NAN};
    refused(&g, "token 3");
    g = good;
    g.constraint = &constraint;
    refused(&g, "constraint");
}

static void forbid_all(void *state, uint32_t *bits, int32_t n_vocab)
{
    (void)state;
    memset(bits, 0, (size_t)((n_vocab + 31) / 32) * 4);
}

/* A failure is never a valid-looking token. */
static void bad_rows(void **state)
{
    (void)state;
    linn_sampler *s = sampler_for(200, 4);
    for (int i = 0; i < 200; i++)
        for (int kind = 0; kind < 2; kind++) {
            float logits[200] = {0};
            linn_error err = {0};
            logits[i] = kind ? INFINITY : NAN;
            linn_sampling g = plain(i % 2 ? 0 : 1, 1);
            begin(s, &g);
            assert_int_equal(linn_sampler_read(s, "river", logits, 200, &err), LINN_EFORMAT);
            assert_non_null(strstr(err.message, "river"));
            assert_non_null(strstr(err.message, "position 1"));
        }
    float logits[200] = {0};
    linn_constraint nothing = {NULL, forbid_all, parity_advance, parity_roll_back};
    linn_sampling g = plain(1, 1);
    g.constraint = &nothing;
    begin(s, &g);
    assert_int_equal(linn_sampler_read(s, "river", logits, 200, NULL), LINN_EINVAL);
    linn_sampler_free(s);
}

static int attempt(void *arg)
{
    (void)arg;
    linn_sampler *s;
    int rc = linn_sampler_create(&s, 1000, 100, NULL);
    linn_sampler_free(s);
    return rc;
}

static void memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(attempt, NULL) > 5);
    linn_sampler *s = sampler_for(700, 64);
    static trial t;
    static linn_token ids[700];
    static float p[700];
    linn_law law = {0, ids, p};
    for (int i = 0; i < 200; i++) {
        draw_trial(&t);
        size_t before = alloc_fail_count();
        reach(s, &t);
        if (linn_sampler_read(s, "test", t.logits, t.n, NULL) == LINN_OK) {
            linn_sampler_pick(s);
            linn_sampler_law(s, &law);
        }
        assert_int_equal(alloc_fail_count(), before);
    }
    linn_sampler_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definition),    cmocka_unit_test(padding),
        cmocka_unit_test(distributions), cmocka_unit_test(unlikely_tokens),
        cmocka_unit_test(bad_settings),  cmocka_unit_test(bad_rows),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
