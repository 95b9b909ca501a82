/* params.h - the hyper-parameters of a model: what kind of transformer, how large.
 *
 * linn_params_read takes them from the keys of a file and refuses what linn has no
 * code for, so that everything after it may rely on:
 *
 *     all sizes >= 1 and within the limits below; n_heads a multiple of n_kv_heads;
 *     head_dim and n_rot even, n_rot <= head_dim; eps finite and above 0;
 *     freq_base >= 1; rope_scale >= 1/8 (with factors of at least 1/8, angles stay where
 *     sines are exact, math.h).
 *
 * What depends on tensors (shapes, n_vocab, rope factors) is checked where they are
 * bound, tensors.h.
 */
#ifndef LINN_MODEL_PARAMS_H
#define LINN_MODEL_PARAMS_H

#include "linn_tools.h"

enum {
    LINN_MAX_LAYERS = 4096,
    LINN_MAX_HEADS = 1 << 16,
    LINN_MAX_HEAD_DIM = 1 << 14,
    LINN_MAX_WIDTH = 1 << 24, /* of any vector of activations */
    LINN_MAX_CTX = 1 << 24,   /* positions of a context */
};

typedef struct linn_params {
    const char *architecture; /* "llama"; constant */
    int32_t n_vocab;          /* rows of the embedding and of the output matrix */
    int32_t n_ctx;            /* positions the model was trained for */
    int32_t n_layers;
    int32_t n_embd;
    int32_t n_heads, n_kv_heads, head_dim;
    int32_t n_ff;
    int32_t n_rot;     /* leading values of a head that are rotated */
    bool neox;         /* rotates pairs (i, i + n_rot / 2) instead of (2i, 2i + 1) */
    bool qk_norm;      /* RMS norm of each head of q and k before the rotation */
    bool qkv_bias;     /* q, k and v have biases (others may have them) */
    float eps;         /* of all RMS norms */
    double freq_base;  /* pair i turns by freq_base^(-2i / n_rot) a position */
    double rope_scale; /* positions are divided by this */
    int32_t window;    /* positions that attention looks back on, >= n_ctx; 0: all */
} linn_params;

/* Everything but n_vocab, which the embedding has. */
int linn_params_read(linn_params *out, const linn_file *f, linn_error *err);

#endif
