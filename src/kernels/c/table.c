/* table.c - the plain C table. */
#include "kernels/c/c.h"

size_t linn_c_packed_bytes(const linn_matrix *w)
{
    (void)w;
    return 0;
}

void linn_c_pack(const linn_matrix *w, int32_t begin, int32_t end, void *packed)
{
    (void)w, (void)begin, (void)end, (void)packed;
}

const linn_kernels linn_kernels_c = {
    .name = "c",
    .quantize = linn_c_quantize,
    .packed_bytes = linn_c_packed_bytes,
    .pack = linn_c_pack,
    .product = LINN_PRODUCT_TABLE(c),
    .rms_norm = linn_c_rms_norm,
    .add = linn_c_add,
    .swiglu = linn_c_swiglu,
    .to_f16 = linn_c_to_f16,
    .rope = linn_c_rope,
    .attend = linn_c_attend,
};
