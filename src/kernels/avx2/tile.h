/* tile.h - what the quantised tiles in AVX2 share. A tile is one group of 16 rows by
 * up to 4 columns (walk.h); a vector is 8 rows: half a line (pack.h). */
#ifndef LINN_KERNELS_AVX2_TILE_H
#define LINN_KERNELS_AVX2_TILE_H

#include "kernels/avx2/vec.h"
#include "kernels/walk.h"

#include <string.h>

enum { TILE_COLUMNS = 4, AHEAD = 6144 /* bytes to prefetch */ };
static_assert((int)TILE_COLUMNS <= (int)LINN_TILE_COLUMNS, "the walk has room for these");

/* Defines NAME_1 .. NAME_4, the template's function for so many columns. */
#define TILES(name, template, ...)           \
    static void name##_1(const linn_tile *t) \
    {                                        \
        template(t, 1, __VA_ARGS__);         \
    }                                        \
    static void name##_2(const linn_tile *t) \
    {                                        \
        template(t, 2, __VA_ARGS__);         \
    }                                        \
    static void name##_3(const linn_tile *t) \
    {                                        \
        template(t, 3, __VA_ARGS__);         \
    }                                        \
    static void name##_4(const linn_tile *t) \
    {                                        \
        template(t, 4, __VA_ARGS__);         \
    }

/* Defines the product of a format whose tiles are made by the template tile(t, columns, format,
 * direct) in the same file; what more its walk has may follow. */
#define PRODUCT(NAME, name, values, ...)                                                   \
    TILES(name, tile, NAME, true)                                                          \
    void linn_avx2_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                  int32_t end, float *y, size_t y_stride)                  \
    {                                                                                      \
        static const linn_walk walk = {.block = (values),                                  \
                                       .head = LINN_PACK_##NAME##_HEAD,                    \
                                       .body = LINN_PACK_##NAME##_BODY,                    \
                                       .columns = TILE_COLUMNS,                            \
                                       .groups = {1, 1, 1, 1},                             \
                                       .direct = {name##_1, name##_2, name##_3, name##_4}, \
                                       __VA_ARGS__};                                       \
        linn_walk_product(&walk, w, a, begin, end, y, y_stride);                           \
    }
/* The same for one that is unpacked by the template unpack(format, ...) if there are `from` tiles.
 */
#define UNPACKED_PRODUCT(NAME, name, values, from)                                          \
    TILES(name##_lines, tile, NAME, false)                                                  \
    static void unpack_##name(const uint8_t *heads, const uint8_t *bodies, size_t n_blocks, \
                              uint8_t *lines)                                               \
    {                                                                                       \
        unpack(NAME, heads, bodies, n_blocks, lines);                                       \
    }                                                                                       \
    PRODUCT(NAME, name, values, .unpack_from = (from),                                      \
            .unpacked = {name##_lines_1, name##_lines_2, name##_lines_3, name##_lines_4},   \
            .unpack = unpack_##name)

/* 8 scales of binary16 */
static ALWAYS_INLINE __m256 scale8(const uint8_t *d)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)d));
}

/* 4 bytes in all lanes */
static ALWAYS_INLINE __m256i every_lane(const void *four)
{
    int32_t x;
    memcpy(&x, four, sizeof x);
    return _mm256_set1_epi32(x);
}

static ALWAYS_INLINE __m256i half_line(const uint8_t *line, int half)
{
    return _mm256_load_si256((const __m256i *)(const void *)(line + 32 * half));
}

static ALWAYS_INLINE void store_half_line(uint8_t *line, int half, __m256i x)
{
    _mm256_store_si256((__m256i *)(void *)(line + 32 * half), x);
}

/* The compiler must have x in a register here. Without it, both gcc and clang gather the
 * products of a whole block first and the sums later, and spill what they gathered. */
#define HAVE(x) __asm__("" : "+x"(x))

/* The compiler may keep no memory in registers over this: to read a line twice is
 * cheaper than to spill what it would keep instead. */
#define FORGET_MEMORY() __asm__ volatile("" ::: "memory")

#endif
