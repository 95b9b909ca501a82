/* product_k.c - products with formats of 256 values a block: the specification.
 *
 * A block has groups g of 16 or 32 values with an integer scale sc[g] and, in
 * Q2_K, Q4_K and Q5_K, an integer minimum mn[g]. For each block of a row in order,
 * with the weight's levels q and scales d, dmin, and the activations' levels p and
 * scale da:
 *
 *     isum = sum_g sc[g] sum_{i in g} q_i p_i               exact in int32
 *     acc  = fma(d * da, (float) isum, acc)                 from +0
 *     msum = sum_g mn[g] sum_{i in g} p_i                   exact in int32
 *     acc  = fma(-(dmin * da), (float) msum, acc)           Q2_K, Q4_K, Q5_K only
 *
 *     format   q_i           sc             |isum| at most 256 x      mn    |msum| at most
 *     Q2_K      0 .. 3        0 .. 15         3 x 127 x  15 =   1.5M   15     0.5M
 *     Q3_K     -4 .. 3      -32 .. 31         4 x 127 x  32 =   4.2M
 *     Q4_K      0 .. 15       0 .. 63        15 x 127 x  63 =  30.7M   63     2.1M
 *     Q5_K      0 .. 31       0 .. 63        31 x 127 x  63 =  63.5M   63     2.1M
 *     Q6_K    -32 .. 31    -128 .. 127       32 x 127 x 128 = 133.2M
 *     IQ4_XS -127 .. 113    -32 .. 31       127 x 127 x  32 = 132.2M
 *
 * Above 2^24 the conversion to float rounds, to nearest even.
 */
#include "kernels/c/c.h"
#include "quant/blocks.h"
#include "quant/half.h"

#include <string.h>

enum { BLOCK = 256, GROUPS = 16, COLUMNS = 16 };

typedef struct levels {
    float d, dmin;
    int8_t q[BLOCK];
    int8_t sc[GROUPS]; /* of each 16 values; twice the same in formats with groups of 32 */
    uint8_t mn[GROUPS];
} levels;

typedef void (*unpack)(const void *row, int32_t block, levels *out);

/* the low two bits of the 256 levels of Q2_K and Q3_K */
static void two_bits(const uint8_t q[64], int8_t out[BLOCK])
{
    for (int i = 0; i < BLOCK; i++)
        out[i] = (int8_t)(q[i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3);
}

static void unpack_q2_k(const void *row, int32_t block, levels *out)
{
    const linn_q2_k *b = (const linn_q2_k *)row + block;
    out->d = linn_f16_to_f32(b->d);
    out->dmin = linn_f16_to_f32(b->dmin);
    two_bits(b->q, out->q);
    for (int g = 0; g < GROUPS; g++) {
        out->sc[g] = (int8_t)(b->scales[g] & 15);
        out->mn[g] = b->scales[g] >> 4;
    }
}

static void unpack_q3_k(const void *row, int32_t block, levels *out)
{
    const linn_q3_k *b = (const linn_q3_k *)row + block;
    out->d = linn_f16_to_f32(b->d);
    two_bits(b->q, out->q);
    for (int i = 0; i < BLOCK; i++)
        out->q[i] = (int8_t)(out->q[i] + ((b->qh[i % 32] >> i / 32 & 1) << 2) - 4);
    linn_q3_k_scales(b->scales, out->sc);
}

/* the low four bits of the 256 levels of Q4_K and Q5_K */
static void four_bits(const uint8_t q[128], int8_t out[BLOCK])
{
    for (int i = 0; i < BLOCK; i++)
        out[i] = (int8_t)(q[i / 64 * 32 + i % 32] >> 4 * (i / 32 % 2) & 15);
}

static void k4_groups(const uint8_t packed[12], levels *out)
{
    uint8_t sc[8], mn[8];
    linn_k4_scales(packed, sc, mn);
    for (int g = 0; g < GROUPS; g++) {
        out->sc[g] = (int8_t)sc[g / 2];
        out->mn[g] = mn[g / 2];
    }
}

static void unpack_q4_k(const void *row, int32_t block, levels *out)
{
    const linn_q4_k *b = (const linn_q4_k *)row + block;
    out->d = linn_f16_to_f32(b->d);
    out->dmin = linn_f16_to_f32(b->dmin);
    four_bits(b->q, out->q);
    k4_groups(b->scales, out);
}

static void unpack_q5_k(const void *row, int32_t block, levels *out)
{
    const linn_q5_k *b = (const linn_q5_k *)row + block;
    out->d = linn_f16_to_f32(b->d);
    out->dmin = linn_f16_to_f32(b->dmin);
    four_bits(b->q, out->q);
    for (int i = 0; i < BLOCK; i++)
        out->q[i] = (int8_t)(out->q[i] + ((b->qh[i % 32] >> i / 32 & 1) << 4));
    k4_groups(b->scales, out);
}

static void unpack_q6_k(const void *row, int32_t block, levels *out)
{
    const linn_q6_k *b = (const linn_q6_k *)row + block;
    out->d = linn_f16_to_f32(b->d);
    for (int i = 0; i < BLOCK; i++) {
        int h = i / 128, c = i / 32 % 4, l = i % 32; /* half, quarter of it, place */
        int low = b->ql[64 * h + 32 * (c % 2) + l] >> 4 * (c / 2) & 15;
        int high = b->qh[32 * h + l] >> 2 * c & 3;
        out->q[i] = (int8_t)(low + (high << 4) - 32);
    }
    memcpy(out->sc, b->scales, sizeof out->sc);
}

static void unpack_iq4_xs(const void *row, int32_t block, levels *out)
{
    const linn_iq4_xs *b = (const linn_iq4_xs *)row + block;
    int8_t sc[8];
    out->d = linn_f16_to_f32(b->d);
    for (int i = 0; i < BLOCK; i++)
        out->q[i] = linn_iq4_values[b->q[i / 32 * 16 + i % 16] >> 4 * (i / 16 % 2) & 15];
    linn_iq4_xs_scales(b, sc);
    for (int g = 0; g < GROUPS; g++)
        out->sc[g] = sc[g / 2];
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
                    const int16_t *sums = a->sums + ((size_t)j * k + b * BLOCK) / 16;
                    float da = a->d[(size_t)j * n_blocks + b];
                    int32_t isum = 0, msum = 0;
                    for (int g = 0; g < GROUPS; g++) {
                        int32_t s = 0;
                        for (int l = 16 * g; l < 16 * g + 16; l++)
                            s += u.q[l] * p[l];
                        isum += u.sc[g] * s;
                        if (has_min)
                            msum += u.mn[g] * sums[g];
                    }
                    float *s = &acc[j - j0];
                    *s = __builtin_fmaf(u.d * da, (float)isum, *s);
                    if (has_min)
                        *s = __builtin_fmaf(-(u.dmin * da), (float)msum, *s);
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
PRODUCT(q2_k, true)
PRODUCT(q3_k, false)
PRODUCT(q4_k, true)
PRODUCT(q5_k, true)
PRODUCT(q6_k, false)
PRODUCT(iq4_xs, false)
