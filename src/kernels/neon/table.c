/* table.c - the NEON table. Plain C has what compilers make vectors of by themselves. */
#include "kernels/c/c.h"
#include "kernels/neon/neon.h"
#include "kernels/pack.h"

const linn_kernels linn_kernels_neon = {
    .name = "neon",
    .quantize = linn_neon_quantize,
    .packed_bytes = linn_packed_bytes,
    .pack = linn_pack,
    .product =
        {
            [LINN_TYPE_F32] = linn_neon_product_f32,
            [LINN_TYPE_F16] = linn_neon_product_f16,
            [LINN_TYPE_BF16] = linn_neon_product_bf16,
            [LINN_TYPE_Q8_0] = linn_neon_product_q8_0,
            [LINN_TYPE_Q4_0] = linn_neon_product_q4_0,
            [LINN_TYPE_Q4_1] = linn_neon_product_q4_1,
            [LINN_TYPE_Q5_0] = linn_neon_product_q5_0,
            [LINN_TYPE_Q5_1] = linn_neon_product_q5_1,
            [LINN_TYPE_Q2_K] = linn_neon_product_q2_k,
            [LINN_TYPE_Q3_K] = linn_neon_product_q3_k,
            [LINN_TYPE_Q4_K] = linn_neon_product_q4_k,
            [LINN_TYPE_Q5_K] = linn_neon_product_q5_k,
            [LINN_TYPE_Q6_K] = linn_neon_product_q6_k,
            [LINN_TYPE_IQ4_NL] = linn_neon_product_iq4_nl,
            [LINN_TYPE_IQ4_XS] = linn_neon_product_iq4_xs,
        },
    .rms_norm = linn_neon_rms_norm,
    .add = linn_c_add,
    .swiglu = linn_neon_swiglu,
    .rope = linn_c_rope,
    .attend = linn_neon_attend,
    .argmax = linn_c_argmax,
};
