/* attend.c - attention over one page of the KV cache: the specification. The
 * formulas stand at linn_attend in kernels.h. K and V become float32 exactly. */
#include "kernels/c/c.h"
#include "kernels/c/tree.h"
#include "kernels/math.h"
#include "quant/half.h"

static float kv_at(const linn_attend *a, const void *page, size_t i)
{
    return a->kv == LINN_KV_F32 ? ((const float *)page)[i]
                                : linn_f16_to_f32(((const uint16_t *)page)[i]);
}

static void attend_one(const linn_attend *a, int32_t j)
{
    int32_t n = a->n_visible[j];
    size_t head_dim = (size_t)a->head_dim;
    float s[LINN_KV_PAGE], lanes[8] = {0};
    float m = a->m[j];
    for (int32_t i = 0; i < n; i++) {
        s[i] = 0.0f;
        for (size_t d = 0; d < head_dim; d++)
            s[i] = __builtin_fmaf(a->q[j][d], kv_at(a, a->k, d * LINN_KV_PAGE + (size_t)i), s[i]);
        s[i] = a->scale * s[i];
        m = s[i] > m ? s[i] : m;
    }
    float c = linn_exp32(a->m[j] - m);
    for (int32_t i = 0; i < n; i++) {
        s[i] = linn_exp32(s[i] - m);
        lanes[i % 8] = lanes[i % 8] + s[i];
    }
    a->m[j] = m;
    a->l[j] = __builtin_fmaf(a->l[j], c, linn_tree8(lanes));
    float *acc = a->acc + (size_t)j * head_dim;
    for (size_t d = 0; d < head_dim; d++) {
        float v = acc[d] * c;
        for (int32_t i = 0; i < n; i++)
            v = __builtin_fmaf(s[i], kv_at(a, a->v, (size_t)i * head_dim + d), v);
        acc[d] = v;
    }
}

void linn_c_attend(const linn_attend *a)
{
    for (int32_t j = 0; j < a->n_q; j++)
        if (a->n_visible[j] > 0)
            attend_one(a, j);
}
