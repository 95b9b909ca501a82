/* Sessions, batches and rows: what is checked, what it costs, and running out of memory. */
#include "timeline.h"
#include "alloc_fail.h"
#include "model/session.h"

static char *path;
static linn_engine *engine;
static linn_model *model, *other_model;

static int set_up(void **state)
{
    (void)state;
    synthetic s = synthetic_small("llama");
    s.type = LINN_TYPE_Q8_0;
    path = temporary_path();
    engine = open_engine(2, LINN_CPU_ANY);
    if (synthetic_make(&s, path, NULL) != LINN_OK)
        return 1;
    model = open_model(engine, path);
    other_model = open_model(engine, path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    linn_model_free(model);
    linn_model_free(other_model);
    linn_engine_free(engine);
    free_path(path);
    return 0;
}

static void description(void **state)
{
    (void)state;
    linn_model_info i = linn_model_describe(model);
    assert_string_equal(i.name, "synthetic");
    assert_string_equal(i.architecture, "llama");
    assert_int_equal(i.n_vocab, 300);
    assert_int_equal(i.n_ctx, 256);
    assert_int_equal(i.n_layers, 2);
    assert_int_equal(i.n_embd, 64);
    assert_int_equal(i.n_heads, 4);
    assert_int_equal(i.n_kv_heads, 2);
    assert_int_equal(i.head_dim, 16);
    assert_int_equal(i.n_ff, 96);
    uint64_t layer = 64 * (64 + 32 + 32 + 64) + 3 * 64 * 96 + 2 * 64;
    assert_int_equal(i.n_parameters, 2 * 64 * 300 + 64 + 2 * layer);
    /* 34 bytes for 32 weights, all matrices but the embedding, some more for vectors and padding */
    uint64_t least = (64 * 300 + 2 * (layer - 2 * 64)) / 32 * 34;
    assert_in_range(i.weight_bytes, least, least + least / 10);
    assert_int_equal(linn_tokenizer_size(linn_model_tokenizer(model)), 300);
}

static void session_settings(void **state)
{
    (void)state;
    linn_session *s;
    linn_error err;
    linn_session_settings t = {.kv = (linn_kv_type)7};
    assert_int_equal(linn_session_create(&s, model, &t, &err), LINN_EINVAL);
    assert_null(s);
    t.kv = LINN_KV_F16;
    static const int32_t bad[] = {-1, (1 << 24) + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t.n_ctx = bad[i];
        assert_int_equal(linn_session_create(&s, model, &t, &err), LINN_EINVAL);
    }
    t.n_ctx = 0;
    assert_int_equal(linn_session_create(&s, model, &t, &err), LINN_OK);
    assert_int_equal(s->n_ctx, 256);
    assert_int_equal(linn_session_length(s), 0);
    linn_session_free(s);
    linn_session_free(NULL);
}

static void batch_settings(void **state)
{
    (void)state;
    linn_batch *b;
    linn_error err;
    static const int32_t bad[] = {0, -1, (1 << 20) + 1, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(linn_batch_create(&b, model, bad[i], &err), LINN_EINVAL);
        assert_null(b);
    }
    linn_batch_free(NULL);
}

/* ---- rows ---------------------------------------------------------------------------------- */

enum { N = 6 };

/* Two sessions at length 3 and 0, rows a b a b a b. */
typedef struct rows_case {
    linn_session *a, *b, *stranger;
    linn_batch *batch;
    linn_row rows[N];
} rows_case;

static rows_case good_rows(void)
{
    rows_case c = {.a = open_session(model, LINN_KV_F16), .b = open_session(model, LINN_KV_F32)};
    c.stranger = open_session(other_model, LINN_KV_F16);
    c.batch = open_batch(model, 4);
    linn_token ids[3] = {1, 2, 3};
    int32_t n_rows = 0;
    add_rows(c.rows, &n_rows, c.a, 0, ids, 3, LINN_ROW_NONE, 0);
    assert_int_equal(linn_forward(c.batch, c.rows, 3, NULL), LINN_OK);
    for (int32_t i = 0; i < N; i++)
        c.rows[i] = (linn_row){.token = i,
                               .position = i / 2 + (i % 2 ? 0 : 3),
                               .slot = i / 2 + (i % 2 ? 0 : 3),
                               .parent = i < 2 ? LINN_ROW_NONE : i - 2,
                               .session = i % 2 ? c.b : c.a,
                               .outputs = i % 2 ? LINN_OUT_LOGITS : LINN_OUT_NONE};
    return c;
}

static void free_rows(rows_case *c)
{
    linn_batch_free(c->batch);
    linn_session_free(c->a);
    linn_session_free(c->b);
    linn_session_free(c->stranger);
}

static void bad_rows_change_nothing(void **state)
{
    (void)state;
    rows_case c = good_rows();
    /* one field of row i set to `value` */
    static const struct {
        enum { TOKEN, POSITION, SLOT, PARENT, SESSION, OUTPUTS } field;
        int32_t i, value;
        const char *says;
    } bad[] = {
        {TOKEN, 0, -1, "row 0: token -1, expected 0 to 299"},
        {TOKEN, 5, 300, "row 5: token 300, expected 0 to 299"},
        {TOKEN, 5, INT32_MAX, "row 5: token 2147483647"},
        {POSITION, 2, 5, "row 2: position 5, expected 4, the session's next"},
        {POSITION, 0, 2, "row 0: position 2, expected 3"},
        {POSITION, 1, -1, "row 1: position -1, expected 0"},
        {SLOT, 3, 0, "row 3: slot 0, expected 1, its position"},
        {PARENT, 0, 0, "row 0: parent 0, expected -1"},
        {PARENT, 2, -1, "row 2: parent -1, expected 0"},
        {PARENT, 3, 0, "row 3: parent 0, expected 1"},
        {PARENT, 4, 5, "row 4: parent 5, expected 2"},
        {PARENT, 4, 0, "row 4: parent 0, expected 2"},
        {SESSION, 1, 0, "row 1: has no session"},
        {SESSION, 1, 1, "row 1: its session is of another model"},
        {OUTPUTS, 1, 4, "row 1: outputs 0x4, expected LINN_OUT_* bits"},
    };
    enum { N_BAD = sizeof bad / sizeof *bad };
    for (int i = 0; i < N_BAD; i++) {
        linn_row rows[N];
        memcpy(rows, c.rows, sizeof rows);
        linn_row *x = &rows[bad[i].i];
        switch (bad[i].field) {
        case TOKEN:
            x->token = bad[i].value;
            break;
        case POSITION:
            x->position = x->slot = bad[i].value;
            break;
        case SLOT:
            x->slot = bad[i].value;
            break;
        case PARENT:
            x->parent = bad[i].value;
            break;
        case SESSION:
            x->session = bad[i].value ? c.stranger : NULL;
            break;
        case OUTPUTS:
            x->outputs = (unsigned)bad[i].value;
        }
        linn_error err = {0};
        assert_int_equal(linn_forward(c.batch, rows, N, &err), LINN_EINVAL);
        if (!strstr(err.message, bad[i].says))
            fail_msg("the message is '%s', expected '%s'", err.message, bad[i].says);
        assert_int_equal(linn_session_length(c.a), 3);
        assert_int_equal(linn_session_length(c.b), 0);
    }
    assert_int_equal(linn_forward(c.batch, c.rows, 0, NULL), LINN_EINVAL);
    assert_int_equal(linn_forward(c.batch, c.rows, -1, NULL), LINN_EINVAL);
    assert_int_equal(linn_forward(c.batch, c.rows, N, NULL), LINN_OK);
    assert_int_equal(linn_session_length(c.a), 6);
    assert_int_equal(linn_session_length(c.b), 3);
    free_rows(&c);
}

static void more_outputs_than_room(void **state)
{
    (void)state;
    rows_case c = good_rows();
    linn_error err;
    for (int i = 0; i < N; i++)
        c.rows[i].outputs = LINN_OUT_HIDDEN;
    assert_int_equal(linn_forward(c.batch, c.rows, N, &err), LINN_EINVAL);
    assert_string_equal(err.message, "row 4: the batch has room for the outputs of 4 rows");
    c.rows[0].outputs = c.rows[5].outputs = LINN_OUT_NONE;
    c.rows[1].outputs = LINN_OUT_HIDDEN | LINN_OUT_LOGITS;
    assert_int_equal(linn_forward(c.batch, c.rows, N, &err), LINN_OK);
    free_rows(&c);
}

static void end_of_the_context(void **state)
{
    (void)state;
    linn_token ids[200];
    linn_row rows[200];
    random_ids(1, 300, ids, 200);
    linn_session_settings t = {.n_ctx = 70};
    linn_session *s;
    linn_error err;
    assert_int_equal(linn_session_create(&s, model, &t, &err), LINN_OK);
    linn_batch *b = open_batch(model, 1);
    int32_t n_rows = 0;
    add_rows(rows, &n_rows, s, 0, ids, 200, LINN_ROW_NONE, 0);
    assert_int_equal(linn_forward(b, rows, 71, &err), LINN_ECONTEXT);
    assert_string_equal(err.message,
                        "the context is full: position 70 does not fit into 70 positions");
    assert_int_equal(linn_session_length(s), 0);
    assert_int_equal(linn_forward(b, rows, 70, &err), LINN_OK);
    rows[70].parent = LINN_ROW_NONE;
    assert_int_equal(linn_forward(b, rows + 70, 1, &err), LINN_ECONTEXT);
    assert_int_equal(linn_session_length(s), 70);
    assert_int_equal(linn_session_truncate(s, 69, &err), LINN_OK);
    rows[69].parent = LINN_ROW_NONE;
    assert_int_equal(linn_forward(b, rows + 69, 1, &err), LINN_OK);
    linn_batch_free(b);
    linn_session_free(s);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static void forward_allocates_nothing(void **state)
{
    (void)state;
    linn_token ids[250];
    linn_row rows[250];
    random_ids(1, 300, ids, 250);
    linn_session *s = open_session(model, LINN_KV_F16);
    linn_batch *b = open_batch(model, 8);
    size_t before = alloc_fail_count();
    for (int round = 0; round < 3; round++) {
        int32_t n_rows = 0;
        add_rows(rows, &n_rows, s, 0, ids, 150, LINN_ROW_NONE, 0);
        rows[149].outputs = LINN_OUT_LOGITS | LINN_OUT_HIDDEN;
        assert_int_equal(linn_forward(b, rows, n_rows, NULL), LINN_OK);
        for (int32_t i = 150; i < 250; i++) {
            n_rows = 0;
            add_rows(rows, &n_rows, s, i, ids + i, 1, LINN_ROW_NONE, LINN_OUT_LOGITS);
            assert_int_equal(linn_forward(b, rows, 1, NULL), LINN_OK);
        }
        rows[0].token = -1; /* nor does an error */
        linn_error err;
        assert_int_equal(linn_forward(b, rows, 1, &err), LINN_EINVAL);
        assert_int_equal(linn_session_truncate(s, 0, NULL), LINN_OK);
    }
    assert_int_equal(alloc_fail_count(), before);
    linn_batch_free(b);
    linn_session_free(s);
}

static int try_model(void *arg)
{
    (void)arg;
    linn_model *m;
    int rc = linn_model_open(&m, engine, path, NULL);
    assert_int_equal(rc == LINN_OK, m != NULL);
    linn_model_free(m);
    return rc;
}

static int try_session(void *arg)
{
    (void)arg;
    linn_session_settings t = {.kv = LINN_KV_F16};
    linn_session *s;
    int rc = linn_session_create(&s, model, &t, NULL);
    assert_int_equal(rc == LINN_OK, s != NULL);
    linn_session_free(s);
    return rc;
}

static int try_batch(void *arg)
{
    (void)arg;
    linn_batch *b;
    int rc = linn_batch_create(&b, model, 3, NULL);
    assert_int_equal(rc == LINN_OK, b != NULL);
    linn_batch_free(b);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(try_model, NULL) > 10);
    assert_true(alloc_fail_each(try_session, NULL) >= 6);
    assert_true(alloc_fail_each(try_batch, NULL) >= 5);
}

/* mmap is the fourth allocation of a session. */
static void no_memory_for_the_cache(void **state)
{
    (void)state;
    linn_session_settings t = {.n_ctx = 1 << 20};
    linn_session *s;
    linn_error err;
    alloc_fail_at(4);
    assert_int_equal(linn_session_create(&s, model, &t, &err), LINN_ENOMEM);
    alloc_fail_at(0);
    assert_string_equal(err.message, "no memory for the KV cache: 1048576 positions need 256 MiB; "
                                     "a smaller context needs less");
}

static size_t resident_bytes(void)
{
    unsigned long size, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* A context of a million positions costs what is touched of it. */
static void large_contexts_are_lazy(void **state)
{
    (void)state;
    linn_session_settings t = {.n_ctx = 1 << 20, .kv = LINN_KV_F32};
    linn_session *s;
    linn_batch *b = open_batch(model, 1);
    size_t before = resident_bytes();
    assert_int_equal(linn_session_create(&s, model, &t, NULL), LINN_OK);
    linn_row row = {.token = 1, .parent = LINN_ROW_NONE, .session = s, .outputs = LINN_OUT_LOGITS};
    assert_int_equal(linn_forward(b, &row, 1, NULL), LINN_OK);
    size_t after = resident_bytes();
    if (before && after > before)
        assert_in_range(after - before, 0, 32 << 20); /* of 512 MiB */
    linn_session_free(s);
    linn_batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(description),
        cmocka_unit_test(session_settings),
        cmocka_unit_test(batch_settings),
        cmocka_unit_test(bad_rows_change_nothing),
        cmocka_unit_test(more_outputs_than_room),
        cmocka_unit_test(end_of_the_context),
        cmocka_unit_test(forward_allocates_nothing),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(no_memory_for_the_cache),
        cmocka_unit_test(large_contexts_are_lazy),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
