/* walk.c - see walk.h. */
#include "kernels/walk.h"

#include <string.h>

/* n columns go to the fewest tiles, of about the same width: that of the next one. */
static int32_t tile_width(int32_t n, int32_t most)
{
    int32_t tiles = (n + most - 1) / most;
    return (n + tiles - 1) / tiles;
}

/* Rows that n columns of a panel are multiplied with at a time. */
static int32_t tile_rows(const linn_walk *f, int32_t n)
{
    return f->groups[(n < f->columns ? n : f->columns) - 1] * LINN_PACK_ROWS;
}

static const uint8_t *prefetch(const uint8_t *at, size_t lines)
{
    for (; lines > 0; lines--, at += LINN_PACK_LINE)
        __builtin_prefetch(at);
    return at;
}

/* Unpacks a chunk of the groups of a tile, which is of the unpacked from then on. */
static void unpack(const linn_walk *f, linn_tile *t, uint8_t (*lines)[LINN_CHUNK_BYTES])
{
    for (int g = 0; g < f->groups[0]; g++)
        f->unpack(t->heads + (size_t)g * t->heads_stride, t->bodies + (size_t)g * t->bodies_stride,
                  t->n_blocks, lines[g]);
    t->bodies = lines[0];
    t->bodies_stride = LINN_CHUNK_BYTES;
}

/* Groups of a tile times the n columns of a panel, chunk by chunk. Tiles of what was unpacked work
 * in the L1 cache, so long that the processor stops to read ahead: while they do, so do we. */
static void multiply_chunks(const linn_walk *f, const linn_tile *t, int32_t n)
{
    _Alignas(64) uint8_t lines[LINN_TILE_GROUPS][LINN_CHUNK_BYTES];
    size_t chunk = LINN_CHUNK_VALUES / f->block;
    size_t tiles = (size_t)((n + f->columns - 1) / f->columns);
    bool direct = tiles < f->unpack_from;
    size_t share = direct ? 0 : (chunk * f->body / LINN_PACK_LINE + tiles - 1) / tiles;
    for (size_t b = 0; b < t->n_blocks; b += chunk) {
        linn_tile u = *t;
        u.n_blocks = t->n_blocks - b < chunk ? t->n_blocks - b : chunk;
        u.heads += b * f->head;
        u.bodies += b * f->body;
        u.q += b * f->block;
        u.d += b;
        u.sums += b * f->block / 16;
        const uint8_t *ahead[LINN_TILE_GROUPS];
        for (int g = 0; g < f->groups[0]; g++)
            ahead[g] = u.bodies + (size_t)g * t->bodies_stride + chunk * f->body;
        if (!direct)
            unpack(f, &u, lines);
        for (int32_t left = n, width; left > 0; left -= width) {
            width = tile_width(left, f->columns);
            for (int g = 0; g < f->groups[0]; g++)
                ahead[g] = prefetch(ahead[g], share);
            (direct ? f->direct : f->unpacked)[width - 1](&u);
            u.q += (size_t)width * u.q_stride;
            u.d += (size_t)width * u.d_stride;
            u.sums += (size_t)width * u.s_stride;
            u.acc += (size_t)width * (size_t)f->groups[0] * LINN_PACK_ROWS;
        }
    }
}

/* Rows [begin, end) times n columns of a panel; t has the panel's activations. */
static void multiply_panel(const linn_walk *f, const linn_matrix *w, linn_tile t, int32_t begin,
                           int32_t end, int32_t n, float *y, size_t y_stride)
{
    size_t heads = linn_packed_heads(t.n_blocks, f->head);
    size_t group = linn_packed_group(t.n_blocks, f->head, f->body);
    int32_t rows = tile_rows(f, n);
    for (int32_t i = begin; i < end; i += rows) {
        int32_t stored = end - i < rows ? end - i : rows;
        t.heads = (const uint8_t *)w->packed + (size_t)(i / LINN_PACK_ROWS) * group;
        t.bodies = t.heads + heads;
        t.heads_stride = t.bodies_stride = stored > LINN_PACK_ROWS ? group : 0;
        memset(t.acc, 0, (size_t)(n * rows) * sizeof *t.acc);
        if (n <= f->columns)
            f->direct[n - 1](&t);
        else
            multiply_chunks(f, &t, n);
        for (int32_t c = 0; c < n; c++)
            memcpy(y + (size_t)c * y_stride + i, t.acc + c * rows, (size_t)stored * sizeof *y);
    }
}

void linn_walk_product(const linn_walk *f, const linn_matrix *w, const linn_acts *a, int32_t begin,
                       int32_t end, float *y, size_t y_stride)
{
    _Alignas(64) float acc[LINN_PANEL_COLUMNS * LINN_TILE_GROUPS * LINN_PACK_ROWS];
    size_t k = (size_t)a->k, n_blocks = k / f->block;
    int32_t rows = tile_rows(f, a->n);
    int32_t fit = (int32_t)(LINN_PANEL_BYTES / linn_packed_group(n_blocks, f->head, f->body));
    int32_t panel = fit * LINN_PACK_ROWS > rows ? fit * LINN_PACK_ROWS / rows * rows : rows;
    for (int32_t p = begin; p < end; p += panel) {
        int32_t p_end = end - p < panel ? end : p + panel;
        for (int32_t j = 0, n; j < a->n; j += n) {
            n = a->n - j < LINN_PANEL_COLUMNS ? a->n - j : LINN_PANEL_COLUMNS;
            if (!f->unpack)
                n = tile_width(n, f->columns);
            linn_tile t = {.n_blocks = n_blocks,
                           .q = a->q + (size_t)j * k,
                           .d = a->d + (size_t)j * n_blocks,
                           .sums = a->sums + (size_t)j * (k / 16),
                           .q_stride = k,
                           .d_stride = n_blocks,
                           .s_stride = k / 16,
                           .acc = acc};
            multiply_panel(f, w, t, p, p_end, n, y + (size_t)j * y_stride, y_stride);
        }
    }
}
