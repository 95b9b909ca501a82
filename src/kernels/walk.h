/* walk.h - how a quantised product of the vector tables walks over a packed matrix.
 *
 *     panel of rows that fits the L2 cache
 *       panel of columns
 *         1 or 2 groups of 16 rows
 *           chunk of blocks
 *             tile of a few columns: 16 or 32 rows by so many outputs in registers
 *
 * A direct tile unpacks levels as it goes. A panel of one tile takes the whole row as one
 * chunk, and where a format has no `unpack` there are no others. Else more columns go in
 * panels of up to 64, by chunks of 256 values: from `unpack_from` tiles on, their levels
 * (and the scales of super-blocks) are unpacked once into the L1 cache, and all columns of
 * the panel multiply those.
 *
 * Every output is one chain of fma over blocks; between chunks it waits in memory.
 */
#ifndef LINN_KERNELS_WALK_H
#define LINN_KERNELS_WALK_H

#include "kernels/pack.h"

enum {
    LINN_TILE_COLUMNS = 8, /* at most */
    LINN_TILE_GROUPS = 2,  /* at most */
    LINN_PANEL_COLUMNS = 64,
    LINN_PANEL_BYTES = 256 * 1024,
    LINN_CHUNK_VALUES = 256,
    LINN_CHUNK_EXTRA = 24, /* lines that a format may use besides those of its levels */
    LINN_CHUNK_BYTES = (LINN_CHUNK_VALUES / 4 + LINN_CHUNK_EXTRA) * LINN_PACK_LINE,
};

/* A chunk of 1 or 2 groups (as the format's tiles have) times some columns. */
typedef struct linn_tile {
    const uint8_t *heads;               /* of the first block of the first group */
    const uint8_t *bodies;              /* the same; or what was unpacked of it */
    size_t heads_stride, bodies_stride; /* to the second group; 0: there is none, any result does */
    size_t n_blocks;
    const int8_t *q;     /* [columns, q_stride] from the first block on */
    const float *d;      /* [columns, d_stride] */
    const int16_t *sums; /* [columns, s_stride] */
    size_t q_stride, d_stride, s_stride;
    float *acc; /* [columns, groups, 16] */
} linn_tile;

typedef void (*linn_tile_fn)(const linn_tile *t);

/* A format as a table multiplies it. */
typedef struct linn_walk {
    size_t block, head, body;                 /* values; bytes of a group's */
    int columns;                              /* of a tile, at most */
    int groups[LINN_TILE_COLUMNS];            /* of a tile of 1, 2, ...; all equal with `unpack` */
    linn_tile_fn direct[LINN_TILE_COLUMNS];   /* for 1, 2, ... columns */
    linn_tile_fn unpacked[LINN_TILE_COLUMNS]; /* the same, from what `unpack` wrote */
    size_t unpack_from;                       /* so many tiles of a panel: 2 or more */
    /* n_blocks blocks of one group, to LINN_CHUNK_BYTES; may be NULL */
    void (*unpack)(const uint8_t *heads, const uint8_t *bodies, size_t n_blocks, uint8_t *out);
} linn_walk;

void linn_walk_product(const linn_walk *f, const linn_matrix *w, const linn_acts *a, int32_t begin,
                       int32_t end, float *y, size_t y_stride);

#endif
