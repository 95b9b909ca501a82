/* product_f.c - products with F32, F16 and BF16 weights, in AVX-512. The order of sums and the
 * walk: walk_plain.h; layout of the weights: pack.h.
 *
 * A vector holds the 8 lanes of two rows; activations are broadcast to both halves.
 */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/walk_plain.h"

enum { PAIRS = 4 /* of rows in a group */, COLUMNS = LINN_PLAIN_COLUMNS };

typedef enum kind { F32, F16, BF16 } kind;

static ALWAYS_INLINE size_t size_of(kind f)
{
    return f == F32 ? 4 : 2;
}

/* 8 values of each of the two rows of a pair */
static ALWAYS_INLINE __m512 load_pair(kind f, const char *w)
{
    if (f == F32)
        return _mm512_load_ps((const void *)w);
    __m256i h = _mm256_load_si256((const __m256i *)(const void *)w);
    if (f == F16)
        return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static ALWAYS_INLINE void tile(const linn_plain_tile *t, int columns, int groups, kind f)
{
    const size_t pair = 16 * size_of(f), step = PAIRS * pair;
    const int pairs = PAIRS * groups;
    __m512 acc[COLUMNS][2 * PAIRS];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int p = 0; p < pairs; p++)
        acc[c][p] =
            t->first ? _mm512_setzero_ps() : _mm512_load_ps(t->lanes + 16 * (c * pairs + p));
    const char *w = t->w, *soon = t->soon;
    const float *x = t->x;
    UNROLL4
    for (size_t s = 0; s < t->n_steps; s++, w += step, soon += t->soon_step, x += LINN_PACK_STEP) {
        __m512 a[COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++)
            a[c] = _mm512_broadcast_f32x8(_mm256_loadu_ps(x + (size_t)c * t->x_stride));
        UNROLL
        for (int p = 0; p < pairs; p++) {
            size_t at = (size_t)(p / PAIRS) * t->next + (size_t)(p % PAIRS) * pair;
            __m512 v = load_pair(f, w + at);
            if ((size_t)(p % PAIRS) * pair % 64 == 0)
                _mm_prefetch(soon + at, _MM_HINT_T0);
            UNROLL
            for (int c = 0; c < columns; c++)
                acc[c][p] = _mm512_fmadd_ps(v, a[c], acc[c][p]);
        }
    }
    if (t->tail > 0) {
        __m256i mask = first_lanes(t->tail);
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m512 a =
                _mm512_broadcast_f32x8(_mm256_maskload_ps(x + (size_t)c * t->x_stride, mask));
            UNROLL
            for (int p = 0; p < pairs; p++) {
                const char *at = w + (size_t)(p / PAIRS) * t->next + (size_t)(p % PAIRS) * pair;
                acc[c][p] = _mm512_fmadd_ps(load_pair(f, at), a, acc[c][p]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int p = 0; p < pairs; p++) {
        if (!t->out) {
            _mm512_store_ps(t->lanes + 16 * (c * pairs + p), acc[c][p]);
            continue;
        }
        float *out = t->out + 2 * (c * pairs + p);
        out[0] = tree8(_mm512_castps512_ps256(acc[c][p]));
        out[1] = tree8(_mm512_extractf32x8_ps(acc[c][p], 1));
    }
}

#define TILE(name, columns, groups, f)                     \
    static void name##_##columns(const linn_plain_tile *t) \
    {                                                      \
        tile(t, columns, groups, f);                       \
    }
#define PRODUCT(name, f)                                                                      \
    TILE(name##_direct, 1, 2, f)                                                              \
    TILE(name##_direct, 2, 2, f)                                                              \
    TILE(name##_direct, 3, 2, f)                                                              \
    TILE(name, 1, 1, f)                                                                       \
    TILE(name, 2, 1, f)                                                                       \
    TILE(name, 3, 1, f)                                                                       \
    TILE(name, 4, 1, f)                                                                       \
    TILE(name, 5, 1, f)                                                                       \
    TILE(name, 6, 1, f)                                                                       \
    void linn_avx512_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin,  \
                                    int32_t end, float *y, size_t y_stride)                   \
    {                                                                                         \
        static const linn_plain_walk walk = {                                                 \
            .value = (f) == F32 ? 4 : 2,                                                      \
            .columns = COLUMNS,                                                               \
            .groups = {2, 2, 2, 1, 1, 1},                                                     \
            .direct = {name##_direct_1, name##_direct_2, name##_direct_3, name##_4, name##_5, \
                       name##_6},                                                             \
            .single = {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6},           \
        };                                                                                    \
        linn_plain_product(&walk, w, a, begin, end, y, y_stride);                             \
    }
PRODUCT(f32, F32)
PRODUCT(f16, F16)
PRODUCT(bf16, BF16)
