/* rows.c - what is done to one row of activations, where 16 lanes are better than
 * avx2/rows.c. Formulas and orders: c/rows.c and c/activations.c. */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"

#include <string.h>

void linn_avx512_swiglu(float *gate, const float *up, int32_t n)
{
    const __m512 one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);
    for (int32_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes16(n - i);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i), u = _mm512_maskz_loadu_ps(m, up + i);
        __m512 e = exp16(_mm512_xor_ps(g, sign));
        g = _mm512_mul_ps(_mm512_div_ps(g, _mm512_add_ps(one, e)), u);
        _mm512_mask_storeu_ps(gate + i, m, g);
    }
}

/* 16 values to q[16]; returns them as 16 numbers of 32 bits. The conversion rounds to nearest
 * even. */
static inline __m512i quantize16(const float *x, __m512 inverse, int8_t *q)
{
    __m512i i = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), inverse));
    _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtepi32_epi8(i));
    return i;
}

void linn_avx512_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                          int16_t *sums)
{
    const __m512i no_sign = _mm512_set1_epi32(0x7fffffff);
    int32_t block = form == LINN_ACT_Q8K ? 256 : 32;
    for (int32_t b = 0; b < k; b += block, x += block, q += block, sums += block / 16) {
        __m512i a = _mm512_setzero_si512();
        for (int32_t i = 0; i < block; i += 16)
            a = _mm512_max_epi32(a, _mm512_and_si512(_mm512_loadu_si512(x + i), no_sign));
        uint32_t bits = (uint32_t)_mm512_reduce_max_epi32(a);
        float max = linn_f32_from_bits(bits);
        if (bits >= 0x7f800000 || max < LINN_ACT_TINY) {
            *d++ = bits >= 0x7f800000 ? linn_f32_from_bits(0x7fc00000) : 0.0f;
            memset(q, 0, (size_t)block);
            memset(sums, 0, (size_t)block / 16 * sizeof *sums);
            continue;
        }
        *d++ = max / 127.0f;
        __m512 inverse = _mm512_set1_ps(127.0f / max);
        for (int32_t i = 0; i < block; i += 16)
            sums[i / 16] = (int16_t)_mm512_reduce_add_epi32(quantize16(x + i, inverse, q + i));
    }
}
