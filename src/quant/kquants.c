/* kquants.c - decoding Q2_K to Q6_K: super-blocks of 256 values whose groups have
 * small integer scales (and minima) of their own, in units of d (and dmin).
 *
 * The scale of a group, d * sc, is rounded to float32 before it multiplies a
 * level; the order is part of the format's meaning here. Pictures: blocks.h. */
#include "quant/blocks.h"
#include "quant/formats.h"
#include "quant/half.h"

void linn_q2_k_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q2_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 256) {
        float d = linn_f16_to_f32(b->d), dmin = linn_f16_to_f32(b->dmin);
        for (int g = 0; g < 16; g++) {
            float scale = d * (float)(b->scales[g] & 15);
            float min = dmin * (float)(b->scales[g] >> 4);
            const uint8_t *q = b->q + 32 * (g / 8) + 16 * (g % 2);
            int shift = 2 * (g / 2 % 4);
            for (int l = 0; l < 16; l++)
                values[16 * g + l] = scale * (float)(q[l] >> shift & 3) - min;
        }
    }
}

void linn_q3_k_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q3_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 256) {
        float d = linn_f16_to_f32(b->d);
        int8_t sc[16];
        linn_q3_k_scales(b->scales, sc);
        for (int g = 0; g < 16; g++) {
            float scale = d * (float)sc[g];
            const uint8_t *q = b->q + 32 * (g / 8) + 16 * (g % 2);
            const uint8_t *qh = b->qh + 16 * (g % 2);
            int shift = 2 * (g / 2 % 4), bit = g / 2;
            for (int l = 0; l < 16; l++) {
                int level = (q[l] >> shift & 3) | (qh[l] >> bit & 1) << 2;
                values[16 * g + l] = scale * (float)(level - 4);
            }
        }
    }
}

void linn_q4_k_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q4_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 256) {
        float d = linn_f16_to_f32(b->d), dmin = linn_f16_to_f32(b->dmin);
        uint8_t sc[8], mn[8];
        linn_k4_scales(b->scales, sc, mn);
        for (int g = 0; g < 8; g++) {
            float scale = d * (float)sc[g], min = dmin * (float)mn[g];
            const uint8_t *q = b->q + 32 * (g / 2);
            int shift = 4 * (g % 2);
            for (int l = 0; l < 32; l++)
                values[32 * g + l] = scale * (float)(q[l] >> shift & 15) - min;
        }
    }
}

void linn_q5_k_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q5_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 256) {
        float d = linn_f16_to_f32(b->d), dmin = linn_f16_to_f32(b->dmin);
        uint8_t sc[8], mn[8];
        linn_k4_scales(b->scales, sc, mn);
        for (int g = 0; g < 8; g++) {
            float scale = d * (float)sc[g], min = dmin * (float)mn[g];
            const uint8_t *q = b->q + 32 * (g / 2);
            int shift = 4 * (g % 2);
            for (int l = 0; l < 32; l++) {
                int level = (q[l] >> shift & 15) | (b->qh[l] >> g & 1) << 4;
                values[32 * g + l] = scale * (float)level - min;
            }
        }
    }
}

void linn_q6_k_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q6_k *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 256) {
        float d = linn_f16_to_f32(b->d);
        for (int g = 0; g < 16; g++) {
            float scale = d * (float)b->scales[g];
            int half = g / 8, quarter = g / 2 % 4; /* of the block; of the half */
            const uint8_t *ql = b->ql + 64 * half + 32 * (quarter % 2) + 16 * (g % 2);
            const uint8_t *qh = b->qh + 32 * half + 16 * (g % 2);
            int low_shift = 4 * (quarter / 2), high_shift = 2 * quarter;
            for (int l = 0; l < 16; l++) {
                int level = (ql[l] >> low_shift & 15) | (qh[l] >> high_shift & 3) << 4;
                values[16 * g + l] = scale * (float)(level - 32);
            }
        }
    }
}
