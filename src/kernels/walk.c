/* walk.c - see walk.h. */
#include "kernels/walk.h"

#include <string.h>

/* The columns of a panel go to the fewest tiles, of about the same width. */
static int32_t tile_width(int32_t n, int32_t most)
{
    int32_t tiles = (n + most - 1) / most;
    return (n + tiles - 1) / tiles;
}

/* One or two groups times n columns of a panel: acc[n][groups][16]. */
static void multiply_groups(const linn_walk *f, linn_tile t, int groups, int32_t n, size_t n_blocks)
{
    _Alignas(64) uint8_t lines[LINN_TILE_GROUPS][LINN_CHUNK_BYTES];
    size_t chunk = LINN_CHUNK_VALUES / f->block, acc = (size_t)groups * LINN_PACK_ROWS;
    memset(t.acc, 0, (size_t)n * acc * sizeof *t.acc);
    if (n <= f->columns) {
        t.n_blocks = n_blocks;
        f->direct[groups - 1][n - 1](&t);
        return;
    }
    for (size_t b = 0; b < n_blocks; b += chunk) {
        linn_tile u = t;
        u.n_blocks = n_blocks - b < chunk ? n_blocks - b : chunk;
        u.heads += b * f->head;
        u.bodies += b * f->body;
        if (f->unpack) {
            for (int g = 0; g < groups; g++)
                f->unpack(u.heads + (size_t)g * u.heads_stride,
                          u.bodies + (size_t)g * u.bodies_stride, u.n_blocks, lines[g]);
            u.bodies = lines[0];
            u.bodies_stride = LINN_CHUNK_BYTES;
        }
        u.q += b * f->block;
        u.d += b;
        u.sums += b * f->block / 16;
        for (int32_t left = n; left > 0;) {
            int32_t width = tile_width(left, f->columns);
            f->unpacked[groups - 1][width - 1](&u);
            u.q += (size_t)width * u.q_stride;
            u.d += (size_t)width * u.d_stride;
            u.sums += (size_t)width * u.s_stride;
            u.acc += (size_t)width * acc;
            left -= width;
        }
    }
}

void linn_walk_product(const linn_walk *f, const linn_matrix *w, const linn_acts *a, int32_t begin,
                       int32_t end, float *y, size_t y_stride)
{
    _Alignas(64) float acc[LINN_PANEL_COLUMNS * LINN_TILE_GROUPS * LINN_PACK_ROWS];
    size_t k = (size_t)a->k, n_blocks = k / f->block;
    size_t heads = linn_packed_heads(n_blocks, f->head);
    size_t group = linn_packed_group(n_blocks, f->head, f->body);
    int32_t step = f->groups * LINN_PACK_ROWS;
    int32_t fit = (int32_t)(LINN_PANEL_BYTES / group) * LINN_PACK_ROWS / step * step;
    int32_t panel = fit > step ? fit : step;
    for (int32_t p = begin; p < end; p += panel) {
        int32_t p_end = end - p < panel ? end : p + panel;
        for (int32_t j = 0; j < a->n; j += LINN_PANEL_COLUMNS) {
            int32_t n = a->n - j < LINN_PANEL_COLUMNS ? a->n - j : LINN_PANEL_COLUMNS;
            for (int32_t i = p, rows; i < p_end; i += rows) {
                int groups = p_end - i > LINN_PACK_ROWS ? f->groups : 1;
                rows = groups * LINN_PACK_ROWS;
                const uint8_t *at =
                    (const uint8_t *)w->packed + (size_t)(i / LINN_PACK_ROWS) * group;
                linn_tile t = {.heads = at,
                               .bodies = at + heads,
                               .heads_stride = group,
                               .bodies_stride = group,
                               .q = a->q + (size_t)j * k,
                               .d = a->d + (size_t)j * n_blocks,
                               .sums = a->sums + (size_t)j * (k / 16),
                               .q_stride = k,
                               .d_stride = n_blocks,
                               .s_stride = k / 16,
                               .acc = acc};
                multiply_groups(f, t, groups, n, n_blocks);
                int32_t stored = p_end - i < rows ? p_end - i : rows;
                for (int32_t c = 0; c < n; c++)
                    memcpy(y + (size_t)(j + c) * y_stride + i, acc + c * rows,
                           (size_t)stored * sizeof *y);
            }
        }
    }
}
