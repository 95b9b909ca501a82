/* product_f.c - products with F32, F16 and BF16 weights, in AVX2. The order of sums and the
 * walk: walk_plain.h; layout of the weights: pack.h.
 *
 * A vector holds the 8 lanes of a row. A tile is 8 rows by one column, or twice 4 rows by
 * two or three, which go chunk by chunk: each part prefetches half of the next chunk, line
 * after line. (Along whole rows, each would read every other line, which memory likes less.)
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/walk_plain.h"

enum { ROWS = LINN_PACK_PLAIN_ROWS, COLUMNS = 3 };

typedef enum kind { F32, F16, BF16 } kind;

static ALWAYS_INLINE size_t size_of(kind f)
{
    return f == F32 ? 4 : 2;
}

static ALWAYS_INLINE __m256 load_row(kind f, const char *w)
{
    if (f == F32)
        return _mm256_load_ps((const float *)(const void *)w);
    __m128i h = _mm_load_si128((const __m128i *)(const void *)w);
    if (f == F16)
        return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* Rows [first, first + rows) of a group by so many columns. */
static ALWAYS_INLINE void part(const linn_plain_tile *t, int columns, int first, int rows, kind f)
{
    const size_t row = 8 * size_of(f);
    __m256 acc[COLUMNS][ROWS];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < rows; r++)
        acc[c][r] =
            t->first ? _mm256_setzero_ps() : _mm256_load_ps(t->lanes + 8 * (c * ROWS + first + r));
    const size_t soon_step = t->soon_step * (size_t)rows / ROWS; /* what this part asks for */
    const char *soon = t->soon + (size_t)(first / rows) * t->n_steps * soon_step;
    const char *w = t->w + (size_t)first * row;
    const float *x = t->x;
    for (size_t s = 0; s < t->n_steps;
         s++, w += ROWS * row, soon += soon_step, x += LINN_PACK_STEP) {
        __m256 a[COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++)
            a[c] = _mm256_loadu_ps(x + (size_t)c * t->x_stride);
        UNROLL
        for (int r = 0; r < rows; r++) {
            __m256 v = load_row(f, w + (size_t)r * row);
            if ((size_t)r * row % 64 == 0)
                _mm_prefetch(soon + (size_t)r * row, _MM_HINT_T0);
            UNROLL
            for (int c = 0; c < columns; c++)
                acc[c][r] = _mm256_fmadd_ps(v, a[c], acc[c][r]);
        }
    }
    if (t->tail > 0) {
        __m256i mask = first_lanes(t->tail);
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m256 a = _mm256_maskload_ps(x + (size_t)c * t->x_stride, mask);
            UNROLL
            for (int r = 0; r < rows; r++)
                acc[c][r] = _mm256_fmadd_ps(load_row(f, w + (size_t)r * row), a, acc[c][r]);
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int r = 0; r < rows; r++) {
        int at = c * ROWS + first + r;
        if (t->out)
            t->out[at] = tree8(acc[c][r]);
        else
            _mm256_store_ps(t->lanes + 8 * at, acc[c][r]);
    }
}

static ALWAYS_INLINE void tile(const linn_plain_tile *t, int columns, kind f)
{
    const int rows = columns == 1 ? ROWS : ROWS / 2;
    for (int first = 0; first < ROWS; first += rows)
        part(t, columns, first, rows, f);
}

#define TILE(name, columns, f)                             \
    static void name##_##columns(const linn_plain_tile *t) \
    {                                                      \
        tile(t, columns, f);                               \
    }
#define PRODUCT(name, f)                                                                   \
    TILE(name, 1, f)                                                                       \
    TILE(name, 2, f)                                                                       \
    TILE(name, 3, f)                                                                       \
    void linn_avx2_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                  int32_t end, float *y, size_t y_stride)                  \
    {                                                                                      \
        static const linn_plain_walk walk = {.value = (f) == F32 ? 4 : 2,                  \
                                             .columns = COLUMNS,                           \
                                             .groups = {1},                                \
                                             .direct = {name##_1},                         \
                                             .single = {name##_1, name##_2, name##_3}};    \
        linn_plain_product(&walk, w, a, begin, end, y, y_stride);                          \
    }
PRODUCT(f32, F32)
PRODUCT(f16, F16)
PRODUCT(bf16, BF16)
