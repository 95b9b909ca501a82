/* samples.h - what a benchmark says of a quantity that it measured several times. */
#ifndef LINN_CLI_SAMPLES_H
#define LINN_CLI_SAMPLES_H

#include "output.h"

typedef struct linn_cli_samples {
    double median, least, most;
    double spread; /* between the quartiles, over the median: 0.02 is a quiet machine */
} linn_cli_samples;

/* Of x[n], n > 0, which it sorts. */
linn_cli_samples linn_cli_summarise(double *x, size_t n);

/* Milliseconds on the monotonic clock. */
double linn_cli_now_ms(void);

/* `"NAME": {"median": ..., "min": ..., "max": ..., "spread": ...}` with values times `unit`. */
void linn_cli_print_samples(linn_cli_output *out, const char *name, const linn_cli_samples *s,
                            double unit);

#endif
