/* product_q.c - products with formats of 32 values a block: the specification.
 *
 * For each block b of a row in order, with the weight's levels q, scale dw and
 * minimum m, and the activations' levels p and scale da:
 *
 *     isum = sum_i q_i p_i                              exact
 *     acc  = fma(dw * da, (float) isum, acc)            from +0
 *     acc  = fma(m, da * (float) sum_i p_i, acc)        Q4_1 and Q5_1 only
 *
 *     format     q_i            |isum| at most
 *     Q8_0       -128 .. 127    32 x 128 x 127 =   520,192
 *     Q4_0         -8 .. 7      32 x   8 x 127 =    32,512
 *     Q4_1          0 .. 15     32 x  15 x 127 =    60,960
 *     Q5_0        -16 .. 15     32 x  16 x 127 =    65,024
 *     Q5_1          0 .. 31     32 x  31 x 127 =   125,984
 *     IQ4_NL     -127 .. 113    32 x 127 x 127 =   516,128
 *
 * so that (float) isum is exact too.
 */
#include "kernels/c/c.h"
#include "quant/blocks.h"
#include "quant/half.h"

enum { BLOCK = 32, COLUMNS = 16 };

typedef struct levels {
    float d, m; /* m: 0 for formats without a minimum */
    int8_t q[BLOCK];
} levels;

typedef void (*unpack)(const void *row, int32_t block, levels *out);

static int fifth_bit(uint32_t qh, int i)
{
    return (int)(qh >> i & 1) << 4;
}

static void unpack_q8_0(const void *row, int32_t block, levels *out)
{
    const linn_q8_0 *b = (const linn_q8_0 *)row + block;
    *out = (levels){.d = linn_f16_to_f32(b->d)};
    for (int i = 0; i < BLOCK; i++)
        out->q[i] = b->q[i];
}

static void unpack_q4_0(const void *row, int32_t block, levels *out)
{
    const linn_q4_0 *b = (const linn_q4_0 *)row + block;
    *out = (levels){.d = linn_f16_to_f32(b->d)};
    for (int i = 0; i < 16; i++) {
        out->q[i] = (int8_t)((b->q[i] & 15) - 8);
        out->q[i + 16] = (int8_t)((b->q[i] >> 4) - 8);
    }
}

static void unpack_q4_1(const void *row, int32_t block, levels *out)
{
    const linn_q4_1 *b = (const linn_q4_1 *)row + block;
    *out = (levels){.d = linn_f16_to_f32(b->d), .m = linn_f16_to_f32(b->m)};
    for (int i = 0; i < 16; i++) {
        out->q[i] = (int8_t)(b->q[i] & 15);
        out->q[i + 16] = (int8_t)(b->q[i] >> 4);
    }
}

static void unpack_q5_0(const void *row, int32_t block, levels *out)
{
    const linn_q5_0 *b = (const linn_q5_0 *)row + block;
    *out = (levels){.d = linn_f16_to_f32(b->d)};
    for (int i = 0; i < 16; i++) {
        out->q[i] = (int8_t)((b->q[i] & 15) + fifth_bit(b->qh, i) - 16);
        out->q[i + 16] = (int8_t)((b->q[i] >> 4) + fifth_bit(b->qh, i + 16) - 16);
    }
}

static void unpack_q5_1(const void *row, int32_t block, levels *out)
{
    const linn_q5_1 *b = (const linn_q5_1 *)row + block;
    *out = (levels){.d = linn_f16_to_f32(b->d), .m = linn_f16_to_f32(b->m)};
    for (int i = 0; i < 16; i++) {
        out->q[i] = (int8_t)((b->q[i] & 15) + fifth_bit(b->qh, i));
        out->q[i + 16] = (int8_t)((b->q[i] >> 4) + fifth_bit(b->qh, i + 16));
    }
}

static void unpack_iq4_nl(const void *row, int32_t block, levels *out)
{
    const linn_iq4_nl *b = (const linn_iq4_nl *)row + block;
    *out = (levels){.d = linn_f16_to_f32(b->d)};
    for (int i = 0; i < 16; i++) {
        out->q[i] = linn_iq4_values[b->q[i] & 15];
        out->q[i + 16] = linn_iq4_values[b->q[i] >> 4];
    }
}

static void product(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end, float *y,
                    size_t y_stride, unpack unpack_block, bool has_min)
{
    size_t k = (size_t)a->k, n_blocks = k / BLOCK;
    levels u;
    for (int32_t i = begin; i < end; i++) {
        const char *row = (const char *)w->data + (size_t)i * w->row_bytes;
        for (int32_t j0 = 0; j0 < a->n; j0 += COLUMNS) {
            int32_t j1 = a->n - j0 < COLUMNS ? a->n : j0 + COLUMNS;
            float acc[COLUMNS] = {0};
            for (size_t b = 0; b < n_blocks; b++) {
                unpack_block(row, (int32_t)b, &u);
                for (int32_t j = j0; j < j1; j++) {
                    const int8_t *p = a->q + (size_t)j * k + b * BLOCK;
                    float da = a->d[(size_t)j * n_blocks + b];
                    int32_t isum = 0, psum = 0;
                    for (int l = 0; l < BLOCK; l++) {
                        isum += u.q[l] * p[l];
                        psum += p[l];
                    }
                    float *s = &acc[j - j0];
                    *s = __builtin_fmaf(u.d * da, (float)isum, *s);
                    if (has_min)
                        *s = __builtin_fmaf(u.m, da * (float)psum, *s);
                }
            }
            for (int32_t j = j0; j < j1; j++)
                y[(size_t)j * y_stride + (size_t)i] = acc[j - j0];
        }
    }
}

#define PRODUCT(name, has_min)                                                          \
    void linn_c_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                               int32_t end, float *y, size_t y_stride)                  \
    {                                                                                   \
        product(w, a, begin, end, y, y_stride, unpack_##name, has_min);                 \
    }
PRODUCT(q8_0, false)
PRODUCT(q4_0, false)
PRODUCT(q4_1, true)
PRODUCT(q5_0, false)
PRODUCT(q5_1, true)
PRODUCT(iq4_nl, false)
