/* model.h - an open model: hyper-parameters, tensors, weights, tokenizer. Immutable. */
#ifndef LINN_MODEL_MODEL_H
#define LINN_MODEL_MODEL_H

#include "gguf/gguf.h"
#include "model/backend.h"

struct linn_model {
    linn_engine *engine;
    linn_file *file; /* owned; the tensors point into it */
    linn_tokenizer *tokenizer;
    const linn_backend *backend;
    linn_params params;
    linn_tensors tensors;
    linn_weights *weights;
    char *name;
    uint64_t identity;
};

/* A model from a parsed file, which it takes over (on failure too). `mapped`: the file was opened
 * from disk, not parsed from memory of the caller's. */
int linn_model_load(linn_model **out, linn_engine *e, linn_file *file, bool mapped,
                    linn_error *err);

#endif
