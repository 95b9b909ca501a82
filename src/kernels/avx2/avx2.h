/* avx2.h - kernels for AVX2, FMA and F16C. */
#ifndef LINN_KERNELS_AVX2_AVX2_H
#define LINN_KERNELS_AVX2_AVX2_H

#include "kernels/kernels.h"

extern const linn_kernels linn_kernels_avx2;

#endif
