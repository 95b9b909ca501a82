/* c.h - the plain C kernels, one file a concern; table.c joins them. They are the
 * specification, so they are written for reading first. Other instruction sets
 * use an entry of these where they have nothing better. */
#ifndef LINN_KERNELS_C_C_H
#define LINN_KERNELS_C_C_H

#include "kernels/set.h"

extern const linn_kernels linn_kernels_c;

/* table.c: plain C multiplies with the file's layout */
size_t linn_c_packed_bytes(const linn_matrix *w);
void linn_c_pack(const linn_matrix *w, int32_t begin, int32_t end, void *packed);

/* activations.c */
void linn_c_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                     int16_t *sums);

/* product_f.c, product_q.c, product_k.c */
LINN_DECLARE_PRODUCTS(c)

/* rows.c */
void linn_c_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y);
void linn_c_add(float *x, const float *y, int32_t n);
void linn_c_swiglu(float *gate, const float *up, int32_t n);
void linn_c_to_f16(const float *x, int32_t n, uint16_t *y);
void linn_c_rope(float *x, int32_t n_heads, int32_t head_dim, int32_t n_rot, bool neox,
                 const float *cos, const float *sin);

/* attend.c */
void linn_c_attend(const linn_attend *a);

#endif
