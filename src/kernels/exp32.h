/* exp32.h - the constants of linn_exp32, which every vector form of it repeats.
 *
 *     n = nearest integer to x log2(e)           (by adding and taking off MAGIC)
 *     r = x - n ln 2                             two fma; the first is exact
 *     e^x = 2^n (1 + (r + r^2 q(r)))             q: minimax, degree 4, by Horner's rule
 *
 * 2^n is added to the exponent field. Between the limits below that never leaves
 * the normal numbers: near MIN, where n = -126, r is positive; near MAX, where
 * n = 128, it is negative.
 */
#ifndef LINN_KERNELS_EXP32_H
#define LINN_KERNELS_EXP32_H

#define LINN_EXP32_MIN (-87.3f)       /* below: 0 */
#define LINN_EXP32_MAX 0x1.62e42ep+6f /* above: +inf; the largest float <= ln(2^128 - 2^103) */
#define LINN_EXP32_MAGIC 0x1.8p23f
#define LINN_EXP32_LOG2E 0x1.715476p+0f
#define LINN_EXP32_LN2 0x1.62e43p-1f        /* ln 2 rounded to float */
#define LINN_EXP32_LN2_LO (-0x1.05c61p-29f) /* ln 2 less that */
#define LINN_EXP32_Q0 4.999999341e-01f
#define LINN_EXP32_Q1 1.666652011e-01f
#define LINN_EXP32_Q2 4.166839421e-02f
#define LINN_EXP32_Q3 8.368780411e-03f
#define LINN_EXP32_Q4 1.381446706e-03f

#endif
