/* model.c - opens models; see model.h. */
#include "model/model.h"
#include "base/error.h"
#include "base/hash.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* The name in the file, else the file's own without folder and ".gguf". */
static int read_name(linn_model *m, linn_error *err)
{
    linn_string name = {"", 0};
    int rc = linn_file_maybe_string(m->file, "general.name", &name, err);
    if (rc != LINN_OK)
        return rc;
    if (name.length == 0) {
        const char *path = linn_file_path(m->file), *slash = strrchr(path, '/');
        name.data = slash ? slash + 1 : path;
        name.length = strlen(name.data);
        if (name.length > 5 && strcmp(name.data + name.length - 5, ".gguf") == 0)
            name.length -= 5;
    }
    m->name = strndup(name.data, name.length);
    return m->name ? LINN_OK
                   : linn_fail(err, LINN_ENOMEM, "%s: out of memory", linn_file_path(m->file));
}

static int check_vocabulary(const linn_model *m, linn_error *err)
{
    int32_t n = linn_tokenizer_size(m->tokenizer);
    if (n > m->params.n_vocab)
        return linn_fail(err, LINN_EFORMAT, "%s: the tokenizer has %d tokens, the model only %d",
                         linn_file_path(m->file), n, m->params.n_vocab);
    return LINN_OK;
}

/* Of names, types and shapes, and of some bytes at the beginning, middle and end of each tensor. */
static uint64_t identity_of(const linn_file *f)
{
    enum { SAMPLE = 64 };
    uint64_t h = linn_file_tensors(f);
    for (size_t i = 0; i < linn_file_tensors(f); i++) {
        const linn_tensor *t = linn_file_tensor_at(f, i);
        size_t n = t->size < SAMPLE ? t->size : SAMPLE;
        h = linn_hash_bytes(h, t->name.data, t->name.length);
        h = linn_hash_bytes(h, t->shape, sizeof t->shape);
        h = linn_hash_mix(h, t->type);
        for (size_t at = 0; at < 3 && t->data; at++)
            h = linn_hash_bytes(h, (const char *)t->data + (t->size - n) / 2 * at, n);
    }
    return h;
}

int linn_model_load(linn_model **out, linn_engine *e, linn_file *file, bool mapped, linn_error *err)
{
    *out = NULL;
    linn_model *m = calloc(1, sizeof *m);
    if (!m) {
        linn_file_close(file);
        return linn_fail(err, LINN_ENOMEM, "out of memory for a model");
    }
    m->engine = e;
    m->file = file;
    m->identity = identity_of(file);
    m->backend = &linn_backend_cpu;
    int rc = linn_params_read(&m->params, file, err);
    if (rc == LINN_OK)
        rc = linn_tensors_bind(&m->tensors, &m->params, file, err);
    if (rc == LINN_OK)
        rc = read_name(m, err);
    if (rc == LINN_OK)
        rc = linn_tokenizer_create(&m->tokenizer, file, err);
    if (rc == LINN_OK)
        rc = check_vocabulary(m, err);
    if (rc == LINN_OK)
        rc = m->backend->load(&m->weights, e, &m->params, &m->tensors, mapped, err);
    if (rc != LINN_OK)
        linn_model_free(m);
    else
        *out = m;
    return rc;
}

int linn_model_open(linn_model **out, linn_engine *e, const char *path, linn_error *err)
{
    *out = NULL;
    linn_file *file;
    int rc = linn_file_open(&file, path, err);
    return rc == LINN_OK ? linn_model_load(out, e, file, true, err) : rc;
}

void linn_model_free(linn_model *m)
{
    if (!m)
        return;
    m->backend->unload(m->weights);
    linn_tokenizer_free(m->tokenizer);
    linn_tensors_free(&m->tensors);
    linn_file_close(m->file);
    free(m->name);
    free(m);
}

linn_model_info linn_model_describe(const linn_model *m)
{
    const linn_params *p = &m->params;
    return (linn_model_info){
        .name = m->name,
        .architecture = p->architecture,
        .n_vocab = p->n_vocab,
        .n_ctx = p->n_ctx,
        .n_layers = p->n_layers,
        .n_embd = p->n_embd,
        .n_heads = p->n_heads,
        .n_kv_heads = p->n_kv_heads,
        .head_dim = p->head_dim,
        .n_ff = p->n_ff,
        .n_parameters = m->tensors.n_parameters,
        .weight_bytes = m->backend->weight_bytes(m->weights),
        .identity = m->identity,
        .engine = m->engine,
    };
}

const linn_tokenizer *linn_model_tokenizer(const linn_model *m)
{
    return m->tokenizer;
}
