/* rows.c - what is done to one row of activations, in AVX2. Formulas and orders:
 * c/rows.c and c/activations.c. Rows end in masked vectors: a lane that is not
 * there holds +0 and is not stored. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

/* Applies `expression`, a vector of x and y, to all n values: out_i = f(x_i, y_i). */
#define FOR_LANES(n, x, y, out, expression)                      \
    do {                                                         \
        int32_t i_ = 0;                                          \
        for (; i_ + 8 <= (n); i_ += 8) {                         \
            __m256 vx = _mm256_loadu_ps((x) + i_);               \
            __m256 vy = _mm256_loadu_ps((y) + i_);               \
            _mm256_storeu_ps((out) + i_, (expression));          \
        }                                                        \
        if (i_ < (n)) {                                          \
            __m256i mask = first_lanes((n)-i_);                  \
            __m256 vx = _mm256_maskload_ps((x) + i_, mask);      \
            __m256 vy = _mm256_maskload_ps((y) + i_, mask);      \
            _mm256_maskstore_ps((out) + i_, mask, (expression)); \
        }                                                        \
    } while (0)

void linn_avx2_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y)
{
    __m256 lanes = _mm256_setzero_ps();
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        lanes = _mm256_fmadd_ps(v, v, lanes);
    }
    if (i < n) { /* fma(0, 0, lane) changes no lane: none is -0 */
        __m256 v = _mm256_maskload_ps(x + i, first_lanes(n - i));
        lanes = _mm256_fmadd_ps(v, v, lanes);
    }
    __m256 r = _mm256_set1_ps(1.0f / __builtin_sqrtf(tree8(lanes) / (float)n + eps));
    FOR_LANES(n, x, w, y, _mm256_mul_ps(_mm256_mul_ps(vx, r), vy));
}

void linn_avx2_add(float *x, const float *y, int32_t n)
{
    FOR_LANES(n, x, y, x, _mm256_add_ps(vx, vy));
}

static inline __m256 swiglu8(__m256 gate, __m256 up)
{
    const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
    __m256 e = exp8(_mm256_xor_ps(gate, sign));
    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(one, e)), up);
}

void linn_avx2_swiglu(float *gate, const float *up, int32_t n)
{
    FOR_LANES(n, gate, up, gate, swiglu8(vx, vy));
}

void linn_avx2_to_f16(const float *x, int32_t n, uint16_t *y)
{
    int32_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(y + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        y[i] = linn_f32_to_f16(x[i]);
}

/* ---- rope ----------------------------------------------------------------------------- */

/* (a, b) -> (fma(a, c, -(b s)), fma(a, s, b c)) */
static inline void rotate(__m256 *a, __m256 *b, __m256 c, __m256 s)
{
    __m256 a0 = *a, b0 = *b;
    *a = _mm256_fmsub_ps(a0, c, _mm256_mul_ps(b0, s));
    *b = _mm256_fmadd_ps(a0, s, _mm256_mul_ps(b0, c));
}

static void rope_neox(float *x, int32_t half, const float *cos, const float *sin)
{
    for (int32_t i = 0; i < half; i += 8) {
        __m256i mask = first_lanes(half - i);
        __m256 a = _mm256_maskload_ps(x + i, mask), b = _mm256_maskload_ps(x + half + i, mask);
        rotate(&a, &b, _mm256_maskload_ps(cos + i, mask), _mm256_maskload_ps(sin + i, mask));
        _mm256_maskstore_ps(x + i, mask, a);
        _mm256_maskstore_ps(x + half + i, mask, b);
    }
}

/* Pairs (2i, 2i+1): each vector of 8 holds four; cos and sin are doubled. In even lanes
 * fma(a, c, -(b s)), in odd ones fma(a, s, b c), with a and b of the pair. */
static void rope_pairs(float *x, int32_t half, const float *cos, const float *sin)
{
    const __m256 minus_even = _mm256_setr_ps(-0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f, 0);
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    for (int32_t i = 0; i < half; i += 4) {
        __m256i mask = first_lanes(2 * (half - i));
        __m128i mask4 = _mm256_castsi256_si128(first_lanes(half - i));
        __m256 v = _mm256_maskload_ps(x + 2 * i, mask);
        __m256 c = _mm256_castps128_ps256(_mm_maskload_ps(cos + i, mask4));
        __m256 s = _mm256_castps128_ps256(_mm_maskload_ps(sin + i, mask4));
        c = _mm256_permutevar8x32_ps(c, twice);
        s = _mm256_permutevar8x32_ps(s, twice);
        __m256 a = _mm256_moveldup_ps(v), b = _mm256_movehdup_ps(v);
        __m256 by_a = _mm256_blend_ps(c, s, 0xaa), by_b = _mm256_blend_ps(s, c, 0xaa);
        __m256 bb = _mm256_xor_ps(_mm256_mul_ps(b, by_b), minus_even);
        _mm256_maskstore_ps(x + 2 * i, mask, _mm256_fmadd_ps(a, by_a, bb));
    }
}

void linn_avx2_rope(float *x, int32_t n_heads, int32_t head_dim, int32_t n_rot, bool neox,
                    const float *cos, const float *sin)
{
    for (int32_t h = 0; h < n_heads; h++, x += head_dim)
        if (neox)
            rope_neox(x, n_rot / 2, cos, sin);
        else
            rope_pairs(x, n_rot / 2, cos, sin);
}

/* ---- quantising ---------------------------------------------------------------------------- */

static inline __m256i max_abs(__m256i a, const float *x)
{
    const __m256i no_sign = _mm256_set1_epi32(0x7fffffff);
    return _mm256_max_epi32(a, _mm256_and_si256(_mm256_loadu_si256((const __m256i *)x), no_sign));
}

static inline uint32_t largest_lane(__m256i a)
{
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

/* 32 values to q[32] and two sums of 16; the conversion rounds to nearest even */
static inline void quantize32(const float *x, __m256 inverse, int8_t *q, int16_t sums[2])
{
    __m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
    __m256i i1 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), inverse));
    __m256i i2 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 16), inverse));
    __m256i i3 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 24), inverse));
    __m256i s0 = _mm256_packs_epi32(i0, i1), s1 = _mm256_packs_epi32(i2, i3);
    __m256i b = _mm256_packs_epi16(s0, s1); /* fours in the order 0 2 4 6 | 1 3 5 7 */
    b = _mm256_permutevar8x32_epi32(b, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)q, b);
    const __m256i one16 = _mm256_set1_epi16(1);
    __m256i sum = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), b), one16);
    sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0x4e));
    sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0xb1));
    sums[0] = (int16_t)_mm256_extract_epi16(sum, 0);
    sums[1] = (int16_t)_mm256_extract_epi16(sum, 8);
}

void linn_avx2_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                        int16_t *sums)
{
    int32_t block = form == LINN_ACT_Q8K ? 256 : 32;
    for (int32_t b = 0; b < k; b += block, x += block, q += block, sums += block / 16) {
        __m256i a = _mm256_setzero_si256();
        for (int32_t i = 0; i < block; i += 8)
            a = max_abs(a, x + i);
        uint32_t bits = largest_lane(a);
        float max = linn_f32_from_bits(bits), inverse;
        if (bits >= 0x7f800000) {
            *d++ = linn_f32_from_bits(0x7fc00000);
            inverse = 0;
        } else if (max < LINN_ACT_TINY) {
            *d++ = 0;
            inverse = 0;
        } else {
            *d++ = max / 127.0f;
            inverse = 127.0f / max;
        }
        if (inverse == 0) {
            memset(q, 0, (size_t)block);
            memset(sums, 0, (size_t)block / 16 * sizeof *sums);
            continue;
        }
        for (int32_t i = 0; i < block; i += 32)
            quantize32(x + i, _mm256_set1_ps(inverse), q + i, sums + i / 16);
    }
}
