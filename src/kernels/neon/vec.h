/* vec.h - what the NEON kernels share: loops that must be unrolled, the tree over 8
 * lanes, and linn_exp32 in 4 lanes. vfmaq_f32(a, b, c) is fma(b, c, a), vfmsq_f32
 * fma(-b, c, a): both rounded once. */
#ifndef LINN_KERNELS_NEON_VEC_H
#define LINN_KERNELS_NEON_VEC_H

#include "kernels/exp32.h"
#include "quant/half.h"

#include <arm_neon.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Before loops over an array of registers, whose bounds are constant once inlined. */
#ifndef __clang__
#define UNROLL _Pragma("GCC unroll 64")
#else
#define UNROLL _Pragma("clang loop unroll(full)")
#endif

/* ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)) of lanes 0 .. 3 and 4 .. 7 */
static inline float tree8(float32x4_t low, float32x4_t high)
{
    float32x4_t s = vaddq_f32(low, high);
    float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}

/* linn_exp32 (math.c), the same operations in every lane */
static inline float32x4_t exp4(float32x4_t x)
{
    const float32x4_t magic = vdupq_n_f32(LINN_EXP32_MAGIC);
    float32x4_t t = vfmaq_f32(magic, x, vdupq_n_f32(LINN_EXP32_LOG2E));
    float32x4_t n = vsubq_f32(t, magic);
    float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(LINN_EXP32_LN2));
    r = vfmsq_f32(r, n, vdupq_n_f32(LINN_EXP32_LN2_LO));
    float32x4_t q = vdupq_n_f32(LINN_EXP32_Q4);
    q = vfmaq_f32(vdupq_n_f32(LINN_EXP32_Q3), q, r);
    q = vfmaq_f32(vdupq_n_f32(LINN_EXP32_Q2), q, r);
    q = vfmaq_f32(vdupq_n_f32(LINN_EXP32_Q1), q, r);
    q = vfmaq_f32(vdupq_n_f32(LINN_EXP32_Q0), q, r);
    float32x4_t p = vfmaq_f32(r, vmulq_f32(r, r), q);
    p = vaddq_f32(p, vdupq_n_f32(1.0f));
    uint32x4_t y = vaddq_u32(vreinterpretq_u32_f32(p), vshlq_n_u32(vreinterpretq_u32_f32(t), 23));
    uint32x4_t low = vcltq_f32(x, vdupq_n_f32(LINN_EXP32_MIN));
    uint32x4_t high = vcgtq_f32(x, vdupq_n_f32(LINN_EXP32_MAX));
    uint32x4_t number = vceqq_f32(x, x);
    float32x4_t result = vreinterpretq_f32_u32(vbicq_u32(y, low));
    result = vbslq_f32(high, vdupq_n_f32(__builtin_inff()), result);
    return vbslq_f32(number, result, x);
}

#endif
