/* lines.h - lines of standard input, of any length, that may hold any byte.
 *
 * What was printed is sent off whenever the input has to be waited for, so that a program at
 * the other end gets an answer to each line, and a file is still written in large pieces.
 */
#ifndef LINN_CLI_LINES_H
#define LINN_CLI_LINES_H

#include "output.h"

typedef struct linn_cli_lines {
    char *data; /* [capacity], of which begin to end are not handed out yet; free(data) */
    size_t begin, end, capacity;
    uint64_t number; /* of the last line handed out, from 1 */
    bool at_end;
    int error; /* errno of what went wrong; 0: nothing */
} linn_cli_lines;

/* The next line without its newline, valid until the next call. False: there is no more, or
 * something has failed (in->error, or out->error). The last line needs no newline. */
bool linn_cli_next_line(linn_cli_lines *in, linn_cli_output *out, const char **line,
                        size_t *length);

#endif
