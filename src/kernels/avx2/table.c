/* table.c - the AVX2 table. */
#include "kernels/avx2/avx2.h"
#include "kernels/pack.h"

const linn_kernels linn_kernels_avx2 = {
    .name = "avx2",
    .quantize = linn_avx2_quantize,
    .packed_bytes = linn_packed_bytes,
    .pack = linn_pack,
    .product = LINN_PRODUCT_TABLE(avx2),
    .rms_norm = linn_avx2_rms_norm,
    .add = linn_avx2_add,
    .swiglu = linn_avx2_swiglu,
    .to_f16 = linn_avx2_to_f16,
    .rope = linn_avx2_rope,
    .attend = linn_avx2_attend,
};
