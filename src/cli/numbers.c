/* numbers.c - sizes as people read them. */
#include "numbers.h"

#include <stddef.h>
#include <stdio.h>

const char *linn_cli_rounded(uint64_t n, const char *unit, char out[32])
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    double x = (double)n;
    size_t i = 0;
    for (; x >= 999.5; i++)
        x /= 1000;
    const char *blank = *prefixes[i] || *unit ? " " : "";
    snprintf(out, 32, "%.*f%s%s%s", i > 0 && x < 99.95 ? 1 : 0, x, blank, prefixes[i], unit);
    return out;
}
