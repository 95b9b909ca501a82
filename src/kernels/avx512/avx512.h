/* avx512.h - kernels for AVX-512 (F, BW, DQ, VL) with VNNI. */
#ifndef LINN_KERNELS_AVX512_AVX512_H
#define LINN_KERNELS_AVX512_AVX512_H

#include "kernels/kernels.h"

extern const linn_kernels linn_kernels_avx512;

/* product_f.c, product_q.c, product_k.c */
#define LINN_PRODUCT(name)                                                                   \
    void linn_avx512_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                    int32_t end, float *y, size_t y_stride);
LINN_PRODUCT(f32)
LINN_PRODUCT(f16)
LINN_PRODUCT(bf16)
LINN_PRODUCT(q8_0)
LINN_PRODUCT(iq4_nl)
LINN_PRODUCT(q4_0)
LINN_PRODUCT(q4_1)
LINN_PRODUCT(q5_0)
LINN_PRODUCT(q5_1)
LINN_PRODUCT(q2_k)
LINN_PRODUCT(q3_k)
LINN_PRODUCT(q4_k)
LINN_PRODUCT(q5_k)
LINN_PRODUCT(q6_k)
LINN_PRODUCT(iq4_xs)
#undef LINN_PRODUCT

/* rows.c */
void linn_avx512_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                          int16_t *sums);
void linn_avx512_swiglu(float *gate, const float *up, int32_t n);

/* attend.c */
void linn_avx512_attend(const linn_attend *a);

#endif
