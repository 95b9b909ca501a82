/* tile.h - what the quantised tiles in NEON share. A tile is one group of 16 rows by up to
 * 4 columns (walk.h). A line (pack.h) is four vectors of 4 rows, 4 values each; sdot by a
 * lane multiplies them with one of the four quads that a vector of activations holds, and
 * adds up exactly in 32 bits. */
#ifndef LINN_KERNELS_NEON_TILE_H
#define LINN_KERNELS_NEON_TILE_H

#include "kernels/neon/vec.h"
#include "kernels/walk.h"

#include <string.h>

enum { TILE_COLUMNS = 4, PARTS = 4 /* vectors of a line */, LINE = LINN_PACK_LINE };

/* 4 rows of a line */
static ALWAYS_INLINE uint8x16_t load_part(const uint8_t *line, int part)
{
    return vld1q_u8(line + 16 * part);
}

/* bits [from, from + count) of every byte, moved to bit `to` */
static ALWAYS_INLINE uint8x16_t bits(uint8x16_t x, int from, int count, int to)
{
    x = vshlq_u8(x, vdupq_n_s8((int8_t)(to - from)));
    return vandq_u8(x, vdupq_n_u8((uint8_t)(((1 << count) - 1) << to)));
}

/* sum + the products of each row's quad with quad `lane` of a */
static ALWAYS_INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t a, int lane)
{
    switch (lane) {
    case 0:
        return vdotq_laneq_s32(sum, w, a, 0);
    case 1:
        return vdotq_laneq_s32(sum, w, a, 1);
    case 2:
        return vdotq_laneq_s32(sum, w, a, 2);
    default:
        return vdotq_laneq_s32(sum, w, a, 3);
    }
}

/* scales of 4 rows of 16 */
static ALWAYS_INLINE float32x4_t scale4(const uint8_t *d, int part)
{
    uint16_t h[4];
    memcpy(h, d + sizeof h * (size_t)part, sizeof h);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h)));
}

/* Defines the tiles of a format for 1 to 4 columns, by the template tile(t, columns, format) in
 * the same file, and its product. */
#define TILE(name, columns, NAME)                    \
    static void name##_##columns(const linn_tile *t) \
    {                                                \
        tile(t, columns, NAME);                      \
    }
#define PRODUCT(NAME, name, values)                                                        \
    TILE(name, 1, NAME)                                                                    \
    TILE(name, 2, NAME)                                                                    \
    TILE(name, 3, NAME)                                                                    \
    TILE(name, 4, NAME)                                                                    \
    void linn_neon_product_##name(const linn_matrix *w, const linn_acts *a, int32_t begin, \
                                  int32_t end, float *y, size_t y_stride)                  \
    {                                                                                      \
        static const linn_walk walk = {                                                    \
            .block = (values),                                                             \
            .head = LINN_PACK_##NAME##_HEAD,                                               \
            .body = LINN_PACK_##NAME##_BODY,                                               \
            .columns = TILE_COLUMNS,                                                       \
            .groups = {1, 1, 1, 1},                                                        \
            .direct = {name##_1, name##_2, name##_3, name##_4},                            \
        };                                                                                 \
        linn_walk_product(&walk, w, a, begin, end, y, y_stride);                           \
    }

#endif
