/* rows.h - numbers in rows, as in "5 14 10; 0 1 10; 0 0 10". */
#ifndef LINN_CLI_ROWS_H
#define LINN_CLI_ROWS_H

#include "cli.h"

typedef struct linn_rows {
    int n; /* rows that are not empty */
    int columns[LINN_MAX_LEVELS];
    double value[LINN_MAX_LEVELS][LINN_MAX_LEVELS];
} linn_rows;

/* Rows between semicolons, numbers between blanks or commas. The option is named in errors.
 * LINN_PARSED (options.h) or an exit status. */
int linn_cli_read_rows(const linn_command *self, const char *option, const char *text,
                       linn_rows *out);
/* A square matrix [*order, *order] of whole numbers from 0 to 255. */
int linn_cli_read_matrix(const linn_command *self, const char *option, const char *text,
                         int32_t *matrix, int32_t *order);

#endif
