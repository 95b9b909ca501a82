/* product_q.c - products with formats of 32 values a block, in AVX2. The formulas
 * and the order of sums are those of c/product_q.c; the layout of the weights is
 * pack.h's: a line is 4 values of each of 16 rows, two vectors of 8 rows.
 *
 * A tile is a group of 16 rows by up to 4 columns. For each block, the integer sum
 * of every output is gathered in its own 32-bit lane, then joins the output's float
 * by one fma:
 *
 *     signed 8 bits    maddubs(|w|, sign(a, w)), at most 2 x 128 x 127 = 32,512;
 *                      madd by ones; add                         Q8_0
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/pack.h"

enum { BLOCK = 32, COLUMNS = 4, PANEL = 256 * 1024 /* bytes of weights in the L2 cache */ };

typedef struct tile_args {
    const uint8_t *heads, *bodies; /* of the group */
    size_t n_blocks;
    const int8_t *q; /* of the first column */
    const float *d;
    const int16_t *sums;
    size_t q_stride, d_stride, sums_stride; /* from one column to the next, in elements */
    float *y;
    size_t y_stride;
    int32_t n_rows; /* that are stored */
} tile_args;

static ALWAYS_INLINE void store_rows(const tile_args *t, int c, __m256 low, __m256 high)
{
    float *y = t->y + (size_t)c * t->y_stride;
    if (t->n_rows == LINN_PACK_ROWS) {
        _mm256_storeu_ps(y, low);
        _mm256_storeu_ps(y + 8, high);
    } else {
        _mm256_maskstore_ps(y, first_lanes(t->n_rows), low);
        if (t->n_rows > 8)
            _mm256_maskstore_ps(y + 8, first_lanes(t->n_rows - 8), high);
    }
}

static ALWAYS_INLINE __m256 scale8(const uint8_t *d)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)d));
}

static ALWAYS_INLINE __m256i quad(const int8_t *q)
{
    int32_t four;
    memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

static ALWAYS_INLINE void tile_q8_0(const tile_args *t, int columns)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256 acc[COLUMNS][2];
    UNROLL
    for (int c = 0; c < columns; c++)
        acc[c][0] = acc[c][1] = _mm256_setzero_ps();
    const uint8_t *body = t->bodies, *head = t->heads;
    for (size_t b = 0; b < t->n_blocks; b++, body += LINN_PACK_Q8_0_BODY, head += LINN_PACK_D) {
        __m256i sum[COLUMNS][2];
        UNROLL
        for (int c = 0; c < columns; c++)
            sum[c][0] = sum[c][1] = _mm256_setzero_si256();
        UNROLL
        for (int l = 0; l < 8; l++) {
            const __m256i *line = (const __m256i *)(const void *)(body + LINN_PACK_LINE * l);
            __m256i w0 = _mm256_load_si256(line), w1 = _mm256_load_si256(line + 1);
            __m256i u0 = _mm256_abs_epi8(w0), u1 = _mm256_abs_epi8(w1);
            if (columns < COLUMNS)
                _mm_prefetch((const char *)line + 2048, _MM_HINT_T0);
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m256i a = quad(t->q + (size_t)c * t->q_stride + b * BLOCK + 4 * l);
                __m256i p0 = _mm256_maddubs_epi16(u0, _mm256_sign_epi8(a, w0));
                __m256i p1 = _mm256_maddubs_epi16(u1, _mm256_sign_epi8(a, w1));
                sum[c][0] = _mm256_add_epi32(sum[c][0], _mm256_madd_epi16(p0, ones));
                sum[c][1] = _mm256_add_epi32(sum[c][1], _mm256_madd_epi16(p1, ones));
            }
        }
        __m256 d0 = scale8(head), d1 = scale8(head + 16);
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m256 da = _mm256_set1_ps(t->d[(size_t)c * t->d_stride + b]);
            acc[c][0] =
                _mm256_fmadd_ps(_mm256_mul_ps(d0, da), _mm256_cvtepi32_ps(sum[c][0]), acc[c][0]);
            acc[c][1] =
                _mm256_fmadd_ps(_mm256_mul_ps(d1, da), _mm256_cvtepi32_ps(sum[c][1]), acc[c][1]);
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        store_rows(t, c, acc[c][0], acc[c][1]);
}

typedef void (*tile_fn)(const tile_args *t);

#define TILES(name)                          \
    static void name##_1(const tile_args *t) \
    {                                        \
        tile_##name(t, 1);                   \
    }                                        \
    static void name##_2(const tile_args *t) \
    {                                        \
        tile_##name(t, 2);                   \
    }                                        \
    static void name##_3(const tile_args *t) \
    {                                        \
        tile_##name(t, 3);                   \
    }                                        \
    static void name##_4(const tile_args *t) \
    {                                        \
        tile_##name(t, 4);                   \
    }                                        \
    static const tile_fn name##_tiles[COLUMNS] = {name##_1, name##_2, name##_3, name##_4};
TILES(q8_0)

/* Rows go in panels that stay in the L2 cache while all columns pass over them. */
static void product(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end, float *y,
                    size_t y_stride, size_t head, size_t body, const tile_fn tiles[COLUMNS])
{
    size_t k = (size_t)a->k, n_blocks = k / BLOCK;
    size_t heads = linn_packed_heads(n_blocks, head);
    size_t group = linn_packed_group(n_blocks, head, body);
    int32_t panel = (int32_t)(PANEL / group > 1 ? PANEL / group : 1) * LINN_PACK_ROWS;
    for (int32_t p = begin; p < end; p += panel) {
        int32_t p_end = end - p < panel ? end : p + panel;
        for (int32_t j = 0; j < a->n; j += COLUMNS) {
            tile_args t = {.n_blocks = n_blocks,
                           .q = a->q + (size_t)j * k,
                           .d = a->d + (size_t)j * n_blocks,
                           .sums = a->sums + (size_t)j * (k / 16),
                           .q_stride = k,
                           .d_stride = n_blocks,
                           .sums_stride = k / 16,
                           .y_stride = y_stride};
            int32_t columns = a->n - j < COLUMNS ? a->n - j : COLUMNS;
            for (int32_t i = p; i < p_end; i += LINN_PACK_ROWS) {
                t.heads = (const uint8_t *)w->packed + (size_t)(i / LINN_PACK_ROWS) * group;
                t.bodies = t.heads + heads;
                t.y = y + (size_t)j * y_stride + i;
                t.n_rows = p_end - i < LINN_PACK_ROWS ? p_end - i : LINN_PACK_ROWS;
                tiles[columns - 1](&t);
            }
        }
    }
}

void linn_avx2_product_q8_0(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                            float *y, size_t y_stride)
{
    product(w, a, begin, end, y, y_stride, LINN_PACK_Q8_0_HEAD, LINN_PACK_Q8_0_BODY, q8_0_tiles);
}
