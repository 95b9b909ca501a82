/* neon.h - kernels for NEON with dot products (Armv8.2-A and up). */
#ifndef LINN_KERNELS_NEON_NEON_H
#define LINN_KERNELS_NEON_NEON_H

#include "kernels/kernels.h"

extern const linn_kernels linn_kernels_neon;

/* product_f.c, product_q.c, product_k.c */
#define LINN_PRODUCT(name)                                                                 \
    void linn_neon_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
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
void linn_neon_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                        int16_t *sums);
void linn_neon_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y);
void linn_neon_swiglu(float *gate, const float *up, int32_t n);

/* attend.c */
void linn_neon_attend(const linn_attend *a);

#endif
