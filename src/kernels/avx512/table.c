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
    .product = LINN_PRODUCT_TABLE(avx512),
    .rms_norm = linn_avx2_rms_norm,
    .add = linn_avx2_add,
    .swiglu = linn_avx512_swiglu,
    .to_f16 = linn_avx2_to_f16,
    .rope = linn_avx2_rope,
    .attend = linn_avx512_attend,
};
