/* walk_plain.c - see walk_plain.h. */
#include "kernels/walk_plain.h"

#include <string.h>

enum {
    ROWS = LINN_PACK_PLAIN_ROWS,
    STEP = LINN_PACK_STEP,
    PANEL_BYTES = 256 * 1024,
    CHUNK_STEPS = LINN_PLAIN_CHUNK / STEP,
};

/* n columns go to the fewest tiles, of about the same width: that of the next one. */
static int32_t tile_width(int32_t n, int32_t most)
{
    int32_t tiles = (n + most - 1) / most;
    return (n + tiles - 1) / tiles;
}

/* out[n, rows] to rows [i, end) of y */
static void put(const float *out, int32_t rows, int32_t n, int32_t i, int32_t end, float *y,
                size_t y_stride)
{
    size_t stored = (size_t)(end - i < rows ? end - i : rows);
    for (int32_t c = 0; c < n; c++)
        memcpy(y + (size_t)c * y_stride + i, out + c * rows, stored * sizeof *y);
}

/* All columns in one tile. */
static void multiply_direct(const linn_plain_walk *f, const linn_matrix *w, linn_plain_tile t,
                            int32_t begin, int32_t end, int32_t n, float *y, size_t y_stride)
{
    float out[LINN_PLAIN_COLUMNS * LINN_PLAIN_GROUPS * ROWS];
    int32_t rows = f->groups[n - 1] * ROWS;
    t.first = true;
    t.soon_step = STEP * ROWS * f->value;
    t.out = out;
    for (int32_t i = begin; i < end; i += rows) {
        t.w = (const char *)w->packed + (size_t)(i / ROWS) * t.next;
        t.soon = t.w + LINN_PLAIN_AHEAD;
        f->direct[n - 1](&t);
        put(out, rows, n, i, end, y, y_stride);
    }
}

/* A group of 8 rows times the n columns of a panel, to out. Each tile asks for its share of the
 * next chunk: memory would rest during the others. */
static void multiply_group(const linn_plain_walk *f, const linn_plain_tile *t, int32_t n,
                           float *lanes, float *out)
{
    size_t all = t->n_steps + (t->tail > 0), step = STEP * ROWS * f->value;
    size_t tiles = (size_t)((n + f->columns - 1) / f->columns);
    for (size_t s = 0; s < all; s += CHUNK_STEPS) {
        size_t steps = all - s < CHUNK_STEPS ? all - s : CHUNK_STEPS;
        bool last = s + steps == all;
        linn_plain_tile u = *t;
        u.w += s * step;
        u.n_steps = last && t->tail > 0 ? steps - 1 : steps;
        u.tail = last ? t->tail : 0;
        u.first = s == 0;
        u.x += s * STEP;
        u.lanes = lanes;
        u.soon = u.w + steps * step;
        u.soon_step = step / tiles;
        u.out = last ? out : NULL;
        for (int32_t left = n, width; left > 0; left -= width) {
            width = tile_width(left, f->columns);
            f->single[width - 1](&u);
            u.soon += steps * u.soon_step;
            u.x += (size_t)width * u.x_stride;
            u.lanes += width * ROWS * STEP;
            if (last)
                u.out += width * ROWS;
        }
    }
}

void linn_plain_product(const linn_plain_walk *f, const linn_matrix *w, const linn_acts *a,
                        int32_t begin, int32_t end, float *y, size_t y_stride)
{
    _Alignas(64) float lanes[LINN_PLAIN_PANEL * ROWS * STEP];
    float out[LINN_PLAIN_PANEL * ROWS];
    size_t k = (size_t)a->k, group = linn_packed_plain(k, f->value);
    linn_plain_tile t = {
        .next = group, .n_steps = k / STEP, .tail = a->k % STEP, .x = a->x, .x_stride = k};
    if (a->n <= f->columns && f->direct[a->n - 1]) {
        multiply_direct(f, w, t, begin, end, a->n, y, y_stride);
        return;
    }
    int32_t fit = (int32_t)(PANEL_BYTES / group), panel = (fit > 0 ? fit : 1) * ROWS;
    for (int32_t p = begin; p < end; p += panel) {
        int32_t p_end = end - p < panel ? end : p + panel;
        for (int32_t j = 0, n; j < a->n; j += n) {
            n = a->n - j < LINN_PLAIN_PANEL ? a->n - j : LINN_PLAIN_PANEL;
            t.x = a->x + (size_t)j * k;
            for (int32_t i = p; i < p_end; i += ROWS) {
                t.w = (const char *)w->packed + (size_t)(i / ROWS) * group;
                multiply_group(f, &t, n, lanes, out);
                put(out, ROWS, n, i, p_end, y + (size_t)j * y_stride, y_stride);
            }
        }
    }
}
