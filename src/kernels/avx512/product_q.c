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

enum {
    BLOCK = 32,
    QUADS = 8,
    PAIR_COLUMNS = 4,    /* two blocks a turn for so many (Q8_0: one): memory is read sooner */
    STREAM_AHEAD = 2048, /* bytes to prefetch */
};

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

/* As many bytes as block b has: those of the next tile; but few columns read memory sooner if each
 * group is a stream of its own, and so does Q8_0 at any number. */
static ALWAYS_INLINE void prefetch(const linn_tile *t, size_t b, int groups, int columns, format f)
{
    const size_t body = body_of[f], bytes = (size_t)groups * (head_of[f] + body);
    const uint8_t *stream = t->bodies + b * body + STREAM_AHEAD;
    const uint8_t *next = prefetch_from(t, groups) + b * bytes;
    if (columns <= FEW_COLUMNS || f == Q8_0)
        for (int g = 0; g < groups; g++)
            for (size_t i = 0; i < body; i += LINE)
                _mm_prefetch((const char *)stream + (size_t)g * t->bodies_stride + i, _MM_HINT_T0);
    else
        for (size_t i = 0; i < bytes; i += LINE)
            _mm_prefetch((const char *)next + i, _MM_HINT_T0);
}

/* Adds the products of block b. */
static ALWAYS_INLINE void block(const linn_tile *t, size_t b, int groups, int columns, format f,
                                __m512 acc[TILE_COLUMNS][2])
{
    const bool min = f == Q4_1 || f == Q5_1;
    const __m512i offset = _mm512_set1_epi16(min ? 1 : (short)-offset_of[f]);
    const __m512i zero = _mm512_setzero_si512();
    const size_t next_head = t->heads_stride, next_body = t->bodies_stride, next_q = t->q_stride;
    const uint8_t *head = t->heads + b * head_of[f], *body = t->bodies + b * body_of[f];
    const int8_t *q = t->q + b * BLOCK;
    __m512i sum[TILE_COLUMNS][2], by[TILE_COLUMNS];
    prefetch(t, b, groups, columns, f);
    UNROLL
    for (int c = 0; c < columns; c++) {
        by[c] = _mm512_dpwssd_epi32(zero, offset,
                                    every_lane(t->sums + (size_t)c * t->s_stride + 2 * b));
        UNROLL
        for (int g = 0; g < groups; g++)
            sum[c][g] = min ? zero : by[c];
    }
    UNROLL
    for (int l = 0; l < QUADS; l++) {
        __m512i w[2];
        UNROLL
        for (int g = 0; g < groups; g++)
            w[g] = levels(f, body + (size_t)g * next_body, l);
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m512i a = every_lane(q + (size_t)c * next_q + 4 * l);
            UNROLL
            for (int g = 0; g < groups; g++) {
                sum[c][g] = _mm512_dpbusd_epi32(sum[c][g], w[g], a);
                HAVE(sum[c][g]);
            }
        }
    }
    __m512 d[2], m[2];
    UNROLL
    for (int g = 0; g < groups; g++) {
        d[g] = scale16(head + (size_t)g * next_head);
        m[g] = min ? scale16(head + (size_t)g * next_head + LINN_PACK_D) : d[g];
    }
    UNROLL
    for (int c = 0; c < columns; c++) {
        __m512 da = _mm512_set1_ps(t->d[(size_t)c * t->d_stride + b]);
        __m512 x = _mm512_mul_ps(da, _mm512_cvtepi32_ps(by[c]));
        UNROLL
        for (int g = 0; g < groups; g++) {
            acc[c][g] =
                _mm512_fmadd_ps(_mm512_mul_ps(d[g], da), _mm512_cvtepi32_ps(sum[c][g]), acc[c][g]);
            if (min)
                acc[c][g] = _mm512_fmadd_ps(m[g], x, acc[c][g]);
        }
    }
}

static ALWAYS_INLINE void tile(const linn_tile *t, int groups, int columns, format f)
{
    __m512 acc[TILE_COLUMNS][2];
    size_t b = 0;
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int g = 0; g < groups; g++)
        acc[c][g] = _mm512_load_ps(t->acc + LINN_PACK_ROWS * (groups * c + g));
    for (; columns <= (f == Q8_0 ? 1 : PAIR_COLUMNS) && b + 1 < t->n_blocks; b += 2) {
        block(t, b, groups, columns, f, acc);
        block(t, b + 1, groups, columns, f, acc);
    }
    for (; b < t->n_blocks; b++)
        block(t, b, groups, columns, f, acc);
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int g = 0; g < groups; g++)
        _mm512_store_ps(t->acc + LINN_PACK_ROWS * (groups * c + g), acc[c][g]);
}

PRODUCT(Q8_0, q8_0, BLOCK, 2)
PRODUCT(IQ4_NL, iq4_nl, BLOCK, 2)
PRODUCT(Q4_0, q4_0, BLOCK, 2)
PRODUCT(Q4_1, q4_1, BLOCK, 2)
PRODUCT(Q5_0, q5_0, BLOCK, 2)
PRODUCT(Q5_1, q5_1, BLOCK, 2)
