/* cmd_logits.c - linn logits: the raw numbers of a forward pass, for comparing and checking. */
#include "cli.h"
#include "model_path.h"
#include "options.h"
#include "output.h"
#include "pass_rows.h"

#include <stdlib.h>

enum { WIDTH = 64 }; /* rows at once by default */

typedef struct settings {
    const char *ids;
    int64_t width, threads;
    int kv;
} settings;

static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL}; /* linn_kv_type */

static const linn_option options[] = {
    LINN_TEXT(0, "ids", "LIST", settings, ids, "Token ids with commas between. Required"),
    LINN_INTEGER(0, "width", "N", settings, width, 1, 65536,
                 "Tokens in a forward pass. The output never depends on it"),
    LINN_CHOICE(0, "kv", settings, kv, kv_names, "Numbers in the KV cache"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024,
                 "Threads. The output never depends on it", .otherwise = "as many as processors"),
    LINN_OPTIONS_END,
};

/* What a run needs, for one place that frees it. */
typedef struct run {
    linn_engine *engine;
    linn_model *model;
    linn_session *session;
    linn_batch *batch;
    linn_row *rows; /* [width] */
} run;

static void free_run(run *r)
{
    free(r->rows);
    linn_batch_free(r->batch);
    linn_session_free(r->session);
    linn_model_free(r->model);
    linn_engine_free(r->engine);
}

static int open_run(run *r, const char *path, const settings *s, size_t n_ids, linn_error *err)
{
    linn_engine_settings engine = linn_engine_settings_default();
    engine.threads = (int)s->threads;
    int rc = linn_engine_create(&r->engine, &engine, err);
    if (rc == LINN_OK)
        rc = linn_model_open(&r->model, r->engine, path, err);
    if (rc != LINN_OK)
        return rc;
    int32_t n_ctx = linn_model_describe(r->model).n_ctx;
    if (n_ids < (size_t)n_ctx)
        n_ctx = (int32_t)n_ids;
    linn_session_settings session = {.n_ctx = n_ctx, .kv = (linn_kv_type)s->kv};
    rc = linn_session_create(&r->session, r->model, &session, err);
    if (rc == LINN_OK)
        rc = linn_batch_create(&r->batch, r->model, (int32_t)s->width, err);
    return rc;
}

/* Computes and writes the rows; false: *err, or the output, has failed. */
static bool write_logits(run *r, const settings *s, const linn_token *ids, int32_t n_ids,
                         linn_cli_output *out, linn_error *err)
{
    size_t row_bytes = (size_t)linn_model_describe(r->model).n_vocab * sizeof(float);
    for (int32_t first = 0; first < n_ids; first += (int32_t)s->width) {
        int32_t n = n_ids - first < s->width ? n_ids - first : (int32_t)s->width;
        linn_cli_pass_rows(r->rows, r->session, ids + first, n, LINN_OUT_LOGITS, LINN_OUT_LOGITS);
        if (linn_forward(r->batch, r->rows, n, err) != LINN_OK)
            return false;
        for (int32_t i = 0; i < n; i++)
            if (!linn_cli_write(out, linn_batch_logits(r->batch, i), row_bytes))
                return false;
    }
    return true;
}

static int logits(const linn_command *self, settings *s, const char *model, const linn_token *ids,
                  size_t n_ids)
{
    char *path;
    int status = linn_cli_model_path(self, model, &path);
    if (status != LINN_PARSED)
        return status;
    run r = {0};
    linn_error err = {0};
    linn_cli_output out = {0};
    if ((size_t)s->width > n_ids)
        s->width = (int64_t)n_ids;
    r.rows = malloc((size_t)s->width * sizeof *r.rows);
    bool good = r.rows && open_run(&r, path, s, n_ids, &err) == LINN_OK &&
                write_logits(&r, s, ids, (int32_t)n_ids, &out, &err);
    free_run(&r);
    free(path);
    if (!good && !out.error)
        return linn_cli_fail(self, "%s", err.code ? err.message : "out of memory");
    return linn_cli_output_finish(&out, self, LINN_EXIT_DONE);
}

static int main_logits(const linn_command *self, int argc, char **argv)
{
    settings s = {.width = WIDTH};
    int n_operands;
    int status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n_operands);
    if (status != LINN_PARSED)
        return status;
    if (!s.ids)
        return linn_cli_misuse(self, "--ids is missing: which tokens?");
    linn_token *ids;
    size_t n_ids;
    status = linn_cli_read_list(self, "--ids", "a token id", 0, s.ids, &ids, &n_ids);
    if (status != LINN_PARSED)
        return status;
    if (linn_cli_stdout_is_terminal())
        status = linn_cli_misuse(self, "the output is raw numbers, not for a terminal; "
                                       "send it to a file or a pipe");
    else
        status = logits(self, &s, argv[1], ids, n_ids);
    free(ids);
    return status;
}

const linn_command linn_command_logits = {
    .name = "logits",
    .usage = "MODEL --ids LIST [options]",
    .summary = "Write the logits of given tokens as raw numbers",
    .description =
        "Runs a model over the tokens given, from position 0 on, and writes its logits to standard "
        "output: float32, little-endian, a row of n_vocab numbers for each token, in order. Row i "
        "is the prediction after tokens 0 to i. MODEL is a GGUF file, or river, brook or rill.",
    .options = options,
    .examples = "  linn logits river --ids 1,2,3 >logits.f32\n"
                "  linn logits river --ids 1,2,3 --width 1 | cmp - logits.f32\n",
    .run = main_logits,
};
