/* synthetic.h - models with random weights, for tests and benchmarks.
 *
 * A plan lists the keys and tensors of a file; it can be changed before it is written,
 * so that tests can break a model in one place. The weights are a function of seed and
 * tensor name. Matrices have a deviation of 1 / sqrt(columns) or so in every format, so
 * that activations stay near 1 and each layer matters; norms vary around 1.
 */
#ifndef LINN_TESTS_MODEL_SYNTHETIC_H
#define LINN_TESTS_MODEL_SYNTHETIC_H

#include "gguf/gguf.h"
#include "quant/quant.h"

typedef struct synthetic {
    const char *architecture;
    uint32_t type; /* of matrices */
    int n_layers, n_embd, n_heads, n_kv_heads, n_ff, n_vocab, n_ctx;
    int head_dim; /* 0: n_embd / n_heads */
    float eps, freq_base;
    bool tied;             /* no output.weight */
    bool rope_factors;     /* has rope_freqs.weight */
    float rope_scale;      /* linear scaling of positions; 0: no keys of it */
    const char *tokenizer; /* GGUF file to copy the tokenizer from; NULL: bytes only */
    uint64_t seed;
} synthetic;

/* Small: two layers, 64 wide, 4 heads sharing 2, 300 tokens, F32. */
synthetic synthetic_small(const char *architecture);

typedef struct synthetic_key {
    char name[80];
    linn_gguf_kind kind; /* U32, F32, BOOL or STRING */
    uint32_t u32;
    float f32;
    const char *string; /* not owned */
} synthetic_key;

typedef enum synthetic_fill { FILL_MATRIX, FILL_NORM, FILL_BIAS, FILL_FACTORS } synthetic_fill;

typedef struct synthetic_tensor {
    char name[64];
    uint32_t type;
    int n_dims;
    uint64_t shape[4];
    synthetic_fill fill;
    float deviation; /* of FILL_MATRIX and FILL_BIAS */
} synthetic_tensor;

typedef struct synthetic_plan {
    synthetic spec;
    synthetic_key *keys; /* [n_keys] of [64] */
    size_t n_keys;
    synthetic_tensor *tensors; /* [n_tensors], room for 8 more */
    size_t n_tensors;
} synthetic_plan;

/* NULL: out of memory. */
synthetic_plan *synthetic_plan_create(const synthetic *s);
void synthetic_plan_free(synthetic_plan *p);

/* Sets a key, or adds it. */
void synthetic_set_u32(synthetic_plan *p, const char *name, uint32_t value);
void synthetic_set_f32(synthetic_plan *p, const char *name, float value);
void synthetic_set_bool(synthetic_plan *p, const char *name, bool value);
void synthetic_set_string(synthetic_plan *p, const char *name, const char *value);
void synthetic_drop_key(synthetic_plan *p, const char *name);
/* NULL: no such tensor. */
synthetic_tensor *synthetic_find(synthetic_plan *p, const char *name);
void synthetic_drop_tensor(synthetic_plan *p, const char *name);
/* Adds a vector, or a matrix if n_rows > 0. */
synthetic_tensor *synthetic_add(synthetic_plan *p, const char *name, uint32_t type, int n_cols,
                                int n_rows);

int synthetic_write(const synthetic_plan *p, const char *path, linn_error *err);

/* Plans and writes in one go. */
int synthetic_make(const synthetic *s, const char *path, linn_error *err);

#endif
