/* activations.c - rows of activations to 8 bits: the specification.
 *
 * In each block of B values, with a = max |x_i| (as integers, the bits of |x_i|
 * are in the same order, and infinities and NaNs are above all numbers):
 *
 *     a inf or NaN    d = NaN (bits 0x7fc00000), q = 0
 *     a < 2^-100      d = 0, q = 0         (127 / a would overflow near 2^-121)
 *     else            d = a / 127, q_i = round(x_i * (127 / a)) to nearest even
 *
 * The product is below 127.5, so that no clamping is needed. A block with an
 * infinity or a NaN makes every product with its row NaN: bad values show.
 */
#include "kernels/c/c.h"
#include "quant/half.h"

linn_act_form linn_act_form_of(uint32_t type)
{
    switch (type) {
    case LINN_TYPE_F32:
    case LINN_TYPE_F16:
    case LINN_TYPE_BF16:
        return LINN_ACT_F32;
    case LINN_TYPE_Q2_K:
    case LINN_TYPE_Q3_K:
    case LINN_TYPE_Q4_K:
    case LINN_TYPE_Q5_K:
    case LINN_TYPE_Q6_K:
    case LINN_TYPE_IQ4_XS:
        return LINN_ACT_Q8K;
    default:
        return LINN_ACT_Q8;
    }
}

static int8_t to_int8(float x) /* |x| < 2^22, to nearest even */
{
    const float magic = 0x1.8p23f;
    return (int8_t)(int32_t)(linn_f32_bits(x + magic) - linn_f32_bits(magic));
}

static float quantize_block(const float *x, int32_t n, int8_t *q)
{
    uint32_t a = 0; /* bits of max |x_i| */
    for (int32_t i = 0; i < n; i++) {
        uint32_t u = linn_f32_bits(x[i]) & 0x7fffffff;
        a = u > a ? u : a;
    }
    float max = linn_f32_from_bits(a);
    bool finite = a < 0x7f800000;
    bool zero = finite && max < LINN_ACT_TINY;
    if (!finite || zero) {
        for (int32_t i = 0; i < n; i++)
            q[i] = 0;
        return zero ? 0.0f : linn_f32_from_bits(0x7fc00000);
    }
    float inverse = 127.0f / max;
    for (int32_t i = 0; i < n; i++)
        q[i] = to_int8(x[i] * inverse);
    return max / 127.0f;
}

void linn_c_quantize(linn_act_form form, const float *x, int32_t k, int8_t *q, float *d,
                     int16_t *sums)
{
    int32_t block = form == LINN_ACT_Q8K ? 256 : 32;
    for (int32_t b = 0; b < k / block; b++)
        d[b] = quantize_block(x + b * block, block, q + b * block);
    for (int32_t g = 0; g < k / 16; g++) {
        int sum = 0;
        for (int32_t i = 0; i < 16; i++)
            sum += q[16 * g + i];
        sums[g] = (int16_t)sum;
    }
}
