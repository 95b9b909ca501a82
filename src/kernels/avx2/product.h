/* product.h - how a quantised product walks over a packed matrix, in AVX2.
 *
 *     panel of row groups that fits the L2 cache
 *       panel of up to 64 columns
 *         group of 16 rows
 *           chunk of blocks
 *             tile of up to 4 columns: 16 x 4 outputs in registers
 *
 * Up to 4 columns make one tile, which unpacks levels as it goes, and a chunk is the
 * whole row. For more, a chunk is 256 values: its levels (and the scales of
 * super-blocks) are unpacked once into the L1 cache, and all columns multiply those.
 *
 * Every output is one chain of fma over blocks; between chunks it waits in memory.
 */
#ifndef LINN_KERNELS_AVX2_PRODUCT_H
#define LINN_KERNELS_AVX2_PRODUCT_H

#include "kernels/avx2/vec.h"
#include "kernels/pack.h"

#include <string.h>

enum {
    TILE_COLUMNS = 4,
    PANEL_COLUMNS = 64,
    PANEL_BYTES = 256 * 1024,
    CHUNK_VALUES = 256,
    CHUNK_LINES = CHUNK_VALUES / 4 + 24, /* levels, and what product_k.c puts after them */
    PREFETCH_BYTES = 2048,
};

/* A chunk of a group times some columns. */
typedef struct tile_args {
    const uint8_t *heads;  /* of the first block */
    const uint8_t *bodies; /* the same; or what was unpacked of it */
    size_t n_blocks;
    const int8_t *q;     /* [columns, q_stride] from the first block on */
    const float *d;      /* [columns, d_stride] */
    const int16_t *sums; /* [columns, s_stride] */
    size_t q_stride, d_stride, s_stride;
    float *acc; /* [columns, 16] */
} tile_args;

typedef void (*tile_fn)(const tile_args *t);

typedef struct product_format {
    size_t block, head, body;
    tile_fn direct[TILE_COLUMNS];   /* for 1, 2, .. columns */
    tile_fn unpacked[TILE_COLUMNS]; /* the same, from unpacked levels */
    /* n_blocks blocks; NULL: bodies are as good as unpacked */
    void (*unpack)(const uint8_t *heads, const uint8_t *bodies, size_t n_blocks, uint8_t *lines);
} product_format;

void linn_avx2_product(const product_format *f, const linn_matrix *w, const linn_acts *a,
                       int32_t begin, int32_t end, float *y, size_t y_stride);

/* Defines NAME_1 .. NAME_4, the template's function for so many columns. */
#define TILES(name, template, ...)           \
    static void name##_1(const tile_args *t) \
    {                                        \
        template(t, 1, __VA_ARGS__);         \
    }                                        \
    static void name##_2(const tile_args *t) \
    {                                        \
        template(t, 2, __VA_ARGS__);         \
    }                                        \
    static void name##_3(const tile_args *t) \
    {                                        \
        template(t, 3, __VA_ARGS__);         \
    }                                        \
    static void name##_4(const tile_args *t) \
    {                                        \
        template(t, 4, __VA_ARGS__);         \
    }
#define TILES_OF(name)                         \
    {                                          \
        name##_1, name##_2, name##_3, name##_4 \
    }

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
