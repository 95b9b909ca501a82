/* iq4.c - decoding IQ4_NL and IQ4_XS: 4-bit levels that stand for unevenly spaced
 * numbers, close where weights are dense. Pictures of the bytes: blocks.h. */
#include "quant/blocks.h"
#include "quant/formats.h"
#include "quant/half.h"

const int8_t linn_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

void linn_iq4_nl_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_iq4_nl *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float d = linn_f16_to_f32(b->d);
        for (int l = 0; l < 16; l++) {
            values[l] = d * (float)linn_iq4_values[b->q[l] & 15];
            values[l + 16] = d * (float)linn_iq4_values[b->q[l] >> 4];
        }
    }
}

void linn_iq4_xs_decode(const void *blocks, float *values, size_t n_blocks)
{
    const linn_iq4_xs *b = blocks;
    for (size_t i = 0; i < n_blocks; i++, b++, values += 256) {
        float d = linn_f16_to_f32(b->d);
        int8_t sc[8];
        linn_iq4_xs_scales(b, sc);
        for (int g = 0; g < 8; g++) {
            float scale = d * (float)sc[g];
            const uint8_t *q = b->q + 16 * g;
            float *v = values + 32 * g;
            for (int l = 0; l < 16; l++) {
                v[l] = scale * (float)linn_iq4_values[q[l] & 15];
                v[l + 16] = scale * (float)linn_iq4_values[q[l] >> 4];
            }
        }
    }
}
