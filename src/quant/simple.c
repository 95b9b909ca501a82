/* simple.c - decoding Q8_0, Q4_0, Q4_1, Q5_0, Q5_1: blocks of 32 values with one
 * scale, or a scale and a minimum. Pictures of the bytes: blocks.h. */
#include "quant/blocks.h"
#include "quant/formats.h"
#include "quant/half.h"

void linn_q8_0_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q8_0 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float d = linn_f16_to_f32(b->d);
        for (int j = 0; j < 32; j++)
            values[j] = d * (float)b->q[j];
    }
}

void linn_q4_0_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q4_0 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float d = linn_f16_to_f32(b->d);
        for (int j = 0; j < 16; j++) {
            values[j] = d * (float)((b->q[j] & 15) - 8);
            values[j + 16] = d * (float)((b->q[j] >> 4) - 8);
        }
    }
}

void linn_q4_1_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q4_1 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float d = linn_f16_to_f32(b->d), m = linn_f16_to_f32(b->m);
        for (int j = 0; j < 16; j++) {
            values[j] = d * (float)(b->q[j] & 15) + m;
            values[j + 16] = d * (float)(b->q[j] >> 4) + m;
        }
    }
}

/* Levels 0 .. 31 of Q5_0 and Q5_1. */
static void levels5(const uint8_t q[16], uint32_t qh, int level[32])
{
    for (int j = 0; j < 16; j++) {
        level[j] = (q[j] & 15) | (int)(qh >> j & 1) << 4;
        level[j + 16] = q[j] >> 4 | (int)(qh >> (j + 16) & 1) << 4;
    }
}

void linn_q5_0_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q5_0 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float d = linn_f16_to_f32(b->d);
        int level[32];
        levels5(b->q, b->qh, level);
        for (int j = 0; j < 32; j++)
            values[j] = d * (float)(level[j] - 16);
    }
}

void linn_q5_1_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_q5_1 *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float d = linn_f16_to_f32(b->d), m = linn_f16_to_f32(b->m);
        int level[32];
        levels5(b->q, b->qh, level);
        for (int j = 0; j < 32; j++)
            values[j] = d * (float)level[j] + m;
    }
}
