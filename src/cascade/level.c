/* level.c - a model as a level of a cascade (level.h). */
#include "cascade/level.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

typedef struct model_level {
    linn_level level;
    linn_session *session;
    linn_batch *batch;
    linn_row *rows; /* [LINN_PASS_ROWS + max_outputs] */
    int32_t n_tokens, first_output;
} model_level;

static int forward(linn_level *l, const linn_token *text, int32_t length, int32_t n_outputs,
                   linn_error *err)
{
    model_level *m = (model_level *)l;
    int rc = LINN_OK;
    if (linn_session_length(m->session) > l->known)
        rc = linn_session_truncate(m->session, l->known, err);
    if (rc)
        return rc;
    int32_t n = length - l->known;
    m->first_output = n - n_outputs;
    for (int32_t i = 0; i < n; i++) {
        int32_t position = l->known + i;
        linn_token token = text[position];
        m->rows[i] = (linn_row){
            /* a token of the target that this vocabulary lacks: any other will do for drafting */
            .token = token < m->n_tokens ? token : 0,
            .position = position,
            .slot = position,
            .parent = i - 1, /* LINN_ROW_NONE for the first */
            .session = m->session,
            .outputs = i >= m->first_output ? LINN_OUT_LOGITS : LINN_OUT_NONE,
        };
    }
    return linn_forward(m->batch, m->rows, n, err);
}

static const float *logits(const linn_level *l, int32_t i)
{
    const model_level *m = (const model_level *)l;
    return linn_batch_logits(m->batch, m->first_output + i);
}

static void release(linn_level *l)
{
    model_level *m = (model_level *)l;
    linn_batch_free(m->batch);
    linn_session_free(m->session);
    free(m->rows);
    free(m);
}

int linn_level_model(linn_level **out, const linn_model *model, int32_t n_vocab,
                     int32_t max_outputs, const linn_session_settings *s, linn_error *err)
{
    *out = NULL;
    model_level *m = calloc(1, sizeof *m);
    if (!m)
        return linn_fail(err, LINN_ENOMEM, "cascade: out of memory");
    linn_model_info info = linn_model_describe(model);
    m->level = (linn_level){.name = info.name,
                            .n_parameters = info.n_parameters,
                            .n_vocab = n_vocab,
                            .n_ctx = s->n_ctx,
                            .forward = forward,
                            .logits = logits,
                            .free = release};
    m->n_tokens = info.n_vocab;
    int rc = LINN_OK;
    m->rows = linn_alloc((size_t)(LINN_PASS_ROWS + max_outputs), sizeof *m->rows);
    if (!m->rows)
        rc = linn_fail(err, LINN_ENOMEM, "cascade: out of memory");
    if (!rc)
        rc = linn_session_create(&m->session, model, s, err);
    if (!rc)
        rc = linn_batch_create(&m->batch, model, max_outputs, err);
    if (rc)
        release(&m->level);
    else
        *out = &m->level;
    return rc;
}
