/* encode_k.c - encoding Q2_K to Q6_K. Pictures of the bytes: blocks.h; how scales and
 * minima are found: super.h. */
#include "quant/blocks.h"
#include "quant/formats.h"
#include "quant/super.h"

/* Levels, units and integers of a super-block of x = (d sc) L. */
FIT_INLINE float encode_scales(const float *values, super_scales p, float sc[SUPER_GROUPS],
                               int level[SUPER_BLOCK])
{
    float x[SUPER_BLOCK];
    fit_load(values, x, SUPER_BLOCK);
    float d = super_scales_fit(x, p, sc);
    for (int g = 0; g < p.groups; g++)
        fit_scale_levels(x + g * p.n, p.n, p.levels, d * sc[g], level + g * p.n);
    return d;
}

/* The same of x = (d sc) L - dmin mn. Since sc and mn are not negative, a group can lie below 0
 * but, unless it reaches down to 0, not above. A block with more groups above than below is
 * encoded as its mirror image, and d and dmin are negative. */
FIT_INLINE super_line_fit encode_lines(const float *values, super_lines p, int level[SUPER_BLOCK])
{
    float x[SUPER_BLOCK];
    fit_load(values, x, SUPER_BLOCK);
    int above = 0;
    for (int g = 0; g < p.groups; g++) {
        fit_points points = fit_points_of(x + g * p.n, p.n);
        above += (points.lo > 0) - (points.hi < 0);
    }
    for (int i = 0; i < SUPER_BLOCK && above > 0; i++)
        x[i] = -x[i];
    super_line_fit f;
    super_lines_fit(x, p, &f);
    for (int g = 0; g < p.groups; g++)
        fit_line_levels(x + g * p.n, p.n, p.top, f.d * f.sc[g], -(f.dmin * f.mn[g]),
                        level + g * p.n);
    if (above > 0) {
        f.d = -f.d;
        f.dmin = -f.dmin;
    }
    return f;
}

/* Two bits of each value, as Q2_K and Q3_K keep them. */
static void pack2(const int level[SUPER_BLOCK], uint8_t q[64])
{
    memset(q, 0, 64);
    for (int i = 0; i < SUPER_BLOCK; i++)
        q[i / 128 * 32 + i % 32] |= (uint8_t)((level[i] & 3) << 2 * (i / 32 % 4));
}

/* Four bits of each value, as Q4_K and Q5_K keep them. */
static void pack4(const int level[SUPER_BLOCK], uint8_t q[128])
{
    for (int i = 0; i < 128; i++) {
        const int *v = level + i / 32 * 64 + i % 32;
        q[i] = (uint8_t)((v[0] & 15) | (v[32] & 15) << 4);
    }
}

/* One bit of each value. */
static void pack1(const int level[SUPER_BLOCK], int shift, uint8_t qh[32])
{
    memset(qh, 0, 32);
    for (int i = 0; i < SUPER_BLOCK; i++)
        qh[i % 32] |= (uint8_t)((level[i] >> shift & 1) << i / 32);
}

void linn_q2_k_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q2_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += SUPER_BLOCK) {
        int level[SUPER_BLOCK];
        super_line_fit f = encode_lines(values, (super_lines){16, 16, 3, 15}, level);
        b->d = linn_f32_to_f16(f.d);
        b->dmin = linn_f32_to_f16(f.dmin);
        for (int g = 0; g < 16; g++)
            b->scales[g] = (uint8_t)((int)f.mn[g] << 4 | (int)f.sc[g]);
        pack2(level, b->q);
    }
}

/* sc[8] and mn[8] into the 12 bytes of Q4_K and Q5_K; linn_k4_scales is the way back. */
static void pack_k4_scales(const super_line_fit *f, uint8_t packed[12])
{
    for (int j = 0; j < 4; j++) {
        int sc = (int)f->sc[j + 4], mn = (int)f->mn[j + 4];
        packed[j] = (uint8_t)(sc >> 4 << 6 | (int)f->sc[j]);
        packed[j + 4] = (uint8_t)(mn >> 4 << 6 | (int)f->mn[j]);
        packed[j + 8] = (uint8_t)((mn & 15) << 4 | (sc & 15));
    }
}

void linn_q4_k_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q4_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += SUPER_BLOCK) {
        int level[SUPER_BLOCK];
        super_line_fit f = encode_lines(values, (super_lines){8, 32, 15, 63}, level);
        b->d = linn_f32_to_f16(f.d);
        b->dmin = linn_f32_to_f16(f.dmin);
        pack_k4_scales(&f, b->scales);
        pack4(level, b->q);
    }
}

void linn_q5_k_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_q5_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += SUPER_BLOCK) {
        int level[SUPER_BLOCK];
        super_line_fit f = encode_lines(values, (super_lines){8, 32, 31, 63}, level);
        b->d = linn_f32_to_f16(f.d);
        b->dmin = linn_f32_to_f16(f.dmin);
        pack_k4_scales(&f, b->scales);
        pack4(level, b->q);
        pack1(level, 4, b->qh);
    }
}

void linn_q3_k_encode(const float *values, void *blocks, size_t n_blocks)
{
    static const super_scales form = {16, 16, {-4, 3, NULL}, -32, 31, {0.7f, 0.04f, 3, true}};
    linn_q3_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += SUPER_BLOCK) {
        float sc[SUPER_GROUPS];
        int level[SUPER_BLOCK];
        b->d = linn_f32_to_f16(encode_scales(values, form, sc, level));
        memset(b->scales, 0, sizeof b->scales);
        for (int g = 0; g < 16; g++) {
            int code = (int)sc[g] + 32;
            b->scales[g % 8] |= (uint8_t)((code & 15) << 4 * (g / 8));
            b->scales[8 + g % 4] |= (uint8_t)(code >> 4 << 2 * (g / 4));
        }
        for (int j = 0; j < SUPER_BLOCK; j++)
            level[j] += 4;
        pack2(level, b->q);
        pack1(level, 2, b->qh);
    }
}

void linn_q6_k_encode(const float *values, void *blocks, size_t n_blocks)
{
    static const super_scales form = {16, 16, {-32, 31, NULL}, -128, 127, {0.8f, 0.015f, 4, true}};
    linn_q6_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += SUPER_BLOCK) {
        float sc[SUPER_GROUPS];
        int level[SUPER_BLOCK];
        b->d = linn_f32_to_f16(encode_scales(values, form, sc, level));
        for (int g = 0; g < 16; g++)
            b->scales[g] = (int8_t)sc[g];
        for (int j = 0; j < SUPER_BLOCK; j++)
            level[j] += 32;
        for (int j = 0; j < 64; j++) {
            const int *v = level + j / 32 * 128 + j % 32;
            uint8_t *ql = b->ql + j / 32 * 64 + j % 32;
            ql[0] = (uint8_t)((v[0] & 15) | (v[64] & 15) << 4);
            ql[32] = (uint8_t)((v[32] & 15) | (v[96] & 15) << 4);
            b->qh[j] = (uint8_t)(v[0] >> 4 | v[32] >> 4 << 2 | v[64] >> 4 << 4 | v[96] >> 4 << 6);
        }
    }
}
