/* avx2.h - kernels for AVX2, FMA and F16C. */
#ifndef LINN_KERNELS_AVX2_AVX2_H
#define LINN_KERNELS_AVX2_AVX2_H

#include "kernels/set.h"

extern const linn_kernels linn_kernels_avx2;

/* product_f.c, product_q.c */
LINN_DECLARE_PRODUCTS(avx2)

/* rows.c */
void linn_avx2_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                        int16_t *sums);
void linn_avx2_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y);
void linn_avx2_add(float *x, const float *y, int32_t n);
void linn_avx2_swiglu(float *gate, const float *up, int32_t n);
void linn_avx2_to_f16(const float *x, int32_t n, uint16_t *y);
void linn_avx2_rope(float *x, int32_t n_heads, int32_t head_dim, int32_t n_rot, bool neox,
                    const float *cos, const float *sin);

/* attend.c */
void linn_avx2_attend(const linn_attend *a);

#endif
