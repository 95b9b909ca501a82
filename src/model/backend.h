/* backend.h - what computes a model: it owns the weights and the KV cache, and the
 * forward pass is its method.
 *
 * Outside a back end nobody looks into weights, KV pages or activations; what comes
 * out are the outputs asked for, in memory of the host. One back end exists, the CPU
 * (cpu/). A second one fills another table.
 *
 * The numeric contract binds each: what a row gives never depends on the other rows
 * of the pass, on how a timeline was cut into passes, or on the number of threads.
 */
#ifndef LINN_MODEL_BACKEND_H
#define LINN_MODEL_BACKEND_H

#include "linn.h"
#include "model/params.h"
#include "model/tensors.h"

typedef struct linn_weights linn_weights;     /* of a model; immutable */
typedef struct linn_store linn_store;         /* of KV pages, by number */
typedef struct linn_workspace linn_workspace; /* of a batch: activations between stages */

/* A pass that has been checked (batch.c): the KV pages of every session reach to its last row,
 * and no page written to is shared. The lists are ascending. */
typedef struct linn_pass {
    const linn_row *rows; /* [n_rows] */
    int32_t n_rows;
    const int32_t *logit_rows; /* [n_logits] rows whose logits are asked for */
    int32_t n_logits;
    float *logits;              /* [n_logits, n_vocab] */
    const int32_t *hidden_rows; /* [n_hidden] */
    int32_t n_hidden;
    float *hidden; /* [n_hidden, n_embd] after the last norm */
} linn_pass;

typedef struct linn_backend {
    const char *name;

    /* `mapped`: the tensors lie in a mapped file, whose pages may be given back once copied. p and
     * t outlive the weights. */
    int (*load)(linn_weights **out, linn_engine *e, const linn_params *p, const linn_tensors *t,
                bool mapped, linn_error *err);
    void (*unload)(linn_weights *w);
    /* Bytes of weights that a pass of one token reads. */
    uint64_t (*weight_bytes)(const linn_weights *w);

    /* Room for n_pages pages of all layers; memory is taken when a page is first written. */
    int (*store_create)(linn_store **out, const linn_weights *w, linn_kv_type type, int32_t n_pages,
                        linn_error *err);
    void (*store_free)(linn_store *s);
    void (*store_copy)(linn_store *s, int32_t from, int32_t to); /* a page */

    int (*workspace_create)(linn_workspace **out, const linn_weights *w, linn_error *err);
    void (*workspace_free)(linn_workspace *s);
    /* Allocates nothing. Leaves the sessions as they are, but for the KV of the rows. */
    int (*forward)(linn_workspace *s, const linn_pass *pass, linn_error *err);
} linn_backend;

extern const linn_backend linn_backend_cpu;

#endif
