/* product_k.c - products with formats of 256 values a block, in AVX2. Formulas and the
 * order of sums: c/product_k.c; layout of the weights: pack.h; the walk: walk.h;
 * lines, quads and maddubs: product_q.c.
 *
 * The scale of a group takes the place of the ones in madd, so that it costs nothing:
 *
 *     isum = sum over parts of a group   madd(part, (sc, sc))
 *
 * where a part is as many quads as fit 16 bits:
 *
 *     format    levels        quads in a group, a part    |part| at most
 *     Q4_K       0 .. 15           8     8                16 x  15 x 127 = 30,480
 *     Q5_K       0 .. 31           8     4                 8 x  31 x 127 = 31,496
 *     Q6_K       0 .. 63           4     2                 4 x  63 x 127 = 32,004
 *     Q3_K       0 .. 7            4     4                 8 x   7 x 127 =  7,112
 *     Q2_K       0 .. 3            4     4                 8 x   3 x 127 =  3,048
 *     IQ4_XS  -127 .. 113          8     1                 2 x 127 x 127 = 32,258   by sign
 *
 * What is the same for all 16 values of a group, the minimum or the 32 and 4 by which
 * levels of Q6_K and Q3_K are shifted, multiplies the group's sum of activations: two
 * groups a madd. All of it is exact in int32 (Q6_K: 256 x 63 x 127 x 128 < 2^28).
 *
 * Unpacked, a block of a group of rows is
 *
 *     64 lines of levels | sc: 8 or 16 lines of (sc, sc) | by_sum
 *
 * where a line holds two numbers of 16 bits for each row, and those of by_sum are what
 * the sums of groups 2 p and 2 p + 1 are multiplied with: 4 or 8 lines.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/tile.h"
#include "quant/blocks.h"

enum { BLOCK = 256, LINE = LINN_PACK_LINE, SC_LINES = 16, SUM_LINES = 8 };
static_assert(BLOCK / 4 + SC_LINES + SUM_LINES <= LINN_CHUNK_BYTES / LINE, "a chunk is one block");

typedef enum format { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS, FORMATS } format;

/* quads in a group, in a part, in a step */
static const int group_of[FORMATS] = {4, 4, 8, 8, 4, 8};
static const int part_of[FORMATS] = {4, 4, 8, 4, 2, 1};
static const int step_of[FORMATS] = {32, 32, 16, 32, 32, 8}; /* see levels() */
static const size_t head_of[FORMATS] = {LINN_PACK_Q2_K_HEAD, LINN_PACK_Q3_K_HEAD,
                                        LINN_PACK_Q4_K_HEAD, LINN_PACK_Q5_K_HEAD,
                                        LINN_PACK_Q6_K_HEAD, LINN_PACK_IQ4_XS_HEAD};
static const size_t body_of[FORMATS] = {LINN_PACK_Q2_K_BODY, LINN_PACK_Q3_K_BODY,
                                        LINN_PACK_Q4_K_BODY, LINN_PACK_Q5_K_BODY,
                                        LINN_PACK_Q6_K_BODY, LINN_PACK_IQ4_XS_BODY};

/* ---- levels -------------------------------------------------------------------------------- */

static ALWAYS_INLINE __m256i shift_right(__m256i x, int n)
{
    return n > 0 ? _mm256_srli_epi16(x, n) : n < 0 ? _mm256_slli_epi16(x, -n) : x;
}

/* bits [from, from + count) of every byte, moved to bit `to` */
static ALWAYS_INLINE __m256i bits(__m256i x, int from, int count, int to)
{
    return _mm256_and_si256(shift_right(x, from - to),
                            _mm256_set1_epi8((char)(((1 << count) - 1) << to)));
}

/* Levels of quad t of step h of the block at `body`, 8 rows. A step is as many quads as it takes
 * until all is at the same bits again: 16 in Q4_K, 8 in IQ4_XS, else 32. */
static ALWAYS_INLINE __m256i levels(format f, const uint8_t *body, int h, int t, int half)
{
    const int c = t / 8, l = t % 8, u = l / 4, v = l % 4;
    __m256i x, y;
    switch (f) {
    case Q2_K:
        return bits(half_line(body + LINE * (4 + 8 * h + l), half), 2 * c, 2, 0);
    case Q3_K:
        x = bits(half_line(body + LINE * (11 + 8 * h + l), half), 2 * c, 2, 0);
        y = bits(half_line(body + LINE * (3 + 4 * h + v), half), 4 * u + c, 1, 2);
        return _mm256_or_si256(x, y);
    case Q4_K:
        return bits(half_line(body + LINE * (3 + 8 * h + l), half), 4 * c, 4, 0);
    case Q5_K:
        x = bits(half_line(body + LINE * (11 + 16 * h + 8 * (c / 2) + l), half), c % 2 * 4, 4, 0);
        y = bits(half_line(body + LINE * (3 + 4 * h + v), half), 4 * u + c, 1, 4);
        return _mm256_or_si256(x, y);
    case Q6_K:
        x = bits(half_line(body + LINE * (4 + 16 * h + t % 16), half), t / 16 * 4, 4, 0);
        y = bits(half_line(body + LINE * (36 + 8 * h + l), half), 2 * c, 2, 4);
        return _mm256_or_si256(x, y);
    default: /* IQ4_XS */
        x = bits(half_line(body + LINE * (4 * h + v), half), 4 * u, 4, 0);
        const __m128i values = _mm_loadu_si128((const __m128i *)linn_iq4_values);
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), x);
    }
}

/* ---- scales -------------------------------------------------------------------------------- */

/* 16 bytes, one a row, to (b, b) of 8 rows */
static ALWAYS_INLINE __m256i twice(const uint8_t *bytes, int half)
{
    enum { Z = -128 }; /* gives 0, 8 more of it too */
    const __m256i low = _mm256_setr_epi8(0, Z, 0, Z, 1, Z, 1, Z, 2, Z, 2, Z, 3, Z, 3, Z, 4, Z, 4, Z,
                                         5, Z, 5, Z, 6, Z, 6, Z, 7, Z, 7, Z);
    __m256i x = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)bytes));
    return _mm256_shuffle_epi8(x, half ? _mm256_add_epi8(low, _mm256_set1_epi8(8)) : low);
}

/* 3 lines of six-bit numbers to 4 lines of bytes */
static ALWAYS_INLINE void six_bits(const uint8_t *in, uint8_t *out)
{
    const __m256i high2 = _mm256_set1_epi8((char)0xc0);
    for (int half = 0; half < 2; half++) {
        __m256i last = _mm256_setzero_si256();
        UNROLL
        for (int j = 0; j < 3; j++) {
            __m256i x = half_line(in + LINE * j, half);
            store_half_line(out + LINE * j, half, _mm256_andnot_si256(high2, x));
            x = _mm256_srli_epi16(_mm256_and_si256(x, high2), 6 - 2 * j);
            last = _mm256_or_si256(last, x);
        }
        store_half_line(out + LINE * 3, half, last);
    }
}

/* The 8 scales a row of IQ4_XS, 32 too large, as bytes: 2 lines. */
static ALWAYS_INLINE void iq4_scales(const uint8_t *head, uint8_t *out)
{
    const uint8_t *low = head + LINN_PACK_D, *high = low + LINE;
    const __m128i low4 = _mm_set1_epi8(15), bit45 = _mm_set1_epi8(0x30);
    /* byte 2 r + j of `high` has the two bits of sc[4 j] .. sc[4 j + 3] */
    const __m128i even = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i odd = _mm_setr_epi8(1, 3, 5, 7, 9, 11, 13, 15, -1, -1, -1, -1, -1, -1, -1, -1);
    __m128i a = _mm_load_si128((const __m128i *)(const void *)high);
    __m128i b = _mm_load_si128((const __m128i *)(const void *)(high + 16));
    __m128i h[2] = {_mm_unpacklo_epi64(_mm_shuffle_epi8(a, even), _mm_shuffle_epi8(b, even)),
                    _mm_unpacklo_epi64(_mm_shuffle_epi8(a, odd), _mm_shuffle_epi8(b, odd))};
    for (int g = 0; g < 8; g++) {
        __m128i x = _mm_load_si128((const __m128i *)(const void *)(low + 16 * (g % 4)));
        x = _mm_and_si128(_mm_srl_epi16(x, _mm_cvtsi32_si128(g / 4 * 4)), low4);
        __m128i y = _mm_sll_epi16(h[g / 4], _mm_cvtsi32_si128(6 - 2 * (g % 4)));
        y = _mm_and_si128(_mm_srli_epi16(y, 2), bit45);
        _mm_store_si128((__m128i *)(void *)(out + 16 * g), _mm_or_si128(x, y));
    }
}

/* Writes sc and, where the format has them, by_sum. */
static ALWAYS_INLINE void scales(format f, const uint8_t *head, const uint8_t *body, uint8_t *sc,
                                 uint8_t *by_sum)
{
    _Alignas(32) uint8_t buffer[4 * LINE];
    const uint8_t *bytes = buffer;
    if (f == Q6_K || f == Q2_K)
        bytes = body;
    else if (f == IQ4_XS)
        iq4_scales(head, buffer);
    else
        six_bits(body, buffer);
    const int groups = BLOCK / 4 / group_of[f];
    const __m256i low4 = _mm256_set1_epi16(15), less32 = _mm256_set1_epi16(-32);
    for (int half = 0; half < 2; half++)
        for (int g = 0; g < groups; g += 2) {
            __m256i s[2], by[2];
            UNROLL
            for (int i = 0; i < 2; i++) {
                s[i] = by[i] = twice(bytes + 16 * (g + i), half);
                switch (f) {
                case Q2_K:
                    by[i] = _mm256_srli_epi16(s[i], 4);
                    s[i] = _mm256_and_si256(s[i], low4);
                    break;
                case Q3_K:
                    s[i] = _mm256_add_epi16(s[i], less32);
                    by[i] = _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(s[i], 2));
                    break;
                case Q6_K: /* signed bytes */
                    s[i] = _mm256_srai_epi16(_mm256_slli_epi16(s[i], 8), 8);
                    by[i] = _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(s[i], 5));
                    break;
                case IQ4_XS:
                    s[i] = _mm256_add_epi16(s[i], less32);
                    break;
                default:
                    by[i] = twice(bytes + 16 * (8 + g + i), half);
                }
                store_half_line(sc + LINE * (g + i), half, s[i]);
            }
            if (f != IQ4_XS)
                store_half_line(by_sum + LINE * (g / 2), half,
                                _mm256_blend_epi16(by[0], by[1], 0xaa));
        }
}

/* ---- the tile ------------------------------------------------------------------------------- */

/* Lines that a step of so many quads prefetches, one at a time: all those of a block at once would
 * hold up what is loaded now. */
static ALWAYS_INLINE int lines_ahead(format f, int step)
{
    return ((int)body_of[f] / LINE * step + BLOCK / 4 - 1) / (BLOCK / 4);
}

/* What quad t of a step prefetches. */
static ALWAYS_INLINE void prefetch(const char *ahead, int lines, int t, int step)
{
    const int line = t * lines / step;
    if (line != (t + 1) * lines / step)
        _mm_prefetch(ahead + line * LINE, _MM_HINT_T0);
}

/* isum of one block: sum[c][half]. Levels come from the packed body or from lines. */
static ALWAYS_INLINE void block_sums(const int8_t *q, size_t q_stride, const uint8_t *body,
                                     const uint8_t *sc, int columns, format f, bool direct,
                                     __m256i sum[TILE_COLUMNS][2])
{
    const int in_group = group_of[f], in_part = part_of[f];
    const int step = direct ? step_of[f] : in_group;
    const int lines = lines_ahead(f, step);
    const char *ahead = (const char *)body + AHEAD;
    __m256i part[TILE_COLUMNS][2];
    for (int h = 0; h < BLOCK / 4 / step; h++, q += 4 * step, ahead += lines * LINE) {
        UNROLL
        for (int t = 0; t < step; t++) {
            if (t % in_group == 0)
                FORGET_MEMORY();
            if (direct)
                prefetch(ahead, lines, t, step);
            __m256i w[2], u[2];
            UNROLL
            for (int half = 0; half < 2; half++) {
                w[half] = direct ? levels(f, body, h, t, half)
                                 : half_line(body + LINE * (step * h + t), half);
                u[half] = f == IQ4_XS ? _mm256_abs_epi8(w[half]) : w[half];
            }
            UNROLL
            for (int c = 0; c < columns; c++) {
                __m256i a = every_lane(q + (size_t)c * q_stride + 4 * t);
                UNROLL
                for (int half = 0; half < 2; half++) {
                    __m256i b = f == IQ4_XS ? _mm256_sign_epi8(a, w[half]) : a;
                    __m256i p = _mm256_maddubs_epi16(u[half], b);
                    part[c][half] = t % in_part ? _mm256_add_epi16(part[c][half], p) : p;
                    HAVE(part[c][half]);
                }
            }
            if ((t + 1) % in_part)
                continue;
            UNROLL
            for (int half = 0; half < 2; half++) {
                __m256i s = half_line(sc + LINE * ((step * h + t) / in_group), half);
                UNROLL
                for (int c = 0; c < columns; c++) {
                    __m256i p = _mm256_madd_epi16(part[c][half], s);
                    sum[c][half] = _mm256_add_epi32(sum[c][half], p);
                    HAVE(sum[c][half]);
                }
            }
        }
    }
}

/* Sum over pairs of groups of by_sum times the sums of activations, which are those of 16 values.
 */
static ALWAYS_INLINE void sum_sums(format f, const int16_t *sums, const uint8_t *by_sum,
                                   __m256i sum[2])
{
    const int pairs = BLOCK / 4 / group_of[f] / 2;
    _Alignas(32) int16_t of32[16]; /* in each half, 4 sums of 32 values twice */
    if (pairs == 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)sums);
        x = _mm256_madd_epi16(x, _mm256_set1_epi16(1)); /* 32 x 127 at most */
        _mm256_store_si256((__m256i *)(void *)of32, _mm256_packs_epi32(x, x));
    }
    sum[0] = sum[1] = _mm256_setzero_si256();
    UNROLL
    for (int p = 0; p < pairs; p++) {
        __m256i s = every_lane(pairs == 4 ? of32 + p / 2 * 8 + p % 2 * 2 : sums + 2 * p);
        UNROLL
        for (int half = 0; half < 2; half++) {
            __m256i m = _mm256_madd_epi16(half_line(by_sum + LINE * p, half), s);
            sum[half] = _mm256_add_epi32(sum[half], m);
        }
    }
}

static ALWAYS_INLINE void tile(const linn_tile *t, int columns, format f, bool direct)
{
    _Alignas(32) uint8_t own[(SC_LINES + SUM_LINES) * LINE];
    const bool min = f == Q2_K || f == Q4_K || f == Q5_K, shifted = f == Q3_K || f == Q6_K;
    const size_t q_stride = t->q_stride;
    for (size_t b = 0; b < t->n_blocks; b++) {
        const uint8_t *head = t->heads + b * head_of[f];
        const uint8_t *body = direct ? t->bodies + b * body_of[f] : t->bodies;
        const uint8_t *sc = direct ? own : body + LINE * (BLOCK / 4),
                      *by_sum = sc + LINE * SC_LINES;
        if (direct)
            scales(f, head, body, own, own + LINE * SC_LINES);
        __m256i sum[TILE_COLUMNS][2], by[TILE_COLUMNS][2];
        UNROLL
        for (int c = 0; c < columns; c++) {
            const int16_t *sums = t->sums + (size_t)c * t->s_stride + b * (BLOCK / 16);
            if (min || shifted)
                sum_sums(f, sums, by_sum, by[c]);
            UNROLL
            for (int half = 0; half < 2; half++)
                sum[c][half] = shifted ? by[c][half] : _mm256_setzero_si256();
        }
        block_sums(t->q + b * BLOCK, q_stride, body, sc, columns, f, direct, sum);
        UNROLL
        for (int c = 0; c < columns; c++) {
            __m256 da = _mm256_set1_ps(t->d[(size_t)c * t->d_stride + b]);
            UNROLL
            for (int half = 0; half < 2; half++) {
                float *at = t->acc + LINN_PACK_ROWS * c + 8 * half;
                __m256 x = _mm256_mul_ps(scale8(head + 16 * half), da);
                __m256 acc =
                    _mm256_fmadd_ps(x, _mm256_cvtepi32_ps(sum[c][half]), _mm256_load_ps(at));
                if (min) {
                    x = _mm256_mul_ps(scale8(head + LINN_PACK_D + 16 * half), da);
                    acc = _mm256_fnmadd_ps(x, _mm256_cvtepi32_ps(by[c][half]), acc);
                }
                _mm256_store_ps(at, acc);
            }
        }
    }
}

static ALWAYS_INLINE void unpack(format f, const uint8_t *head, const uint8_t *body,
                                 size_t n_blocks, uint8_t *lines)
{
    (void)n_blocks; /* always one */
    const int step = step_of[f], n_ahead = lines_ahead(f, step);
    const char *ahead = (const char *)body + AHEAD;
    for (int h = 0; h < BLOCK / 4 / step; h++, ahead += n_ahead * LINE)
        UNROLL
    for (int t = 0; t < step; t++) {
        prefetch(ahead, n_ahead, t, step);
        for (int half = 0; half < 2; half++)
            store_half_line(lines + LINE * (step * h + t), half, levels(f, body, h, t, half));
    }
    lines += LINE * (BLOCK / 4);
    scales(f, head, body, lines, lines + LINE * SC_LINES);
}

UNPACKED_PRODUCT(Q2_K, q2_k, BLOCK, 2)
UNPACKED_PRODUCT(Q3_K, q3_k, BLOCK, 2)
UNPACKED_PRODUCT(Q4_K, q4_k, BLOCK, 2)
UNPACKED_PRODUCT(Q5_K, q5_k, BLOCK, 2)
UNPACKED_PRODUCT(Q6_K, q6_k, BLOCK, 2)
UNPACKED_PRODUCT(IQ4_XS, iq4_xs, BLOCK, 2)
