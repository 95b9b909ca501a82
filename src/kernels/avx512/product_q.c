/* product_q.c - products with formats of 32 values a block, in AVX-512. Formulas and the
 * order of sums: c/product_q.c; layout of the weights: pack.h; the walk: walk.h; the
 * tile: tile.h.
 *
 * vpdpbusd needs unsigned levels, so a format's levels q are taken as u = q + offset:
 *
 *     isum = sum_i u_i a_i - offset sum_i a_i            exact in int32
 *
 *     format    u          offset
 *     Q8_0      0 .. 255     128     (the sign bit turned over)
 *     IQ4_NL    1 .. 241     128
 *     Q4_0      0 .. 15        8
 *     Q4_1      0 .. 15        0
 *     Q5_0      0 .. 31       16
 *     Q5_1      0 .. 31        0
 *
 * The second sum comes first, by vpdpwssd of the two sums of 16 that the activations
 * bring. In Q4_1 and Q5_1 the same sum multiplies the minimum.
 */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/tile.h"
#include "quant/blocks.h"

enum { BLOCK = 32, QUADS = 8 };

typedef enum format { Q8_0, IQ4_NL, Q4_0, Q4_1, Q5_0, Q5_1, FORMATS } format;

static const int16_t offset_of[FORMATS] = {128, 128, 8, 0, 16, 0};
static const size_t head_of[FORMATS] = {LINN_PACK_Q8_0_HEAD, LINN_PACK_IQ4_NL_HEAD,
                                        LINN_PACK_Q4_0_HEAD, LINN_PACK_Q4_1_HEAD,
                                        LINN_PACK_Q5_0_HEAD, LINN_PACK_Q5_1_HEAD};
static const size_t body_of[FORMATS] = {LINN_PACK_Q8_0_BODY, LINN_PACK_IQ4_NL_BODY,
                                        LINN_PACK_Q4_0_BODY, LINN_PACK_Q4_1_BODY,
                                        LINN_PACK_Q5_0_BODY, LINN_PACK_Q5_1_BODY};

/* u of quad t of the block at `body` */
static ALWAYS_INLINE __m512i levels(format f, const uint8_t *body, int t)
{
    const __m512i sign = _mm512_set1_epi8((char)0x80);
    if (f == Q8_0)
        return _mm512_xor_si512(load_line(body + LINE * t), sign);
    const uint8_t *nibbles = f == Q5_0 || f == Q5_1 ? body + LINE : body;
    __m512i x = bits(load_line(nibbles + LINE * (t % 4)), t / 4 * 4, 4, 0);
    if (f == IQ4_NL) {
        __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)linn_iq4_values));
        return _mm512_shuffle_epi8(_mm512_xor_si512(values, sign), x);
    }
    if (f == Q5_0 || f == Q5_1)
        x = _mm512_or_si512(x, bits(load_line(body), t, 1, 4));
    return x;
}

static ALWAYS_INLINE void tile(const linn_tile *t, int columns, format f)
{
    const bool min = f == Q4_1 || f == Q5_1;
    const __m512i offset = _mm512_set1_epi16(min ? 1 : (short)-offset_of[f]);
    const __m512i zero = _mm512_setzero_si512();
    const size_t next_head = t->heads_stride, next_body = t->bodies_stride, next_q = t->q_stride;
    const uint8_t *head = t->heads, *body = t->bodies;
    const int8_t *q = t->q;
    __m512 acc[TILE_COLUMNS][2];
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int g = 0; g < GROUPS; g++)
        acc[c][g] = _mm512_load_ps(t->acc + LINN_PACK_ROWS * (GROUPS * c + g));
    for (size_t b = 0; b < t->n_blocks; b++, head += head_of[f], body += body_of[f], q += BLOCK) {
        __m512i sum[TILE_COLUMNS][2], by[TILE_COLUMNS];
        for (size_t i = 0; i < body_of[f]; i += LINE)
            for (int g = 0; g < GROUPS; g++)
                _mm_prefetch((const char *)body + (size_t)g * next_body + PREFETCH_BYTES + i,
                             _MM_HINT_T0);
        UNROLL
        for (int c = 0; c < columns; c++) {
            by[c] = _mm512_dpwssd_epi32(zero, offset,
                                        every_lane(t->sums + (size_t)c * t->s_stride + 2 * b));
            UNROLL
            for (int g = 0; g < GROUPS; g++)
                sum[c][g] = min ? zero : by[c];
        }
        UNROLL
        for (int l = 0; l < QUADS; l++) {
            __m512i w[2];
            UNROLL
            for (int g = 0; g < GROUPS; g++)
                w[g] = levels(f, body + (size_t)g * next_body, l);
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m512i a = every_lane(q + (size_t)c * next_q + 4 * l);
                UNROLL
                for (int g = 0; g < GROUPS; g++) {
                    sum[c][g] = _mm512_dpbusd_epi32(sum[c][g], w[g], a);
                    HAVE(sum[c][g]);
                }
            }
        }
        __m512 d[2], m[2];
        UNROLL
        for (int g = 0; g < GROUPS; g++) {
            d[g] = scale16(head + (size_t)g * next_head);
            m[g] = min ? scale16(head + (size_t)g * next_head + LINN_PACK_D) : d[g];
        }
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m512 da = _mm512_set1_ps(t->d[(size_t)c * t->d_stride + b]);
            __m512 x = _mm512_mul_ps(da, _mm512_cvtepi32_ps(by[c]));
            UNROLL
            for (int g = 0; g < GROUPS; g++) {
                acc[c][g] = _mm512_fmadd_ps(_mm512_mul_ps(d[g], da), _mm512_cvtepi32_ps(sum[c][g]),
                                            acc[c][g]);
                if (min)
                    acc[c][g] = _mm512_fmadd_ps(m[g], x, acc[c][g]);
            }
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int g = 0; g < GROUPS; g++)
        _mm512_store_ps(t->acc + LINN_PACK_ROWS * (GROUPS * c + g), acc[c][g]);
}

PRODUCT(Q8_0, q8_0, BLOCK)
PRODUCT(IQ4_NL, iq4_nl, BLOCK)
PRODUCT(Q4_0, q4_0, BLOCK)
PRODUCT(Q4_1, q4_1, BLOCK)
PRODUCT(Q5_0, q5_0, BLOCK)
PRODUCT(Q5_1, q5_1, BLOCK)
