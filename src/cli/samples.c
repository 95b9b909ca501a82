/* samples.c - see samples.h. */
#include "samples.h"

#include <stdlib.h>
#include <time.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Value at share q of sorted x[n], between neighbours by linear interpolation. */
static double quantile(const double *x, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

linn_cli_samples linn_cli_summarise(double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare);
    linn_cli_samples s = {.median = quantile(x, n, 0.5), .least = x[0], .most = x[n - 1]};
    if (s.median > 0)
        s.spread = (quantile(x, n, 0.75) - quantile(x, n, 0.25)) / s.median;
    return s;
}

double linn_cli_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void linn_cli_print_samples(linn_cli_output *out, const char *name, const linn_cli_samples *s,
                            double unit)
{
    linn_cli_print(out,
                   "\"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"spread\": %.3f}",
                   name, s->median * unit, s->least * unit, s->most * unit, s->spread);
}
