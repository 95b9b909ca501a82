/* progress.h - a line of progress on stderr, for what takes longer than a second.
 *
 * Only where stderr is a terminal; the line is wiped at the end.
 */
#ifndef LINN_CLI_PROGRESS_H
#define LINN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

typedef struct linn_progress {
    const char *what; /* "reading the prompt"; set by the caller */
    bool on;          /* stderr is a terminal */
    bool shown;
    struct timespec start;
} linn_progress;

void linn_cli_progress_begin(linn_progress *p, const char *what);
void linn_cli_progress(linn_progress *p, size_t done, size_t total);
void linn_cli_progress_end(linn_progress *p);

#endif
