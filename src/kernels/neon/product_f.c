/* product_f.c - products with F32, F16 and BF16 weights, in NEON.
 *
 *     lanes = fma(w[i, k .. k+8), a[j, k .. k+8), lanes)     for k = 0, 8, ..., from +0
 *     y     = the tree over the 8 lanes
 *
 * Weights are read where the file has them. A last piece of less than 8 values is read as
 * if zeros followed, which is what the specification says.
 */
#include "kernels/neon/neon.h"
#include "kernels/neon/vec.h"

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

static ALWAYS_INLINE lanes load_tail(kind t, const char *w, int32_t n)
{
    _Alignas(16) char buffer[32] = {0};
    memcpy(buffer, w, (size_t)n * size_of(t));
    return load8(t, buffer);
}

/* Rows row[0 .. ROWS) by `columns` columns from x, k apart; out[c][r]. */
static ALWAYS_INLINE void tile(kind t, int columns, const char *const row[ROWS], const float *x,
                               int32_t k, float out[COLUMNS][ROWS])
{
    lanes acc[COLUMNS][ROWS];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < ROWS; r++)
        acc[c][r].low = acc[c][r].high = vdupq_n_f32(0);
    for (int32_t i = 0; i < k; i += 8) {
        lanes a[COLUMNS];
        bool whole = i + 8 <= k;
        UNROLL
        for (int c = 0; c < columns; c++) {
            const char *at = (const char *)(x + (size_t)c * (size_t)k + i);
            a[c] = whole ? load8(F32, at) : load_tail(F32, at, k - i);
        }
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            const char *at = row[r] + (size_t)i * size_of(t);
            lanes w = whole ? load8(t, at) : load_tail(t, at, k - i);
            UNROLL
            for (int c = 0; c < columns; c++) {
                acc[c][r].low = vfmaq_f32(acc[c][r].low, w.low, a[c].low);
                acc[c][r].high = vfmaq_f32(acc[c][r].high, w.high, a[c].high);
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
    for (int32_t i = begin; i < end; i += ROWS) {
        const char *row[ROWS];
        int32_t n = end - i < ROWS ? end - i : ROWS;
        for (int32_t r = 0; r < ROWS; r++) /* rows past the end: the last one again */
            row[r] = (const char *)w->data + (size_t)(i + (r < n ? r : n - 1)) * w->row_bytes;
        for (int32_t j = 0; j < a->n; j += COLUMNS) {
            float out[COLUMNS][ROWS];
            const float *x = a->x + (size_t)j * (size_t)a->k;
            int32_t m = a->n - j < COLUMNS ? a->n - j : COLUMNS;
            if (m == 1)
                tile(t, 1, row, x, a->k, out);
            else
                tile(t, 2, row, x, a->k, out);
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
