/* product_f.c - products with F32, F16 and BF16 weights, in AVX2.
 *
 *     lanes = fma(w[i, k .. k+8), a[j, k .. k+8), lanes)     for k = 0, 8, ..., from +0
 *     y     = the tree over the 8 lanes
 *
 * Weights are read where the file has them. A tile of rows by columns shares its
 * loads; a last piece of less than 8 values is read as if zeros followed, which is
 * what the specification says.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

#include <string.h>

enum { ROWS = 4, COLUMNS = 3, AHEAD = 1024 /* bytes of a row to prefetch */ };

typedef enum kind { F32, F16, BF16 } kind;

static ALWAYS_INLINE size_t size_of(kind t)
{
    return t == F32 ? 4 : 2;
}

static ALWAYS_INLINE __m256 load8(kind t, const char *w)
{
    if (t == F32)
        return _mm256_loadu_ps((const float *)(const void *)w);
    __m128i h = _mm_loadu_si128((const __m128i *)(const void *)w);
    if (t == F16)
        return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

static ALWAYS_INLINE __m256 load_tail(kind t, const char *w, int32_t n)
{
    char buffer[32] = {0};
    memcpy(buffer, w, (size_t)n * size_of(t));
    return load8(t, buffer);
}

/* Rows row[0 .. ROWS) by `columns` columns from x, k apart; out[c][r]. */
static ALWAYS_INLINE void tile(kind t, int columns, const char *const row[ROWS], const float *x,
                               int32_t k, float out[COLUMNS][ROWS])
{
    __m256 acc[COLUMNS][ROWS];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < ROWS; r++)
        acc[c][r] = _mm256_setzero_ps();
    int32_t i = 0;
    for (; i + 8 <= k; i += 8) {
        __m256 a[COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++)
            a[c] = _mm256_loadu_ps(x + (size_t)c * (size_t)k + i);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            const char *at = row[r] + (size_t)i * size_of(t);
            __m256 w = load8(t, at);
            if (columns < COLUMNS)
                _mm_prefetch(at + AHEAD, _MM_HINT_T0);
            UNROLL
            for (int c = 0; c < columns; c++)
                acc[c][r] = _mm256_fmadd_ps(w, a[c], acc[c][r]);
        }
    }
    if (i < k) {
        __m256i mask = first_lanes(k - i);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            __m256 w = load_tail(t, row[r] + (size_t)i * size_of(t), k - i);
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m256 a = _mm256_maskload_ps(x + (size_t)c * (size_t)k + i, mask);
                acc[c][r] = _mm256_fmadd_ps(w, a, acc[c][r]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < ROWS; r++)
        out[c][r] = tree8(acc[c][r]);
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
            else if (m == 2)
                tile(t, 2, row, x, a->k, out);
            else
                tile(t, 3, row, x, a->k, out);
            for (int32_t c = 0; c < m; c++)
                memcpy(y + (size_t)(j + c) * y_stride + i, out[c], (size_t)n * sizeof(float));
        }
    }
}

void linn_avx2_product_f32(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                           float *y, size_t y_stride)
{
    product(F32, w, a, begin, end, y, y_stride);
}

void linn_avx2_product_f16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                           float *y, size_t y_stride)
{
    product(F16, w, a, begin, end, y, y_stride);
}

void linn_avx2_product_bf16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                            float *y, size_t y_stride)
{
    product(BF16, w, a, begin, end, y, y_stride);
}
