/* product.c - the walk over a packed matrix; see product.h. */
#include "kernels/avx2/product.h"

/* A group of 16 rows times n <= 64 columns: acc[n][16]. */
static void multiply_group(const product_format *f, tile_args t, int32_t n, size_t n_blocks)
{
    _Alignas(64) uint8_t lines[CHUNK_LINES * LINN_PACK_LINE];
    size_t chunk = CHUNK_VALUES / f->block;
    memset(t.acc, 0, (size_t)n * LINN_PACK_ROWS * sizeof *t.acc);
    if (n <= TILE_COLUMNS) {
        t.n_blocks = n_blocks;
        f->direct[n - 1](&t);
        return;
    }
    for (size_t b = 0; b < n_blocks; b += chunk) {
        tile_args u = t;
        u.n_blocks = n_blocks - b < chunk ? n_blocks - b : chunk;
        u.heads += b * f->head;
        u.bodies += b * f->body;
        if (f->unpack) {
            f->unpack(u.heads, u.bodies, u.n_blocks, lines);
            u.bodies = lines;
        }
        u.q += b * f->block;
        u.d += b;
        u.sums += b * f->block / 16;
        for (int32_t j = 0; j < n; j += TILE_COLUMNS) {
            f->unpacked[(n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS) - 1](&u);
            u.q += TILE_COLUMNS * u.q_stride;
            u.d += TILE_COLUMNS * u.d_stride;
            u.sums += TILE_COLUMNS * u.s_stride;
            u.acc += TILE_COLUMNS * LINN_PACK_ROWS;
        }
    }
}

void linn_avx2_product(const product_format *f, const linn_matrix *w, const linn_acts *a,
                       int32_t begin, int32_t end, float *y, size_t y_stride)
{
    _Alignas(64) float acc[PANEL_COLUMNS * LINN_PACK_ROWS];
    size_t k = (size_t)a->k, n_blocks = k / f->block;
    size_t heads = linn_packed_heads(n_blocks, f->head);
    size_t group = linn_packed_group(n_blocks, f->head, f->body);
    int32_t panel = (int32_t)(PANEL_BYTES / group > 1 ? PANEL_BYTES / group : 1) * LINN_PACK_ROWS;
    for (int32_t p = begin; p < end; p += panel) {
        int32_t p_end = end - p < panel ? end : p + panel;
        for (int32_t j = 0; j < a->n; j += PANEL_COLUMNS) {
            int32_t n = a->n - j < PANEL_COLUMNS ? a->n - j : PANEL_COLUMNS;
            for (int32_t i = p; i < p_end; i += LINN_PACK_ROWS) {
                const uint8_t *at =
                    (const uint8_t *)w->packed + (size_t)(i / LINN_PACK_ROWS) * group;
                tile_args t = {.heads = at,
                               .bodies = at + heads,
                               .q = a->q + (size_t)j * k,
                               .d = a->d + (size_t)j * n_blocks,
                               .sums = a->sums + (size_t)j * (k / 16),
                               .q_stride = k,
                               .d_stride = n_blocks,
                               .s_stride = k / 16,
                               .acc = acc};
                multiply_group(f, t, n, n_blocks);
                int32_t rows = p_end - i < LINN_PACK_ROWS ? p_end - i : LINN_PACK_ROWS;
                for (int32_t c = 0; c < n; c++)
                    memcpy(y + (size_t)(j + c) * y_stride + i, acc + c * LINN_PACK_ROWS,
                           (size_t)rows * sizeof *y);
            }
        }
    }
}
