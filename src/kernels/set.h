/* set.h - what is written the same way in every set of kernels, SET being c, avx2, avx512 or neon:
 * the declarations and the table of its products, and the choice of a KV cache's attention. */
#ifndef LINN_KERNELS_SET_H
#define LINN_KERNELS_SET_H

#include "kernels/kernels.h"

/* USE(SET, NAME, TYPE) for each format. */
#define LINN_EACH_PRODUCT(USE, SET) \
    USE(SET, f32, F32)              \
    USE(SET, f16, F16)              \
    USE(SET, bf16, BF16)            \
    USE(SET, q8_0, Q8_0)            \
    USE(SET, q4_0, Q4_0)            \
    USE(SET, q4_1, Q4_1)            \
    USE(SET, q5_0, Q5_0)            \
    USE(SET, q5_1, Q5_1)            \
    USE(SET, q2_k, Q2_K)            \
    USE(SET, q3_k, Q3_K)            \
    USE(SET, q4_k, Q4_K)            \
    USE(SET, q5_k, Q5_K)            \
    USE(SET, q6_k, Q6_K)            \
    USE(SET, iq4_nl, IQ4_NL)        \
    USE(SET, iq4_xs, IQ4_XS)

#define LINN_DECLARE_PRODUCT(SET, NAME, TYPE)                                                 \
    void linn_##SET##_product_##NAME(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                     int32_t end, float *y, size_t y_stride);
#define LINN_PRODUCT_ENTRY(SET, NAME, TYPE) [LINN_TYPE_##TYPE] = linn_##SET##_product_##NAME,

/* The functions of product_f.c, product_q.c and product_k.c, and the table's entry .product. */
#define LINN_DECLARE_PRODUCTS(SET) LINN_EACH_PRODUCT(LINN_DECLARE_PRODUCT, SET)
#define LINN_PRODUCT_TABLE(SET)                    \
    {                                              \
        LINN_EACH_PRODUCT(LINN_PRODUCT_ENTRY, SET) \
    }

/* Defines linn_SET_attend by the template attend(a, kv) in the same file, once for each type of
 * cache; plain C has heads that are no whole blocks of a quantised one. */
#define LINN_DEFINE_ATTEND(SET)                    \
    static void attend_f16(const linn_attend *a)   \
    {                                              \
        attend(a, LINN_KV_F16);                    \
    }                                              \
    static void attend_f32(const linn_attend *a)   \
    {                                              \
        attend(a, LINN_KV_F32);                    \
    }                                              \
    static void attend_q8(const linn_attend *a)    \
    {                                              \
        attend(a, LINN_KV_Q8_0);                   \
    }                                              \
    void linn_##SET##_attend(const linn_attend *a) \
    {                                              \
        if (a->kv == LINN_KV_F32)                  \
            attend_f32(a);                         \
        else if (a->kv == LINN_KV_F16)             \
            attend_f16(a);                         \
        else if (a->head_dim % LINN_KV_BLOCK == 0) \
            attend_q8(a);                          \
        else                                       \
            linn_c_attend(a);                      \
    }

#endif
