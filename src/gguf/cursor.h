/* cursor.h - reading little-endian values out of bytes that nobody vouches for.
 *
 * Every read is checked against the end of the file. The first error sticks: it is
 * described with file, byte offset and what was being read, later reads give zeros
 * and do not move, so that a parser may read a few fields and look at `code` once.
 * A loop over a count from the file must look at `code` each time round.
 */
#ifndef LINN_GGUF_CURSOR_H
#define LINN_GGUF_CURSOR_H

#include "gguf/gguf.h"

typedef struct linn_cursor {
    const uint8_t *data; /* [size], not NULL */
    size_t size;
    size_t at; /* <= size */
    /* For messages: what is being read. */
    const char *path;
    const char *what; /* "key", "tensor"; NULL: the header */
    size_t index;     /* of the key or tensor, until its name is known */
    linn_string name; /* data NULL: not known yet */
    linn_error *err;  /* may be NULL */
    int code;         /* LINN_OK, or the first error */
} linn_cursor;

/* Keeps the first error only. `offset`: the byte that is wrong. Returns the code that sticks. */
int linn_cursor_fail(linn_cursor *c, int code, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static inline size_t linn_cursor_left(const linn_cursor *c)
{
    return c->size - c->at;
}

/* The next n bytes, or NULL after an error; `part` names them in the message. */
const uint8_t *linn_cursor_take(linn_cursor *c, uint64_t n, const char *part);
uint32_t linn_cursor_u32(linn_cursor *c, const char *part);
uint64_t linn_cursor_u64(linn_cursor *c, const char *part);
/* A length (u64) and that many bytes. */
linn_string linn_cursor_string(linn_cursor *c, const char *part);

#endif
