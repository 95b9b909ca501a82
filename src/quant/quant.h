/* quant.h - the number formats of tensors: layout, decoding, encoding.
 *
 * Scalar code only: this is the specification of what the bytes mean. Products
 * that work on the packed blocks directly live in kernels/.
 */
#ifndef LINN_QUANT_QUANT_H
#define LINN_QUANT_QUANT_H

#include "linn.h"
#include "quant/half.h"

/* Numbers as in GGUF files. */
enum {
    LINN_TYPE_F32 = 0,
    LINN_TYPE_F16 = 1,
    LINN_TYPE_Q4_0 = 2,
    LINN_TYPE_Q4_1 = 3,
    LINN_TYPE_Q5_0 = 6,
    LINN_TYPE_Q5_1 = 7,
    LINN_TYPE_Q8_0 = 8,
    LINN_TYPE_Q2_K = 10,
    LINN_TYPE_Q3_K = 11,
    LINN_TYPE_Q4_K = 12,
    LINN_TYPE_Q5_K = 13,
    LINN_TYPE_Q6_K = 14,
    LINN_TYPE_IQ4_NL = 20,
    LINN_TYPE_IQ4_XS = 23,
    LINN_TYPE_BF16 = 30,
    LINN_TYPE_LIMIT = 31,
};

typedef struct linn_type_info {
    const char *name; /* "Q4_K" */
    uint32_t block;   /* values in a block: 1, 32 or 256 */
    uint32_t bytes;   /* bytes of a block */
    /* n_blocks blocks to block * n_blocks values */
    void (*decode)(const void *blocks, float *values, size_t n_blocks);
    /* the other way, nearest in the least-squares sense of the format */
    void (*encode)(const float *values, void *blocks, size_t n_blocks);
} linn_type_info;

/* NULL when linn does not know the type. */
const linn_type_info *linn_type_find(uint32_t type);
/* By name, as "Q4_K", letter case ignored; -1 when there is none. */
int linn_type_by_name(const char *name);
/* The name GGUF gives a type number, known to linn or not ("IQ2_XXS"), for messages; "unknown"
 * for numbers that GGUF does not have. */
const char *linn_type_name(uint32_t type);

#endif
