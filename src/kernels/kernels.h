/* kernels.h - the table of numeric kernels.
 *
 * Plain C (c/) fills the table and is the specification: it states the order of
 * every reduction. Each instruction set overrides what it does better and must
 * give the same bits (tests compare with memcmp). Nobody but this folder knows
 * which one runs. docs/numerics.md is the public form of what is said here.
 *
 * Rules for all kernels: fma only where written; no reciprocal estimates; no
 * library functions; max(a, b) is a > b ? a : b; rounding is to nearest even,
 * subnormals are kept. The tree over 8 lanes is
 *     ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)).
 * A result that is NaN is NaN everywhere; which NaN is not promised. Buffers are
 * aligned to 64 bytes unless said otherwise; outputs alias no inputs unless said
 * otherwise.
 */
#ifndef LINN_KERNELS_KERNELS_H
#define LINN_KERNELS_KERNELS_H

#include "linn.h"
#include "quant/quant.h"

enum {
    LINN_KV_PAGE = 64,   /* positions in a KV page; attention merges pages in order */
    LINN_ROW_GRAIN = 16, /* matrix products are split at multiples of this many rows */
};

/* A weight matrix: n_rows rows (outputs) of n_cols values (inputs), each row a whole number of
 * blocks. `data` is the file's layout; `packed` is a layout of the kernel table's own, made once
 * at load (linn_kernels.pack), in which rows are interleaved as its products like them. A product
 * reads `packed` where packed_bytes is not 0, else `data`. */
typedef struct linn_matrix {
    uint32_t type; /* LINN_TYPE_* */
    int32_t n_rows, n_cols;
    size_t row_bytes;   /* of data */
    const void *data;   /* aligned to 32 bytes at least; not read once packed */
    const void *packed; /* aligned to 64 bytes; NULL: not packed */
} linn_matrix;

/* What products multiply a matrix with: n rows of k values, in one of three forms.
 *
 * Quantised rows: in each block of B values (32 or 256), with a = max |x_i|,
 *     d = a / 127,  q_i = round_to_nearest_even(x_i * (127 / a))       so |q_i| <= 127,
 *     sums[j] = the sum of q over the j-th group of 16 values.
 * Where a < 2^-100:             d = 0 and all q_i = 0.
 * Where any x_i is inf or NaN:  d = NaN and all q_i = 0, so whatever depends on it is NaN. */
typedef enum linn_act_form {
    LINN_ACT_F32, /* for F32, F16, BF16 weights */
    LINN_ACT_Q8,  /* blocks of 32: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL */
    LINN_ACT_Q8K, /* blocks of 256: the K formats, IQ4_XS */
    LINN_ACT_FORMS
} linn_act_form;

#define LINN_ACT_TINY 0x1p-100f

typedef struct linn_acts {
    int32_t n, k;
    const float *x; /* [n, k]; F32 form */
    int8_t *q;      /* [n, k] */
    float *d;       /* [n, k / B] */
    int16_t *sums;  /* [n, k / 16], sums of 16 q */
} linn_acts;

linn_act_form linn_act_form_of(uint32_t type); /* of weights */

/* A tile of the KV cache: K or V of one KV head at the positions of a page.
 *
 *     f16, f32   K [head_dim, LINN_KV_PAGE]     V [LINN_KV_PAGE, head_dim]
 *     q8_0       float d[n_blocks, LINN_KV_PAGE], then int8_t levels: 4 values of a position
 *                stand together,
 *                K [8 n_blocks, LINN_KV_PAGE, 4]     V [LINN_KV_PAGE, 32 n_blocks]
 *
 * In q8_0, 32 values of a head at one position are a block, quantised as activations are (Q8
 * form); where head_dim is no multiple of 32, zeros fill the last block. */
enum { LINN_KV_BLOCK = 32 };

static inline size_t linn_kv_blocks(int32_t head_dim)
{
    return ((size_t)head_dim + LINN_KV_BLOCK - 1) / LINN_KV_BLOCK;
}

static inline size_t linn_kv_tile_bytes(linn_kv_type type, int32_t head_dim)
{
    size_t block = LINN_KV_BLOCK + sizeof(float), n = (size_t)head_dim;
    size_t bytes = type == LINN_KV_Q8_0  ? linn_kv_blocks(head_dim) * block
                   : type == LINN_KV_F32 ? n * sizeof(float)
                                         : n * sizeof(uint16_t);
    return LINN_KV_PAGE * bytes;
}

/* of a q8_0 tile */
static inline int8_t *linn_kv_levels(const void *tile, int32_t head_dim)
{
    size_t scales = linn_kv_blocks(head_dim) * LINN_KV_PAGE * sizeof(float);
    return (int8_t *)(uintptr_t)tile + scales;
}

/* Attention of n_q queries that share a KV head over one page, folded into running
 * (m, l, acc), which start as (-inf, 0, 0). For each query j, over its first n_visible[j]
 * positions i of the page (none: nothing changes):
 *     s_i = scale * sum_d q_d k_id          fma chain over d from 0
 *     m'  = max(m, s_0, s_1, ...)           c = exp(m - m')      p_i = exp(s_i - m')
 *     l   = fma(l, c, sum_i p_i)            8 lanes by i mod 8, then the tree
 *     acc_d = acc_d * c, then acc_d = fma(p_i, v_id, acc_d) for i = 0, 1, ...
 * With q8_0, where a block b of the query has the scale dq_b and levels, and isum is the exact
 * integer sum over the block of level times level, the first and the last line are
 *     s_i = scale * sum_b (dq_b * dk_ib) isum_ib        fma chain over b from 0
 *     acc_d = acc_d * c, then acc_d = fma(p_i * dv_ib, level of v_id, acc_d) for i = 0, 1, ...
 */
typedef struct linn_attend {
    int32_t head_dim; /* a multiple of 2 */
    int32_t n_q;
    linn_kv_type kv;
    const void *k, *v;        /* tiles */
    const float *const *q;    /* [n_q] pointers to [head_dim]; those not read with q8_0 */
    const linn_acts *q8;      /* [n_q, 32 n_blocks] with q8_0: the queries in Q8 form */
    const int32_t *n_visible; /* [n_q] 0 .. LINN_KV_PAGE */
    ptrdiff_t next; /* bytes from k and v to those of the page that comes next, to prefetch */
    float scale;
    float *m, *l; /* [n_q] */
    float *acc;   /* [n_q, head_dim] */
} linn_attend;

typedef struct linn_kernels {
    const char *name; /* "c", "avx2" */

    /* One row: x [k] to q [k], d [k / B], sums [k / 16]. */
    void (*quantize)(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                     int16_t *sums);

    /* Bytes of the packed form of a matrix of w's type and shape; 0: products read w->data. */
    size_t (*packed_bytes)(const linn_matrix *w);
    /* Packs rows [begin, end) of w->data to their place in packed[packed_bytes]; begin is a
     * multiple of LINN_ROW_GRAIN, end too unless it is n_rows (what pads the last group of rows
     * is written as zeros). */
    void (*pack)(const linn_matrix *w, int32_t begin, int32_t end, void *packed);

    /* y[j * y_stride + i] = sum_k w[i, k] a[j, k] for rows i of [begin, end) and all rows j of a.
     * begin is a multiple of LINN_ROW_GRAIN. Indexed by weight type.
     * Quantised: per block in order,  acc = fma(dw * da, (float) isum, acc)  with the exact
     * integer sum of the block (c/product_q.c, c/product_k.c), and for formats with a minimum
     * a second fma. Float: 8 lanes by k mod 8 (rows padded with +0), then the tree. */
    void (*product[LINN_TYPE_LIMIT])(const linn_matrix *w, const linn_acts *a, int32_t begin,
                                     int32_t end, float *y, size_t y_stride);

    /* y_i = (x_i * r) * w_i, r = 1 / sqrt(sum x^2 / n + eps); sum: 8 lanes by i mod 8 of fma,
     * then the tree. y may be x. Any alignment, as in the next four. */
    void (*rms_norm)(const float *x, const float *w, float eps, int32_t n, float *y);
    /* x_i = x_i + y_i */
    void (*add)(float *x, const float *y, int32_t n);
    /* gate_i = (gate_i / (1 + exp(-gate_i))) * up_i */
    void (*swiglu)(float *gate, const float *up, int32_t n);
    /* y_i = x_i in binary16, rounded to nearest even (quant/half.h); y is not x. */
    void (*to_f16)(const float *x, int32_t n, uint16_t *y);
    /* Rotates n_heads heads of head_dim values, the first n_rot of each, by the angles whose cos
     * and sin are given [n_rot / 2]. Pair i is (2i, 2i+1), or (i, i + n_rot / 2) if `neox`:
     * (a, b) -> (fma(a, c, -(b * s)), fma(a, s, b * c)). */
    void (*rope)(float *x, int32_t n_heads, int32_t head_dim, int32_t n_rot, bool neox,
                 const float *cos, const float *sin);
    void (*attend)(const linn_attend *a);
} linn_kernels;

/* The best table that the processor and `mask` (LINN_CPU_*) allow. Constant data. */
const linn_kernels *linn_kernels_select(unsigned mask);
/* LINN_CPU_* that this processor and its operating system have. */
unsigned linn_cpu_features(void);

#endif
