/* formats.h - the decoders and encoders that the type table (types.c) joins.
 * Both take n blocks; blocks may lie at any address. */
#ifndef LINN_QUANT_FORMATS_H
#define LINN_QUANT_FORMATS_H

#include <stddef.h>

#define LINN_FORMAT(name)                                                          \
    void linn_##name##_decode(const void *blocks, float *values, size_t n_blocks); \
    void linn_##name##_encode(const float *values, void *blocks, size_t n_blocks);

/* plain.c */
LINN_FORMAT(f32)
LINN_FORMAT(f16)
LINN_FORMAT(bf16)
/* simple.c, encode_simple.c */
LINN_FORMAT(q8_0)
LINN_FORMAT(q4_0)
LINN_FORMAT(q4_1)
LINN_FORMAT(q5_0)
LINN_FORMAT(q5_1)
/* kquants.c, encode_k.c */
LINN_FORMAT(q2_k)
LINN_FORMAT(q3_k)
LINN_FORMAT(q4_k)
LINN_FORMAT(q5_k)
LINN_FORMAT(q6_k)
/* iq4.c, encode_iq4.c */
LINN_FORMAT(iq4_nl)
LINN_FORMAT(iq4_xs)

#undef LINN_FORMAT

#endif
