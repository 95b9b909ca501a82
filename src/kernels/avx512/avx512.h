/* avx512.h - kernels for AVX-512 (F, BW, DQ, VL) with VNNI. */
#ifndef LINN_KERNELS_AVX512_AVX512_H
#define LINN_KERNELS_AVX512_AVX512_H

#include "kernels/set.h"

extern const linn_kernels linn_kernels_avx512;

/* product_f.c, product_q.c, product_k.c */
LINN_DECLARE_PRODUCTS(avx512)

/* rows.c */
void linn_avx512_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                          int16_t *sums);
void linn_avx512_swiglu(float *gate, const float *up, int32_t n);

/* attend.c */
void linn_avx512_attend(const linn_attend *a);

#endif
