/* neon.h - kernels for NEON with dot products (Armv8.2-A and up). */
#ifndef LINN_KERNELS_NEON_NEON_H
#define LINN_KERNELS_NEON_NEON_H

#include "kernels/set.h"

extern const linn_kernels linn_kernels_neon;

/* product_f.c, product_q.c, product_k.c */
LINN_DECLARE_PRODUCTS(neon)

/* rows.c */
void linn_neon_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                        int16_t *sums);
void linn_neon_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y);
void linn_neon_swiglu(float *gate, const float *up, int32_t n);
void linn_neon_to_f16(const float *x, int32_t n, uint16_t *y);

/* attend.c */
void linn_neon_attend(const linn_attend *a);

#endif
