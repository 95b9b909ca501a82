/* tile.h - what the quantised tiles in AVX-512 share. A tile is 1 or 2 groups of 16
 * rows by up to 8 columns (walk.h); a vector is a line, 4 values of each of 16 rows
 * (pack.h), and vpdpbusd adds the products of 4 unsigned by 4 signed bytes to each
 * lane: an exact integer sum of one output. Two groups share every broadcast of
 * activations, or else loads would be the limit. A narrow tile, of one group by 1 or 2
 * columns, waits for memory anyway, and may read it sooner: its weights are one stream. A
 * tile unpacks levels as it goes, which costs less here than to store them and to load
 * them again. */
#ifndef LINN_KERNELS_AVX512_TILE_H
#define LINN_KERNELS_AVX512_TILE_H

#include "kernels/avx512/vec.h"
#include "kernels/walk.h"

#include <string.h>

enum {
    TILE_COLUMNS = 8,
    FEW_COLUMNS = 2,     /* memory is the limit for so many */
    NARROW_AHEAD = 6144, /* bytes that narrow tiles prefetch ahead */
    GROUPS = 2,
    LINE = LINN_PACK_LINE,
};
static_assert((int)TILE_COLUMNS <= (int)LINN_TILE_COLUMNS, "the walk has room for these");

/* Where a tile starts to prefetch, as many bytes with each block as a block has. A narrow one reads
 * front to back, and asks for what it will read soon. Of two groups, which it reads at a time, a
 * tile asks for those of the next tile in the order in which they lie in memory. */
static ALWAYS_INLINE const uint8_t *prefetch_from(const linn_tile *t, int groups)
{
    return t->heads + (groups == 1 ? (size_t)NARROW_AHEAD : 2 * t->heads_stride);
}

/* 16 scales of binary16 */
static ALWAYS_INLINE __m512 scale16(const uint8_t *d)
{
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)d));
}

/* 4 bytes in all lanes */
static ALWAYS_INLINE __m512i every_lane(const void *four)
{
    int32_t x;
    memcpy(&x, four, sizeof x);
    return _mm512_set1_epi32(x);
}

static ALWAYS_INLINE __m512i load_line(const uint8_t *line)
{
    return _mm512_load_si512((const void *)line);
}

static ALWAYS_INLINE void store_line(uint8_t *line, __m512i x)
{
    _mm512_store_si512((void *)line, x);
}

/* bits [from, from + count) of every byte, moved to bit `to` */
static ALWAYS_INLINE __m512i bits(__m512i x, int from, int count, int to)
{
    if (from > to)
        x = _mm512_srli_epi16(x, (uint8_t)(from - to));
    else if (from < to)
        x = _mm512_slli_epi16(x, (uint8_t)(to - from));
    return _mm512_and_si512(x, _mm512_set1_epi8((char)(((1 << count) - 1) << to)));
}

/* The compiler must have x in a register here (avx2/tile.h). */
#define HAVE(x) __asm__("" : "+v"(x))
/* The compiler may keep no memory in registers over this. */
#define FORGET_MEMORY() __asm__ volatile("" ::: "memory")

/* Defines the tiles of a format, by the template tile(t, groups, columns, format) in the same file,
 * and its product. few: groups of a tile of one or two columns. */
#define TILE(name, groups, columns, NAME)            \
    static void name##_##columns(const linn_tile *t) \
    {                                                \
        tile(t, groups, columns, NAME);              \
    }
#define PRODUCT(NAME, name, values, few)                                                     \
    TILE(name, few, 1, NAME)                                                                 \
    TILE(name, few, 2, NAME)                                                                 \
    TILE(name, 2, 3, NAME)                                                                   \
    TILE(name, 2, 4, NAME)                                                                   \
    TILE(name, 2, 5, NAME)                                                                   \
    TILE(name, 2, 6, NAME)                                                                   \
    TILE(name, 2, 7, NAME)                                                                   \
    TILE(name, 2, 8, NAME)                                                                   \
    void linn_avx512_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                    int32_t end, float *y, size_t y_stride)                  \
    {                                                                                        \
        static const linn_walk walk = {                                                      \
            .block = (values),                                                               \
            .head = LINN_PACK_##NAME##_HEAD,                                                 \
            .body = LINN_PACK_##NAME##_BODY,                                                 \
            .columns = TILE_COLUMNS,                                                         \
            .groups = {few, few, 2, 2, 2, 2, 2, 2},                                          \
            .direct = {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, \
                       name##_8},                                                            \
        };                                                                                   \
        linn_walk_product(&walk, w, a, begin, end, y, y_stride);                             \
    }

#endif
