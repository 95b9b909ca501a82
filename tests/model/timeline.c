/* timeline.c - see timeline.h. */
#include "timeline.h"
#include "model/session.h"

char *temporary_path(void)
{
    char name[] = "/tmp/linn-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    char *path = strdup(name);
    assert_non_null(path);
    return path;
}

void free_path(char *path)
{
    unlink(path);
    free(path);
}

const char *project_model(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("LINN_MODELS"), name);
    return path;
}

linn_engine *open_engine(int threads, unsigned cpu)
{
    linn_engine_settings s = linn_engine_settings_default();
    s.threads = threads;
    s.cpu &= cpu;
    linn_engine *e;
    linn_error err;
    if (linn_engine_create(&e, &s, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return e;
}

linn_model *open_model(linn_engine *e, const char *path)
{
    linn_model *m;
    linn_error err;
    if (linn_model_open(&m, e, path, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return m;
}

linn_session *open_session(const linn_model *m, linn_kv_type kv)
{
    linn_session_settings settings = {.kv = kv};
    linn_session *s;
    linn_error err;
    if (linn_session_create(&s, m, &settings, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return s;
}

linn_batch *open_batch(const linn_model *m, int32_t max_outputs)
{
    linn_batch *b;
    linn_error err;
    if (linn_batch_create(&b, m, max_outputs, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return b;
}

int32_t pick(uint64_t *state, int32_t from, int32_t to)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return from + (int32_t)((z ^ z >> 31) % (uint64_t)(to - from + 1));
}

void random_ids(uint64_t seed, int32_t n_vocab, linn_token *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = pick(&seed, 0, n_vocab - 1);
}

int32_t add_rows(linn_row *rows, int32_t *n_rows, linn_session *s, int32_t position,
                 const linn_token *ids, int32_t n, int32_t parent, unsigned outputs)
{
    for (int32_t i = 0; i < n; i++) {
        rows[*n_rows] = (linn_row){.token = ids[i],
                                   .position = position + i,
                                   .slot = position + i,
                                   .parent = parent,
                                   .session = s,
                                   .outputs = outputs};
        parent = (*n_rows)++;
    }
    return parent;
}

void extend(linn_batch *b, linn_session *s, const linn_token *ids, int32_t n, int32_t width,
            float *logits)
{
    size_t n_vocab = (size_t)linn_model_describe(s->model).n_vocab;
    linn_row *rows = calloc((size_t)width, sizeof *rows);
    assert_non_null(rows);
    for (int32_t first = 0; first < n; first += width) {
        int32_t m = n - first < width ? n - first : width, n_rows = 0;
        add_rows(rows, &n_rows, s, linn_session_length(s), ids + first, m, LINN_ROW_NONE,
                 LINN_OUT_LOGITS);
        linn_error err;
        if (linn_forward(b, rows, m, &err) != LINN_OK)
            fail_msg("%s", err.message);
        for (int32_t i = 0; i < m; i++)
            memcpy(logits + (size_t)(first + i) * n_vocab, linn_batch_logits(b, i),
                   n_vocab * sizeof(float));
    }
    free(rows);
}

float *logits_of(const linn_model *m, linn_kv_type kv, const linn_token *ids, int32_t n,
                 int32_t width)
{
    size_t n_vocab = (size_t)linn_model_describe(m).n_vocab;
    float *logits = malloc((size_t)n * n_vocab * sizeof *logits);
    assert_non_null(logits);
    linn_session *s = open_session(m, kv);
    linn_batch *b = open_batch(m, width);
    extend(b, s, ids, n, width, logits);
    linn_batch_free(b);
    linn_session_free(s);
    return logits;
}

void same_rows(const char *what, const linn_model *m, const float *want, const float *got,
               int32_t n)
{
    size_t n_vocab = (size_t)linn_model_describe(m).n_vocab;
    for (int32_t i = 0; i < n; i++)
        if (memcmp(want + (size_t)i * n_vocab, got + (size_t)i * n_vocab, n_vocab * sizeof *got))
            fail_msg("%s: the logits of row %d are not the same bits", what, i);
}
