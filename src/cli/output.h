/* output.h - stdout, with every failure noticed.
 *
 * A full disk or a closed pipe shows up in the write that meets it; the first
 * failure sticks, later writes do nothing, and linn_cli_output_finish says so on
 * stderr and gives the exit status. SIGPIPE is ignored (main.c), so a closed
 * pipe is an error like any other.
 */
#ifndef LINN_CLI_OUTPUT_H
#define LINN_CLI_OUTPUT_H

#include "cli.h"

typedef struct linn_cli_output {
    int error; /* errno of the first failed write; 0: none */
} linn_cli_output;

bool linn_cli_write(linn_cli_output *o, const void *data, size_t size); /* false: failed */
bool linn_cli_print(linn_cli_output *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool linn_cli_flush(linn_cli_output *o);
/* Flushes and closes stdout. Returns `status`, or LINN_EXIT_FAILED after a line on stderr if
 * a write failed and nothing was wrong before. */
int linn_cli_output_finish(linn_cli_output *o, const linn_command *self, int status);

bool linn_cli_stdout_is_terminal(void);
bool linn_cli_stderr_is_terminal(void);

#endif
