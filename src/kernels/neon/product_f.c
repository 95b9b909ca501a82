/* product_f.c - products with F32, F16 and BF16 weights, in NEON.
 *
 *     lanes = fma(w[i, k .. k+8), a[j, k .. k+8), lanes)     for k = 0, 8, ..., from +0
 *     y     = the tree over the 8 lanes
 *
 * Layout of the weights: pack.h. A last piece of less than 8 activations is read as if
 * zeros followed, which is what the specification says.
 */
#include "kernels/neon/neon.h"
#include "kernels/neon/vec.h"
#include "kernels/pack.h"

#include <string.h>

enum { ROWS = 4, COLUMNS = 2 };

typedef enum kind { F32, F16, BF16 } kind;

typedef struct lanes {
    float32x4_t low, high;
} lanes;

static ALWAYS_INLINE size_t size_of(kind t)
{
    return t == F32 ? 4 : 2;
}

static ALWAYS_INLINE lanes load8(kind t, const char *w)
{
    if (t == F32) {
        const float *f = (const float *)(const void *)w;
        return (lanes){vld1q_f32(f), vld1q_f32(f + 4)};
    }
    uint16x8_t h = vld1q_u16((const uint16_t *)(const void *)w);
    if (t == F16)
        return (lanes){vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(h))),
                       vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(h)))};
    return (lanes){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16)),
                   vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(h), 16))};
}

static ALWAYS_INLINE lanes load_tail(const float *x, int32_t n)
{
    _Alignas(16) float buffer[8] = {0};
    memcpy(buffer, x, (size_t)n * sizeof *x);
    return (lanes){vld1q_f32(buffer), vld1q_f32(buffer + 4)};
}

/* ROWS rows of a group, from w, by `columns` columns from x, k apart; out[c][r]. */
static ALWAYS_INLINE void tile(kind t, int columns, const char *w, const float *x, int32_t k,
                               float out[COLUMNS][ROWS])
{
    const size_t row = LINN_PACK_STEP * size_of(t);
    lanes acc[COLUMNS][ROWS];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < ROWS; r++)
        acc[c][r].low = acc[c][r].high = vdupq_n_f32(0);
    for (int32_t i = 0; i < k; i += LINN_PACK_STEP, w += LINN_PACK_PLAIN_ROWS * row) {
        lanes a[COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++) {
            const float *at = x + (size_t)c * (size_t)k + i;
            a[c] = i + LINN_PACK_STEP <= k ? load8(F32, (const char *)at) : load_tail(at, k - i);
        }
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            lanes v = load8(t, w + (size_t)r * row);
            UNROLL
            for (int c = 0; c < columns; c++) {
                acc[c][r].low = vfmaq_f32(acc[c][r].low, v.low, a[c].low);
                acc[c][r].high = vfmaq_f32(acc[c][r].high, v.high, a[c].high);
            }
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < ROWS; r++)
        out[c][r] = tree8(acc[c][r].low, acc[c][r].high);
}

static ALWAYS_INLINE void product(kind t, const linn_matrix *w, const linn_acts *a, int32_t begin,
                                  int32_t end, float *y, size_t y_stride)
{
    const size_t group = linn_packed_plain((size_t)a->k, size_of(t));
    for (int32_t i = begin; i < end; i += ROWS) {
        int32_t n = end - i < ROWS ? end - i : ROWS;
        const char *rows = (const char *)w->packed + (size_t)(i / LINN_PACK_PLAIN_ROWS) * group +
                           (size_t)(i % LINN_PACK_PLAIN_ROWS * LINN_PACK_STEP) * size_of(t);
        for (int32_t j = 0; j < a->n; j += COLUMNS) {
            float out[COLUMNS][ROWS];
            const float *x = a->x + (size_t)j * (size_t)a->k;
            int32_t m = a->n - j < COLUMNS ? a->n - j : COLUMNS;
            if (m == 1)
                tile(t, 1, rows, x, a->k, out);
            else
                tile(t, 2, rows, x, a->k, out);
            for (int32_t c = 0; c < m; c++)
                memcpy(y + (size_t)(j + c) * y_stride + i, out[c], (size_t)n * sizeof(float));
        }
    }
}

void linn_neon_product_f32(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                           float *y, size_t y_stride)
{
    product(F32, w, a, begin, end, y, y_stride);
}

void linn_neon_product_f16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                           float *y, size_t y_stride)
{
    product(F16, w, a, begin, end, y, y_stride);
}

void linn_neon_product_bf16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                            float *y, size_t y_stride)
{
    product(BF16, w, a, begin, end, y, y_stride);
}
