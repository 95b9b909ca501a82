/* tile.h - what the quantised tiles in AVX-512 share. A tile is 2 groups of 16
 * rows by up to 8 columns (walk.h); a vector is a line, 4 values of each of 16 rows
 * (pack.h), and vpdpbusd adds the products of 4 unsigned by 4 signed bytes to each
 * lane: an exact integer sum of one output. Two groups share every broadcast of
 * activations, or else loads would be the limit. A tile unpacks levels as it goes, which
 * costs less here than to store them and to load them again. */
#ifndef LINN_KERNELS_AVX512_TILE_H
#define LINN_KERNELS_AVX512_TILE_H

#include "kernels/avx2/avx2.h"
#include "kernels/avx512/vec.h"
#include "kernels/walk.h"

#include <string.h>

enum { TILE_COLUMNS = 8, GROUPS = 2, PREFETCH_BYTES = 2048, LINE = LINN_PACK_LINE };
static_assert((int)TILE_COLUMNS <= (int)LINN_TILE_COLUMNS, "the walk has room for these");

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

/* Defines the tiles of a format for 1 to 8 columns, by the template tile(t, columns, format) in
 * the same file, and its product. */
#define TILE(name, columns, NAME)                    \
    static void name##_##columns(const linn_tile *t) \
    {                                                \
        tile(t, columns, NAME);                      \
    }
#define WALK(NAME, name, values)                                                         \
    TILE(name, 1, NAME)                                                                  \
    TILE(name, 2, NAME)                                                                  \
    TILE(name, 3, NAME)                                                                  \
    TILE(name, 4, NAME)                                                                  \
    TILE(name, 5, NAME)                                                                  \
    TILE(name, 6, NAME)                                                                  \
    TILE(name, 7, NAME)                                                                  \
    TILE(name, 8, NAME)                                                                  \
    static const linn_walk name##_walk = {                                               \
        .block = (values),                                                               \
        .head = LINN_PACK_##NAME##_HEAD,                                                 \
        .body = LINN_PACK_##NAME##_BODY,                                                 \
        .columns = TILE_COLUMNS,                                                         \
        .groups = 2,                                                                     \
        .direct = {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, \
                   name##_8},                                                            \
    };
#define PRODUCT(NAME, name, values)                                                          \
    WALK(NAME, name, values)                                                                 \
    void linn_avx512_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                    int32_t end, float *y, size_t y_stride)                  \
    {                                                                                        \
        linn_walk_product(&name##_walk, w, a, begin, end, y, y_stride);                      \
    }
/* For one column or two AVX2's product: memory is the limit then, and a single group of rows at a
 * time, as its tiles take them, is read sooner than two. */
#define PRODUCT_OF_SEVERAL(NAME, name, values)                                               \
    WALK(NAME, name, values)                                                                 \
    void linn_avx512_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                    int32_t end, float *y, size_t y_stride)                  \
    {                                                                                        \
        if (a->n <= 2)                                                                       \
            linn_avx2_product_##name(w, a, begin, end, y, y_stride);                         \
        else                                                                                 \
            linn_walk_product(&name##_walk, w, a, begin, end, y, y_stride);                  \
    }

#endif
