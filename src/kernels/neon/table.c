/* table.c - the NEON table. Plain C has what compilers make vectors of by themselves. */
#include "kernels/c/c.h"
#include "kernels/neon/neon.h"
#include "kernels/pack.h"

const linn_kernels linn_kernels_neon = {
    .name = "neon",
    .quantize = linn_neon_quantize,
    .packed_bytes = linn_packed_bytes,
    .pack = linn_pack,
    .product = LINN_PRODUCT_TABLE(neon),
    .rms_norm = linn_neon_rms_norm,
    .add = linn_c_add,
    .swiglu = linn_neon_swiglu,
    .to_f16 = linn_neon_to_f16,
    .rope = linn_c_rope,
    .attend = linn_neon_attend,
};
