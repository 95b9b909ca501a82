/* math.h - exp, log, pow, sin and cos in fixed operations.
 *
 * The numeric path uses no libm, so that the same inputs give the same bits with
 * every C library and compiler. (fma is the exception that is none: it is one
 * correctly rounded operation, whoever computes it.) Vector kernels repeat
 * linn_exp32 lane by lane. docs/numerics.md states the operations.
 */
#ifndef LINN_KERNELS_MATH_H
#define LINN_KERNELS_MATH_H

/* e^x in float32, within 1 ulp; 0 below -87.3 (no subnormal results), +inf above 88.722; NaN for
 * NaN. */
float linn_exp32(float x);

/* Double precision, within 1 ulp; arguments as stated. */
double linn_exp64(double x);
double linn_log64(double x);                            /* x > 0, finite */
double linn_pow64(double x, double y);                  /* x > 0; within 4 ulp */
void linn_sincos64(double x, double *sin, double *cos); /* |x| <= 2^30 */

#endif
