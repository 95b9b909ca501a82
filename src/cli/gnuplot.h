/* gnuplot.h - pictures, drawn by gnuplot as a program of its own. */
#ifndef LINN_CLI_GNUPLOT_H
#define LINN_CLI_GNUPLOT_H

#include "cli.h"

/* A string that grows. Zero it to begin; free(text). */
typedef struct linn_buffer {
    char *text; /* [n] and a 0 */
    size_t n, capacity;
    bool no_memory; /* and the text is not complete */
} linn_buffer;

void linn_cli_add(linn_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void linn_cli_add_bytes(linn_buffer *b, const char *bytes, size_t n);

/* Appends to *svg what gnuplot draws for a script, which sets no terminal and no output. The
 * picture is width by height. LINN_PARSED (options.h) or an exit status; `option` is named when
 * gnuplot is not there. */
int linn_cli_gnuplot(const linn_command *self, const char *option, const linn_buffer *script,
                     int width, int height, linn_buffer *svg);

/* Writes a file that appears under its name when it is complete. LINN_PARSED or an exit status. */
int linn_cli_save(const linn_command *self, const char *path, const linn_buffer *b);

#endif
