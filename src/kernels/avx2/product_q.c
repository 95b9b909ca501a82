/* product_q.c - products with formats of 32 values a block, in AVX2. Formulas and the
 * order of sums: c/product_q.c; layout of the weights: pack.h; the walk: walk.h.
 *
 * A line holds a quad of each of 16 rows: two vectors of 8 rows. A quad of a column is
 * broadcast, so each maddubs gives two sums of two products for each of 8 rows. For
 * every block, the integer sum of an output:
 *
 *     signed levels      maddubs(|w|, sign(a, w)), at most 2 x 128 x 127 = 32,512, then
 *     Q8_0 IQ4_NL        madd by ones, for every quad
 *     0 .. 15            maddubs(w, a), all 8 quads added up in 16 bits: at most
 *     Q4_0 Q4_1          16 x 15 x 127 = 30,480; then one madd by ones
 *     0 .. 31            as above, 4 quads: 8 x 31 x 127 = 31,496; so two madd
 *     Q5_0 Q5_1
 *
 * Q4_0 and Q5_0 are their unsigned levels less 8 or 16: that many times the sum of the
 * activations is taken off. All of it is exact, so the float chain sees the integers
 * of the specification.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/tile.h"
#include "quant/blocks.h"

enum { BLOCK = 32, QUADS = 8 };

typedef enum format { Q8_0, IQ4_NL, Q4_0, Q4_1, Q5_0, Q5_1, FORMATS } format;

static const size_t head_of[FORMATS] = {
    [Q8_0] = LINN_PACK_Q8_0_HEAD, [IQ4_NL] = LINN_PACK_IQ4_NL_HEAD, [Q4_0] = LINN_PACK_Q4_0_HEAD,
    [Q4_1] = LINN_PACK_Q4_1_HEAD, [Q5_0] = LINN_PACK_Q5_0_HEAD,     [Q5_1] = LINN_PACK_Q5_1_HEAD};
static const size_t body_of[FORMATS] = {
    [Q8_0] = LINN_PACK_Q8_0_BODY, [IQ4_NL] = LINN_PACK_IQ4_NL_BODY, [Q4_0] = LINN_PACK_Q4_0_BODY,
    [Q4_1] = LINN_PACK_Q4_1_BODY, [Q5_0] = LINN_PACK_Q5_0_BODY,     [Q5_1] = LINN_PACK_Q5_1_BODY};

/* Levels of quad t of the block at `body`, 8 rows. */
static ALWAYS_INLINE __m256i levels(format f, const uint8_t *body, int t, int half)
{
    const __m256i low4 = _mm256_set1_epi8(15), bit4 = _mm256_set1_epi8(16);
    if (f == Q8_0)
        return half_line(body + LINN_PACK_LINE * t, half);
    const uint8_t *nibbles = f == Q5_0 || f == Q5_1 ? body + LINN_PACK_LINE : body;
    __m256i x = half_line(nibbles + LINN_PACK_LINE * (t % 4), half);
    x = _mm256_and_si256(t < 4 ? x : _mm256_srli_epi16(x, 4), low4);
    if (f == IQ4_NL) {
        const __m128i values = _mm_loadu_si128((const __m128i *)linn_iq4_values);
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), x);
    }
    if (f == Q5_0 || f == Q5_1) {
        __m256i fifth = half_line(body, half);
        fifth = t < 4 ? _mm256_slli_epi16(fifth, 4 - t) : _mm256_srli_epi16(fifth, t - 4);
        x = _mm256_or_si256(x, _mm256_and_si256(fifth, bit4));
    }
    return x;
}

static ALWAYS_INLINE void tile(const linn_tile *t, int columns, format f, bool direct)
{
    const bool is_signed = f == Q8_0 || f == IQ4_NL, min = f == Q4_1 || f == Q5_1;
    const int flush = f == Q5_0 || f == Q5_1 ? 4 : 8; /* quads in a 16-bit sum */
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i offset = _mm256_set1_epi16(f == Q4_0 ? -8 : f == Q5_0 ? -16 : 1);
    const size_t head_bytes = head_of[f], body_bytes = direct ? body_of[f] : QUADS * LINN_PACK_LINE;
    const uint8_t *head = t->heads, *body = t->bodies;
    const int8_t *q = t->q;
    __m256 acc[TILE_COLUMNS][2];
    UNROLL
    for (int c = 0; c < columns; c++) {
        acc[c][0] = _mm256_load_ps(t->acc + LINN_PACK_ROWS * c);
        acc[c][1] = _mm256_load_ps(t->acc + LINN_PACK_ROWS * c + 8);
    }
    for (size_t b = 0; b < t->n_blocks; b++, head += head_bytes, body += body_bytes, q += BLOCK) {
        __m256i sum[TILE_COLUMNS][2], part[TILE_COLUMNS][2];
        if (direct)
            for (size_t i = 0; i < body_bytes; i += LINN_PACK_LINE)
                _mm_prefetch((const char *)body + AHEAD + i, _MM_HINT_T0);
        UNROLL
        for (int l = 0; l < QUADS; l++) {
            const __m256i w0 = levels(direct ? f : Q8_0, body, l, 0);
            const __m256i w1 = levels(direct ? f : Q8_0, body, l, 1);
            const __m256i u0 = is_signed ? _mm256_abs_epi8(w0) : w0;
            const __m256i u1 = is_signed ? _mm256_abs_epi8(w1) : w1;
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m256i a = every_lane(q + (size_t)c * t->q_stride + 4 * l);
                __m256i p0 = _mm256_maddubs_epi16(u0, is_signed ? _mm256_sign_epi8(a, w0) : a);
                __m256i p1 = _mm256_maddubs_epi16(u1, is_signed ? _mm256_sign_epi8(a, w1) : a);
                if (!is_signed) {
                    part[c][0] = l % flush ? _mm256_add_epi16(part[c][0], p0) : p0;
                    part[c][1] = l % flush ? _mm256_add_epi16(part[c][1], p1) : p1;
                    HAVE(part[c][0]);
                    HAVE(part[c][1]);
                    if ((l + 1) % flush)
                        continue;
                    p0 = part[c][0];
                    p1 = part[c][1];
                }
                p0 = _mm256_madd_epi16(p0, ones);
                p1 = _mm256_madd_epi16(p1, ones);
                bool first = l == 0 || (!is_signed && l < flush);
                sum[c][0] = first ? p0 : _mm256_add_epi32(sum[c][0], p0);
                sum[c][1] = first ? p1 : _mm256_add_epi32(sum[c][1], p1);
                HAVE(sum[c][0]);
                HAVE(sum[c][1]);
            }
            if (l == 3 && !is_signed)
                FORGET_MEMORY();
        }
        __m256 d0 = scale8(head), d1 = scale8(head + 16);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const int16_t *sums = t->sums + (size_t)c * t->s_stride + 2 * b;
            __m256 da = _mm256_set1_ps(t->d[(size_t)c * t->d_stride + b]);
            if (f == Q4_0 || f == Q5_0) {
                __m256i s = _mm256_madd_epi16(every_lane(sums), offset);
                sum[c][0] = _mm256_add_epi32(sum[c][0], s);
                sum[c][1] = _mm256_add_epi32(sum[c][1], s);
            }
            acc[c][0] =
                _mm256_fmadd_ps(_mm256_mul_ps(d0, da), _mm256_cvtepi32_ps(sum[c][0]), acc[c][0]);
            acc[c][1] =
                _mm256_fmadd_ps(_mm256_mul_ps(d1, da), _mm256_cvtepi32_ps(sum[c][1]), acc[c][1]);
            if (min) {
                __m256i s = _mm256_madd_epi16(every_lane(sums), offset);
                __m256 x = _mm256_mul_ps(da, _mm256_cvtepi32_ps(s));
                acc[c][0] = _mm256_fmadd_ps(scale8(head + LINN_PACK_D), x, acc[c][0]);
                acc[c][1] = _mm256_fmadd_ps(scale8(head + LINN_PACK_D + 16), x, acc[c][1]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++) {
        _mm256_store_ps(t->acc + LINN_PACK_ROWS * c, acc[c][0]);
        _mm256_store_ps(t->acc + LINN_PACK_ROWS * c + 8, acc[c][1]);
    }
}

static ALWAYS_INLINE void unpack(format f, const uint8_t *heads, const uint8_t *bodies,
                                 size_t n_blocks, uint8_t *lines)
{
    (void)heads;
    for (size_t b = 0; b < n_blocks; b++, bodies += body_of[f], lines += QUADS * LINN_PACK_LINE)
        UNROLL
    for (int l = 0; l < QUADS; l++)
        for (int half = 0; half < 2; half++)
            store_half_line(lines + LINN_PACK_LINE * l, half, levels(f, bodies, l, half));
}

PRODUCT(Q8_0, q8_0, BLOCK)
UNPACKED_PRODUCT(IQ4_NL, iq4_nl, BLOCK, 3)
UNPACKED_PRODUCT(Q4_0, q4_0, BLOCK, 3)
UNPACKED_PRODUCT(Q4_1, q4_1, BLOCK, 3)
UNPACKED_PRODUCT(Q5_0, q5_0, BLOCK, 2)
UNPACKED_PRODUCT(Q5_1, q5_1, BLOCK, 2)
