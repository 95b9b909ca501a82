/* product_k.c - products with formats of 256 values a block, in NEON. Formulas and the order
 * of sums: c/product_k.c; layout of the weights: pack.h; the walk: walk.h; the tile: tile.h.
 *
 *     isum = sum over groups  sc  x  (sum of u_i a_i by sdot)
 *
 * with u = q + offset (32 in Q6_K, 4 in Q3_K, else 0). What is the same for all values of a
 * group, the minimum or sc x offset, multiplies the group's sum of activations. All of it is
 * exact in int32 (Q6_K: 256 x 63 x 127 x 128 < 2^28).
 */
#include "kernels/neon/neon.h"
#include "kernels/neon/tile.h"
#include "quant/blocks.h"

enum { BLOCK = 256, ROWS = LINN_PACK_ROWS, MOST_GROUPS = 16 };

typedef enum format { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS, FORMATS } format;

/* quads in a group, and in a step (see levels) */
static const int group_of[FORMATS] = {4, 4, 8, 8, 4, 8};
static const int step_of[FORMATS] = {32, 32, 16, 32, 32, 8};
static const int32_t offset_of[FORMATS] = {[Q3_K] = 4, [Q6_K] = 32};
static const size_t head_of[FORMATS] = {LINN_PACK_Q2_K_HEAD, LINN_PACK_Q3_K_HEAD,
                                        LINN_PACK_Q4_K_HEAD, LINN_PACK_Q5_K_HEAD,
                                        LINN_PACK_Q6_K_HEAD, LINN_PACK_IQ4_XS_HEAD};
static const size_t body_of[FORMATS] = {LINN_PACK_Q2_K_BODY, LINN_PACK_Q3_K_BODY,
                                        LINN_PACK_Q4_K_BODY, LINN_PACK_Q5_K_BODY,
                                        LINN_PACK_Q6_K_BODY, LINN_PACK_IQ4_XS_BODY};

/* Levels of quad t of step h of the block at `body`, 4 rows. A step is as many quads as it takes
 * until all is at the same bits again. */
static ALWAYS_INLINE int8x16_t levels(format f, const uint8_t *body, int h, int t, int part)
{
    const int c = t / 8, l = t % 8, u = l / 4, v = l % 4;
    uint8x16_t x, y = vdupq_n_u8(0);
    switch (f) {
    case Q2_K:
        x = bits(load_part(body + LINE * (4 + 8 * h + l), part), 2 * c, 2, 0);
        break;
    case Q3_K:
        x = bits(load_part(body + LINE * (11 + 8 * h + l), part), 2 * c, 2, 0);
        y = bits(load_part(body + LINE * (3 + 4 * h + v), part), 4 * u + c, 1, 2);
        break;
    case Q4_K:
        x = bits(load_part(body + LINE * (3 + 8 * h + l), part), 4 * c, 4, 0);
        break;
    case Q5_K:
        x = bits(load_part(body + LINE * (11 + 16 * h + 8 * (c / 2) + l), part), c % 2 * 4, 4, 0);
        y = bits(load_part(body + LINE * (3 + 4 * h + v), part), 4 * u + c, 1, 4);
        break;
    case Q6_K:
        x = bits(load_part(body + LINE * (4 + 16 * h + t % 16), part), t / 16 * 4, 4, 0);
        y = bits(load_part(body + LINE * (36 + 8 * h + l), part), 2 * c, 2, 4);
        break;
    default: /* IQ4_XS */
        x = bits(load_part(body + LINE * (4 * h + v), part), 4 * u, 4, 0);
        return vqtbl1q_s8(vld1q_s8(linn_iq4_values), x);
    }
    return vreinterpretq_s8_u8(vorrq_u8(x, y));
}

/* What the sums of products (sc) and of activations (by) of each group are multiplied with; loops
 * over 16 rows, which compilers make vectors of. */
typedef struct numbers {
    int32_t sc[MOST_GROUPS][ROWS], by[MOST_GROUPS][ROWS];
} numbers;

/* number g (of 16) of row r, six bits */
static ALWAYS_INLINE int32_t six_bits(const uint8_t *lines, int g, int r)
{
    const uint8_t *at = lines + 16 * (g % 4) + r;
    if (g < 12)
        return at[LINE * (g / 4)] & 63;
    return at[0] >> 6 | at[LINE] >> 6 << 2 | at[2 * LINE] >> 6 << 4;
}

static ALWAYS_INLINE void scales(format f, const uint8_t *head, const uint8_t *body, numbers *n)
{
    for (int g = 0; g < BLOCK / 4 / group_of[f]; g++)
        for (int r = 0; r < ROWS; r++) {
            int32_t sc, by = 0;
            if (f == Q2_K) {
                sc = body[16 * g + r] & 15;
                by = body[16 * g + r] >> 4;
            } else if (f == Q3_K) {
                sc = six_bits(body, g, r) - 32;
            } else if (f == Q6_K) {
                sc = (int8_t)body[16 * g + r];
            } else if (f == IQ4_XS) {
                const uint8_t *low = head + LINN_PACK_D, *high = low + LINE;
                int32_t two = high[2 * r + g / 4] >> 2 * (g % 4) & 3;
                sc = ((low[16 * (g % 4) + r] >> g / 4 * 4 & 15) | two << 4) - 32;
            } else {
                sc = six_bits(body, g, r);
                by = six_bits(body, 8 + g, r);
            }
            n->sc[g][r] = sc;
            n->by[g][r] = offset_of[f] ? -offset_of[f] * sc : by;
        }
}

typedef int32x4_t outputs[TILE_COLUMNS][PARTS];

/* Sums over groups of by times the sums of activations. */
static ALWAYS_INLINE void sum_sums(const int16_t *sums, size_t s_stride, const numbers *n,
                                   int columns, format f, outputs sum)
{
    UNROLL
    for (int c = 0; c < columns; c++)
        UNROLL
    for (int p = 0; p < PARTS; p++)
        sum[c][p] = vdupq_n_s32(0);
    for (int g = 0; g < BLOCK / 4 / group_of[f]; g++)
        UNROLL
    for (int c = 0; c < columns; c++) {
        const int16_t *at = sums + (size_t)c * s_stride;
        int32_t s = group_of[f] == 4 ? at[g] : at[2 * g] + at[2 * g + 1];
        UNROLL
        for (int p = 0; p < PARTS; p++)
            sum[c][p] = vmlaq_n_s32(sum[c][p], vld1q_s32(n->by[g] + 4 * p), s);
    }
}

/* Adds sc times the sums of products of one block. */
static ALWAYS_INLINE void block_sums(const int8_t *q, size_t q_stride, const uint8_t *body,
                                     const numbers *n, int columns, format f, outputs sum)
{
    const int in_group = group_of[f], step = step_of[f];
    for (int h = 0; h < BLOCK / 4 / step; h++, q += 4 * step) {
        outputs group;
        UNROLL
        for (int i = 0; i < step; i++) {
            int8x16_t w[PARTS];
            UNROLL
            for (int p = 0; p < PARTS; p++)
                w[p] = levels(f, body, h, i, p);
            UNROLL
            for (int c = 0; c < columns; c++) {
                int8x16_t a = vld1q_s8(q + (size_t)c * q_stride + i / 4 * 16);
                UNROLL
                for (int p = 0; p < PARTS; p++)
                    group[c][p] = dot(i % in_group ? group[c][p] : vdupq_n_s32(0), w[p], a, i % 4);
            }
            if ((i + 1) % in_group)
                continue;
            const int32_t *sc = n->sc[(step * h + i) / in_group];
            UNROLL
            for (int c = 0; c < columns; c++)
                UNROLL
            for (int p = 0; p < PARTS; p++)
                sum[c][p] = vmlaq_s32(sum[c][p], group[c][p], vld1q_s32(sc + 4 * p));
        }
    }
}

/* acc = fma(+-(d * da), sum, acc) for all outputs; head: where d lies in the head */
static ALWAYS_INLINE void join(const linn_tile *t, const uint8_t *head, size_t b, int columns,
                               bool negative, outputs sum)
{
    UNROLL
    for (int p = 0; p < PARTS; p++)
        UNROLL
    for (int c = 0; c < columns; c++) {
        float *at = t->acc + LINN_PACK_ROWS * c + 4 * p;
        float32x4_t x = vmulq_n_f32(scale4(head, p), t->d[(size_t)c * t->d_stride + b]);
        float32x4_t s = vcvtq_f32_s32(sum[c][p]), acc = vld1q_f32(at);
        vst1q_f32(at, negative ? vfmsq_f32(acc, x, s) : vfmaq_f32(acc, x, s));
    }
}

static ALWAYS_INLINE void tile(const linn_tile *t, int columns, format f)
{
    const bool min = f == Q2_K || f == Q4_K || f == Q5_K;
    for (size_t b = 0; b < t->n_blocks; b++) {
        const uint8_t *head = t->heads + b * head_of[f], *body = t->bodies + b * body_of[f];
        const int16_t *sums = t->sums + b * (BLOCK / 16);
        numbers n;
        outputs sum;
        scales(f, head, body, &n);
        if (offset_of[f])
            sum_sums(sums, t->s_stride, &n, columns, f, sum);
        else
            UNROLL
        for (int c = 0; c < columns; c++)
            UNROLL
        for (int p = 0; p < PARTS; p++)
            sum[c][p] = vdupq_n_s32(0);
        block_sums(t->q + b * BLOCK, t->q_stride, body, &n, columns, f, sum);
        join(t, head, b, columns, false, sum);
        if (min) {
            sum_sums(sums, t->s_stride, &n, columns, f, sum);
            join(t, head + LINN_PACK_D, b, columns, true, sum);
        }
    }
}

PRODUCT(Q2_K, q2_k, BLOCK)
PRODUCT(Q3_K, q3_k, BLOCK)
PRODUCT(Q4_K, q4_k, BLOCK)
PRODUCT(Q5_K, q5_k, BLOCK)
PRODUCT(Q6_K, q6_k, BLOCK)
PRODUCT(IQ4_XS, iq4_xs, BLOCK)
