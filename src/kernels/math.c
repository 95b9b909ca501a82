/* math.c - exp, log, pow, sin and cos in fixed operations (math.h).
 *
 * Every function is a short reduction, exact or in double-double, and a minimax
 * polynomial by Horner's rule in fma. Coefficients were fitted with a Remez
 * exchange in 60 digits; the error of each polynomial is below 1/20 ulp of the
 * result. Compiled without contraction, so each line is what it says.
 */
#include "kernels/math.h"
#include "kernels/exp32.h"
#include "quant/half.h"

#include <stdint.h>
#include <string.h>

#define fma32 __builtin_fmaf
#define fma64 __builtin_fma

static uint64_t bits64(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double from_bits64(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

float linn_exp32(float x)
{
    if (!(x >= LINN_EXP32_MIN))
        return x != x ? x : 0.0f;
    if (x > LINN_EXP32_MAX)
        return __builtin_inff();
    float t = fma32(x, LINN_EXP32_LOG2E, LINN_EXP32_MAGIC); /* n in the low bits */
    float n = t - LINN_EXP32_MAGIC;
    float r = fma32(-n, LINN_EXP32_LN2, x);
    r = fma32(-n, LINN_EXP32_LN2_LO, r);
    float q = LINN_EXP32_Q4;
    q = fma32(q, r, LINN_EXP32_Q3);
    q = fma32(q, r, LINN_EXP32_Q2);
    q = fma32(q, r, LINN_EXP32_Q1);
    q = fma32(q, r, LINN_EXP32_Q0);
    float p = fma32(r * r, q, r) + 1.0f;
    return linn_f32_from_bits(linn_f32_bits(p) + (linn_f32_bits(t) << 23));
}

/* A number of twice the precision: hi + lo, |lo| at most half an ulp of hi. */
typedef struct pair {
    double hi, lo;
} pair;

static pair two_sum(double a, double b) /* a + b, exactly */
{
    double s = a + b;
    double t = s - a;
    return (pair){s, (a - (s - t)) + (b - t)};
}

static const double ln2 = 0x1.62e42fefa39efp-1;     /* rounded to double */
static const double ln2_lo = 0x1.abc9e3b39803fp-56; /* ln 2 less that */
static const double log2_e = 0x1.71547652b82fep+0;
static const double magic = 0x1.8p52; /* adding it rounds to an integer */

/* e^(x + lo), |lo| < 2^-30. n = nearest integer to x log2(e); r = x - n ln 2, where
 * the first fma is exact; 1 + (r + r^2 q(r)); two steps of scaling, so that only the
 * last may round (to a subnormal) or overflow. */
static double exp_pair(double x, double lo)
{
    static const double q[] = {0x1.0p-1,
                               0x1.555555555555bp-3,
                               0x1.5555555555502p-5,
                               0x1.111111110ec1ap-7,
                               0x1.6c16c16c30780p-10,
                               0x1.a01a01b398fa2p-13,
                               0x1.a01a0135fcdddp-16,
                               0x1.71ddefdc8eb75p-19,
                               0x1.27e5b4f1ce401p-22,
                               0x1.af6c6113d9a31p-26,
                               0x1.1e3cda1e053c0p-29};
    if (!(x >= -746.0))
        return x != x ? x : 0.0;
    if (x > 710.0)
        return __builtin_inf();
    double n = fma64(x, log2_e, magic) - magic;
    double r0 = fma64(-n, ln2, x);
    double c = fma64(-n, ln2_lo, lo);
    double r = r0 + c;
    double rest = (r0 - r) + c;
    double s = q[10];
    for (int i = 9; i >= 0; i--)
        s = fma64(s, r, q[i]);
    double p = 1.0 + (r + fma64(r * r, s, rest));
    int64_t k = (int64_t)n, k1 = k / 2;
    p *= from_bits64((uint64_t)(k1 + 1023) << 52);
    return p * from_bits64((uint64_t)(k - k1 + 1023) << 52);
}

/* log x for x > 0: x = 2^e m with m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1),
 *     log m = 2 atanh(s) = 2 s + (2/3) s^3 + s^5 R(s^2)
 * with s and the first two terms in double-double: the error is below 2^-64 of the result. */
static pair log_pair(double x)
{
    static const double r[] = {0x1.9999999999996p-2, 0x1.2492492493049p-2, 0x1.c71c71c57e007p-3,
                               0x1.745d18337a235p-3, 0x1.3b13626747a7dp-3, 0x1.1120c1797051ep-3,
                               0x1.de318f89d6dd9p-4, 0x1.eb20cb71cd070p-4};
    static const double third2 = 0x1.5555555555555p-1, third2_lo = 0x1.5555555555555p-55;
    int64_t e = 0;
    if (x < 0x1p-1022) { /* subnormal */
        x *= 0x1p54;
        e = -54;
    }
    uint64_t u = bits64(x);
    int64_t shift = (int64_t)(u - 0x3fe6a09e667f3bcd) >> 52; /* the bits of sqrt(1/2) */
    e += shift;
    double m = from_bits64(u - ((uint64_t)shift << 52));
    double f = m - 1.0; /* exact */
    double den = m + 1.0;
    double den_lo = m - (den - 1.0);
    double s = f / den;
    double s_lo = fma64(-s, den_lo, fma64(-s, den, f)) / den;
    double t = s * s; /* s^2 = t + t_lo */
    double t_lo = fma64(2.0 * s, s_lo, fma64(s, s, -t));
    double u2 = t * third2; /* (2/3) s^2 */
    double u2_lo = fma64(t, third2, -u2) + fma64(t, third2_lo, t_lo * third2);
    double v = s * u2; /* (2/3) s^3 */
    double v_lo = fma64(s, u2, -v) + fma64(s, u2_lo, s_lo * u2);
    double rest = r[7];
    for (int i = 6; i >= 0; i--)
        rest = fma64(rest, t, r[i]);
    double s5 = s * (t * t);
    double n = (double)e;
    double n_ln2 = n * ln2, n_ln2_lo = fma64(n, ln2, -n_ln2) + n * ln2_lo;
    pair a = two_sum(n_ln2, 2.0 * s);
    pair b = two_sum(a.hi, v);
    double lo = fma64(s5, rest, v_lo) + 2.0 * s_lo + n_ln2_lo + a.lo + b.lo;
    return two_sum(b.hi, lo);
}

double linn_exp64(double x)
{
    return exp_pair(x, 0.0);
}

double linn_log64(double x)
{
    pair l = log_pair(x);
    return l.hi;
}

double linn_pow64(double x, double y)
{
    pair l = log_pair(x);
    double p = y * l.hi;
    if (!(p > -1e4 && p < 1e4))
        return exp_pair(p, 0.0);
    return exp_pair(p, fma64(y, l.lo, fma64(y, l.hi, -p)));
}

/* r = x - n pi/2 in double-double, pi/2 in three doubles: for |x| <= 2^30 the first
 * fma is exact (a multiple of 2^-53 below 1), the second product is split. Then
 *     sin r = r + r^3 S(r^2)       cos r = 1 - r^2/2 + r^4 C(r^2)
 * and the low part's share to first order. */
void linn_sincos64(double x, double *sin, double *cos)
{
    static const double sc[] = {-0x1.5555555555555p-3,  0x1.111111111110bp-7,
                                -0x1.a01a01a018ab3p-13, 0x1.71de3a5335618p-19,
                                -0x1.ae645292df2d8p-26, 0x1.61208f32cee35p-33,
                                -0x1.aaa380cbd4e23p-41};
    static const double cc[] = {0x1.5555555555555p-5,  -0x1.6c16c16c16c10p-10,
                                0x1.a01a01a018dbfp-16, -0x1.27e4fb75fa933p-22,
                                0x1.1eed8ca05fc05p-29, -0x1.9393347b0ecafp-37,
                                0x1.aac3f42dab963p-45};
    static const double two_pi_inverse = 0x1.45f306dc9c883p-1; /* 2 / pi */
    static const double pi2[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54,
                                 -0x1.f1976b7ed8fbcp-110};
    double n = fma64(x, two_pi_inverse, magic) - magic;
    double r0 = fma64(-n, pi2[0], x);
    double p = n * pi2[1];
    double p_lo = fma64(n, pi2[1], -p) + n * pi2[2];
    pair d = two_sum(r0, -p);
    pair r = two_sum(d.hi, d.lo - p_lo);

    double t = r.hi * r.hi;
    double s = sc[6], c = cc[6];
    for (int i = 5; i >= 0; i--) {
        s = fma64(s, t, sc[i]);
        c = fma64(c, t, cc[i]);
    }
    double h = 0.5 * t;
    double sin_r = r.hi + fma64(r.hi * t, s, r.lo * (1.0 - h));
    double w = 1.0 - h;
    double cos_r = w + (((1.0 - w) - h) + fma64(t * t, c, -(r.hi * r.lo)));

    uint64_t quadrant = (uint64_t)(int64_t)n & 3;
    double a = quadrant & 1 ? cos_r : sin_r, b = quadrant & 1 ? sin_r : cos_r;
    *sin = quadrant & 2 ? -a : a;
    *cos = (quadrant + 1) & 2 ? -b : b;
}
