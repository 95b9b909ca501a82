/* bytes.h - a buffer that grows, for bodies and answers.
 *
 * Appending never fails at once: when memory runs out the buffer says so (`failed`) and
 * takes nothing more, so that a writer looks once, at its end.
 */
#ifndef LINN_SERVE_BYTES_H
#define LINN_SERVE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

typedef struct linn_bytes {
    char *data; /* [n] of [room]; for free() */
    size_t n, room;
    bool failed;
} linn_bytes;

void linn_bytes_add(linn_bytes *b, const char *data, size_t n);
void linn_bytes_print(linn_bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes `value` (NULL: out of memory while it was made) and writes it without blanks. */
void linn_bytes_json(linn_bytes *b, json_t *value);
void linn_bytes_free(linn_bytes *b);

#endif
