/* vec.h - what the AVX-512 kernels share beyond avx2/vec.h: ends of rows and
 * linn_exp32 in 16 lanes. */
#ifndef LINN_KERNELS_AVX512_VEC_H
#define LINN_KERNELS_AVX512_VEC_H

#include "kernels/avx2/vec.h"

/* Before a loop along memory: the processor reads further ahead of loads that take longer steps. */
#ifndef __clang__
#define UNROLL4 _Pragma("GCC unroll 4")
#else
#define UNROLL4 _Pragma("clang loop unroll_count(4)")
#endif

/* Bits of the first n of 16 lanes (all for n > 16, none for n < 0). */
static inline __mmask16 first_lanes16(int32_t n)
{
    unsigned bits = n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1;
    return (__mmask16)bits;
}

/* linn_exp32 (math.c), the same operations in every lane */
static inline __m512 exp16(__m512 x)
{
    const __m512 magic = _mm512_set1_ps(LINN_EXP32_MAGIC);
    __m512 t = _mm512_fmadd_ps(x, _mm512_set1_ps(LINN_EXP32_LOG2E), magic);
    __m512 n = _mm512_sub_ps(t, magic);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LINN_EXP32_LN2), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LINN_EXP32_LN2_LO), r);
    __m512 q = _mm512_set1_ps(LINN_EXP32_Q4);
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(LINN_EXP32_Q3));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(LINN_EXP32_Q2));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(LINN_EXP32_Q1));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(LINN_EXP32_Q0));
    __m512 p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r);
    p = _mm512_add_ps(p, _mm512_set1_ps(1.0f));
    __m512i y =
        _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(t), 23));
    /* not below, or a NaN: keep; above: infinity; a NaN: itself */
    __mmask16 keep = _mm512_cmp_ps_mask(x, _mm512_set1_ps(LINN_EXP32_MIN), _CMP_NLT_UQ);
    __mmask16 high = _mm512_cmp_ps_mask(x, _mm512_set1_ps(LINN_EXP32_MAX), _CMP_GT_OQ);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    __m512 result = _mm512_maskz_mov_ps(keep, _mm512_castsi512_ps(y));
    result = _mm512_mask_mov_ps(result, high, _mm512_set1_ps(__builtin_inff()));
    return _mm512_mask_mov_ps(result, nan, x);
}

#endif
