/* walk_plain.h - how a product of F32, F16 or BF16 weights walks over a packed matrix
 * (pack.h).
 *
 *     lanes = fma(w[i, k .. k+8), a[j, k .. k+8), lanes)     for k = 0, 8, ..., from +0
 *     y     = the tree over the 8 lanes
 *
 * Few columns are one tile, along whole rows, where a table likes that. Others go
 *
 *     panel of rows that fits the L2 cache
 *       panel of columns
 *         8 rows
 *           chunk of 512 values, which stay in the L1 cache
 *             tile of a few columns
 *
 * and between chunks the lanes of every output wait in memory. A tile converts weights as it
 * goes: to store them as F32 and load them again takes longer, even for many columns.
 */
#ifndef LINN_KERNELS_WALK_PLAIN_H
#define LINN_KERNELS_WALK_PLAIN_H

#include "kernels/pack.h"

enum {
    LINN_PLAIN_COLUMNS = 6,  /* of a tile, at most */
    LINN_PLAIN_GROUPS = 2,   /* of 8 rows, in a tile, at most */
    LINN_PLAIN_PANEL = 32,   /* columns */
    LINN_PLAIN_CHUNK = 512,  /* values */
    LINN_PLAIN_AHEAD = 8192, /* bytes to prefetch */
};

/* 1 or 2 groups of 8 rows times some columns. */
typedef struct linn_plain_tile {
    const char *w; /* steps of the first group */
    size_t next;   /* bytes to the second one */
    size_t n_steps;
    const char *soon; /* to prefetch beside the first step, as far as a step goes; */
    size_t soon_step; /* and so many bytes on for each step */
    int32_t tail;     /* values of one more step; 0: there is none */
    const float *x;   /* [columns, x_stride] */
    size_t x_stride;
    bool first;   /* lanes start as zeros, not from memory */
    float *lanes; /* [columns, rows, 8] */
    float *out;   /* [columns, rows] sums over lanes; NULL: go to memory, there is more to come */
} linn_plain_tile;

typedef void (*linn_plain_tile_fn)(const linn_plain_tile *t);

/* A format as a table multiplies it. */
typedef struct linn_plain_walk {
    size_t value;                                  /* bytes */
    int32_t columns;                               /* of a tile, at most */
    int32_t groups[LINN_PLAIN_COLUMNS];            /* of a direct tile of 1, 2, ... columns */
    linn_plain_tile_fn direct[LINN_PLAIN_COLUMNS]; /* of whole rows; NULL: by chunks */
    linn_plain_tile_fn single[LINN_PLAIN_COLUMNS]; /* of one group */
} linn_plain_walk;

void linn_plain_product(const linn_plain_walk *f, const linn_matrix *w, const linn_acts *a,
                        int32_t begin, int32_t end, float *y, size_t y_stride);

#endif
