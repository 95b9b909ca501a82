/* encode_simple.c - encoding Q8_0, Q4_0, Q4_1, Q5_0, Q5_1: blocks of 32 values with a
 * scale, or a scale and a minimum, of their own. Pictures of the bytes: blocks.h; how
 * the scales are found: fit.h.
 *
 * Steps of the scans are as fine as still lowered the error on normal data by a part
 * in a thousand. The least error of a finer grid has its extreme value well inside the
 * levels (a lucky fit of 32 values outweighs a slightly larger step), so the range
 * tried is wider than clipping alone would ask for. */
#include "quant/blocks.h"
#include "quant/fit.h"
#include "quant/formats.h"

enum { BLOCK = 32 };

/* The levels of a block of x = d L, and d as binary16. */
static inline uint16_t fit_block(const float *values, fit_levels k, fit_scan scan, int level[BLOCK])
{
    float x[BLOCK];
    fit_load(values, x, BLOCK);
    float d = fit_scale_half(x, BLOCK, k, fit_scale_scan(x, BLOCK, k, scan));
    fit_scale_levels(x, BLOCK, k, d, level);
    return linn_f32_to_f16(d);
}

static void pack4(const int level[BLOCK], uint8_t q[16])
{
    for (int j = 0; j < 16; j++)
        q[j] = (uint8_t)((level[j] & 15) | (level[j + 16] & 15) << 4);
}

static uint32_t fifth_bits(const int level[BLOCK])
{
    uint32_t bits = 0;
    for (int j = 0; j < BLOCK; j++)
        bits |= (uint32_t)(level[j] >> 4 & 1) << j;
    return bits;
}

/* -127 is the lowest level used, so that products may count on |q| <= 127. */
void linn_q8_0_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q8_0 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += BLOCK) {
        int level[BLOCK];
        b->d = fit_block(values, (fit_levels){-127, 127, NULL}, (fit_scan){0.9f, 0.004f, 7, false},
                         level);
        for (int j = 0; j < BLOCK; j++)
            b->q[j] = (int8_t)level[j];
    }
}

void linn_q4_0_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q4_0 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += BLOCK) {
        int level[BLOCK];
        b->d =
            fit_block(values, (fit_levels){-8, 7, NULL}, (fit_scan){0.7f, 0.04f, 3, true}, level);
        for (int j = 0; j < BLOCK; j++)
            level[j] += 8;
        pack4(level, b->q);
    }
}

void linn_q5_0_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q5_0 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += BLOCK) {
        int level[BLOCK];
        b->d = fit_block(values, (fit_levels){-16, 15, NULL}, (fit_scan){0.75f, 0.02f, 4, true},
                         level);
        for (int j = 0; j < BLOCK; j++)
            level[j] += 16;
        pack4(level, b->q);
        b->qh = fifth_bits(level);
    }
}

/* Takes over what is better of lines rounded to binary16. */
FIT_INLINE void keep_better(fit_points p, float top, fit_line f, fit_line *best, fit_f *least)
{
    f.s = fit_f16_4(f.s);
    f.c = fit_f16_4(f.c);
    fit_f e = fit_line_error(p, top, f);
    fit_i better = e < *least;
    best->s = fit_pick(better, f.s, best->s);
    best->c = fit_pick(better, f.c, best->c);
    *least = fit_pick(better, e, *least);
}

/* The levels of a block of x = d L + m, L = 0 .. top; d and m as binary16. */
FIT_INLINE void fit_line_block(const float *values, float top, uint16_t *d, uint16_t *m,
                               int level[BLOCK])
{
    float x[BLOCK], above[BLOCK];
    fit_load(values, x, BLOCK);
    fit_points p = fit_points_of(x, BLOCK);
    /* regression from the lowest value on, since far from 0 sums of squares lose digits */
    for (int i = 0; i < BLOCK; i++)
        above[i] = x[i] - p.lo;
    fit_points up = fit_points_of(above, BLOCK);
    fit_line f = fit_line_scan(up, top, FLT_MAX), best = {FIT_ALL(0), FIT_ALL(0)};
    fit_f lo = FIT_ALL(p.lo), least = fit_line_error(p, top, best), gain;
    keep_better(p, top, (fit_line){f.s, f.c + lo}, &best, &least);
    f = fit_line_refit(up, top, FLT_MAX, f, &gain);
    keep_better(p, top, (fit_line){f.s, f.c + lo}, &best, &least);
    if (fit_abs(f.s[0]) < FIT_F16_COARSE)
        for (int i = 0; i < 4; i++) {
            fit_f unit = FIT_ALL((float)(FIT_LANES * i)) + FIT_LANE;
            keep_better(p, top, (fit_line){unit * FIT_ALL(FIT_F16_UNIT), lo}, &best, &least);
        }
    int j = fit_least(least);
    fit_line shifted = {FIT_ALL(best.s[j]), FIT_ALL(best.c[j])};
    best = shifted;
    least = FIT_ALL(least[j]);
    /* where both ends have levels to spare, all may move up or down: m rounds otherwise */
    shifted.c += shifted.s * (fit_f){-2, -1, 1, 2};
    keep_better(p, top, shifted, &best, &least);
    j = fit_least(least);
    *d = linn_f32_to_f16(best.s[j]);
    *m = linn_f32_to_f16(best.c[j]);
    fit_line_levels(x, BLOCK, top, best.s[j], best.c[j], level);
}

void linn_q4_1_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q4_1 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += BLOCK) {
        uint16_t d, m;
        int level[BLOCK];
        fit_line_block(values, 15, &d, &m, level);
        b->d = d;
        b->m = m;
        pack4(level, b->q);
    }
}

void linn_q5_1_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q5_1 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += BLOCK) {
        uint16_t d, m;
        int level[BLOCK];
        fit_line_block(values, 31, &d, &m, level);
        b->d = d;
        b->m = m;
        pack4(level, b->q);
        b->qh = fifth_bits(level);
    }
}
