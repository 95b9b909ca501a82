/* vec.h - what the AVX2 kernels share: loops that must be unrolled, ends of rows,
 * the tree over 8 lanes, and linn_exp32 in 8 lanes. */
#ifndef LINN_KERNELS_AVX2_VEC_H
#define LINN_KERNELS_AVX2_VEC_H

#include "kernels/exp32.h"
#include "quant/half.h"

#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Before loops over an array of registers, whose bounds are constant once inlined. (With a
 * sanitizer, clang would take minutes over what comes out of it.) */
#ifndef __clang__
#define UNROLL _Pragma("GCC unroll 64")
#elif __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("clang loop unroll(full)")
#endif

/* All ones in the first n of 8 lanes (all for n > 8, none for n < 0). */
static inline __m256i first_lanes(int32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)) */
static inline float tree8(__m256 l)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(l), _mm256_extractf128_ps(l, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* linn_exp32 (math.c), the same operations in every lane */
static inline __m256 exp8(__m256 x)
{
    const __m256 magic = _mm256_set1_ps(LINN_EXP32_MAGIC);
    __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(LINN_EXP32_LOG2E), magic);
    __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LINN_EXP32_LN2), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LINN_EXP32_LN2_LO), r);
    __m256 q = _mm256_set1_ps(LINN_EXP32_Q4);
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(LINN_EXP32_Q3));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(LINN_EXP32_Q2));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(LINN_EXP32_Q1));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(LINN_EXP32_Q0));
    __m256 p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r);
    p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));
    __m256i y =
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(t), 23));
    __m256 result = _mm256_castsi256_ps(y);
    __m256 low = _mm256_cmp_ps(x, _mm256_set1_ps(LINN_EXP32_MIN), _CMP_LT_OQ);
    __m256 high = _mm256_cmp_ps(x, _mm256_set1_ps(LINN_EXP32_MAX), _CMP_GT_OQ);
    __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    result = _mm256_andnot_ps(low, result);
    result = _mm256_blendv_ps(result, _mm256_set1_ps(__builtin_inff()), high);
    return _mm256_blendv_ps(result, x, nan);
}

#endif
