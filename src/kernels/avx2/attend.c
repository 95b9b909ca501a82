/* attend.c - attention over one page of the KV cache, in AVX2. The formulas stand at
 * linn_attend in kernels.h.
 *
 * Scores: a lane is a position, and each row of K (one d of all 64 positions) is read
 * and widened once for up to 3 queries. Sums over positions: a lane is a d, and each
 * row of V is read once for up to 2 queries. Lanes of positions that a query does not
 * see are computed and dropped; V of such positions is not touched, since it may be
 * anything.
 *
 * The largest score is found in lanes, not in order, which can differ from the
 * specification in the sign of a zero; exp(s - m) does not tell them apart.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/c/c.h"

enum { PAGE = LINN_KV_PAGE, QUERIES = 3, V_QUERIES = 2 };

static ALWAYS_INLINE __m256 load8(linn_kv_type kv, const void *page, size_t i)
{
    if (kv == LINN_KV_F32)
        return _mm256_loadu_ps((const float *)page + i);
    return _mm256_cvtph_ps(
        _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)page + i)));
}

/* The lines of values [i, i + n) of a tile, of the page that is `next` bytes away. */
static ALWAYS_INLINE void prefetch(linn_kv_type kv, const void *page, size_t i, size_t n,
                                   ptrdiff_t next)
{
    const size_t value = kv == LINN_KV_F32 ? 4 : 2;
    const char *at = (const char *)page + next + i * value;
    for (size_t line = 0; line < n * value; line += 64)
        _mm_prefetch(at + line, _MM_HINT_T0);
}

/* s[j][from .. from + 8 * vectors) = scale * q_j . k_i for n queries */
static ALWAYS_INLINE void scores(const linn_attend *a, linn_kv_type kv, const float *const *q,
                                 int n, int vectors, size_t from, ptrdiff_t next, float s[][PAGE])
{
    __m256 acc[QUERIES][8];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        acc[j][v] = _mm256_setzero_ps();
    for (size_t d = 0; d < (size_t)a->head_dim; d++) {
        prefetch(kv, a->k, d * PAGE + from, 8 * (size_t)vectors, next);
        __m256 x[QUERIES];
        UNROLL
        for (int j = 0; j < n; j++)
            x[j] = _mm256_broadcast_ss(q[j] + d);
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m256 k = load8(kv, a->k, d * PAGE + from + 8 * (size_t)v);
            UNROLL
            for (int j = 0; j < n; j++)
                acc[j][v] = _mm256_fmadd_ps(x[j], k, acc[j][v]);
        }
    }
    __m256 scale = _mm256_set1_ps(a->scale);
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        _mm256_store_ps(&s[j][from + 8 * (size_t)v], _mm256_mul_ps(scale, acc[j][v]));
}

/* s[from .. from + 32) the same of query j from a q8_0 cache. vpmaddubsw wants bytes without sign
 * on one side, so the query's signs go over to K. */
static ALWAYS_INLINE void scores_q8(const linn_attend *a, size_t j, size_t from, float s[PAGE])
{
    enum { VECTORS = 4 };
    size_t n_blocks = linn_kv_blocks(a->head_dim);
    const int8_t *k = linn_kv_levels(a->k, a->head_dim) + 4 * from;
    const int8_t *q = a->q8->q + j * n_blocks * LINN_KV_BLOCK;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256 sum[VECTORS];
    UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[v] = _mm256_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++) {
        __m256i acc[VECTORS];
        UNROLL
        for (int v = 0; v < VECTORS; v++)
            acc[v] = _mm256_setzero_si256();
        for (size_t t = b * LINN_KV_BLOCK; t < (b + 1) * LINN_KV_BLOCK; t += 4) {
            int32_t quad;
            __builtin_memcpy(&quad, q + t, sizeof quad);
            __m256i signs = _mm256_set1_epi32(quad), levels = _mm256_abs_epi8(signs);
            UNROLL
            for (int v = 0; v < VECTORS; v++) {
                const int8_t *at = k + t * PAGE + 32 * v;
                __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)at);
                x = _mm256_maddubs_epi16(levels, _mm256_sign_epi8(x, signs));
                acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(x, ones));
            }
        }
        __m256 dq = _mm256_set1_ps(a->q8->d[j * n_blocks + b]);
        UNROLL
        for (int v = 0; v < VECTORS; v++) {
            __m256 dk = _mm256_loadu_ps((const float *)a->k + b * PAGE + from + 8 * (size_t)v);
            sum[v] = _mm256_fmadd_ps(_mm256_mul_ps(dq, dk), _mm256_cvtepi32_ps(acc[v]), sum[v]);
        }
    }
    UNROLL
    for (int v = 0; v < VECTORS; v++)
        _mm256_store_ps(s + from + 8 * v, _mm256_mul_ps(_mm256_set1_ps(a->scale), sum[v]));
}

/* Turns n scores into weights p_i = exp(s_i - m'), zeros after them; returns c. */
static float softmax(float s[PAGE], int32_t n, float *m, float *l)
{
    const __m256 nothing = _mm256_set1_ps(-__builtin_inff());
    __m256 top = _mm256_set1_ps(*m);
    for (int32_t i = 0; i < n; i += 8) {
        __m256 inside = _mm256_castsi256_ps(first_lanes(n - i));
        __m256 v = _mm256_blendv_ps(nothing, _mm256_load_ps(s + i), inside);
        top = _mm256_max_ps(v, top); /* v > top ? v : top */
    }
    float lanes[8], max = *m;
    _mm256_storeu_ps(lanes, top);
    for (int i = 0; i < 8; i++)
        max = lanes[i] > max ? lanes[i] : max;
    float c = _mm256_cvtss_f32(exp8(_mm256_set1_ps(*m - max)));
    __m256 sum = _mm256_setzero_ps(), by = _mm256_set1_ps(max);
    for (int32_t i = 0; i < n; i += 8) {
        __m256 p = exp8(_mm256_sub_ps(_mm256_load_ps(s + i), by));
        p = _mm256_and_ps(p, _mm256_castsi256_ps(first_lanes(n - i)));
        _mm256_store_ps(s + i, p);
        sum = _mm256_add_ps(sum, p);
    }
    *m = max;
    *l = __builtin_fmaf(*l, c, tree8(sum));
    return c;
}

/* acc_j[d .. d + 8 * vectors) += sum_i p_ji v_id over [from, to), n queries */
static ALWAYS_INLINE void sums(const linn_attend *a, linn_kv_type kv, int n, int vectors, size_t d,
                               int32_t from, int32_t to, ptrdiff_t next, float p[][PAGE],
                               float *const acc[])
{
    __m256 sum[V_QUERIES][8];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        sum[j][v] = _mm256_loadu_ps(acc[j] + d + 8 * v);
    for (int32_t i = from; i < to; i++) {
        prefetch(kv, a->v, (size_t)i * (size_t)a->head_dim + d, 8 * (size_t)vectors, next);
        __m256 x[V_QUERIES];
        UNROLL
        for (int j = 0; j < n; j++)
            x[j] = _mm256_broadcast_ss(&p[j][i]);
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m256 value = load8(kv, a->v, (size_t)i * (size_t)a->head_dim + d + 8 * (size_t)v);
            UNROLL
            for (int j = 0; j < n; j++)
                sum[j][v] = _mm256_fmadd_ps(x[j], value, sum[j][v]);
        }
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < vectors; v++)
        _mm256_storeu_ps(acc[j] + d + 8 * v, sum[j][v]);
}

/* The same for a block of 32 values of a q8_0 cache, with w_ji = p_ji * dv_i for p_ji. */
static ALWAYS_INLINE void sums_q8(const linn_attend *a, int n, size_t block, int32_t from,
                                  int32_t to, float w[][PAGE], float *const acc[])
{
    enum { VECTORS = 4 };
    size_t width = linn_kv_blocks(a->head_dim) * LINN_KV_BLOCK, d = block * LINN_KV_BLOCK;
    const int8_t *levels = linn_kv_levels(a->v, a->head_dim) + d;
    __m256 sum[V_QUERIES][VECTORS];
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[j][v] = _mm256_loadu_ps(acc[j] + d + 8 * v);
    for (int32_t i = from; i < to; i++)
        UNROLL
    for (int v = 0; v < VECTORS; v++) {
        const int8_t *at = levels + (size_t)i * width + 8 * v;
        __m256 value = _mm256_cvtepi32_ps(
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)));
        UNROLL
        for (int j = 0; j < n; j++)
            sum[j][v] = _mm256_fmadd_ps(_mm256_broadcast_ss(&w[j][i]), value, sum[j][v]);
    }
    UNROLL
    for (int j = 0; j < n; j++)
        UNROLL
    for (int v = 0; v < VECTORS; v++)
        _mm256_storeu_ps(acc[j] + d + 8 * v, sum[j][v]);
}

static ALWAYS_INLINE void sums_all_q8(const linn_attend *a, int n, int32_t from, int32_t to,
                                      float p[][PAGE], float *const acc[])
{
    _Alignas(32) float w[V_QUERIES][PAGE];
    for (size_t b = 0; b < linn_kv_blocks(a->head_dim); b++) {
        for (size_t i = 0; i < PAGE; i += 8) {
            __m256 dv = _mm256_loadu_ps((const float *)a->v + b * PAGE + i);
            for (int j = 0; j < n; j++)
                _mm256_store_ps(&w[j][i], _mm256_mul_ps(_mm256_load_ps(&p[j][i]), dv));
        }
        sums_q8(a, n, b, from, to, w, acc);
    }
}

/* All d of n queries over positions [from, to). */
static ALWAYS_INLINE void sums_all(const linn_attend *a, linn_kv_type kv, int n, int32_t from,
                                   int32_t to, ptrdiff_t next, float p[][PAGE], float *const acc[])
{
    size_t d = 0, head_dim = (size_t)a->head_dim;
    if (kv == LINN_KV_Q8_0) {
        sums_all_q8(a, n, from, to, p, acc);
        return;
    }
    if (n == 1)
        for (; d + 64 <= head_dim; d += 64)
            sums(a, kv, n, 8, d, from, to, next, p, acc);
    for (; d + 32 <= head_dim; d += 32)
        sums(a, kv, n, 4, d, from, to, next, p, acc);
    for (; d + 8 <= head_dim; d += 8)
        sums(a, kv, n, 1, d, from, to, next, p, acc);
    for (; d < head_dim; d++) /* what no vector fits */
        for (int j = 0; j < n; j++) {
            float v = acc[j][d];
            for (int32_t i = from; i < to; i++) {
                size_t at = (size_t)i * head_dim + d;
                float value = kv == LINN_KV_F32 ? ((const float *)a->v)[at]
                                                : linn_f16_to_f32(((const uint16_t *)a->v)[at]);
                v = __builtin_fmaf(p[j][i], value, v);
            }
            acc[j][d] = v;
        }
}

static ALWAYS_INLINE void attend(const linn_attend *a, linn_kv_type kv)
{
    _Alignas(32) float s[QUERIES][PAGE];
    size_t head_dim = (size_t)a->head_dim;
    for (int32_t j = 0; j < a->n_q; j += QUERIES) {
        /* queries that see nothing of the page are left alone */
        int n = 0;
        int32_t who[QUERIES], most = 0;
        ptrdiff_t next = j == 0 ? a->next : 0; /* once is enough */
        const float *q[QUERIES];
        float *acc[QUERIES];
        for (int32_t i = j; i < a->n_q && i < j + QUERIES; i++)
            if (a->n_visible[i] > 0) {
                who[n] = i;
                q[n] = a->q[i];
                acc[n++] = a->acc + (size_t)i * head_dim;
                most = a->n_visible[i] > most ? a->n_visible[i] : most;
            }
        for (int32_t from = 0; from < most; from += 32)
            if (kv == LINN_KV_Q8_0) {
                for (int i = 0; i < n; i++)
                    scores_q8(a, (size_t)who[i], (size_t)from, s[i]);
            } else if (n == 3) {
                scores(a, kv, q, 3, 4, (size_t)from, next, s);
            } else if (n == 2) {
                scores(a, kv, q, 2, 4, (size_t)from, next, s);
            } else if (most > 32) {
                scores(a, kv, q, 1, 8, 0, next, s);
                break;
            } else {
                scores(a, kv, q, 1, 4, 0, next, s);
            }
        for (int i = 0; i < n; i++) {
            float c = softmax(s[i], a->n_visible[who[i]], &a->m[who[i]], &a->l[who[i]]);
            for (size_t d = 0; d < head_dim; d++)
                acc[i][d] = acc[i][d] * c;
        }
        for (int i = 0; i < n; i += V_QUERIES) {
            int32_t seen = a->n_visible[who[i]], seen2 = 0;
            if (i + 1 < n) { /* together what both see, then what one sees more */
                seen2 = a->n_visible[who[i + 1]];
                int32_t both = seen < seen2 ? seen : seen2;
                sums_all(a, kv, 2, 0, both, i == 0 ? next : 0, s + i, acc + i);
                if (seen2 > both)
                    sums_all(a, kv, 1, both, seen2, 0, s + i + 1, acc + i + 1);
                if (seen > both)
                    sums_all(a, kv, 1, both, seen, 0, s + i, acc + i);
            } else {
                sums_all(a, kv, 1, 0, seen, i == 0 ? next : 0, s + i, acc + i);
            }
        }
    }
}

LINN_DEFINE_ATTEND(avx2)
