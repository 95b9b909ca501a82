/* rows.c - what is done to one row of activations, in NEON. Formulas and orders:
 * c/rows.c and c/activations.c. */
#include "kernels/c/c.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/vec.h"

#include <string.h>

void linn_neon_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y)
{
    float32x4_t low = vdupq_n_f32(0), high = low;
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4_t a = vld1q_f32(x + i), b = vld1q_f32(x + i + 4);
        low = vfmaq_f32(low, a, a);
        high = vfmaq_f32(high, b, b);
    }
    if (i < n) { /* fma(0, 0, lane) changes no lane: none is -0 */
        float tail[8] = {0};
        memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
        float32x4_t a = vld1q_f32(tail), b = vld1q_f32(tail + 4);
        low = vfmaq_f32(low, a, a);
        high = vfmaq_f32(high, b, b);
    }
    float r = 1.0f / __builtin_sqrtf(tree8(low, high) / (float)n + eps);
    for (i = 0; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), r), vld1q_f32(w + i)));
    for (; i < n; i++)
        y[i] = (x[i] * r) * w[i];
}

void linn_neon_swiglu(float *gate, const float *up, int32_t n)
{
    int32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t g = vld1q_f32(gate + i), e = exp4(vnegq_f32(g));
        g = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), e));
        vst1q_f32(gate + i, vmulq_f32(g, vld1q_f32(up + i)));
    }
    if (i < n)
        linn_c_swiglu(gate + i, up + i, n - i);
}

void linn_neon_to_f16(const float *x, int32_t n, uint16_t *y)
{
    int32_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++)
        y[i] = linn_f32_to_f16(x[i]);
}

/* 16 values to q[16]; returns their sum. The conversion rounds to nearest even. */
static inline int16_t quantize16(const float *x, float inverse, int8_t *q)
{
    int16x4_t part[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        part[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), inverse)));
    int16x8_t a = vcombine_s16(part[0], part[1]), b = vcombine_s16(part[2], part[3]);
    vst1q_s8(q, vcombine_s8(vmovn_s16(a), vmovn_s16(b)));
    return vaddvq_s16(vaddq_s16(a, b));
}

void linn_neon_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                        int16_t *sums)
{
    const uint32x4_t no_sign = vdupq_n_u32(0x7fffffff);
    int32_t block = form == LINN_ACT_Q8K ? 256 : 32;
    for (int32_t b = 0; b < k; b += block, x += block, q += block, sums += block / 16) {
        uint32x4_t a = vdupq_n_u32(0);
        for (int32_t i = 0; i < block; i += 4)
            a = vmaxq_u32(a, vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x + i)), no_sign));
        uint32_t bits = vmaxvq_u32(a);
        float max = linn_f32_from_bits(bits);
        if (bits >= 0x7f800000 || max < LINN_ACT_TINY) {
            *d++ = bits >= 0x7f800000 ? linn_f32_from_bits(0x7fc00000) : 0.0f;
            memset(q, 0, (size_t)block);
            memset(sums, 0, (size_t)block / 16 * sizeof *sums);
            continue;
        }
        *d++ = max / 127.0f;
        for (int32_t i = 0; i < block; i += 16)
            sums[i / 16] = quantize16(x + i, 127.0f / max, q + i);
    }
}
