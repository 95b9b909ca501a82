/* table.c - the AVX-512 table. Norms run in 8 lanes by contract, and what
 * is not worth 16 stays in 8. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/pack.h"

const linn_kernels linn_kernels_avx512 = {
    .name = "avx512",
    .quantize = linn_avx512_quantize,
    .packed_bytes = linn_packed_bytes,
    .pack = linn_pack,
    .product =
        {
            [LINN_TYPE_F32] = linn_avx512_product_f32,
            [LINN_TYPE_F16] = linn_avx512_product_f16,
            [LINN_TYPE_BF16] = linn_avx512_product_bf16,
            [LINN_TYPE_Q8_0] = linn_avx512_product_q8_0,
            [LINN_TYPE_Q4_0] = linn_avx512_product_q4_0,
            [LINN_TYPE_Q4_1] = linn_avx512_product_q4_1,
            [LINN_TYPE_Q5_0] = linn_avx512_product_q5_0,
            [LINN_TYPE_Q5_1] = linn_avx512_product_q5_1,
            [LINN_TYPE_Q2_K] = linn_avx512_product_q2_k,
            [LINN_TYPE_Q3_K] = linn_avx512_product_q3_k,
            [LINN_TYPE_Q4_K] = linn_avx512_product_q4_k,
            [LINN_TYPE_Q5_K] = linn_avx512_product_q5_k,
            [LINN_TYPE_Q6_K] = linn_avx512_product_q6_k,
            [LINN_TYPE_IQ4_NL] = linn_avx512_product_iq4_nl,
            [LINN_TYPE_IQ4_XS] = linn_avx512_product_iq4_xs,
        },
    .rms_norm = linn_avx2_rms_norm,
    .add = linn_avx2_add,
    .swiglu = linn_avx512_swiglu,
    .rope = linn_avx2_rope,
    .attend = linn_avx512_attend,
    .argmax = linn_avx2_argmax,
};
