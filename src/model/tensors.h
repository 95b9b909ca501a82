/* tensors.h - the tensors of a model, found by name, of the right shape and type.
 *
 * After linn_tensors_bind nothing can be missing or of the wrong shape; a back end
 * takes the bytes from here. Everything points into the file.
 */
#ifndef LINN_MODEL_TENSORS_H
#define LINN_MODEL_TENSORS_H

#include "gguf/gguf.h"
#include "model/params.h"

/* Of one layer; matrices are [n_cols, n_rows] in GGUF's order. */
typedef struct linn_layer_tensors {
    const linn_tensor *attn_norm;                /* [n_embd] */
    const linn_tensor *q, *k, *v;                /* n_embd columns; heads * head_dim rows */
    const linn_tensor *q_bias, *k_bias, *v_bias; /* [rows of q, k, v]; all NULL: none */
    const linn_tensor *q_norm, *k_norm;          /* [head_dim]; NULL unless qk_norm */
    const linn_tensor *attn_output;              /* n_heads * head_dim columns, n_embd rows */
    const linn_tensor *ffn_norm;                 /* [n_embd] */
    const linn_tensor *gate, *up;                /* n_embd columns, n_ff rows */
    const linn_tensor *down;                     /* n_ff columns, n_embd rows */
} linn_layer_tensors;

typedef struct linn_tensors {
    const linn_tensor *token_embd;  /* n_embd columns, n_vocab rows */
    const linn_tensor *output_norm; /* [n_embd] */
    const linn_tensor *output;      /* n_embd columns, n_vocab rows; may be token_embd */
    const linn_tensor *rope_freqs;  /* [n_rot / 2] F32 divisors of frequencies; NULL: none */
    linn_layer_tensors *layers;     /* [n_layers] */
    uint64_t n_parameters;          /* a shared tensor counts once */
} linn_tensors;

/* Sets p->n_vocab too. */
int linn_tensors_bind(linn_tensors *out, linn_params *p, const linn_file *f, linn_error *err);
void linn_tensors_free(linn_tensors *t); /* takes a zeroed struct too */

#endif
