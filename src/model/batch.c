/* batch.c - linn_forward: checks rows, makes room for them, hands them to the back
 * end, and keeps the outputs.
 *
 * Everything that can be wrong is found before anything changes.
 */
#include "base/error.h"
#include "base/memory.h"
#include "model/model.h"
#include "model/session.h"

#include <stdlib.h>

struct linn_batch {
    const linn_model *model;
    linn_workspace *workspace;
    int32_t max_outputs;
    /* Of the last pass: rows with outputs, ascending, and what they gave. */
    int32_t *logit_rows, *hidden_rows; /* [max_outputs] */
    int32_t n_logits, n_hidden;
    float *outputs; /* [output_bytes], both: */
    float *logits;  /* [max_outputs, n_vocab] */
    float *hidden;  /* [max_outputs, n_embd] */
    size_t output_bytes;
};

enum { MAX_OUTPUTS = 1 << 20 };

static int make_room(linn_batch *b, linn_error *err)
{
    const linn_params *p = &b->model->params;
    size_t n = (size_t)b->max_outputs, bytes = 0; /* at most 2^20 * (2^24 + 2^24) * 4 */
    bytes = n * ((size_t)p->n_vocab + (size_t)p->n_embd) * sizeof(float);
    b->logit_rows = calloc(n, sizeof *b->logit_rows);
    b->hidden_rows = calloc(n, sizeof *b->hidden_rows);
    b->outputs = linn_reserve(bytes, false);
    if (!b->logit_rows || !b->hidden_rows || !b->outputs)
        return linn_fail(err, LINN_ENOMEM, "no memory for %d rows of outputs (%zu MiB)",
                         b->max_outputs, bytes >> 20);
    b->output_bytes = bytes;
    b->logits = b->outputs;
    b->hidden = b->outputs + n * (size_t)p->n_vocab;
    return b->model->backend->workspace_create(&b->workspace, b->model->weights, err);
}

int linn_batch_create(linn_batch **out, const linn_model *m, int32_t max_outputs, linn_error *err)
{
    *out = NULL;
    if (max_outputs < 1 || max_outputs > MAX_OUTPUTS)
        return linn_fail(err, LINN_EINVAL, "batch: %d rows with outputs: must be 1 to %d",
                         max_outputs, MAX_OUTPUTS);
    linn_batch *b = calloc(1, sizeof *b);
    if (!b)
        return linn_fail(err, LINN_ENOMEM, "out of memory for a batch");
    b->model = m;
    b->max_outputs = max_outputs;
    int rc = make_room(b, err);
    if (rc != LINN_OK)
        linn_batch_free(b);
    else
        *out = b;
    return rc;
}

void linn_batch_free(linn_batch *b)
{
    if (!b)
        return;
    b->model->backend->workspace_free(b->workspace);
    linn_release(b->outputs, b->output_bytes);
    free(b->logit_rows);
    free(b->hidden_rows);
    free(b);
}

/* ---- checking rows ------------------------------------------------------------------------- */

static int check_place(const linn_row *r, int32_t i, linn_error *err)
{
    const linn_session *s = r->session;
    int32_t position = s->length + s->n_new;
    if (position >= s->n_ctx)
        return linn_fail(err, LINN_ECONTEXT,
                         "the context is full: position %d does not fit into %d positions",
                         position, s->n_ctx);
    if (r->position != position)
        return linn_fail(err, LINN_EINVAL, "row %d: position %d, expected %d, the session's next",
                         i, r->position, position);
    if (r->slot != r->position)
        return linn_fail(err, LINN_EINVAL, "row %d: slot %d, expected %d, its position", i, r->slot,
                         r->position);
    int32_t parent = s->n_new ? s->last_row : LINN_ROW_NONE;
    if (r->parent != parent)
        return linn_fail(err, LINN_EINVAL,
                         "row %d: parent %d, expected %d: the session's row before, or %d for its "
                         "first; trees of rows are not supported",
                         i, r->parent, parent, LINN_ROW_NONE);
    return LINN_OK;
}

static int check_row(const linn_batch *b, const linn_row *r, int32_t i, linn_error *err)
{
    if (r->token < 0 || r->token >= b->model->params.n_vocab)
        return linn_fail(err, LINN_EINVAL, "row %d: token %d, expected 0 to %d", i, r->token,
                         b->model->params.n_vocab - 1);
    if (r->outputs & ~(unsigned)(LINN_OUT_LOGITS | LINN_OUT_HIDDEN))
        return linn_fail(err, LINN_EINVAL, "row %d: outputs 0x%x, expected LINN_OUT_* bits", i,
                         r->outputs);
    return check_place(r, i, err);
}

/* Counts each session's rows in s->n_new. */
static int check_rows(const linn_batch *b, const linn_row *rows, int32_t n_rows, linn_error *err)
{
    if (n_rows < 1)
        return linn_fail(err, LINN_EINVAL, "a pass of %d rows: must be 1 or more", n_rows);
    for (int32_t i = 0; i < n_rows; i++) {
        if (!rows[i].session || rows[i].session->model != b->model)
            return linn_fail(err, LINN_EINVAL, "row %d: %s", i,
                             rows[i].session ? "its session is of another model"
                                             : "has no session");
        rows[i].session->n_new = 0;
    }
    int32_t n_outputs = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        int rc = check_row(b, &rows[i], i, err);
        if (rc != LINN_OK)
            return rc;
        rows[i].session->n_new++;
        rows[i].session->last_row = i;
        n_outputs += rows[i].outputs != 0;
        if (n_outputs > b->max_outputs)
            return linn_fail(err, LINN_EINVAL,
                             "row %d: the batch has room for the outputs of %d rows", i,
                             b->max_outputs);
    }
    return LINN_OK;
}

/* Pages for all new rows, or none. */
static int reserve(const linn_row *rows, int32_t n_rows, linn_error *err)
{
    for (int32_t i = 0; i < n_rows; i++) {
        if (rows[i].parent != LINN_ROW_NONE)
            continue;
        int rc = linn_session_reserve(rows[i].session, rows[i].session->n_new, err);
        for (; rc != LINN_OK && i >= 0; i--)
            if (rows[i].parent == LINN_ROW_NONE)
                linn_session_unreserve(rows[i].session);
        if (rc != LINN_OK)
            return rc;
    }
    return LINN_OK;
}

static void list_outputs(linn_batch *b, const linn_row *rows, int32_t n_rows)
{
    b->n_logits = b->n_hidden = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        if (rows[i].outputs & LINN_OUT_LOGITS)
            b->logit_rows[b->n_logits++] = i;
        if (rows[i].outputs & LINN_OUT_HIDDEN)
            b->hidden_rows[b->n_hidden++] = i;
    }
}

int linn_forward(linn_batch *b, const linn_row *rows, int32_t n_rows, linn_error *err)
{
    int rc = check_rows(b, rows, n_rows, err);
    if (rc == LINN_OK)
        rc = reserve(rows, n_rows, err);
    if (rc != LINN_OK)
        return rc;
    list_outputs(b, rows, n_rows);
    linn_pass pass = {
        .rows = rows,
        .n_rows = n_rows,
        .logit_rows = b->logit_rows,
        .n_logits = b->n_logits,
        .logits = b->logits,
        .hidden_rows = b->hidden_rows,
        .n_hidden = b->n_hidden,
        .hidden = b->hidden,
    };
    rc = b->model->backend->forward(b->workspace, &pass, err);
    if (rc != LINN_OK)
        return rc;
    for (int32_t i = 0; i < n_rows; i++)
        rows[i].session->length++;
    return LINN_OK;
}

/* ---- outputs ----------------------------------------------------------------------------------
 */

/* Where a row stands in a list, or -1. */
static int32_t find_row(const int32_t *rows, int32_t n, int32_t row)
{
    int32_t low = 0, high = n;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && rows[low] == row ? low : -1;
}

const float *linn_batch_logits(const linn_batch *b, int32_t row)
{
    int32_t i = find_row(b->logit_rows, b->n_logits, row);
    return i < 0 ? NULL : b->logits + (size_t)i * (size_t)b->model->params.n_vocab;
}

const float *linn_batch_hidden(const linn_batch *b, int32_t row)
{
    int32_t i = find_row(b->hidden_rows, b->n_hidden, row);
    return i < 0 ? NULL : b->hidden + (size_t)i * (size_t)b->model->params.n_embd;
}
