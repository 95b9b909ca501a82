/* half.h - IEEE binary16 and bfloat16, exact, in integer arithmetic.
 *
 * Inline, since every block has a scale to convert. Rounding is to nearest even
 * whatever the floating-point environment says; subnormals are kept. A NaN comes
 * out quiet with the leading bits of its payload, as the F16C instructions have
 * it; only bfloat16 to float32 is a plain shift.
 *
 *   binary16   s eeeee mmmmmmmmmm     bias 15
 *   bfloat16   s eeeeeeee mmmmmmm     the upper half of a binary32
 */
#ifndef LINN_QUANT_HALF_H
#define LINN_QUANT_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t linn_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float linn_f32_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float linn_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 0x1f;
    uint32_t mantissa = h & 0x3ff;
    if (exponent == 0x1f)
        return linn_f32_from_bits(sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000u : 0u));
    if (exponent == 0) { /* mantissa * 2^-24: exact, since both factors are */
        float f = (float)mantissa * 0x1p-24f;
        return linn_f32_from_bits(sign | linn_f32_bits(f));
    }
    return linn_f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static inline uint16_t linn_f32_to_f16(float f)
{
    uint32_t u = linn_f32_bits(f);
    uint32_t sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000) /* NaN */
        return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff));
    if (u >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
        uint32_t shift = 126 - (u >> 23);
        if (shift > 24) /* below 2^-25 */
            return (uint16_t)sign;
        uint32_t m = (u & 0x7fffff) | 0x800000;
        uint32_t half = 1u << (shift - 1);
        return (uint16_t)(sign | ((m + half - 1 + (m >> shift & 1)) >> shift));
    }
    u -= 112u << 23;
    return (uint16_t)(sign | ((u + 0xfff + (u >> 13 & 1)) >> 13));
}

static inline float linn_bf16_to_f32(uint16_t h)
{
    return linn_f32_from_bits((uint32_t)h << 16);
}

static inline uint16_t linn_f32_to_bf16(float f)
{
    uint32_t u = linn_f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#endif
