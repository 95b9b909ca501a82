/* attend.c - attention over one page of the KV cache: the specification. The
 * formulas stand at linn_attend in kernels.h. K and V become float32 exactly. */
#include "kernels/c/c.h"
#include "kernels/c/tree.h"
#include "kernels/math.h"
#include "quant/half.h"

enum { BLOCK = LINN_KV_BLOCK };

static float kv_at(const linn_attend *a, const void *page, size_t i)
{
    return a->kv == LINN_KV_F32 ? ((const float *)page)[i]
                                : linn_f16_to_f32(((const uint16_t *)page)[i]);
}

/* q_j . k_i */
static float dot(const linn_attend *a, int32_t j, size_t i)
{
    float s = 0.0f;
    for (size_t d = 0; d < (size_t)a->head_dim; d++)
        s = __builtin_fmaf(a->q[j][d], kv_at(a, a->k, d * LINN_KV_PAGE + i), s);
    return s;
}

static float dot_q8(const linn_attend *a, int32_t j, size_t i)
{
    size_t n_blocks = linn_kv_blocks(a->head_dim);
    const float *dk = a->k, *dq = a->q8->d + (size_t)j * n_blocks;
    const int8_t *k = linn_kv_levels(a->k, a->head_dim), *q = a->q8->q + (size_t)(j * a->q8->k);
    float s = 0.0f;
    for (size_t b = 0; b < n_blocks; b++) {
        int32_t sum = 0;
        for (size_t d = b * BLOCK; d < (b + 1) * BLOCK; d++)
            sum += q[d] * k[(d / 4 * LINN_KV_PAGE + i) * 4 + d % 4];
        s = __builtin_fmaf(dq[b] * dk[b * LINN_KV_PAGE + i], (float)sum, s);
    }
    return s;
}

/* acc + p v_id */
static float add(const linn_attend *a, float p, size_t i, size_t d, float acc)
{
    return __builtin_fmaf(p, kv_at(a, a->v, i * (size_t)a->head_dim + d), acc);
}

static float add_q8(const linn_attend *a, float p, size_t i, size_t d, float acc)
{
    const float *dv = a->v;
    const int8_t *v = linn_kv_levels(a->v, a->head_dim);
    size_t width = linn_kv_blocks(a->head_dim) * BLOCK;
    return __builtin_fmaf(p * dv[d / BLOCK * LINN_KV_PAGE + i], (float)v[i * width + d], acc);
}

static void attend_one(const linn_attend *a, int32_t j)
{
    bool q8 = a->kv == LINN_KV_Q8_0;
    size_t n = (size_t)a->n_visible[j], head_dim = (size_t)a->head_dim;
    float s[LINN_KV_PAGE], lanes[8] = {0};
    float m = a->m[j];
    for (size_t i = 0; i < n; i++) {
        s[i] = a->scale * (q8 ? dot_q8(a, j, i) : dot(a, j, i));
        m = s[i] > m ? s[i] : m;
    }
    float c = linn_exp32(a->m[j] - m);
    for (size_t i = 0; i < n; i++) {
        s[i] = linn_exp32(s[i] - m);
        lanes[i % 8] = lanes[i % 8] + s[i];
    }
    a->m[j] = m;
    a->l[j] = __builtin_fmaf(a->l[j], c, linn_tree8(lanes));
    float *acc = a->acc + (size_t)j * head_dim;
    for (size_t d = 0; d < head_dim; d++) {
        float v = acc[d] * c;
        for (size_t i = 0; i < n; i++)
            v = q8 ? add_q8(a, s[i], i, d, v) : add(a, s[i], i, d, v);
        acc[d] = v;
    }
}

void linn_c_attend(const linn_attend *a)
{
    for (int32_t j = 0; j < a->n_q; j++)
        if (a->n_visible[j] > 0)
            attend_one(a, j);
}
