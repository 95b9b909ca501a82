/* plain.c - F32, F16 and BF16: one value a block. */
#include "quant/formats.h"
#include "quant/half.h"

void linn_f32_decode(const void *blocks, float *values, size_t n_blocks)
{
    memcpy(values, blocks, n_blocks * sizeof(float));
}

void linn_f32_encode(const float *values, void *blocks, size_t n_blocks)
{
    memcpy(blocks, values, n_blocks * sizeof(float));
}

/* One value of 16 bits at any address. */
static inline uint16_t load16(const void *base, size_t i)
{
    uint16_t h;
    memcpy(&h, (const uint8_t *)base + i * sizeof h, sizeof h);
    return h;
}

static inline void store16(void *base, size_t i, uint16_t h)
{
    memcpy((uint8_t *)base + i * sizeof h, &h, sizeof h);
}

void linn_f16_decode(const void *blocks, float *values, size_t n_blocks)
{
    for (size_t i = 0; i < n_blocks; i++)
        values[i] = linn_f16_to_f32(load16(blocks, i));
}

void linn_f16_encode(const float *values, void *blocks, size_t n_blocks)
{
    for (size_t i = 0; i < n_blocks; i++)
        store16(blocks, i, linn_f32_to_f16(values[i]));
}

void linn_bf16_decode(const void *blocks, float *values, size_t n_blocks)
{
    for (size_t i = 0; i < n_blocks; i++)
        values[i] = linn_bf16_to_f32(load16(blocks, i));
}

void linn_bf16_encode(const float *values, void *blocks, size_t n_blocks)
{
    for (size_t i = 0; i < n_blocks; i++)
        store16(blocks, i, linn_f32_to_bf16(values[i]));
}
