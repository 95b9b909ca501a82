/* product_f.c - products with F32, F16 and BF16 weights, in AVX-512.
 *
 *     lanes = fma(w[i, k .. k+8), a[j, k .. k+8), lanes)     for k = 0, 8, ..., from +0
 *     y     = the tree over the 8 lanes
 *
 * A vector holds the 8 lanes of two rows; activations are broadcast to both halves.
 * Weights are read where the file has them. A last piece of less than 8 values is
 * read as if zeros followed, which is what the specification says.
 */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"

#include <string.h>

enum { PAIRS = 4, ROWS = 2 * PAIRS, COLUMNS = 6, AHEAD = 1024 /* bytes of a row to prefetch */ };

typedef enum kind { F32, F16, BF16 } kind;

static ALWAYS_INLINE size_t size_of(kind t)
{
    return t == F32 ? 4 : 2;
}

/* 8 values of each of two rows */
static ALWAYS_INLINE __m512 load_pair(kind t, const char *a, const char *b)
{
    if (t == F32)
        return _mm512_insertf32x8(
            _mm512_castps256_ps512(_mm256_loadu_ps((const float *)(const void *)a)),
            _mm256_loadu_ps((const float *)(const void *)b), 1);
    __m256i h = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)a)),
        _mm_loadu_si128((const __m128i *)(const void *)b), 1);
    if (t == F16)
        return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static ALWAYS_INLINE __m512 load_pair_tail(kind t, const char *a, const char *b, int32_t n)
{
    char buffer[2][32] = {{0}};
    memcpy(buffer[0], a, (size_t)n * size_of(t));
    memcpy(buffer[1], b, (size_t)n * size_of(t));
    return load_pair(t, buffer[0], buffer[1]);
}

/* Rows row[0 .. ROWS) by `columns` columns from x, k apart; out[c][r]. */
static ALWAYS_INLINE void tile(kind t, int columns, const char *const row[ROWS], const float *x,
                               int32_t k, float out[COLUMNS][ROWS])
{
    __m512 acc[COLUMNS][PAIRS];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < PAIRS; r++)
        acc[c][r] = _mm512_setzero_ps();
    int32_t i = 0;
    for (; i + 8 <= k; i += 8) {
        __m512 w[PAIRS];
        size_t at = (size_t)i * size_of(t);
        UNROLL
        for (int r = 0; r < PAIRS; r++) {
            w[r] = load_pair(t, row[2 * r] + at, row[2 * r + 1] + at);
            if (columns < COLUMNS) {
                _mm_prefetch(row[2 * r] + at + AHEAD, _MM_HINT_T0);
                _mm_prefetch(row[2 * r + 1] + at + AHEAD, _MM_HINT_T0);
            }
        }
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m512 a = _mm512_broadcast_f32x8(_mm256_loadu_ps(x + (size_t)c * (size_t)k + i));
            UNROLL
            for (int r = 0; r < PAIRS; r++)
                acc[c][r] = _mm512_fmadd_ps(w[r], a, acc[c][r]);
        }
    }
    if (i < k) {
        __m256i mask = first_lanes(k - i);
        size_t at = (size_t)i * size_of(t);
        UNROLL
        for (int r = 0; r < PAIRS; r++) {
            __m512 w = load_pair_tail(t, row[2 * r] + at, row[2 * r + 1] + at, k - i);
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m512 a =
                    _mm512_broadcast_f32x8(_mm256_maskload_ps(x + (size_t)c * (size_t)k + i, mask));
                acc[c][r] = _mm512_fmadd_ps(w, a, acc[c][r]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < PAIRS; r++) {
        out[c][2 * r] = tree8(_mm512_castps512_ps256(acc[c][r]));
        out[c][2 * r + 1] = tree8(_mm512_extractf32x8_ps(acc[c][r], 1));
    }
}

static ALWAYS_INLINE void product(kind t, const linn_matrix *w, const linn_acts *a, int32_t begin,
                                  int32_t end, float *y, size_t y_stride)
{
    for (int32_t i = begin; i < end; i += ROWS) {
        const char *row[ROWS];
        int32_t n = end - i < ROWS ? end - i : ROWS;
        for (int32_t r = 0; r < ROWS; r++) /* rows past the end: the last one again */
            row[r] = (const char *)w->data + (size_t)(i + (r < n ? r : n - 1)) * w->row_bytes;
        for (int32_t j = 0, m; j < a->n; j += m) {
            float out[COLUMNS][ROWS];
            const float *x = a->x + (size_t)j * (size_t)a->k;
            int32_t left = a->n - j, tiles = (left + COLUMNS - 1) / COLUMNS;
            m = (left + tiles - 1) / tiles;
            switch (m) {
            case 1:
                tile(t, 1, row, x, a->k, out);
                break;
            case 2:
                tile(t, 2, row, x, a->k, out);
                break;
            case 3:
                tile(t, 3, row, x, a->k, out);
                break;
            case 4:
                tile(t, 4, row, x, a->k, out);
                break;
            case 5:
                tile(t, 5, row, x, a->k, out);
                break;
            default:
                tile(t, 6, row, x, a->k, out);
            }
            for (int32_t c = 0; c < m; c++)
                memcpy(y + (size_t)(j + c) * y_stride + i, out[c], (size_t)n * sizeof(float));
        }
    }
}

void linn_avx512_product_f32(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                             float *y, size_t y_stride)
{
    product(F32, w, a, begin, end, y, y_stride);
}

void linn_avx512_product_f16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                             float *y, size_t y_stride)
{
    product(F16, w, a, begin, end, y, y_stride);
}

void linn_avx512_product_bf16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                              float *y, size_t y_stride)
{
    product(BF16, w, a, begin, end, y, y_stride);
}
