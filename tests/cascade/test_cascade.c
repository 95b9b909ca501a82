/* The cascade over levels that are functions: the same text whatever drafts, accounts that add up,
 * ends inside drafts, cancelling anywhere. */
#include "test.h"
#include "fake_level.h"
#include "fake_policy.h"
#include "draft/maxgram.h"

#include <math.h>

static uint64_t rng_state;

static uint64_t rng(void)
{
    return fake_hash(rng_state++, 0);
}

static int below(int n)
{
    return (int)(rng() % (uint64_t)n);
}

enum { N_CTX = 160 };

/* A target with drafters that lean on it, each less than the one before. */
typedef struct family {
    int32_t n_vocab;
    int n_drafters;
    double lean;
    uint64_t seed;
    bool adversarial; /* AUTO decides at random */
} family;

static linn_cascade *cascade_of(const family *f, const linn_cascade_settings *settings,
                                fake_level **levels)
{
    linn_cascade_settings s = *settings;
    linn_kmatrix k;
    linn_cascade *c;
    linn_drafter *statistical = NULL;
    linn_level *list[LINN_MAX_LEVELS];
    linn_error err = {0};
    s.session.n_ctx = s.session.n_ctx ? s.session.n_ctx : N_CTX;
    if (linn_kmatrix_make(&k, &s, (size_t)f->n_drafters, &err) != LINN_OK)
        fail_msg("%s", err.message);
    bool adversarial = f->adversarial && s.shape == LINN_CASCADE_AUTO;
    if (s.shape == LINN_CASCADE_AUTO)
        linn_kmatrix_open(&k);
    for (int i = 0; i < k.n_models; i++) {
        levels[i] = fake_level_create(f->n_vocab, s.session.n_ctx, k.longest[i] + 1);
        levels[i]->seed = fake_hash(f->seed, (uint64_t)i);
        levels[i]->lean = f->lean;
        if (i > 0) {
            levels[i]->law = fake_leaning_law;
            levels[i]->other = levels[i - 1];
        }
        list[i] = &levels[i]->level;
    }
    if (k.statistical)
        assert_int_equal(linn_maxgram_create(&statistical, s.session.n_ctx, NULL), LINN_OK);
    assert_int_equal(
        linn_cascade_assemble(&c, &k, list, &statistical, k.statistical, NULL, &s, NULL), LINN_OK);
    if (adversarial)
        fake_policy_install(c, rng());
    return c;
}

typedef struct heard {
    linn_token ids[N_CTX];
    int levels[N_CTX];
    int n, cancel_at, passes, cancel_pass;
} heard;

static bool hear(void *user, const linn_piece *piece)
{
    heard *h = user;
    assert_true(piece->token >= 0);
    h->ids[h->n] = piece->token;
    h->levels[h->n++] = piece->level;
    return h->n != h->cancel_at;
}

static bool go_on(void *user)
{
    heard *h = user;
    return ++h->passes != h->cancel_pass;
}

static linn_finish generate(linn_cascade *c, const linn_request *request, heard *h,
                            linn_stats *stats)
{
    linn_error err = {0};
    linn_finish finish;
    linn_request r = *request;
    r.user = h;
    r.on_piece = hear;
    r.go_on = go_on;
    h->n = h->passes = 0;
    if (linn_generate(c, &r, &finish, stats, &err) != LINN_OK)
        fail_msg("%s", err.message);
    assert_int_equal(stats->tokens, h->n);
    return finish;
}

static void check_stats(const linn_stats *s, const heard *h)
{
    uint64_t tokens = 0;
    for (int i = 0; i < s->n_levels; i++) {
        const linn_level_stats *l = &s->levels[i];
        uint64_t by_level = 0;
        for (int j = 0; j < h->n; j++)
            by_level += h->levels[j] == i;
        assert_int_equal(by_level, l->tokens);
        tokens += l->tokens;
        assert_true(l->approved <= l->reviewed && l->reviewed <= l->rows);
        assert_true(l->passes <= l->rows);
        for (int p = 0; p < LINN_MAX_POSITIONS; p++)
            assert_true(l->accepted[p] <= l->drafted[p]);
        assert_non_null(l->name);
    }
    assert_int_equal(tokens, s->tokens);
    uint64_t drafted = 0, accepted = 0;
    for (int i = 0; i < s->n_levels; i++)
        for (int p = 0; p < LINN_MAX_POSITIONS; p++) {
            drafted += s->levels[i].drafted[p];
            accepted += s->levels[i].accepted[p];
        }
    assert_int_equal(s->levels[0].reviewed, drafted);
    assert_int_equal(s->levels[0].approved, accepted);
    /* each pass of the target gives a token of its own, but one that ends with the draft */
    assert_int_equal(accepted + s->levels[0].tokens, s->tokens);
    assert_true(s->levels[0].tokens <= s->levels[0].passes);
}

static void draw_matrix(linn_cascade_settings *s, int32_t *matrix, int n_drafters)
{
    s->shape = LINN_CASCADE_K;
    s->maxgram = n_drafters == 0 || below(3) > 0;
    s->block = 1 + below(12);
    s->k_order = n_drafters + s->maxgram;
    s->k_matrix = matrix;
    for (int i = 0; i < s->k_order; i++)
        for (int j = 0; j < s->k_order; j++)
            matrix[i * s->k_order + j] = j < i ? 0 : below(3) ? below(5) : 0;
    matrix[below(s->k_order)] = 1 + below(6);
}

static void draw_request(linn_request *r, linn_token *prompt, int32_t n_vocab)
{
    memset(r, 0, sizeof *r);
    r->prompt = prompt;
    r->n_prompt = (size_t)(1 + (below(4) ? below(20) : below(140)));
    for (size_t i = 0; i < r->n_prompt; i++)
        prompt[i] = below(2) && i > 2 ? prompt[i - 2] : below(n_vocab);
    r->max_tokens = below(5) ? below(64) : -1;
    linn_sampling *g = &r->sampling;
    *g = linn_sampling_default();
    g->temperature = (float[]){0, 0.3f, 0.7f, 1.3f}[below(4)];
    g->top_k = below(2) ? 0 : 1 + below(20);
    g->top_p = below(2) ? 1 : 0.8f;
    g->min_p = below(2) ? 0 : 0.1f;
    g->repeat_penalty = (float[]){1, 1, 1.2f}[below(3)];
    g->presence_penalty = below(3) ? 0 : 0.4f;
    g->seed = rng();
}

/* A token is a function of the prefix: the cascade's text is that of the target alone, for drafters
 * good and bad, settings of every kind, and prompts that share a beginning with the text before. */
static void same_text(void **state)
{
    (void)state;
    static const linn_shape shapes[] = {LINN_CASCADE_AUTO, LINN_CASCADE_MAXGRAM, LINN_CASCADE_SPEC,
                                        LINN_CASCADE_K, LINN_CASCADE_K};
    uint64_t proposed = 0, approved = 0;
    for (int round = 0; round < 1500; round++) {
        family f = {.n_vocab = 2 + below(30), .n_drafters = below(5), .seed = rng()};
        f.adversarial = below(2);
        f.lean = (double[]){0, 0.5, 0.9, 0.99, 1}[below(5)];
        linn_cascade_settings s = linn_cascade_settings_default(), off = s;
        off.shape = LINN_CASCADE_OFF;
        int32_t matrix[25];
        s.shape = shapes[below(5)];
        s.k = (int32_t[]){1, 4, 16}[below(3)];
        s.lenience = (float[]){1, 1, 3, 1e6f}[below(4)];
        s.lenience_rule = below(2) ? LINN_LENIENCE_SCORE : LINN_LENIENCE_PAPER;
        if (s.shape == LINN_CASCADE_K)
            draw_matrix(&s, matrix, f.n_drafters);
        if (s.shape == LINN_CASCADE_SPEC && f.n_drafters == 0)
            f.n_drafters = 1;
        fake_level *levels[LINN_MAX_LEVELS], *alone[LINN_MAX_LEVELS];
        linn_cascade *c = cascade_of(&f, &s, levels), *plain = cascade_of(&f, &off, alone);
        static heard a, b;
        linn_request r;
        linn_token prompt[N_CTX];
        linn_stats stats;
        for (int again = 0; again < 2; again++) {
            draw_request(&r, prompt, f.n_vocab);
            if (again && below(2)) { /* the conversation goes on */
                r.n_prompt = (size_t)c->length < N_CTX - 1 ? (size_t)c->length : N_CTX - 1;
                memcpy(prompt, c->text, r.n_prompt * sizeof *prompt);
                r.n_prompt -= (size_t)below((int)r.n_prompt);
                int32_t known = c->levels[0]->known, n = (int32_t)r.n_prompt;
                linn_finish finish = generate(c, &r, &a, &stats);
                assert_int_equal(stats.prompt_reused, known < n - 1 ? known : n - 1);
                assert_int_equal(finish, generate(plain, &r, &b, &stats));
            } else {
                linn_finish finish = generate(c, &r, &a, &stats);
                check_stats(&stats, &a);
                for (int i = 0; i < stats.n_levels; i++)
                    proposed += i > 0 ? stats.levels[i].tokens : 0;
                approved += stats.levels[0].approved;
                assert_int_equal(finish, generate(plain, &r, &b, &stats));
                assert_int_equal(stats.levels[0].passes, stats.tokens);
                assert_true(stats.tokens == 0 || fabs(stats.swi_ms - 1) < 1e-9);
            }
            assert_int_equal(a.n, b.n);
            assert_memory_equal(a.ids, b.ids, (size_t)a.n * sizeof *a.ids);
        }
        linn_cascade_free(c);
        linn_cascade_free(plain);
    }
    assert_true(proposed == approved && approved > 10000);
}

/* The target alone says what the sampler says of its logits, one position after the other. */
static void plain_text(void **state)
{
    (void)state;
    family f = {.n_vocab = 20, .seed = 5};
    linn_cascade_settings s = linn_cascade_settings_default();
    s.shape = LINN_CASCADE_OFF;
    fake_level *levels[LINN_MAX_LEVELS];
    linn_cascade *c = cascade_of(&f, &s, levels);
    linn_token prompt[] = {3, 1, 4, 1, 5};
    linn_request r = {.prompt = prompt, .n_prompt = 5, .max_tokens = 40};
    r.sampling = linn_sampling_default();
    static heard h;
    linn_stats stats;
    assert_int_equal(generate(c, &r, &h, &stats), LINN_FINISH_LENGTH);
    assert_int_equal(h.n, 40);
    linn_sampler *sampler;
    assert_int_equal(linn_sampler_create(&sampler, 20, N_CTX, NULL), LINN_OK);
    assert_int_equal(linn_sampler_begin(sampler, &r.sampling, prompt, 5, NULL), LINN_OK);
    uint64_t hash = 0;
    for (int i = 0; i < 5; i++)
        hash = fake_hash(hash, (uint64_t)prompt[i]);
    for (int i = 0; i < 40; i++) {
        float logits[20];
        fake_random_law(levels[0], hash, NULL, 0, logits);
        assert_int_equal(linn_sampler_read(sampler, "test", logits, 20, NULL), LINN_OK);
        linn_token token = linn_sampler_pick(sampler);
        assert_int_equal(token, h.ids[i]);
        linn_sampler_push(sampler, token);
        hash = fake_hash(hash, (uint64_t)token);
    }
    linn_sampler_free(sampler);
    linn_cascade_free(c);
}

/* Cancelled before any pass, of drafters too, or at any token: what was said is a prefix of the
 * text, and the cascade can go on afterwards. */
static void cancelling(void **state)
{
    (void)state;
    int32_t matrix[] = {2, 3, 2, 0, 2, 3, 0, 0, 2};
    family f = {.n_vocab = 12, .n_drafters = 2, .lean = 0.9, .seed = 77};
    linn_cascade_settings s = linn_cascade_settings_default();
    s.shape = LINN_CASCADE_K;
    s.k_matrix = matrix;
    s.k_order = 3;
    fake_level *levels[LINN_MAX_LEVELS];
    linn_cascade *c = cascade_of(&f, &s, levels);
    linn_token prompt[100];
    for (int i = 0; i < 100; i++)
        prompt[i] = i * i % 12;
    linn_request r = {.prompt = prompt, .n_prompt = 100, .max_tokens = 30};
    r.sampling = linn_sampling_default();
    static heard whole, h;
    linn_stats stats;
    generate(c, &r, &whole, &stats);
    assert_int_equal(whole.n, 30);
    int passes = whole.passes;
    for (int kind = 0; kind < 2; kind++)
        for (int at = 1; at <= (kind ? passes : 30); at++) {
            linn_cascade *fresh = cascade_of(&f, &s, levels);
            h = (heard){.cancel_at = kind ? 0 : at, .cancel_pass = kind ? at : 0};
            assert_int_equal(generate(fresh, &r, &h, &stats), LINN_FINISH_CANCELLED);
            if (kind == 0)
                assert_int_equal(h.n, at);
            assert_memory_equal(h.ids, whole.ids, (size_t)h.n * sizeof *h.ids);
            h = (heard){0};
            assert_int_equal(generate(fresh, &r, &h, &stats), LINN_FINISH_LENGTH);
            assert_memory_equal(h.ids, whole.ids, sizeof h.ids);
            linn_cascade_free(fresh);
        }
    linn_cascade_free(c);
}

/* Any level failing at any pass: the error comes out, nothing wrong was said, and it works again.
 */
static void failing_levels(void **state)
{
    (void)state;
    int32_t matrix[] = {2, 3, 2, 0, 2, 3, 0, 0, 2};
    family f = {.n_vocab = 12, .n_drafters = 2, .lean = 0.9, .seed = 78};
    linn_cascade_settings s = linn_cascade_settings_default();
    s.shape = LINN_CASCADE_K;
    s.k_matrix = matrix;
    s.k_order = 3;
    linn_token prompt[] = {1, 2, 3};
    linn_request r = {.prompt = prompt, .n_prompt = 3, .max_tokens = 30, .on_piece = hear};
    r.sampling = linn_sampling_default();
    static heard whole, h;
    linn_stats stats;
    fake_level *levels[LINN_MAX_LEVELS];
    linn_cascade *c = cascade_of(&f, &s, levels);
    generate(c, &r, &whole, &stats);
    linn_cascade_free(c);
    for (int level = 0; level < 3; level++)
        for (int kind = 0; kind < 6; kind++) {
            c = cascade_of(&f, &s, levels);
            levels[level]->fail_at = kind < 5 ? 1 + kind : 0;
            levels[level]->broken = kind == 5;
            linn_error err = {0};
            linn_finish finish = LINN_FINISH_END;
            h = (heard){0};
            r.user = &h;
            int rc = linn_generate(c, &r, &finish, &stats, &err);
            assert_int_equal(rc, kind < 5 ? LINN_ENOMEM : LINN_EFORMAT);
            assert_true(err.message[0] && finish == LINN_FINISH_END);
            assert_memory_equal(h.ids, whole.ids, (size_t)h.n * sizeof *h.ids);
            levels[level]->fail_at = 0;
            levels[level]->broken = false;
            generate(c, &r, &h, &stats);
            assert_memory_equal(h.ids, whole.ids, sizeof h.ids);
            linn_cascade_free(c);
        }
}

static void limits(void **state)
{
    (void)state;
    family f = {.n_vocab = 12, .n_drafters = 2, .lean = 1, .seed = 79};
    linn_cascade_settings s = linn_cascade_settings_default();
    fake_level *levels[LINN_MAX_LEVELS];
    linn_token prompt[N_CTX] = {1, 2, 3};
    linn_request r = {.prompt = prompt, .n_prompt = 3, .max_tokens = -1};
    r.sampling = linn_sampling_default();
    static heard h;
    linn_stats stats;
    linn_cascade *c = cascade_of(&f, &s, levels);
    /* perfect drafts do not run over the context's end */
    assert_int_equal(generate(c, &r, &h, &stats), LINN_FINISH_CONTEXT);
    assert_int_equal(h.n, N_CTX - 3);
    for (r.max_tokens = 0; r.max_tokens < 12; r.max_tokens++) {
        assert_int_equal(generate(c, &r, &h, &stats), LINN_FINISH_LENGTH);
        assert_int_equal(h.n, r.max_tokens);
    }
    r.n_prompt = N_CTX - 1;
    r.max_tokens = -1;
    assert_int_equal(generate(c, &r, &h, &stats), LINN_FINISH_CONTEXT);
    assert_int_equal(h.n, 1);
    linn_error err;
    r.n_prompt = N_CTX;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_ECONTEXT);
    assert_non_null(strstr(err.message, "160 tokens, the context 160"));
    r.n_prompt = 0;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_EINVAL);
    r.n_prompt = 3;
    r.max_tokens = -2;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_EINVAL);
    r.max_tokens = 2;
    prompt[1] = 12;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_EINVAL);
    assert_non_null(strstr(err.message, "token 12 at position 1"));
    prompt[1] = 2;
    r.sampling.top_p = 2;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_EINVAL);
    r.sampling.top_p = 1;
    const char *stop = "";
    r.stop = &stop;
    r.n_stop = 1;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_EINVAL);
    r.n_stop = 0;
    assert_int_equal(linn_generate(c, &r, NULL, NULL, &err), LINN_OK);
    linn_cascade_free(c);
}

/* A drafter with less room than the text falls silent; the text goes on. */
static void short_drafter(void **state)
{
    (void)state;
    family f = {.n_vocab = 12, .n_drafters = 1, .lean = 1, .seed = 80};
    linn_cascade_settings s = linn_cascade_settings_default();
    s.shape = LINN_CASCADE_SPEC;
    fake_level *levels[LINN_MAX_LEVELS];
    linn_token prompt[] = {1, 2, 3};
    linn_request r = {.prompt = prompt, .n_prompt = 3, .max_tokens = -1};
    static heard h;
    linn_stats stats;
    r.sampling = linn_sampling_default();
    linn_cascade *c = cascade_of(&f, &s, levels);
    levels[1]->level.n_ctx = 50;
    assert_int_equal(generate(c, &r, &h, &stats), LINN_FINISH_CONTEXT);
    assert_int_equal(stats.levels[1].rows, 50 - 2);
    assert_true(stats.levels[1].tokens > 30 && stats.levels[1].tokens <= 48);
    linn_cascade_free(c);
}

/* ---- settings ------------------------------------------------------------------------------ */

static void matrix_refused(int n_drafters, bool maxgram, int order, const int32_t *matrix,
                           const char *word)
{
    linn_cascade_settings s = linn_cascade_settings_default();
    linn_kmatrix k;
    linn_error err = {0};
    s.shape = LINN_CASCADE_K;
    s.maxgram = maxgram;
    s.k_order = order;
    s.k_matrix = matrix;
    assert_int_equal(linn_kmatrix_make(&k, &s, (size_t)n_drafters, &err), LINN_EINVAL);
    if (!strstr(err.message, word))
        fail_msg("%s", err.message);
}

static void bad_matrices(void **state)
{
    (void)state;
    matrix_refused(2, true, 2, (int32_t[]){1, 1, 0, 1},
                   "2 rows: with 2 drafters and Max-Gram it must have 3");
    matrix_refused(1, false, 2, (int32_t[]){1, 1, 0, 1}, "2 rows: with 1 drafter it must have 1");
    matrix_refused(1, true, 2, (int32_t[]){1, -1, 0, 1}, "-1 in row 1, column 2");
    matrix_refused(1, true, 2, (int32_t[]){1, 1, 0, 2000000000}, "2000000000 in row 2, column 2");
    matrix_refused(1, true, 2, (int32_t[]){1, 1, 1, 1}, "below the diagonal");
    matrix_refused(1, true, 2, (int32_t[]){0, 0, 0, 0}, "all zeros");
    matrix_refused(1, true, 2, (int32_t[]){0, 0, 0, 5}, "all zeros");
    matrix_refused(1, true, 2, (int32_t[]){200, 200, 0, 5}, "drafts of");
}

static void bad_settings(void **state)
{
    (void)state;
    linn_cascade_settings s, good = linn_cascade_settings_default();
    linn_kmatrix k;
    assert_int_equal(linn_kmatrix_make(&k, &good, 2, NULL), LINN_OK);
#define REFUSED(field, value)                                              \
    do {                                                                   \
        s = good;                                                          \
        s.field = value;                                                   \
        assert_int_equal(linn_kmatrix_make(&k, &s, 2, NULL), LINN_EINVAL); \
    } while (0)
    REFUSED(lenience, 0.5f);
    REFUSED(lenience, NAN);
    REFUSED(lenience, INFINITY);
    REFUSED(k, 0);
    REFUSED(k, 1000);
    REFUSED(block, 0);
    REFUSED(shape, (linn_shape)9);
    REFUSED(verify, (linn_verify)9);
    REFUSED(lenience_rule, (linn_lenience_rule)9);
    s = good;
    s.shape = LINN_CASCADE_SPEC;
    assert_int_equal(linn_kmatrix_make(&k, &s, 0, NULL), LINN_EINVAL);
    assert_int_equal(linn_kmatrix_make(&k, &good, 6, NULL), LINN_EINVAL);
}

int main(void)
{
    rng_state = 20260114;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_text),    cmocka_unit_test(plain_text),
        cmocka_unit_test(cancelling),   cmocka_unit_test(failing_levels),
        cmocka_unit_test(limits),       cmocka_unit_test(short_drafter),
        cmocka_unit_test(bad_matrices), cmocka_unit_test(bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
