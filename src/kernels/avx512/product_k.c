/* product_k.c - products with formats of 256 values a block, in AVX-512. Formulas and the
 * order of sums: c/product_k.c; layout of the weights: pack.h; the walk: walk.h; the
 * tile: tile.h.
 *
 *     isum = sum over groups  sc  x  (sum of u_i a_i by vpdpbusd)
 *
 * with unsigned levels u = q + offset. What is the same for all values of a group, the
 * minimum or sc x offset, multiplies the group's sum of activations, two groups a
 * vpdpwssd:
 *
 *     format    u          offset
 *     Q2_K      0 .. 3       0      minimum
 *     Q3_K      0 .. 7       4
 *     Q4_K      0 .. 15      0      minimum
 *     Q5_K      0 .. 31      0      minimum
 *     Q6_K      0 .. 63     32
 *     IQ4_XS    1 .. 241   128
 *
 * All of it is exact in int32 (IQ4_XS: 256 x 241 x 127 x 32 < 2^28).
 *
 * The scales of a block are unpacked first, to lines of a number a row: sc to 32 bits,
 * by_sum to two of 16, what the sums of 16 activations 2 p and 2 p + 1 are multiplied with.
 */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/tile.h"
#include "quant/blocks.h"

enum { BLOCK = 256, SC_LINES = 16, SUM_LINES = 8 };

typedef enum format { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS, FORMATS } format;

/* quads in a group, and in a step (see levels) */
static const int group_of[FORMATS] = {4, 4, 8, 8, 4, 8};
static const int step_of[FORMATS] = {32, 32, 16, 32, 32, 8};
static const int16_t offset_of[FORMATS] = {0, 4, 0, 0, 32, 128};
static const size_t head_of[FORMATS] = {LINN_PACK_Q2_K_HEAD, LINN_PACK_Q3_K_HEAD,
                                        LINN_PACK_Q4_K_HEAD, LINN_PACK_Q5_K_HEAD,
                                        LINN_PACK_Q6_K_HEAD, LINN_PACK_IQ4_XS_HEAD};
static const size_t body_of[FORMATS] = {LINN_PACK_Q2_K_BODY, LINN_PACK_Q3_K_BODY,
                                        LINN_PACK_Q4_K_BODY, LINN_PACK_Q5_K_BODY,
                                        LINN_PACK_Q6_K_BODY, LINN_PACK_IQ4_XS_BODY};

/* ---- levels -------------------------------------------------------------------------------- */

/* u of quad t of step h of the block at `body`. A step is as many quads as it takes until all is
 * at the same bits again. */
static ALWAYS_INLINE __m512i levels(format f, const uint8_t *body, int h, int t)
{
    const int c = t / 8, l = t % 8, u = l / 4, v = l % 4;
    const __m512i sign = _mm512_set1_epi8((char)0x80);
    __m512i x, y;
    switch (f) {
    case Q2_K:
        return bits(load_line(body + LINE * (4 + 8 * h + l)), 2 * c, 2, 0);
    case Q3_K:
        x = bits(load_line(body + LINE * (11 + 8 * h + l)), 2 * c, 2, 0);
        y = bits(load_line(body + LINE * (3 + 4 * h + v)), 4 * u + c, 1, 2);
        return _mm512_or_si512(x, y);
    case Q4_K:
        return bits(load_line(body + LINE * (3 + 8 * h + l)), 4 * c, 4, 0);
    case Q5_K:
        x = bits(load_line(body + LINE * (11 + 16 * h + 8 * (c / 2) + l)), c % 2 * 4, 4, 0);
        y = bits(load_line(body + LINE * (3 + 4 * h + v)), 4 * u + c, 1, 4);
        return _mm512_or_si512(x, y);
    case Q6_K:
        x = bits(load_line(body + LINE * (4 + 16 * h + t % 16)), t / 16 * 4, 4, 0);
        y = bits(load_line(body + LINE * (36 + 8 * h + l)), 2 * c, 2, 4);
        return _mm512_or_si512(x, y);
    default: /* IQ4_XS */
        x = bits(load_line(body + LINE * (4 * h + v)), 4 * u, 4, 0);
        y = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)linn_iq4_values));
        return _mm512_shuffle_epi8(_mm512_xor_si512(y, sign), x);
    }
}

/* ---- scales -------------------------------------------------------------------------------- */

static ALWAYS_INLINE __m512i bytes16(const uint8_t *bytes) /* one a row */
{
    return _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(const void *)bytes));
}

/* 3 lines of six-bit numbers to 4 lines of bytes */
static ALWAYS_INLINE void six_bits(const uint8_t *in, uint8_t *out)
{
    const __m512i high2 = _mm512_set1_epi8((char)0xc0);
    __m512i last = _mm512_setzero_si512();
    UNROLL
    for (int j = 0; j < 3; j++) {
        __m512i x = load_line(in + LINE * j);
        store_line(out + LINE * j, _mm512_andnot_si512(high2, x));
        x = _mm512_srli_epi16(_mm512_and_si512(x, high2), (uint8_t)(6 - 2 * j));
        last = _mm512_or_si512(last, x);
    }
    store_line(out + LINE * 3, last);
}

/* sc of group g of IQ4_XS */
static ALWAYS_INLINE __m512i iq4_scale(const uint8_t *head, int g)
{
    const uint8_t *low = head + LINN_PACK_D, *high = low + LINE;
    __m512i h = _mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)(const void *)high));
    __m512i x = _mm512_srli_epi32(bytes16(low + 16 * (g % 4)), (uint8_t)(g / 4 * 4));
    x = _mm512_and_si512(x, _mm512_set1_epi32(15));
    h = _mm512_and_si512(_mm512_srl_epi32(h, _mm_cvtsi32_si128(2 * g)), _mm512_set1_epi32(3));
    return _mm512_add_epi32(_mm512_or_si512(x, _mm512_slli_epi32(h, 4)), _mm512_set1_epi32(-32));
}

/* Writes sc and by_sum. */
static ALWAYS_INLINE void scales(format f, const uint8_t *head, const uint8_t *body, uint8_t *sc,
                                 uint8_t *by_sum)
{
    _Alignas(64) uint8_t six[4 * LINE];
    const int groups = BLOCK / 4 / group_of[f];
    if (f == Q3_K || f == Q4_K || f == Q5_K)
        six_bits(body, six);
    UNROLL
    for (int g = 0; g < groups; g += 2) {
        __m512i by[2];
        UNROLL
        for (int i = 0; i < 2; i++) {
            __m512i s;
            switch (f) {
            case Q2_K:
                s = bytes16(body + 16 * (g + i));
                by[i] = _mm512_srli_epi32(s, 4);
                s = _mm512_and_si512(s, _mm512_set1_epi32(15));
                break;
            case Q3_K:
                s = _mm512_add_epi32(bytes16(six + 16 * (g + i)), _mm512_set1_epi32(-32));
                break;
            case Q6_K: /* signed bytes */
                s = _mm512_cvtepi8_epi32(
                    _mm_load_si128((const __m128i *)(const void *)(body + 16 * (g + i))));
                break;
            case IQ4_XS:
                s = iq4_scale(head, g + i);
                break;
            default:
                s = bytes16(six + 16 * (g + i));
                by[i] = bytes16(six + 16 * (8 + g + i));
            }
            if (offset_of[f]) /* a power of 2 */
                by[i] = _mm512_sub_epi32(
                    _mm512_setzero_si512(),
                    _mm512_slli_epi32(s, (uint8_t)__builtin_ctz((unsigned)offset_of[f])));
            store_line(sc + LINE * (g + i), s);
        }
        const __mmask32 odd = 0xaaaaaaaa;
        __m512i high[2] = {_mm512_slli_epi32(by[0], 16), _mm512_slli_epi32(by[1], 16)};
        if (group_of[f] == 8) {
            store_line(by_sum + LINE * g, _mm512_mask_mov_epi16(by[0], odd, high[0]));
            store_line(by_sum + LINE * (g + 1), _mm512_mask_mov_epi16(by[1], odd, high[1]));
        } else {
            store_line(by_sum + LINE * (g / 2), _mm512_mask_mov_epi16(by[0], odd, high[1]));
        }
    }
}

/* ---- the tile ------------------------------------------------------------------------------- */

typedef __m512i outputs[TILE_COLUMNS][2];

/* Adds sc times the sums of products of one block, and prefetches as much as it reads. */
static ALWAYS_INLINE void block_sums(const linn_tile *t, const int8_t *q, const uint8_t *body,
                                     const uint8_t *ahead, uint8_t sc[GROUPS][SC_LINES * LINE],
                                     int groups, int columns, format f, outputs sum)
{
    const int in_group = group_of[f], step = step_of[f];
    const size_t next_body = t->bodies_stride, next_q = t->q_stride;
    /* Lines that a step prefetches, one after the other: all those of a block at once would hold
     * up what is loaded now. */
    const int bytes = groups * (int)(head_of[f] + body_of[f]);
    const int lines = (bytes * step + BLOCK / 4 * LINE - 1) / (BLOCK / 4 * LINE);
    for (int h = 0; h < BLOCK / 4 / step; h++, q += 4 * step, ahead += lines * LINE) {
        outputs part;
        UNROLL
        for (int i = 0; i < step; i++) {
            if (i % in_group == 0) {
                FORGET_MEMORY();
                UNROLL
                for (int c = 0; c < columns; c++)
                    part[c][0] = part[c][1] = _mm512_setzero_si512();
            }
            for (int line = i * lines / step; line < (i + 1) * lines / step; line++)
                _mm_prefetch(ahead + line * LINE, _MM_HINT_T0);
            __m512i w[2];
            UNROLL
            for (int g = 0; g < groups; g++)
                w[g] = levels(f, body + (size_t)g * next_body, h, i);
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m512i a = every_lane(q + (size_t)c * next_q + 4 * i);
                UNROLL
                for (int g = 0; g < groups; g++) {
                    part[c][g] = _mm512_dpbusd_epi32(part[c][g], w[g], a);
                    HAVE(part[c][g]);
                }
            }
            if ((i + 1) % in_group)
                continue;
            UNROLL
            for (int g = 0; g < groups; g++) {
                __m512i s = load_line(sc[g] + LINE * ((step * h + i) / in_group));
                UNROLL
                for (int c = 0; c < columns; c++) {
                    sum[c][g] = _mm512_add_epi32(sum[c][g], _mm512_mullo_epi32(part[c][g], s));
                    HAVE(sum[c][g]);
                }
            }
        }
    }
}

/* Sums over pairs of groups of by_sum times the sums of activations. */
static ALWAYS_INLINE void sum_sums(const int16_t *sums, size_t s_stride,
                                   uint8_t by_sum[GROUPS][SUM_LINES * LINE], int groups,
                                   int columns, outputs sum)
{
    UNROLL
    for (int c = 0; c < columns; c++)
        sum[c][0] = sum[c][1] = _mm512_setzero_si512();
    UNROLL
    for (int p = 0; p < SUM_LINES; p++) {
        __m512i by[2];
        UNROLL
        for (int g = 0; g < groups; g++)
            by[g] = load_line(by_sum[g] + LINE * p);
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m512i s = every_lane(sums + (size_t)c * s_stride + 2 * p);
            UNROLL
            for (int g = 0; g < groups; g++)
                sum[c][g] = _mm512_dpwssd_epi32(sum[c][g], by[g], s);
        }
    }
}

/* acc = fma(+-(d * da), sum, acc) for all outputs; head: where d lies in the head */
static ALWAYS_INLINE void join(const linn_tile *t, const uint8_t *head, size_t b, int groups,
                               int columns, bool negative, outputs sum)
{
    UNROLL
    for (int g = 0; g < groups; g++) {
        __m512 d = scale16(head + (size_t)g * t->heads_stride);
        UNROLL
        for (int c = 0; c < columns; c++) {
            float *at = t->acc + LINN_PACK_ROWS * (groups * c + g);
            __m512 x = _mm512_mul_ps(d, _mm512_set1_ps(t->d[(size_t)c * t->d_stride + b]));
            __m512 s = _mm512_cvtepi32_ps(sum[c][g]), acc = _mm512_load_ps(at);
            _mm512_store_ps(at,
                            negative ? _mm512_fnmadd_ps(x, s, acc) : _mm512_fmadd_ps(x, s, acc));
        }
    }
}

static ALWAYS_INLINE void tile(const linn_tile *t, int groups, int columns, format f)
{
    _Alignas(64) uint8_t sc[GROUPS][SC_LINES * LINE], by_sum[GROUPS][SUM_LINES * LINE];
    const uint8_t *ahead = prefetch_from(t, groups);
    for (size_t b = 0; b < t->n_blocks; b++) {
        const uint8_t *head = t->heads + b * head_of[f], *body = t->bodies + b * body_of[f];
        const int16_t *sums = t->sums + b * (BLOCK / 16);
        for (int g = 0; g < groups; g++) {
            const uint8_t *at = body + (size_t)g * t->bodies_stride;
            scales(f, head + (size_t)g * t->heads_stride, at, sc[g], by_sum[g]);
        }
        outputs sum;
        if (offset_of[f])
            sum_sums(sums, t->s_stride, by_sum, groups, columns, sum);
        else
            UNROLL
        for (int c = 0; c < columns; c++)
            sum[c][0] = sum[c][1] = _mm512_setzero_si512();
        block_sums(t, t->q + b * BLOCK, body, ahead, sc, groups, columns, f, sum);
        join(t, head, b, groups, columns, false, sum);
        if (!offset_of[f]) {
            sum_sums(sums, t->s_stride, by_sum, groups, columns, sum);
            join(t, head + LINN_PACK_D, b, groups, columns, true, sum);
        }
        ahead += (size_t)groups * (head_of[f] + body_of[f]);
    }
}

PRODUCT(Q2_K, q2_k, BLOCK, 1)
PRODUCT(Q3_K, q3_k, BLOCK, 1)
PRODUCT(Q4_K, q4_k, BLOCK, 1)
PRODUCT(Q5_K, q5_k, BLOCK, 1)
PRODUCT(Q6_K, q6_k, BLOCK, 1)
PRODUCT(IQ4_XS, iq4_xs, BLOCK, 1)
