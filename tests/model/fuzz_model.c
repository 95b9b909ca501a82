/* fuzz_model.c - any bytes as a model: it opens and runs, or is refused in one line.
 *
 * What opens is asked for a few tokens. Activations and KV pages are reserved, so that what a
 * model pretends to be costs nothing; only what its tensors back up is touched. */
#include "linn_tools.h"
#include "gguf/gguf.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static linn_engine *engine(void)
{
    static linn_engine *e;
    linn_engine_settings s = linn_engine_settings_default();
    s.threads = 1;
    if (!e && linn_engine_create(&e, &s, NULL) != LINN_OK)
        abort();
    return e;
}

static void check(int rc, const linn_error *err)
{
    if (rc != LINN_OK &&
        (err->code != rc || !err->message[0] || strpbrk(err->message, "\n\r\t\x1b")))
        abort();
}

static void run(const linn_model *m)
{
    linn_error err = {0};
    linn_session *s;
    linn_batch *b;
    linn_session_settings settings = {.n_ctx = 8, .kv = LINN_KV_F16};
    check(linn_session_create(&s, m, &settings, &err), &err);
    check(linn_batch_create(&b, m, 2, &err), &err);
    if (s && b) {
        linn_row rows[4];
        for (int32_t i = 0; i < 4; i++)
            rows[i] = (linn_row){
                .token = i % linn_model_describe(m).n_vocab,
                .position = i,
                .slot = i,
                .parent = i - 1,
                .session = s,
                .outputs = i < 2 ? LINN_OUT_NONE : LINN_OUT_LOGITS,
            };
        if (linn_forward(b, rows, 4, &err) != LINN_OK || !linn_batch_logits(b, 3))
            abort();
    }
    linn_batch_free(b);
    linn_session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linn_error err = {0};
    linn_file *f;
    int rc = linn_file_parse(&f, data, size, "fuzz", &err);
    check(rc, &err);
    if (rc != LINN_OK)
        return 0;
    linn_model *m;
    rc = linn_model_load(&m, engine(), f, false, &err);
    check(rc, &err);
    if (rc == LINN_OK)
        run(m);
    linn_model_free(m);
    return 0;
}
