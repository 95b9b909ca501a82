/* models.c - see models.h. */
#include "models.h"

#include "model_path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int open_one(const linn_command *self, const char *name, linn_models *m)
{
    char *path;
    linn_error err;
    int status = linn_cli_model_path(self, name, &path);
    if (status != LINN_PARSED)
        return status;
    if (linn_model_open(&m->items[m->n], m->engine, path, &err) != LINN_OK)
        status = linn_cli_fail(self, "%s", err.message);
    else
        m->n++;
    free(path);
    return status;
}

static void compare_sizes(const linn_command *self, const linn_models *m)
{
    linn_model_info target = linn_model_describe(m->items[0]);
    linn_model_info drafter = linn_model_describe(m->items[m->n - 1]);
    if (drafter.n_parameters > target.n_parameters)
        linn_cli_note(self,
                      "the drafter %s (%" PRIu64 " parameters) is larger than %s (%" PRIu64
                      "): drafts will cost more than they save",
                      drafter.name, drafter.n_parameters, target.name, target.n_parameters);
}

int linn_cli_open_models(const linn_command *self, const char *target, linn_texts drafters,
                         int64_t threads, linn_models *out)
{
    *out = (linn_models){0};
    linn_engine_settings engine = linn_engine_settings_default();
    linn_error err;
    engine.threads = (int)threads;
    if (drafters.n > LINN_CLI_DRAFTERS)
        return linn_cli_misuse(self, "-d: %zu drafters: at most %d", drafters.n, LINN_CLI_DRAFTERS);
    if (linn_engine_create(&out->engine, &engine, &err) != LINN_OK)
        return linn_cli_fail(self, "%s", err.message);
    int status = open_one(self, target, out);
    for (size_t i = 0; i < drafters.n && status == LINN_PARSED; i++) {
        status = open_one(self, drafters.items[i], out);
        if (status == LINN_PARSED)
            compare_sizes(self, out);
    }
    return status;
}

int linn_cli_open_table(const linn_command *self, const char *name, linn_models *m)
{
    char *path;
    linn_error err;
    int status = name ? linn_cli_table_path(self, name, &path) : LINN_PARSED;
    if (!name || status != LINN_PARSED)
        return status;
    if (linn_ngram_open(&m->ngram, path, linn_model_tokenizer(m->items[0]), &err) != LINN_OK)
        status = linn_cli_fail(self, "%s", err.message);
    free(path);
    return status;
}

void linn_cli_close_models(linn_models *m)
{
    linn_ngram_free(m->ngram);
    for (size_t i = 0; i < m->n; i++)
        linn_model_free(m->items[i]);
    linn_engine_free(m->engine);
    *m = (linn_models){0};
}

linn_texts linn_cli_family(const char *target, linn_texts drafters)
{
    static const char *family[] = {"brook", "rill"};
    return drafters.n == 0 && strcmp(target, "river") == 0 ? (linn_texts){family, 2} : drafters;
}
