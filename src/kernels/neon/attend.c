/* attend.c - attention over one page of the KV cache, in NEON. The formulas stand at
 * linn_attend in kernels.h.
 *
 * Scores: a lane is a position, and each row of K (one d of half the positions) is read
 * and widened once for up to 2 queries. Sums over positions: a lane is a d, and each row
 * of V is read once for up to 2 queries. Lanes of positions that a query does not see are
 * computed and dropped; V of such positions is not touched, since it may be anything.
 */
#include "kernels/c/c.h"
#include "kernels/math.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/vec.h"

enum { PAGE = LINN_KV_PAGE, QUERIES = 2, VECTORS = 8 /* 32 positions, or values */ };

static ALWAYS_INLINE float32x4_t load4(linn_kv_type kv, const void *page, size_t i)
{
    if (kv == LINN_KV_F32)
        return vld1q_f32((const float *)page + i);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)page + i)));
}

/* s[j][from .. from + 32) = scale * q_j . k_i for n queries */
static ALWAYS_INLINE void scores(const linn_attend *a, linn_kv_type kv, const float *const *q,
                                 int n, size_t from, float s[][PAGE])
{
    float32x4_t acc[QUERIES][VECTORS];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        acc[j][v] = vdupq_n_f32(0);
    for (size_t d = 0; d < (size_t)a->head_dim; d++)
        UNROLL
    for (int v = 0; v < VECTORS; v++) {
        float32x4_t k = load4(kv, a->k, d * PAGE + from + 4 * (size_t)v);
        UNROLL
        for (int j = 0; j < n; j++)
            acc[j][v] = vfmaq_n_f32(acc[j][v], k, q[j][d]);
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        vst1q_f32(&s[j][from + 4 * (size_t)v], vmulq_n_f32(acc[j][v], a->scale));
}

/* s[j][from .. from + 32) the same from a q8_0 cache */
static ALWAYS_INLINE void scores_q8(const linn_attend *a, const int32_t *who, int n, size_t from,
                                    float s[][PAGE])
{
    size_t n_blocks = linn_kv_blocks(a->head_dim);
    const int8_t *k = linn_kv_levels(a->k, a->head_dim) + 4 * from;
    float32x4_t sum[QUERIES][VECTORS];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[j][v] = vdupq_n_f32(0);
    for (size_t b = 0; b < n_blocks; b++)
        UNROLL
    for (int j = 0; j < n; j++) {
        size_t at = (size_t)who[j] * n_blocks + b;
        const int8_t *q = a->q8->q + at * LINN_KV_BLOCK;
        int32x4_t acc[VECTORS];
        UNROLL
        for (int v = 0; v < VECTORS; v++)
            acc[v] = vdupq_n_s32(0);
        for (size_t t = 0; t < LINN_KV_BLOCK; t += 4) {
            int32_t quad;
            __builtin_memcpy(&quad, q + t, sizeof quad);
            int8x16_t levels = vreinterpretq_s8_s32(vdupq_n_s32(quad));
            const int8_t *line = k + (b * LINN_KV_BLOCK + t) * PAGE;
            UNROLL
            for (int v = 0; v < VECTORS; v++)
                acc[v] = vdotq_s32(acc[v], vld1q_s8(line + 16 * v), levels);
        }
        UNROLL
        for (int v = 0; v < VECTORS; v++) {
            float32x4_t dk = vld1q_f32((const float *)a->k + b * PAGE + from + 4 * (size_t)v);
            sum[j][v] = vfmaq_f32(sum[j][v], vmulq_n_f32(dk, a->q8->d[at]), vcvtq_f32_s32(acc[v]));
        }
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        vst1q_f32(&s[j][from + 4 * (size_t)v], vmulq_n_f32(sum[j][v], a->scale));
}

/* Turns n scores into weights p_i = exp(s_i - m'); returns c. */
static float softmax(float s[PAGE], int32_t n, float *m, float *l)
{
    float max = *m;
    for (int32_t i = 0; i < n; i++)
        max = s[i] > max ? s[i] : max;
    float c = linn_exp32(*m - max);
    float32x4_t low = vdupq_n_f32(0), high = low;
    for (int32_t i = 0; i < n; i += 8) {
        vst1q_f32(s + i, exp4(vsubq_f32(vld1q_f32(s + i), vdupq_n_f32(max))));
        vst1q_f32(s + i + 4, exp4(vsubq_f32(vld1q_f32(s + i + 4), vdupq_n_f32(max))));
        for (int32_t j = n; j < i + 8; j++)
            s[j] = 0;
        low = vaddq_f32(low, vld1q_f32(s + i));
        high = vaddq_f32(high, vld1q_f32(s + i + 4));
    }
    *m = max;
    *l = __builtin_fmaf(*l, c, tree8(low, high));
    return c;
}

/* acc_j[d .. d + 4 vectors) += sum_i p_ji v_id over [from, to), n queries */
static ALWAYS_INLINE void sums(const linn_attend *a, linn_kv_type kv, int n, int vectors, size_t d,
                               int32_t from, int32_t to, float p[][PAGE], float *const acc[])
{
    float32x4_t sum[QUERIES][VECTORS];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        sum[j][v] = vld1q_f32(acc[j] + d + 4 * v);
    for (int32_t i = from; i < to; i++)
        UNROLL
    for (int v = 0; v < vectors; v++) {
        size_t at = (size_t)i * (size_t)a->head_dim + d + 4 * (size_t)v;
        float32x4_t value = load4(kv, a->v, at);
        UNROLL
        for (int j = 0; j < n; j++)
            sum[j][v] = vfmaq_n_f32(sum[j][v], value, p[j][i]);
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        vst1q_f32(acc[j] + d + 4 * v, sum[j][v]);
}

/* The same for a block of 32 values of a q8_0 cache, with w_ji = p_ji * dv_i for p_ji. */
static ALWAYS_INLINE void sums_q8(const linn_attend *a, int n, size_t block, int32_t from,
                                  int32_t to, float w[][PAGE], float *const acc[])
{
    size_t width = linn_kv_blocks(a->head_dim) * LINN_KV_BLOCK, d = block * LINN_KV_BLOCK;
    const int8_t *levels = linn_kv_levels(a->v, a->head_dim) + d;
    float32x4_t sum[QUERIES][VECTORS];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[j][v] = vld1q_f32(acc[j] + d + 4 * v);
    for (int32_t i = from; i < to; i++)
        UNROLL
    for (int v = 0; v < VECTORS; v += 2) {
        int16x8_t wide = vmovl_s8(vld1_s8(levels + (size_t)i * width + 4 * v));
        float32x4_t low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
        float32x4_t high = vcvtq_f32_s32(vmovl_s16(vget_high_s16(wide)));
        UNROLL
        for (int j = 0; j < n; j++) {
            sum[j][v] = vfmaq_n_f32(sum[j][v], low, w[j][i]);
            sum[j][v + 1] = vfmaq_n_f32(sum[j][v + 1], high, w[j][i]);
        }
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        vst1q_f32(acc[j] + d + 4 * v, sum[j][v]);
}

static ALWAYS_INLINE void sums_all_q8(const linn_attend *a, int n, int32_t from, int32_t to,
                                      float p[][PAGE], float *const acc[])
{
    float w[QUERIES][PAGE];
    for (size_t b = 0; b < linn_kv_blocks(a->head_dim); b++) {
        for (size_t i = 0; i < PAGE; i += 4) {
            float32x4_t dv = vld1q_f32((const float *)a->v + b * PAGE + i);
            for (int j = 0; j < n; j++)
                vst1q_f32(&w[j][i], vmulq_f32(vld1q_f32(&p[j][i]), dv));
        }
        sums_q8(a, n, b, from, to, w, acc);
    }
}

/* All d of n queries over positions [from, to). */
static ALWAYS_INLINE void sums_all(const linn_attend *a, linn_kv_type kv, int n, int32_t from,
                                   int32_t to, float p[][PAGE], float *const acc[])
{
    size_t d = 0, head_dim = (size_t)a->head_dim;
    if (kv == LINN_KV_Q8_0) {
        sums_all_q8(a, n, from, to, p, acc);
        return;
    }
    for (; d + 32 <= head_dim; d += 32)
        sums(a, kv, n, 8, d, from, to, p, acc);
    for (; d + 4 <= head_dim; d += 4)
        sums(a, kv, n, 1, d, from, to, p, acc);
    for (; d < head_dim; d++) /* what no vector fits */
        for (int j = 0; j < n; j++)
            for (int32_t i = from; i < to; i++) {
                size_t at = (size_t)i * head_dim + d;
                float v = kv == LINN_KV_F32 ? ((const float *)a->v)[at]
                                            : linn_f16_to_f32(((const uint16_t *)a->v)[at]);
                acc[j][d] = __builtin_fmaf(p[j][i], v, acc[j][d]);
            }
}

/* n queries that see something of the page */
static ALWAYS_INLINE void attend_some(const linn_attend *a, linn_kv_type kv, int n,
                                      const int32_t *who)
{
    float s[QUERIES][PAGE];
    const float *q[QUERIES];
    float *acc[QUERIES];
    int32_t most = 0, least = PAGE;
    for (int j = 0; j < n; j++) {
        int32_t seen = a->n_visible[who[j]];
        q[j] = a->q[who[j]];
        acc[j] = a->acc + (size_t)who[j] * (size_t)a->head_dim;
        most = seen > most ? seen : most;
        least = seen < least ? seen : least;
    }
    for (int32_t from = 0; from < most; from += 4 * VECTORS)
        if (kv == LINN_KV_Q8_0)
            scores_q8(a, who, n, (size_t)from, s);
        else
            scores(a, kv, q, n, (size_t)from, s);
    for (int j = 0; j < n; j++) {
        float c = softmax(s[j], a->n_visible[who[j]], &a->m[who[j]], &a->l[who[j]]);
        for (int32_t d = 0; d < a->head_dim; d++)
            acc[j][d] = acc[j][d] * c;
    }
    sums_all(a, kv, n, 0, least, s, acc); /* what all see, then what each sees more */
    for (int j = 0; j < n; j++)
        if (a->n_visible[who[j]] > least)
            sums_all(a, kv, 1, least, a->n_visible[who[j]], s + j, acc + j);
}

static ALWAYS_INLINE void attend(const linn_attend *a, linn_kv_type kv)
{
    int32_t who[QUERIES], n = 0;
    for (int32_t j = 0; j < a->n_q; j++) {
        if (a->n_visible[j] > 0)
            who[n++] = j;
        if (n == QUERIES) {
            attend_some(a, kv, 2, who);
            n = 0;
        }
    }
    if (n == 1)
        attend_some(a, kv, 1, who);
}

LINN_DEFINE_ATTEND(neon)
