/* rows.c - what is done to one row of activations: the specification. */
#include "kernels/c/c.h"
#include "kernels/c/tree.h"
#include "kernels/math.h"
#include "quant/half.h"

void linn_c_rms_norm(const float *x, const float *w, float eps, int32_t n, float *y)
{
    float lanes[8] = {0};
    for (int32_t i = 0; i < n; i++)
        lanes[i % 8] = __builtin_fmaf(x[i], x[i], lanes[i % 8]);
    float r = 1.0f / __builtin_sqrtf(linn_tree8(lanes) / (float)n + eps);
    for (int32_t i = 0; i < n; i++)
        y[i] = (x[i] * r) * w[i];
}

void linn_c_add(float *x, const float *y, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        x[i] = x[i] + y[i];
}

void linn_c_swiglu(float *gate, const float *up, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        gate[i] = (gate[i] / (1.0f + linn_exp32(-gate[i]))) * up[i];
}

void linn_c_to_f16(const float *x, int32_t n, uint16_t *y)
{
    for (int32_t i = 0; i < n; i++)
        y[i] = linn_f32_to_f16(x[i]);
}

void linn_c_rope(float *x, int32_t n_heads, int32_t head_dim, int32_t n_rot, bool neox,
                 const float *cos, const float *sin)
{
    int32_t half = n_rot / 2;
    for (int32_t h = 0; h < n_heads; h++, x += head_dim)
        for (int32_t i = 0; i < half; i++) {
            float *a = neox ? &x[i] : &x[2 * i];
            float *b = neox ? &x[i + half] : &x[2 * i + 1];
            float a0 = *a, b0 = *b;
            *a = __builtin_fmaf(a0, cos[i], -(b0 * sin[i]));
            *b = __builtin_fmaf(a0, sin[i], b0 * cos[i]);
        }
}
