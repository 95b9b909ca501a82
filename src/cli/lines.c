/* lines.c - see lines.h. */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_ROOM = 1 << 14 };

/* Makes room behind `end`: moves what is left to the front, or takes twice the memory. */
static bool make_room(linn_cli_lines *in)
{
    if (in->begin > 0) {
        memmove(in->data, in->data + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
    }
    if (in->capacity - in->end >= LEAST_ROOM)
        return true;
    size_t capacity = in->capacity ? 2 * in->capacity : 4 * LEAST_ROOM;
    char *data = capacity > in->capacity ? realloc(in->data, capacity) : NULL;
    if (!data) {
        in->error = ENOMEM;
        return false;
    }
    in->data = data;
    in->capacity = capacity;
    return true;
}

static bool read_more(linn_cli_lines *in)
{
    ssize_t n;
    do
        n = read(STDIN_FILENO, in->data + in->end, in->capacity - in->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        in->error = errno;
    in->at_end = n == 0;
    in->end += n > 0 ? (size_t)n : 0;
    return n >= 0;
}

bool linn_cli_next_line(linn_cli_lines *in, linn_cli_output *out, const char **line, size_t *length)
{
    size_t searched = 0; /* bytes from `begin` on that have no newline */
    for (;;) {
        size_t held = in->end - in->begin;
        const char *stop =
            held > searched ? memchr(in->data + in->begin + searched, '\n', held - searched) : NULL;
        if (stop || (in->at_end && held > 0)) {
            *line = in->data + in->begin;
            *length = stop ? (size_t)(stop - *line) : held;
            in->begin += *length + (stop != NULL);
            in->number++;
            return true;
        }
        searched = held;
        if (in->at_end || in->error || !linn_cli_flush(out) || !make_room(in) || !read_more(in))
            return false;
    }
}
