/* report.h - what a run of the cascade did: as JSON, and as a table for people. */
#ifndef LINN_CLI_REPORT_H
#define LINN_CLI_REPORT_H

#include "output.h"

#include <stdio.h>

typedef struct linn_report {
    const linn_stats *stats;
    linn_finish finish;
    uint64_t seed;
    const linn_engine *engine;
    const linn_cascade *cascade;
} linn_report;

const char *linn_cli_finish_name(linn_finish finish); /* "length" */

/* The members of the object `stats`, with its braces. */
void linn_cli_report_json(linn_cli_output *out, const linn_report *r);
/* Several lines on stderr. */
void linn_cli_report_table(const linn_report *r);
/* One line on stderr that says which level has which colour, and how many tokens. */
void linn_cli_report_legend(const linn_stats *s);

#endif
