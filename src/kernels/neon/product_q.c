/* product_q.c - products with formats of 32 values a block, in NEON. Formulas and the order
 * of sums: c/product_q.c; layout of the weights: pack.h; the walk: walk.h; the tile: tile.h.
 *
 * Levels of 4 and 5 bits are taken unsigned, u = q + offset, and
 *
 *     isum = sum_i u_i a_i - offset sum_i a_i            exact in int32
 *
 * with offset 8 in Q4_0 and 16 in Q5_0. The second sum is that of two sums of 16 that the
 * activations bring; in Q4_1 and Q5_1 it multiplies the minimum.
 */
#include "kernels/neon/neon.h"
#include "kernels/neon/tile.h"
#include "quant/blocks.h"

enum { BLOCK = 32, QUADS = 8 };

typedef enum format { Q8_0, IQ4_NL, Q4_0, Q4_1, Q5_0, Q5_1, FORMATS } format;

static const int offset_of[FORMATS] = {[Q4_0] = 8, [Q5_0] = 16};
static const size_t head_of[FORMATS] = {LINN_PACK_Q8_0_HEAD, LINN_PACK_IQ4_NL_HEAD,
                                        LINN_PACK_Q4_0_HEAD, LINN_PACK_Q4_1_HEAD,
                                        LINN_PACK_Q5_0_HEAD, LINN_PACK_Q5_1_HEAD};
static const size_t body_of[FORMATS] = {LINN_PACK_Q8_0_BODY, LINN_PACK_IQ4_NL_BODY,
                                        LINN_PACK_Q4_0_BODY, LINN_PACK_Q4_1_BODY,
                                        LINN_PACK_Q5_0_BODY, LINN_PACK_Q5_1_BODY};

/* Levels of quad t of the block at `body`, 4 rows. */
static ALWAYS_INLINE int8x16_t levels(format f, const uint8_t *body, int t, int part)
{
    if (f == Q8_0)
        return vreinterpretq_s8_u8(load_part(body + LINE * t, part));
    const uint8_t *nibbles = f == Q5_0 || f == Q5_1 ? body + LINE : body;
    uint8x16_t x = bits(load_part(nibbles + LINE * (t % 4), part), t / 4 * 4, 4, 0);
    if (f == IQ4_NL)
        return vqtbl1q_s8(vld1q_s8(linn_iq4_values), x);
    if (f == Q5_0 || f == Q5_1)
        x = vorrq_u8(x, bits(load_part(body, part), t, 1, 4));
    return vreinterpretq_s8_u8(x);
}

static ALWAYS_INLINE void tile(const linn_tile *t, int columns, format f)
{
    const bool min = f == Q4_1 || f == Q5_1;
    const uint8_t *head = t->heads, *body = t->bodies;
    const int8_t *q = t->q;
    for (size_t b = 0; b < t->n_blocks; b++, head += head_of[f], body += body_of[f], q += BLOCK) {
        int32x4_t sum[TILE_COLUMNS][PARTS];
        int32_t by[TILE_COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++) {
            const int16_t *sums = t->sums + (size_t)c * t->s_stride + 2 * b;
            by[c] = sums[0] + sums[1];
            UNROLL
            for (int p = 0; p < PARTS; p++)
                sum[c][p] = vdupq_n_s32(-offset_of[f] * by[c]);
        }
        UNROLL
        for (int l = 0; l < QUADS; l++) {
            int8x16_t w[PARTS];
            UNROLL
            for (int p = 0; p < PARTS; p++)
                w[p] = levels(f, body, l, p);
            UNROLL
            for (int c = 0; c < columns; c++) {
                int8x16_t a = vld1q_s8(q + (size_t)c * t->q_stride + l / 4 * 16);
                UNROLL
                for (int p = 0; p < PARTS; p++)
                    sum[c][p] = dot(sum[c][p], w[p], a, l % 4);
            }
        }
        UNROLL
        for (int p = 0; p < PARTS; p++) {
            float32x4_t d = scale4(head, p), m = min ? scale4(head + LINN_PACK_D, p) : d;
            UNROLL
            for (int c = 0; c < columns; c++) {
                float *at = t->acc + LINN_PACK_ROWS * c + 4 * p;
                float da = t->d[(size_t)c * t->d_stride + b];
                float32x4_t acc = vld1q_f32(at);
                acc = vfmaq_f32(acc, vmulq_n_f32(d, da), vcvtq_f32_s32(sum[c][p]));
                if (min)
                    acc = vfmaq_n_f32(acc, m, da * (float)by[c]);
                vst1q_f32(at, acc);
            }
        }
    }
}

PRODUCT(Q8_0, q8_0, BLOCK)
PRODUCT(IQ4_NL, iq4_nl, BLOCK)
PRODUCT(Q4_0, q4_0, BLOCK)
PRODUCT(Q4_1, q4_1, BLOCK)
PRODUCT(Q5_0, q5_0, BLOCK)
PRODUCT(Q5_1, q5_1, BLOCK)
