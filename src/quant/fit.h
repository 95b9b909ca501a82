/* fit.h - the least-squares fits that encoders are made of.
 *
 * A group of n values is written as x = s L or as x = s L + c, the levels L being
 * small integers or entries of a table. For given levels the best s (and c) is a linear
 * regression; for given s and c the best levels are the nearest ones. Many choices
 * satisfy both and differ by a quarter in the error they leave, so encoders try a
 * range of scales, keep those whose levels leave least after regression, and polish.
 *
 * Four candidates are worked on side by side, one in each lane of a vector type of the
 * compiler's own; no instruction set is named. A sum runs over the values in order
 * within its lane, so results are those of scalar code, the same on every machine.
 * All is float32 rounded to nearest even, which the caller sets (base/fpenv.h).
 */
#ifndef LINN_QUANT_FIT_H
#define LINN_QUANT_FIT_H

#include "quant/half.h"

#include <float.h>
#include <stdbool.h>
#include <stdint.h>

#define FIT_INLINE static inline __attribute__((always_inline))

enum { FIT_LANES = 4 };
typedef float fit_f __attribute__((vector_size(16)));   /* a number of each candidate */
typedef int32_t fit_i __attribute__((vector_size(16))); /* the same compared: 0 or ~0 */

#define FIT_ALL(x) ((fit_f){(x), (x), (x), (x)})
#define FIT_LANE ((fit_f){0, 1, 2, 3})

/* Values are clamped here, at the most that any format holds (Q6_K: 65504 x 128 x 32); further out,
 * errors would no longer tell the largest scale from none. */
#define FIT_LIMIT 0x1p28f
/* Less than half of what any format tells from 0. */
#define FIT_NOTHING 0x1p-26f
/* binary16: the largest, the least above 0, and where steps are coarse enough to matter */
#define FIT_F16_MAX 65504.f
#define FIT_F16_UNIT 0x1p-24f
#define FIT_F16_COARSE 0x1p-20f

FIT_INLINE float fit_abs(float x)
{
    return x < 0 ? -x : x;
}

/* NaN becomes lo. */
FIT_INLINE float fit_clamp(float x, float lo, float hi)
{
    x = x > lo ? x : lo;
    return x < hi ? x : hi;
}

/* To the nearest integer, ties to even, for |x| < 2^22. */
FIT_INLINE float fit_round(float x)
{
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

/* The nearest finite binary16. */
FIT_INLINE float fit_f16(float x)
{
    return linn_f16_to_f32(linn_f32_to_f16(fit_clamp(x, -FIT_F16_MAX, FIT_F16_MAX)));
}

/* 1 / s; 0 for s = 0, which puts all values at one level. */
FIT_INLINE float fit_inverse(float s)
{
    return s != 0 ? 1 / s : 0;
}

/* Copies what a search works on, which is finite whatever the values are. */
FIT_INLINE void fit_load(const float *from, float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = fit_clamp(from[i], -FIT_LIMIT, FIT_LIMIT);
}

/* The value of largest magnitude, with its sign; the first of several. */
FIT_INLINE float fit_extreme(const float *x, int n)
{
    float best = 0;
    for (int i = 0; i < n; i++)
        best = fit_abs(x[i]) > fit_abs(best) ? x[i] : best;
    return best;
}

/* ---- lanes ----------------------------------------------------------------------------- */

/* a where the mask is set, else b */
FIT_INLINE fit_f fit_pick(fit_i mask, fit_f a, fit_f b)
{
    return (fit_f)((mask & (fit_i)a) | (~mask & (fit_i)b));
}

FIT_INLINE fit_f fit_clamp4(fit_f x, float lo, float hi)
{
    x = fit_pick(x > FIT_ALL(lo), x, FIT_ALL(lo));
    return fit_pick(x < FIT_ALL(hi), x, FIT_ALL(hi));
}

FIT_INLINE fit_f fit_round4(fit_f x)
{
    return (x + FIT_ALL(0x1.8p23f)) - FIT_ALL(0x1.8p23f);
}

FIT_INLINE fit_f fit_inverse4(fit_f s)
{
    fit_i zero = s == FIT_ALL(0);
    return fit_pick(zero, FIT_ALL(0), FIT_ALL(1) / fit_pick(zero, FIT_ALL(1), s));
}

FIT_INLINE fit_f fit_f16_4(fit_f x)
{
    return (fit_f){fit_f16(x[0]), fit_f16(x[1]), fit_f16(x[2]), fit_f16(x[3])};
}

/* The lane of the least; the first of several. */
FIT_INLINE int fit_least(fit_f x)
{
    int best = 0;
    for (int j = 1; j < FIT_LANES; j++)
        best = x[j] < x[best] ? j : best;
    return best;
}

/* ---- x = s L ------------------------------------------------------------------------------- */

/* The integers lo .. hi; or, with a table, table[floor(2 v) + 256] for lo <= v <= hi. */
typedef struct fit_levels {
    float lo, hi;
    const float *table; /* [512] or NULL */
} fit_levels;

/* The level nearest to v. */
FIT_INLINE float fit_level(fit_levels k, float v)
{
    v = fit_clamp(v, k.lo, k.hi);
    return k.table ? k.table[(int)(v * 2 + 256)] : fit_round(v);
}

FIT_INLINE fit_f fit_level4(fit_levels k, fit_f v)
{
    v = fit_clamp4(v, k.lo, k.hi);
    if (!k.table)
        return fit_round4(v);
    fit_i at = __builtin_convertvector(v * FIT_ALL(2) + FIT_ALL(256), fit_i);
    return (fit_f){k.table[at[0]], k.table[at[1]], k.table[at[2]], k.table[at[3]]};
}

/* The levels of x[n] at scale s. */
FIT_INLINE void fit_scale_levels(const float *x, int n, fit_levels k, float s, int *out)
{
    float inverse = fit_inverse(s);
    for (int i = 0; i < n; i++)
        out[i] = (int)fit_level(k, x[i] * inverse);
}

/* Squared error of x[n] at scales s. */
FIT_INLINE fit_f fit_scale_error(const float *x, int n, fit_levels k, fit_f s)
{
    fit_f sum = FIT_ALL(0), inverse = fit_inverse4(s);
    for (int i = 0; i < n; i++) {
        fit_f e = FIT_ALL(x[i]) - s * fit_level4(k, FIT_ALL(x[i]) * inverse);
        sum += e * e;
    }
    return sum;
}

/* Of the levels nearest to x * inverse: sum x L, sum L^2. */
FIT_INLINE void fit_scale_sums(const float *x, int n, fit_levels k, fit_f inverse, fit_f *xl,
                               fit_f *ll)
{
    fit_f a = FIT_ALL(0), b = FIT_ALL(0);
    for (int i = 0; i < n; i++) {
        fit_f level = fit_level4(k, FIT_ALL(x[i]) * inverse);
        a += FIT_ALL(x[i]) * level;
        b += level * level;
    }
    *xl = a;
    *ll = b;
}

/* What to try: the scales that put the extreme value at from, from + step, ... (4 n of them) times
 * either end of the levels. While a step is less than a level, an exact scale is found again. */
typedef struct fit_scan {
    float from, step;
    int n;
    bool both; /* ends; one is enough where lo = -hi */
} fit_scan;

/* In each lane the best scale of its candidates: the levels L that a candidate gives, with the
 * scale that suits them best, leave sum x^2 - (sum x L)^2 / sum L^2. */
FIT_INLINE fit_f fit_scale_scan(const float *x, int n, fit_levels k, fit_scan scan)
{
    fit_f best = FIT_ALL(0), best_gain = FIT_ALL(0);
    float extreme = fit_extreme(x, n);
    if (fit_abs(extreme) < FIT_NOTHING)
        return best;
    for (int side = 0; side < (scan.both ? 2 : 1); side++) {
        float end = (side ? k.hi : k.lo) / extreme;
        for (int i = 0; i < scan.n; i++) {
            fit_f place = FIT_ALL(scan.from) +
                          (FIT_ALL((float)(FIT_LANES * i)) + FIT_LANE) * FIT_ALL(scan.step);
            fit_f xl, ll;
            fit_scale_sums(x, n, k, FIT_ALL(end) * place, &xl, &ll);
            fit_f s = xl * fit_inverse4(ll), gain = xl * s;
            fit_i better = gain > best_gain;
            best = fit_pick(better, s, best);
            best_gain = fit_pick(better, gain, best_gain);
        }
    }
    return best;
}

/* The binary16 scale of least error for a block of its own, near one of `s`. */
FIT_INLINE float fit_scale_half(const float *x, int n, fit_levels k, fit_f s)
{
    fit_f best = FIT_ALL(0), least = fit_scale_error(x, n, k, best);
    for (int round = 0; round < 2; round++) {
        fit_f d = fit_f16_4(s), e = fit_scale_error(x, n, k, d);
        fit_i better = e < least;
        best = fit_pick(better, d, best);
        least = fit_pick(better, e, least);
        fit_f xl, ll;
        fit_scale_sums(x, n, k, fit_inverse4(s), &xl, &ll);
        s = xl * fit_inverse4(ll);
    }
    /* so small that the few binary16 there matter more than the fit: try them */
    float unit = s[0] < 0 ? -FIT_F16_UNIT : FIT_F16_UNIT;
    for (int i = 0; i < 4 && fit_abs(s[0]) < FIT_F16_COARSE; i++) {
        fit_f d = FIT_ALL(unit) * (FIT_ALL((float)(FIT_LANES * i + 1)) + FIT_LANE);
        fit_f e = fit_scale_error(x, n, k, d);
        fit_i better = e < least;
        best = fit_pick(better, d, best);
        least = fit_pick(better, e, least);
    }
    return best[fit_least(least)];
}

/* ---- x = s L + c, L = 0 .. top ------------------------------------------------------------- */

typedef struct fit_line {
    fit_f s, c;
} fit_line;

/* n values, and what is known of them */
typedef struct fit_points {
    const float *x;
    int n;
    float lo, hi, sum;
} fit_points;

FIT_INLINE fit_points fit_points_of(const float *x, int n)
{
    fit_points p = {x, n, x[0], x[0], 0};
    for (int i = 0; i < n; i++) {
        p.lo = x[i] < p.lo ? x[i] : p.lo;
        p.hi = x[i] > p.hi ? x[i] : p.hi;
        p.sum += x[i];
    }
    return p;
}

FIT_INLINE fit_f fit_line_level(float x, fit_f inverse, fit_f c, float top)
{
    return fit_round4(fit_clamp4((FIT_ALL(x) - c) * inverse, 0, top));
}

FIT_INLINE void fit_line_levels(const float *x, int n, float top, float s, float c, int *out)
{
    float inverse = fit_inverse(s);
    for (int i = 0; i < n; i++)
        out[i] = (int)fit_round(fit_clamp((x[i] - c) * inverse, 0, top));
}

/* Squared error on the lines f. */
FIT_INLINE fit_f fit_line_error(fit_points p, float top, fit_line f)
{
    fit_f sum = FIT_ALL(0), inverse = fit_inverse4(f.s);
    for (int i = 0; i < p.n; i++) {
        fit_f level = fit_line_level(p.x[i], inverse, f.c, top);
        fit_f e = FIT_ALL(p.x[i]) - (f.s * level + f.c);
        sum += e * e;
    }
    return sum;
}

typedef struct fit_line_sums {
    fit_f l, ll, xl; /* sum L, sum L^2, sum x L */
} fit_line_sums;

FIT_INLINE fit_line_sums fit_line_sum(fit_points p, float top, fit_line f)
{
    fit_line_sums t = {FIT_ALL(0), FIT_ALL(0), FIT_ALL(0)};
    fit_f inverse = fit_inverse4(f.s);
    for (int i = 0; i < p.n; i++) {
        fit_f level = fit_line_level(p.x[i], inverse, f.c, top);
        t.l += level;
        t.ll += level * level;
        t.xl += FIT_ALL(p.x[i]) * level;
    }
    return t;
}

/* The regression for the levels on the lines f, with c <= c_max. *gain: what it takes off the sum
 * of squares. */
FIT_INLINE fit_line fit_line_refit(fit_points p, float top, float c_max, fit_line f, fit_f *gain)
{
    fit_line_sums t = fit_line_sum(p, top, f);
    fit_f n = FIT_ALL((float)p.n), sum = FIT_ALL(p.sum);
    fit_f s = (n * t.xl - sum * t.l) * fit_inverse4(n * t.ll - t.l * t.l);
    fit_f c = (sum - s * t.l) * FIT_ALL(1 / (float)p.n);
    fit_i over = c > FIT_ALL(c_max);
    c = fit_pick(over, FIT_ALL(c_max), c);
    s = fit_pick(over, (t.xl - c * t.l) * fit_inverse4(t.ll), s);
    *gain = s * t.xl + c * sum;
    return (fit_line){s, c};
}

/* In each lane the best line of its candidates: those that put the lowest value (or c_max, if that
 * is lower) between levels -0.5 and 0.7 and the highest between top - 2 and top + 0.3. */
FIT_INLINE fit_line fit_line_scan(fit_points p, float top, float c_max)
{
    float lo = p.lo < c_max ? p.lo : c_max;
    fit_line best = {FIT_ALL(0), FIT_ALL(lo)};
    fit_f best_gain = FIT_ALL(-FLT_MAX);
    if (p.hi - lo < FIT_NOTHING)
        return best;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++) {
            fit_f low = FIT_ALL(-0.5f + 0.4f * (float)i);
            fit_f high = FIT_ALL(top - 2) + FIT_ALL(0.33f) * (FIT_ALL((float)(4 * j)) + FIT_LANE);
            fit_f s = FIT_ALL(p.hi - lo) / (high - low), gain;
            fit_line f = {s, FIT_ALL(lo) - s * low};
            f = fit_line_refit(p, top, c_max, f, &gain);
            fit_i better = gain > best_gain;
            best.s = fit_pick(better, f.s, best.s);
            best.c = fit_pick(better, f.c, best.c);
            best_gain = fit_pick(better, gain, best_gain);
        }
    return best;
}

#endif
