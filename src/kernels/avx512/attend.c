/* attend.c - attention over one page of the KV cache, in AVX-512. The formulas stand at
 * linn_attend in kernels.h.
 *
 * Scores: a lane is a position, 4 vectors are a page, and each row of K (one d of all
 * positions) is read and widened once for up to 4 queries. Sums over positions: a lane
 * is a d, and each row of V is read once for up to 4 queries. Lanes of positions that a
 * query does not see are computed and dropped; V of such positions is not touched, since
 * it may be anything.
 *
 * The largest score is found in lanes, not in order, which can differ from the
 * specification in the sign of a zero; exp(s - m) does not tell them apart.
 */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/c/c.h"

enum { PAGE = LINN_KV_PAGE, QUERIES = 4, VECTORS = PAGE / 16 };

/* the first n of 16 values */
static ALWAYS_INLINE __m512 load16(linn_kv_type kv, const void *page, size_t i, __mmask16 m)
{
    if (kv == LINN_KV_F32)
        return _mm512_maskz_loadu_ps(m, (const float *)page + i);
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, (const uint16_t *)page + i));
}

/* The lines of values [i, i + n) of a tile, of the page that is `next` bytes away. */
static ALWAYS_INLINE void prefetch(linn_kv_type kv, const void *page, size_t i, size_t n,
                                   ptrdiff_t next)
{
    const size_t value = kv == LINN_KV_F32 ? 4 : 2;
    const char *at = (const char *)page + next + i * value;
    UNROLL
    for (size_t line = 0; line < n * value; line += 64)
        _mm_prefetch(at + line, _MM_HINT_T0);
}

/* 4 bytes in every lane */
static ALWAYS_INLINE __m512i quad(const int8_t *q)
{
    int32_t x;
    __builtin_memcpy(&x, q, sizeof x);
    return _mm512_set1_epi32(x);
}

/* s[j][0 .. 16 vectors) = scale * q_j . k_i for n queries */
static ALWAYS_INLINE void scores(const linn_attend *a, linn_kv_type kv, const float *const *q,
                                 int n, int vectors, ptrdiff_t next, float s[][PAGE])
{
    __m512 acc[QUERIES][VECTORS];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        acc[j][v] = _mm512_setzero_ps();
    for (size_t d = 0; d < (size_t)a->head_dim; d++) {
        prefetch(kv, a->k, d * PAGE, PAGE, next);
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m512 k = load16(kv, a->k, d * PAGE + 16 * (size_t)v, 0xffff);
            UNROLL
            for (int j = 0; j < n; j++)
                acc[j][v] = _mm512_fmadd_ps(_mm512_set1_ps(q[j][d]), k, acc[j][v]);
        }
    }
    __m512 scale = _mm512_set1_ps(a->scale);
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        _mm512_store_ps(&s[j][16 * (size_t)v], _mm512_mul_ps(scale, acc[j][v]));
}

/* The same from a q8_0 cache. vpdpbusd wants bytes without sign on one side, so K gets 128 added,
 * which is taken off again with the sum of the query's levels. */
static ALWAYS_INLINE void scores_q8(const linn_attend *a, const int32_t *who, int n, int vectors,
                                    ptrdiff_t next, float s[][PAGE])
{
    size_t n_blocks = linn_kv_blocks(a->head_dim);
    const int8_t *k = linn_kv_levels(a->k, a->head_dim);
    const __m512i sign = _mm512_set1_epi8(-128);
    for (int j = 0; j < n; j++)
        for (int v = 0; v < vectors; v++)
            _mm512_store_ps(&s[j][16 * v], _mm512_setzero_ps());
    for (size_t b = 0; b < n_blocks; b++) {
        __m512i acc[QUERIES][VECTORS];
        const int8_t *q[QUERIES];
        UNROLL
        for (int j = 0; j < n; j++) {
            size_t at = (size_t)who[j] * n_blocks + b;
            const int16_t *sums = a->q8->sums + 2 * at;
            q[j] = a->q8->q + at * LINN_KV_BLOCK;
            UNROLL
            for (int v = 0; v < vectors; v++)
                acc[j][v] = _mm512_set1_epi32(-128 * (sums[0] + sums[1]));
        }
        for (size_t t = 0; t < LINN_KV_BLOCK; t += 4)
            UNROLL
        for (int v = 0; v < vectors; v++) {
            size_t at = ((b * LINN_KV_BLOCK + t) * PAGE) + 64 * (size_t)v;
            _mm_prefetch((const char *)k + at + next, _MM_HINT_T0);
            __m512i x = _mm512_xor_si512(_mm512_loadu_si512(k + at), sign);
            UNROLL
            for (int j = 0; j < n; j++)
                acc[j][v] = _mm512_dpbusd_epi32(acc[j][v], x, quad(q[j] + t));
        }
        UNROLL
        for (int j = 0; j < n; j++) {
            __m512 dq = _mm512_set1_ps(a->q8->d[(size_t)who[j] * n_blocks + b]);
            UNROLL
            for (int v = 0; v < vectors; v++) {
                __m512 dk = _mm512_loadu_ps((const float *)a->k + b * PAGE + 16 * (size_t)v);
                __m512 sum = _mm512_cvtepi32_ps(acc[j][v]);
                float *to = &s[j][16 * v];
                _mm512_store_ps(to,
                                _mm512_fmadd_ps(_mm512_mul_ps(dq, dk), sum, _mm512_load_ps(to)));
            }
        }
    }
    for (int j = 0; j < n; j++)
        for (int v = 0; v < vectors; v++) {
            __m512 x = _mm512_load_ps(&s[j][16 * v]);
            _mm512_store_ps(&s[j][16 * v], _mm512_mul_ps(_mm512_set1_ps(a->scale), x));
        }
}

/* Turns n scores into weights p_i = exp(s_i - m'); returns c. */
static float softmax(float s[PAGE], int32_t n, float *m, float *l)
{
    __m512 top = _mm512_set1_ps(*m);
    for (int32_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()), first_lanes16(n - i),
                                      _mm512_load_ps(s + i));
        top = _mm512_max_ps(v, top); /* v > top ? v : top */
    }
    float lanes[16], max = *m;
    _mm512_storeu_ps(lanes, top);
    for (int i = 0; i < 16; i++)
        max = lanes[i] > max ? lanes[i] : max;
    float c = _mm_cvtss_f32(_mm512_castps512_ps128(exp16(_mm512_set1_ps(*m - max))));
    __m256 sum = _mm256_setzero_ps();
    for (int32_t i = 0; i < n; i += 16) {
        __m512 p = exp16(_mm512_sub_ps(_mm512_load_ps(s + i), _mm512_set1_ps(max)));
        p = _mm512_maskz_mov_ps(first_lanes16(n - i), p);
        _mm512_store_ps(s + i, p);
        sum = _mm256_add_ps(sum, _mm512_castps512_ps256(p)); /* lanes by i mod 8 */
        sum = _mm256_add_ps(sum, _mm512_extractf32x8_ps(p, 1));
    }
    *m = max;
    *l = __builtin_fmaf(*l, c, tree8(sum));
    return c;
}

/* acc_j[d .. d + 16 vectors) += sum_i p_ji v_id over [from, to), n queries; of the last vector
 * only the lanes of `mask` */
static ALWAYS_INLINE void sums(const linn_attend *a, linn_kv_type kv, int n, int vectors, size_t d,
                               __mmask16 mask, int32_t from, int32_t to, ptrdiff_t next,
                               float p[][PAGE], float *const acc[])
{
    __m512 sum[QUERIES][4];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        sum[j][v] = _mm512_maskz_loadu_ps(mask, acc[j] + d + 16 * v);
    for (int32_t i = from; i < to; i++) {
        size_t at = (size_t)i * (size_t)a->head_dim + d;
        prefetch(kv, a->v, at, 16 * (size_t)vectors, next);
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m512 value = load16(kv, a->v, at + 16 * (size_t)v, mask);
            UNROLL
            for (int j = 0; j < n; j++)
                sum[j][v] = _mm512_fmadd_ps(_mm512_set1_ps(p[j][i]), value, sum[j][v]);
        }
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        _mm512_mask_storeu_ps(acc[j] + d + 16 * v, mask, sum[j][v]);
}

/* The same for a block of 32 values of a q8_0 cache, with w_ji = p_ji * dv_i for p_ji. */
static ALWAYS_INLINE void sums_q8(const linn_attend *a, int n, size_t block, int32_t from,
                                  int32_t to, ptrdiff_t next, float w[][PAGE], float *const acc[])
{
    size_t width = linn_kv_blocks(a->head_dim) * LINN_KV_BLOCK, d = block * LINN_KV_BLOCK;
    const int8_t *levels = linn_kv_levels(a->v, a->head_dim) + d;
    __m512 sum[QUERIES][2];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < 2; v++)
        sum[j][v] = _mm512_loadu_ps(acc[j] + d + 16 * v);
    for (int32_t i = from; i < to; i++) {
        const int8_t *row = levels + (size_t)i * width;
        _mm_prefetch((const char *)row + next, _MM_HINT_T0);
        UNROLL
        for (int v = 0; v < 2; v++) {
            __m512 value = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
                _mm_loadu_si128((const __m128i *)(const void *)(row + 16 * v))));
            UNROLL
            for (int j = 0; j < n; j++)
                sum[j][v] = _mm512_fmadd_ps(_mm512_set1_ps(w[j][i]), value, sum[j][v]);
        }
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < 2; v++)
        _mm512_storeu_ps(acc[j] + d + 16 * v, sum[j][v]);
}

static ALWAYS_INLINE void sums_all_q8(const linn_attend *a, int n, int32_t from, int32_t to,
                                      ptrdiff_t next, float p[][PAGE], float *const acc[])
{
    _Alignas(64) float w[QUERIES][PAGE];
    for (size_t b = 0; b < linn_kv_blocks(a->head_dim); b++) {
        for (size_t i = 0; i < PAGE; i += 16) {
            __m512 dv = _mm512_loadu_ps((const float *)a->v + b * PAGE + i);
            for (int j = 0; j < n; j++)
                _mm512_store_ps(&w[j][i], _mm512_mul_ps(_mm512_load_ps(&p[j][i]), dv));
        }
        sums_q8(a, n, b, from, to, next, w, acc);
    }
}

/* All d of n queries over positions [from, to). */
static ALWAYS_INLINE void sums_all(const linn_attend *a, linn_kv_type kv, int n, int32_t from,
                                   int32_t to, ptrdiff_t next, float p[][PAGE], float *const acc[])
{
    size_t d = 0, head_dim = (size_t)a->head_dim;
    if (kv == LINN_KV_Q8_0) {
        sums_all_q8(a, n, from, to, next, p, acc);
        return;
    }
    for (; d + 64 <= head_dim; d += 64)
        sums(a, kv, n, 4, d, 0xffff, from, to, next, p, acc);
    if (d + 32 <= head_dim) {
        sums(a, kv, n, 2, d, 0xffff, from, to, next, p, acc);
        d += 32;
    }
    for (; d < head_dim; d += 16)
        sums(a, kv, n, 1, d, first_lanes16((int32_t)(head_dim - d)), from, to, next, p, acc);
}

/* n queries that see something of the page */
static ALWAYS_INLINE void attend_some(const linn_attend *a, linn_kv_type kv, int n,
                                      const int32_t *who)
{
    _Alignas(64) float s[QUERIES][PAGE];
    const float *q[QUERIES];
    float *acc[QUERIES];
    int32_t most = 0, least = PAGE;
    ptrdiff_t next = who[0] == 0 ? a->next : 0; /* once is enough */
    for (int j = 0; j < n; j++) {
        int32_t seen = a->n_visible[who[j]];
        q[j] = a->q[who[j]];
        acc[j] = a->acc + (size_t)who[j] * (size_t)a->head_dim;
        most = seen > most ? seen : most;
        least = seen < least ? seen : least;
    }
    if (kv == LINN_KV_Q8_0)
        scores_q8(a, who, n, VECTORS, next, s);
    else if (most > 32)
        scores(a, kv, q, n, 4, next, s);
    else if (most > 16)
        scores(a, kv, q, n, 2, next, s);
    else
        scores(a, kv, q, n, 1, next, s);
    for (int j = 0; j < n; j++) {
        float c = softmax(s[j], a->n_visible[who[j]], &a->m[who[j]], &a->l[who[j]]);
        if (c != 1.0f) /* else it changes nothing */
            for (int32_t d = 0; d < a->head_dim; d++)
                acc[j][d] = acc[j][d] * c;
    }
    sums_all(a, kv, n, 0, least, next, s, acc); /* what all see, then what each sees more */
    for (int j = 0; j < n; j++)
        if (a->n_visible[who[j]] > least)
            sums_all(a, kv, 1, least, a->n_visible[who[j]], 0, s + j, acc + j);
}

static ALWAYS_INLINE void attend(const linn_attend *a, linn_kv_type kv)
{
    int32_t who[QUERIES], n = 0;
    for (int32_t j = 0; j < a->n_q; j++) {
        if (a->n_visible[j] > 0)
            who[n++] = j;
        if (n == QUERIES) {
            attend_some(a, kv, QUERIES, who);
            n = 0;
        }
    }
    if (n == 3)
        attend_some(a, kv, 3, who);
    else if (n == 2)
        attend_some(a, kv, 2, who);
    else if (n == 1)
        attend_some(a, kv, 1, who);
}

LINN_DEFINE_ATTEND(avx512)
