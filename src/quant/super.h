/* super.h - fitting super-blocks: groups whose scales (and minima) are small integers
 * in units of the block's d (and dmin).
 *
 * First every group is fitted alone with a real scale. Then units are tried that put
 * the largest of those scales at the end of the integers, or a little inside; for each
 * unit every group takes the best of the integers near its own scale, by the error
 * that is left with levels chosen anew. Of the best unit, regression over the whole
 * block with levels and integers fixed gives a better one, for which groups choose
 * again. Errors are true errors of the decoded values throughout, so a step that
 * makes things worse is seen and not taken.
 */
#ifndef LINN_QUANT_SUPER_H
#define LINN_QUANT_SUPER_H

#include "quant/fit.h"

#include <string.h>

enum { SUPER_BLOCK = 256, SUPER_GROUPS = 16, SUPER_ROUNDS = 2 };

/* binary16 units that put `scale` at `end` of the integers, and a little inside of it. Where
 * binary16 is coarse, further apart: its steps decide, not the end. */
FIT_INLINE fit_f super_units(float scale, float end)
{
    float d = scale / end;
    bool coarse = fit_abs(d) < FIT_F16_COARSE;
    fit_f units = fit_f16_4(FIT_ALL(d) * (FIT_ALL(1) + FIT_ALL(coarse ? 1 : 0.03f) * FIT_LANE));
    fit_f least = FIT_ALL(d < 0 ? -FIT_F16_UNIT : FIT_F16_UNIT);
    return fit_pick(units == FIT_ALL(0), least, units);
}

/* ---- x = (d sc) L --------------------------------------------------------------------------- */

typedef struct super_scales {
    int groups, n; /* groups of n values; 256 together */
    fit_levels levels;
    float lo, hi; /* of sc */
    fit_scan scan;
} super_scales;

/* The least error of the block with unit d[lane] and the best sc next to s / d. */
FIT_INLINE fit_f super_scales_try(const float *x, super_scales p, const float *s, fit_f d)
{
    fit_f total = FIT_ALL(0), inverse = fit_inverse4(d);
    for (int g = 0; g < p.groups; g++) {
        fit_f near = fit_round4(fit_clamp4(FIT_ALL(s[g]) * inverse, p.lo, p.hi));
        fit_f least = FIT_ALL(FLT_MAX);
        for (int off = -1; off <= 1; off++) {
            fit_f sc = fit_clamp4(near + FIT_ALL((float)off), p.lo, p.hi);
            fit_f e = fit_scale_error(x + g * p.n, p.n, p.levels, d * sc);
            least = fit_pick(e < least, e, least);
        }
        total += least;
    }
    return total;
}

/* The best sc of each group, from eight near s / d. Returns the error of the block. */
FIT_INLINE float super_scales_choose(const float *x, super_scales p, const float *s, float d,
                                     float *sc)
{
    float total = 0, inverse = fit_inverse(d);
    for (int g = 0; g < p.groups; g++) {
        float least = FLT_MAX, near = fit_round(fit_clamp(s[g] * inverse, p.lo, p.hi));
        for (int wide = 0; wide < 2; wide++) {
            fit_f off = wide ? (fit_f){-3, 3, -2, 2} : (fit_f){0, -1, 1, 0};
            fit_f c = fit_clamp4(FIT_ALL(near) + off, p.lo, p.hi);
            fit_f e = fit_scale_error(x + g * p.n, p.n, p.levels, FIT_ALL(d) * c);
            int j = fit_least(e);
            if (e[j] < least) {
                least = e[j];
                sc[g] = c[j];
            }
        }
        total += least;
    }
    return total;
}

/* The unit that suits sc and the levels it gives. */
FIT_INLINE float super_scales_refit(const float *x, super_scales p, float d, const float *sc)
{
    double xl = 0, ll = 0;
    for (int g = 0; g < p.groups; g++) {
        fit_f a, b;
        fit_scale_sums(x + g * p.n, p.n, p.levels, FIT_ALL(fit_inverse(d * sc[g])), &a, &b);
        xl += (double)sc[g] * (double)a[0];
        ll += (double)sc[g] * (double)sc[g] * (double)b[0];
    }
    return ll > 0 ? fit_f16((float)(xl / ll)) : d;
}

/* Sets sc[groups]; returns d, a binary16. */
FIT_INLINE float super_scales_fit(const float *x, super_scales p, float *sc)
{
    float s[SUPER_GROUPS] = {0}, again[SUPER_GROUPS] = {0};
    for (int g = 0; g < p.groups; g++) {
        fit_f c = fit_scale_scan(x + g * p.n, p.n, p.levels, p.scan);
        s[g] = c[fit_least(fit_scale_error(x + g * p.n, p.n, p.levels, c))];
        sc[g] = 0;
    }
    float extreme = fit_extreme(s, p.groups);
    fit_f best = FIT_ALL(0), least = fit_scale_error(x, SUPER_BLOCK, p.levels, best);
    for (int side = 0; side < 2; side++) {
        fit_f d = super_units(extreme, side ? p.hi : p.lo), e = super_scales_try(x, p, s, d);
        fit_i better = e < least;
        best = fit_pick(better, d, best);
        least = fit_pick(better, e, least);
    }
    float d = best[fit_least(least)];
    if (d == 0)
        return 0;
    float error = super_scales_choose(x, p, s, d, sc);
    for (int round = 0; round < SUPER_ROUNDS; round++) {
        float t = super_scales_refit(x, p, d, sc), e = super_scales_choose(x, p, s, t, again);
        if (!(e < error))
            break;
        error = e;
        d = t;
        memcpy(sc, again, (size_t)p.groups * sizeof *sc);
    }
    return d;
}

/* ---- x = (d sc) L - dmin mn, L = 0 .. top -------------------------------------------------- */

typedef struct super_lines {
    int groups, n;
    float top;
    float max; /* of sc and of mn, both from 0 */
} super_lines;

/* A group and the line it would have if it were alone. */
typedef struct super_group {
    fit_points points;
    float s, c;
} super_group;

typedef struct super_line_fit {
    float d, dmin; /* binary16 */
    float sc[SUPER_GROUPS], mn[SUPER_GROUPS];
} super_line_fit;

/* For scales d sc: the best minima (*mn, integers), and the errors left. */
FIT_INLINE fit_f super_line_error(super_group t, super_lines p, fit_f d, fit_f dmin, fit_f sc,
                                  fit_f *mn)
{
    /* the scale turns the line about the middle of its levels; regression does the rest */
    fit_f s = d * sc, c = FIT_ALL(t.c) + (FIT_ALL(t.s) - s) * FIT_ALL(p.top / 2);
    fit_f l = FIT_ALL(0), inverse = fit_inverse4(s);
    for (int i = 0; i < t.points.n; i++)
        l += fit_line_level(t.points.x[i], inverse, c, p.top);
    c = (FIT_ALL(t.points.sum) - s * l) * FIT_ALL(1 / (float)t.points.n);
    *mn = fit_round4(fit_clamp4(-c * fit_inverse4(dmin), 0, p.max));
    return fit_line_error(t.points, p.top, (fit_line){s, -(dmin * *mn)});
}

/* The least error of the block with units d[lane] and dmin. */
FIT_INLINE fit_f super_lines_try(const super_group *t, super_lines p, fit_f d, fit_f dmin)
{
    fit_f total = FIT_ALL(0), inverse = fit_inverse4(d), mn;
    for (int g = 0; g < p.groups; g++) {
        fit_f near = fit_round4(fit_clamp4(FIT_ALL(t[g].s) * inverse, 0, p.max));
        fit_f least = FIT_ALL(FLT_MAX);
        for (int off = -1; off <= 1; off++) {
            fit_f sc = fit_clamp4(near + FIT_ALL((float)off), 0, p.max);
            fit_f e = super_line_error(t[g], p, d, dmin, sc, &mn);
            least = fit_pick(e < least, e, least);
        }
        total += least;
    }
    return total;
}

/* The best sc and mn of each group for units f->d and f->dmin: four scales near its own with their
 * minima, then the neighbours of the best. Returns the error of the block. */
FIT_INLINE float super_lines_choose(const super_group *t, super_lines p, super_line_fit *f)
{
    float total = 0, inverse = fit_inverse(f->d);
    fit_f d = FIT_ALL(f->d), dmin = FIT_ALL(f->dmin);
    for (int g = 0; g < p.groups; g++) {
        float near = fit_round(fit_clamp(t[g].s * inverse, 0, p.max));
        float far = t[g].s * inverse > near ? 2 : -2;
        fit_f mn, sc = fit_clamp4(FIT_ALL(near) + (fit_f){0, -1, 1, far}, 0, p.max);
        fit_f e = super_line_error(t[g], p, d, dmin, sc, &mn);
        int j = fit_least(e);
        float least = e[j];
        f->sc[g] = sc[j];
        f->mn[g] = mn[j];
        sc = fit_clamp4(FIT_ALL(f->sc[g]) + (fit_f){0, 0, -1, 1}, 0, p.max);
        mn = fit_clamp4(FIT_ALL(f->mn[g]) + (fit_f){-1, 1, -1, 1}, 0, p.max);
        e = fit_line_error(t[g].points, p.top, (fit_line){d * sc, -(dmin * mn)});
        j = fit_least(e);
        if (e[j] < least) {
            least = e[j];
            f->sc[g] = sc[j];
            f->mn[g] = mn[j];
        }
        total += least;
    }
    return total;
}

/* The units that suit sc, mn and the levels they give: the regression of x on sc L and -mn. */
FIT_INLINE void super_lines_refit(const super_group *t, super_lines p, super_line_fit *f)
{
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0; /* a = sc L, b = mn */
    for (int g = 0; g < p.groups; g++) {
        fit_line line = {FIT_ALL(f->d * f->sc[g]), FIT_ALL(-(f->dmin * f->mn[g]))};
        fit_line_sums sums = fit_line_sum(t[g].points, p.top, line);
        double sc = (double)f->sc[g], mn = (double)f->mn[g];
        aa += sc * sc * (double)sums.ll[0];
        ab += sc * mn * (double)sums.l[0];
        bb += mn * mn * t[g].points.n;
        xa += sc * (double)sums.xl[0];
        xb += mn * (double)t[g].points.sum;
    }
    double det = aa * bb - ab * ab;
    if (det > 0) {
        f->d = fit_f16((float)((xa * bb - xb * ab) / det));
        f->dmin = fit_f16((float)((xa * ab - xb * aa) / det));
    } else if (aa > 0) {
        f->d = fit_f16((float)((xa + (double)f->dmin * ab) / aa));
    }
}

FIT_INLINE void super_lines_fit(const float *x, super_lines p, super_line_fit *f)
{
    super_group t[SUPER_GROUPS];
    float s_max = 0, m_max = 0;
    for (int g = 0; g < p.groups; g++) {
        fit_points points = fit_points_of(x + g * p.n, p.n);
        fit_line line = fit_line_scan(points, p.top, 0);
        fit_f gain;
        line = fit_line_refit(points, p.top, 0, line, &gain);
        int j = fit_least(fit_line_error(points, p.top, line));
        t[g] = (super_group){points, line.s[j], line.c[j]};
        s_max = t[g].s > s_max ? t[g].s : s_max;
        m_max = -t[g].c > m_max ? -t[g].c : m_max;
    }
    *f = (super_line_fit){0};
    if (s_max == 0 && m_max == 0)
        return;
    fit_f d = super_units(s_max, p.max), dmin = FIT_ALL(super_units(m_max, p.max)[0]);
    int j = fit_least(super_lines_try(t, p, d, dmin));
    f->d = d[j];
    f->dmin = dmin[j];
    float error = super_lines_choose(t, p, f);
    for (int round = 0; round < SUPER_ROUNDS; round++) {
        super_line_fit again = *f;
        super_lines_refit(t, p, &again);
        float e = super_lines_choose(t, p, &again);
        if (!(e < error))
            break;
        error = e;
        *f = again;
    }
}

#endif
