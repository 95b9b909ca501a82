/* numbers.h - sizes as people read them. */
#ifndef LINN_CLI_NUMBERS_H
#define LINN_CLI_NUMBERS_H

#include <stdint.h>

/* "3.1 M", "640 kB": a number of up to three digits, a prefix and the unit. Returns out. */
const char *linn_cli_rounded(uint64_t n, const char *unit, char out[32]);

#endif
