/* bench.h - what the commands of linn bench share. */
#ifndef LINN_CLI_BENCH_H
#define LINN_CLI_BENCH_H

#include "cli.h"

extern const linn_command linn_command_bench_speed, linn_command_bench_width,
    linn_command_bench_kernels, linn_command_bench_cascade;

#define LINN_BENCH_WIDTHS "1,2,4,8,16,32"

/* Reads a list of widths, 1 to 1024 tokens a pass; *out is for free(). LINN_PARSED or an exit
 * status. */
int linn_bench_widths(const linn_command *self, const char *word, int32_t **out, size_t *n);

#endif
