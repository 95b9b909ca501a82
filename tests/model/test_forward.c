/* The numeric contract, by memcmp: what a row gives does not depend on how many rows are in the
 * pass, on how a timeline was cut, on its company, on threads or on the instruction set. */
#include "timeline.h"
#include "kernels/kernels.h"
#include "model/cpu/cpu.h"
#include "model/session.h"

enum { ALL_TYPES = 15 };
static const uint32_t types[ALL_TYPES] = {
    LINN_TYPE_F32,  LINN_TYPE_F16,  LINN_TYPE_BF16, LINN_TYPE_Q8_0,   LINN_TYPE_Q4_0,
    LINN_TYPE_Q4_1, LINN_TYPE_Q5_0, LINN_TYPE_Q5_1, LINN_TYPE_IQ4_NL, LINN_TYPE_Q2_K,
    LINN_TYPE_Q3_K, LINN_TYPE_Q4_K, LINN_TYPE_Q5_K, LINN_TYPE_Q6_K,   LINN_TYPE_IQ4_XS,
};
static const int32_t widths[] = {2, 3, 5, 8, 17, 64};
static const int threads[] = {2, 3, 5};
enum { N_WIDTHS = 6, N_THREADS = 3 };

/* One of each format and architecture, of shapes that nothing divides well. */
enum { N_MODELS = ALL_TYPES + 6 };
static char *paths[N_MODELS];
static const char *names[N_MODELS];

static synthetic spec_of(int i)
{
    synthetic s = synthetic_small("llama");
    s.seed = (uint64_t)i + 1;
    if (i < ALL_TYPES) {
        s.type = types[i];
        bool super = linn_type_find(s.type)->block == 256;
        s.n_embd = super ? 256 : 96;
        s.n_heads = 6;
        s.n_kv_heads = i % 2 ? 2 : 3;
        s.head_dim = super ? 128 : 16; /* 6 * 128 columns are three blocks */
        s.n_ff = super ? 256 : 160;
        s.n_layers = super ? 1 : 2;
        s.tied = i % 3 == 0;
        return s;
    }
    switch (i - ALL_TYPES) {
    case 0:
        s.architecture = "qwen2";
        break;
    case 1:
        s.architecture = "qwen3";
        s.head_dim = 24;
        break;
    case 2: /* heads of no multiple of 16 values, in one KV head */
        s.n_embd = 60;
        s.n_heads = 6;
        s.n_kv_heads = 1;
        break;
    case 3:
        s.rope_factors = true;
        s.tied = true;
        break;
    case 4:
        s.rope_scale = 4;
        s.n_kv_heads = 4;
        break;
    default: /* one layer is the first and the last */
        s.n_layers = 1;
        s.n_ff = 33;
        s.n_vocab = 261;
    }
    return s;
}

static int make_models(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        synthetic s = spec_of(i);
        linn_error err;
        paths[i] = temporary_path();
        names[i] = i < ALL_TYPES ? linn_type_name(s.type) : s.architecture;
        if (synthetic_make(&s, paths[i], &err) != LINN_OK)
            fail_msg("%s", err.message);
    }
    return 0;
}

static int remove_models(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++)
        free_path(paths[i]);
    return 0;
}

/* ---- widths, threads, instruction sets ------------------------------------------------------ */

enum { TOKENS = 70 }; /* two pages */

static void every_width(void **state)
{
    (void)state;
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    for (int i = 0; i < N_MODELS; i++) {
        linn_model *m = open_model(e, paths[i]);
        linn_token ids[TOKENS];
        random_ids(7, linn_model_describe(m).n_vocab, ids, TOKENS);
        int n_kv = i % 5 == 0 ? 3 : 1; /* F16, F32, Q8_0 */
        for (int kv = 0; kv < n_kv; kv++) {
            float *want = logits_of(m, (linn_kv_type)kv, ids, TOKENS, 1);
            for (int w = 0; w < N_WIDTHS; w++) {
                float *got = logits_of(m, (linn_kv_type)kv, ids, TOKENS, widths[w]);
                char what[64];
                snprintf(what, sizeof what, "%s, width %d", names[i], widths[w]);
                same_rows(what, m, want, got, TOKENS);
                free(got);
            }
            free(want);
        }
        linn_model_free(m);
    }
    linn_engine_free(e);
}

static void every_number_of_threads(void **state)
{
    (void)state;
    linn_token ids[TOKENS];
    for (int i = 3; i < N_MODELS; i += i < ALL_TYPES ? 4 : 1) {
        float *want[2] = {NULL, NULL};
        for (int t = -1; t < N_THREADS; t++) {
            linn_engine *e = open_engine(t < 0 ? 1 : threads[t], LINN_CPU_ANY);
            linn_model *m = open_model(e, paths[i]);
            random_ids(8, linn_model_describe(m).n_vocab, ids, TOKENS);
            for (int wide = 0; wide < 2; wide++) {
                /* width 1 for few tokens: threads wait for each other a lot */
                int32_t n = wide ? TOKENS : 10;
                float *got = logits_of(m, LINN_KV_F16, ids, n, wide ? 33 : 1);
                if (t < 0) {
                    want[wide] = got;
                    continue;
                }
                char what[64];
                snprintf(what, sizeof what, "%s, %d threads", names[i], threads[t]);
                same_rows(what, m, want[wide], got, n);
                free(got);
            }
            linn_model_free(m);
            linn_engine_free(e);
        }
        free(want[0]);
        free(want[1]);
    }
}

/* So wide that every product is shared out in as many pieces as there can be, of all sizes. */
static void full_stages(void **state)
{
    (void)state;
    enum { N = 34 };
    synthetic s = synthetic_small("llama");
    s.type = LINN_TYPE_Q8_0;
    s.n_embd = 960;
    s.n_heads = s.n_kv_heads = 30;
    s.n_ff = 992;
    s.n_vocab = 1301;
    s.n_layers = 1;
    char *path = temporary_path();
    linn_error err;
    if (synthetic_make(&s, path, &err) != LINN_OK)
        fail_msg("%s", err.message);
    linn_token ids[N];
    random_ids(9, s.n_vocab, ids, N);
    float *want = NULL;
    for (int n = 1; n <= 3; n++) {
        linn_engine *e = open_engine(n, LINN_CPU_ANY);
        linn_model *m = open_model(e, path);
        for (int32_t width = 1; width <= N; width += N - 1) {
            float *got = logits_of(m, LINN_KV_F16, ids, N, width);
            if (!want) {
                want = got;
                continue;
            }
            char what[64];
            snprintf(what, sizeof what, "width %d, %d threads", width, n);
            same_rows(what, m, want, got, N);
            free(got);
        }
        linn_model_free(m);
        linn_engine_free(e);
    }
    free(want);
    free_path(path);
}

static void every_instruction_set(void **state)
{
    (void)state;
    static const unsigned sets[] = {LINN_CPU_AVX2, LINN_CPU_AVX2 | LINN_CPU_AVX512, LINN_CPU_NEON};
    enum { FEW = 20 };
    linn_token ids[FEW];
    linn_engine *plain = open_engine(1, LINN_CPU_C);
    for (int i = 0; i < N_MODELS; i++) {
        linn_model *m = open_model(plain, paths[i]);
        random_ids(9, linn_model_describe(m).n_vocab, ids, FEW);
        float *want = logits_of(m, LINN_KV_F16, ids, FEW, 10);
        linn_model_free(m);
        for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
            if ((linn_cpu_features() & sets[s]) != sets[s])
                continue;
            linn_engine_settings settings = {.threads = 1, .cpu = sets[s]};
            linn_engine *e;
            assert_int_equal(linn_engine_create(&e, &settings, NULL), LINN_OK);
            m = open_model(e, paths[i]);
            for (int32_t width = 1; width < FEW; width += 15) {
                float *got = logits_of(m, LINN_KV_F16, ids, FEW, width);
                char what[64];
                snprintf(what, sizeof what, "%s, %s", names[i], linn_engine_cpu(e));
                same_rows(what, m, want, got, FEW);
                free(got);
            }
            linn_model_free(m);
            linn_engine_free(e);
        }
        free(want);
    }
    linn_engine_free(plain);
}

/* ---- cuts and company ---------------------------------------------------------------------------
 */

/* A trained model, and more rows in a pass than are computed at once. */
static void chunks_of_river(void **state)
{
    (void)state;
    enum { MANY = 600 };
    linn_token ids[MANY];
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_model *m = open_model(e, project_model("river.gguf"));
    size_t n_vocab = (size_t)linn_model_describe(m).n_vocab;
    random_ids(3, (int32_t)n_vocab, ids, MANY);
    float *want = logits_of(m, LINN_KV_F16, ids, MANY, 1);
    float *got = logits_of(m, LINN_KV_F16, ids, MANY, MANY);
    same_rows("river at once", m, want, got, MANY);
    linn_batch *b = open_batch(m, MANY);
    for (int32_t first = 1; first < MANY; first = first * 2 + 1) { /* prefill, then decode */
        linn_session *s = open_session(m, LINN_KV_F16);
        extend(b, s, ids, first, first, got);
        int32_t more = MANY - first < 10 ? MANY - first : 10;
        extend(b, s, ids + first, more, 1, got + (size_t)first * n_vocab);
        same_rows("river, prefill and decode", m, want, got, first + more);
        linn_session_free(s);
    }
    linn_batch_free(b);
    free(got);
    free(want);
    linn_model_free(m);
    linn_engine_free(e);
}

enum { SESSIONS = 5, LONG = 150 };

/* Sessions of unequal progress and all KV types advance together by random steps, their rows
 * shuffled into each other, some truncated now and then. */
static void mix(const linn_model *m, uint64_t seed, int rounds)
{
    linn_token ids[SESSIONS][LONG];
    linn_session *s[SESSIONS];
    float *want[SESSIONS];
    size_t n_vocab = (size_t)linn_model_describe(m).n_vocab;
    for (int i = 0; i < SESSIONS; i++) {
        linn_kv_type kv = (linn_kv_type)(i % 3);
        random_ids(seed + (uint64_t)i, (int32_t)n_vocab, ids[i], LONG);
        want[i] = logits_of(m, kv, ids[i], LONG, 50);
        s[i] = open_session(m, kv);
    }
    linn_batch *b = open_batch(m, 64);
    for (int round = 0; round < rounds; round++) {
        linn_row rows[64];
        int owner[64];
        int32_t n_rows = 0, last[SESSIONS], length[SESSIONS];
        for (int i = 0; i < SESSIONS; i++) {
            int32_t now = linn_session_length(s[i]);
            if (pick(&seed, 0, 9) == 0 && now > 0)
                assert_int_equal(linn_session_truncate(s[i], pick(&seed, 0, now), NULL), LINN_OK);
            last[i] = LINN_ROW_NONE;
            length[i] = linn_session_length(s[i]);
        }
        for (int32_t want_rows = pick(&seed, 1, 40); want_rows > 0; want_rows--) {
            int i = pick(&seed, 0, SESSIONS - 1);
            if (length[i] == LONG)
                continue;
            owner[n_rows] = i;
            unsigned outputs = pick(&seed, 0, 2) ? LINN_OUT_LOGITS : LINN_OUT_NONE;
            last[i] =
                add_rows(rows, &n_rows, s[i], length[i], &ids[i][length[i]], 1, last[i], outputs);
            length[i]++;
        }
        if (n_rows == 0)
            continue;
        linn_error err;
        if (linn_forward(b, rows, n_rows, &err) != LINN_OK)
            fail_msg("%s", err.message);
        for (int32_t j = 0; j < n_rows; j++) {
            const float *got = linn_batch_logits(b, j);
            if (!(rows[j].outputs & LINN_OUT_LOGITS))
                assert_null(got);
            else
                same_rows("mixed sessions", m, want[owner[j]] + (size_t)rows[j].position * n_vocab,
                          got, 1);
        }
        for (int i = 0; i < SESSIONS; i++)
            assert_int_equal(linn_session_length(s[i]), length[i]);
    }
    linn_batch_free(b);
    for (int i = 0; i < SESSIONS; i++) {
        linn_session_free(s[i]);
        free(want[i]);
    }
}

static void sessions_mixed_in_one_pass(void **state)
{
    (void)state;
    static const int chosen[] = {3, 11, ALL_TYPES + 1, ALL_TYPES + 2, ALL_TYPES + 5};
    enum { N_CHOSEN = sizeof chosen / sizeof *chosen };
    for (int i = 0; i < N_CHOSEN; i++) {
        linn_engine *e = open_engine(i == 0 ? 3 : 1, LINN_CPU_ANY);
        linn_model *m = open_model(e, paths[chosen[i]]);
        mix(m, 100 + (uint64_t)i, i == 0 ? 5 : 30);
        linn_model_free(m);
        linn_engine_free(e);
    }
}

/* Whatever rows are asked for, and for what, each gives the same. */
static void any_choice_of_outputs(void **state)
{
    (void)state;
    enum { N = 20 };
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_model *m = open_model(e, paths[3]);
    size_t n_vocab = (size_t)linn_model_describe(m).n_vocab;
    size_t n_embd = (size_t)linn_model_describe(m).n_embd;
    linn_token ids[N];
    random_ids(5, (int32_t)n_vocab, ids, N);
    float *want = logits_of(m, LINN_KV_F16, ids, N, 1);
    float *hidden = NULL;
    linn_session *s = open_session(m, LINN_KV_F16);
    linn_batch *b = open_batch(m, N);
    uint64_t seed = 1;
    for (int round = 0; round < 40; round++) {
        linn_row rows[N];
        int32_t n_rows = 0;
        add_rows(rows, &n_rows, s, 0, ids, N, LINN_ROW_NONE, LINN_OUT_LOGITS | LINN_OUT_HIDDEN);
        int32_t dense = pick(&seed, 0, 4);
        for (int32_t i = 0; i < N && round > 0; i++)
            rows[i].outputs = pick(&seed, 0, 3) < dense ? (unsigned)pick(&seed, 0, 3) : 0;
        assert_int_equal(linn_forward(b, rows, N, NULL), LINN_OK);
        if (round == 0) {
            hidden = malloc(N * n_embd * sizeof *hidden);
            for (int32_t i = 0; i < N; i++)
                memcpy(hidden + (size_t)i * n_embd, linn_batch_hidden(b, i),
                       n_embd * sizeof *hidden);
        }
        for (int32_t i = 0; i < N; i++) {
            const float *l = linn_batch_logits(b, i), *h = linn_batch_hidden(b, i);
            assert_int_equal(l != NULL, (rows[i].outputs & LINN_OUT_LOGITS) != 0);
            assert_int_equal(h != NULL, (rows[i].outputs & LINN_OUT_HIDDEN) != 0);
            if (l)
                same_rows("chosen outputs", m, want + (size_t)i * n_vocab, l, 1);
            if (h)
                assert_memory_equal(h, hidden + (size_t)i * n_embd, n_embd * sizeof *h);
        }
        assert_null(linn_batch_logits(b, -1));
        assert_null(linn_batch_logits(b, N));
        assert_null(linn_batch_hidden(b, INT32_MAX));
        assert_int_equal(linn_session_truncate(s, 0, NULL), LINN_OK);
    }
    free(hidden);
    free(want);
    linn_batch_free(b);
    linn_session_free(s);
    linn_model_free(m);
    linn_engine_free(e);
}

/* ---- going back, and sharing pages
 * --------------------------------------------------------------- */

static void truncate_and_go_on(void **state)
{
    (void)state;
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_model *m = open_model(e, paths[ALL_TYPES + 1]);
    size_t n_vocab = (size_t)linn_model_describe(m).n_vocab;
    linn_token ids[LONG], other[LONG];
    random_ids(1, (int32_t)n_vocab, ids, LONG);
    random_ids(2, (int32_t)n_vocab, other, LONG);
    float *want = logits_of(m, LINN_KV_F16, ids, LONG, 7);
    float *got = malloc(LONG * n_vocab * sizeof *got);
    linn_session *s = open_session(m, LINN_KV_F16);
    linn_batch *b = open_batch(m, LONG);
    static const int32_t cuts[] = {0, 1, 63, 64, 65, 100, 128, 149};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        /* another text after the cut, taken back */
        assert_int_equal(linn_session_truncate(s, 0, NULL), LINN_OK);
        extend(b, s, ids, cuts[i], 50, got);
        extend(b, s, other + cuts[i], LONG - cuts[i], 50, got);
        assert_int_equal(linn_session_truncate(s, cuts[i], NULL), LINN_OK);
        extend(b, s, ids + cuts[i], LONG - cuts[i], 50, got + (size_t)cuts[i] * n_vocab);
        same_rows("truncated", m, want + (size_t)cuts[i] * n_vocab, got + (size_t)cuts[i] * n_vocab,
                  LONG - cuts[i]);
    }
    linn_error err;
    assert_int_equal(linn_session_truncate(s, LONG + 1, &err), LINN_EINVAL);
    assert_string_equal(err.message,
                        "session: cannot truncate to 151 positions: must be 0 to 150, its length");
    assert_int_equal(linn_session_truncate(s, -1, &err), LINN_EINVAL);
    assert_int_equal(linn_session_length(s), LONG);
    free(got);
    free(want);
    linn_batch_free(b);
    linn_session_free(s);
    linn_model_free(m);
    linn_engine_free(e);
}

/* Two sessions share a prefix whose last page is not full, then go their own ways; so does the
 * one they got it from. A pool without a page for the copies is an error that changes nothing. */
static void shared_pages_are_copied_on_write(void **state)
{
    (void)state;
    enum { PREFIX = 100, POOL = 6 };
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_model *m = open_model(e, paths[3]);
    int32_t n_vocab = linn_model_describe(m).n_vocab;
    linn_kv_pool *pool;
    assert_int_equal(linn_kv_pool_create(&pool, m, LINN_KV_F16, POOL, NULL), LINN_OK);
    linn_batch *b = open_batch(m, LONG);
    linn_session *s[4];
    linn_token ids[3][LONG];
    float *want[3], *got = malloc((size_t)(LONG * n_vocab) * sizeof *got);
    for (int i = 0; i < 3; i++) {
        random_ids((uint64_t)i + 20, n_vocab, ids[i], LONG);
        memcpy(ids[i], ids[0], PREFIX * sizeof **ids);
        want[i] = logits_of(m, LINN_KV_F16, ids[i], LONG, 10);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(linn_session_create_in(&s[i], m, pool, LONG, NULL), LINN_OK);
    extend(b, s[0], ids[0], PREFIX, PREFIX, got);
    for (int i = 1; i < 4; i++)
        assert_int_equal(linn_session_share(s[i], s[0], PREFIX, NULL), LINN_OK);
    assert_int_equal(pool->n_free, POOL - 2);
    linn_error err;
    assert_int_equal(linn_session_share(s[1], s[0], PREFIX, &err), LINN_EINVAL);
    for (int i = 2; i >= 0; i--) { /* the copies first, the original last */
        extend(b, s[i], ids[i] + PREFIX, 20, 7, got);
        same_rows("shared prefix", m, want[i] + PREFIX * (size_t)n_vocab, got, 20);
    }
    assert_int_equal(pool->n_free, POOL - 2 - 3);
    /* 8 more positions fill the second page of s[0]; the ninth needs a third one. */
    extend(b, s[0], ids[0] + PREFIX + 20, 9, 3, got);
    same_rows("shared prefix", m, want[0] + (PREFIX + 20) * (size_t)n_vocab, got, 9);
    assert_int_equal(pool->n_free, 0);
    linn_row rows[LONG];
    int32_t n_rows = 0;
    add_rows(rows, &n_rows, s[0], PREFIX + 29, ids[0] + PREFIX + 29, 1, LINN_ROW_NONE, 0);
    add_rows(rows, &n_rows, s[1], PREFIX + 20, ids[1] + PREFIX + 20, 9, LINN_ROW_NONE, 0);
    assert_int_equal(linn_forward(b, rows, n_rows, &err), LINN_ENOMEM);
    assert_string_equal(err.message, "no memory for the KV cache: all 6 pages are taken");
    assert_int_equal(linn_session_length(s[0]), PREFIX + 29);
    assert_int_equal(linn_session_length(s[1]), PREFIX + 20);
    linn_session_free(s[3]);
    linn_session_free(s[0]);
    assert_int_equal(linn_forward(b, rows + 1, n_rows - 1, &err), LINN_EINVAL); /* its parents */
    extend(b, s[1], ids[1] + PREFIX + 20, LONG - PREFIX - 20, 9, got);
    same_rows("shared prefix", m, want[1] + (PREFIX + 20) * (size_t)n_vocab, got,
              LONG - PREFIX - 20);
    linn_session_free(s[1]);
    linn_session_free(s[2]);
    assert_int_equal(pool->n_free, POOL);
    linn_kv_pool_free(pool);
    linn_batch_free(b);
    for (int i = 0; i < 3; i++)
        free(want[i]);
    free(got);
    linn_model_free(m);
    linn_engine_free(e);
}

/* What is left in a page from before, here NaN everywhere, is never seen. */
static void leftovers_in_pages(void **state)
{
    (void)state;
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_token ids[TOKENS];
    for (int i = 0; i < N_MODELS; i += 3)
        for (int kv = 0; kv < 3; kv++) {
            linn_model *m = open_model(e, paths[i]);
            int32_t n_vocab = linn_model_describe(m).n_vocab;
            random_ids(11, n_vocab, ids, TOKENS);
            float *want = logits_of(m, (linn_kv_type)kv, ids, TOKENS, 10);
            float *got = malloc((size_t)(TOKENS * n_vocab) * sizeof *got);
            linn_session *s = open_session(m, (linn_kv_type)kv);
            memset(s->pool->store->base, 0xff, s->pool->store->bytes);
            linn_batch *b = open_batch(m, 10);
            extend(b, s, ids, TOKENS, 10, got);
            same_rows("pages with leftovers", m, want, got, TOKENS);
            linn_batch_free(b);
            linn_session_free(s);
            free(want);
            free(got);
            linn_model_free(m);
        }
    linn_engine_free(e);
}

/* ---- callers --------------------------------------------------------------------------------- */

typedef struct caller {
    linn_model *model;
    linn_kv_pool *pool;
    const float *want;
    const linn_token *ids;
    int failed;
} caller;

enum { CALLS = 80 };

static void *call(void *arg)
{
    caller *c = arg;
    size_t n_vocab = (size_t)linn_model_describe(c->model).n_vocab;
    float *got = malloc(CALLS * n_vocab * sizeof *got);
    linn_batch *b = NULL;
    linn_session *s = NULL;
    c->failed = !got || linn_batch_create(&b, c->model, 7, NULL) != LINN_OK;
    for (int round = 0; round < 3 && !c->failed; round++) {
        c->failed = linn_session_create_in(&s, c->model, c->pool, CALLS, NULL) != LINN_OK;
        if (!c->failed)
            extend(b, s, c->ids, CALLS, 7, got);
        c->failed |= memcmp(got, c->want, CALLS * n_vocab * sizeof *got) != 0;
        linn_session_free(s);
    }
    linn_batch_free(b);
    free(got);
    return NULL;
}

/* Sessions of one model and one pool of pages, each with a thread of its own. */
static void callers_at_once(void **state)
{
    (void)state;
    enum { CALLERS = 3 };
    linn_engine *e = open_engine(2, LINN_CPU_ANY);
    linn_model *m = open_model(e, paths[3]);
    linn_kv_pool *pool;
    assert_int_equal(linn_kv_pool_create(&pool, m, LINN_KV_F16, 2 * CALLERS, NULL), LINN_OK);
    linn_token ids[CALLERS][CALLS];
    caller callers[CALLERS];
    pthread_t threads_of[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        random_ids((uint64_t)i, linn_model_describe(m).n_vocab, ids[i], CALLS);
        callers[i] = (caller){m, pool, logits_of(m, LINN_KV_F16, ids[i], CALLS, 40), ids[i], 0};
    }
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads_of[i], NULL, call, &callers[i]), 0);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads_of[i], NULL);
        assert_false(callers[i].failed);
        free((void *)(uintptr_t)callers[i].want);
    }
    assert_int_equal(pool->n_free, 2 * CALLERS);
    linn_kv_pool_free(pool);
    linn_model_free(m);
    linn_engine_free(e);
}

/* The caller's rounding mode changes nothing and is put back. */
static void floating_point_mode(void **state)
{
    (void)state;
#if defined(__x86_64__)
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_model *m = open_model(e, paths[0]);
    linn_token ids[20];
    random_ids(5, linn_model_describe(m).n_vocab, ids, 20);
    float *want = logits_of(m, LINN_KV_F16, ids, 20, 5);
    linn_model_free(m);
    linn_engine_free(e);
    const unsigned saved = __builtin_ia32_stmxcsr(), strange = 0xff80; /* to zero, FTZ, DAZ */
    __builtin_ia32_ldmxcsr(strange);
    e = open_engine(1, LINN_CPU_ANY);
    m = open_model(e, paths[0]);
    float *got = logits_of(m, LINN_KV_F16, ids, 20, 5);
    unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(saved);
    assert_int_equal(after & ~0x3fu, strange & ~0x3fu); /* but for the sticky flags */
    same_rows("another floating-point mode", m, want, got, 20);
    free(got);
    free(want);
    linn_model_free(m);
    linn_engine_free(e);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width),
        cmocka_unit_test(every_number_of_threads),
        cmocka_unit_test(full_stages),
        cmocka_unit_test(every_instruction_set),
        cmocka_unit_test(chunks_of_river),
        cmocka_unit_test(sessions_mixed_in_one_pass),
        cmocka_unit_test(any_choice_of_outputs),
        cmocka_unit_test(truncate_and_go_on),
        cmocka_unit_test(shared_pages_are_copied_on_write),
        cmocka_unit_test(leftovers_in_pages),
        cmocka_unit_test(callers_at_once),
        cmocka_unit_test(floating_point_mode),
    };
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
