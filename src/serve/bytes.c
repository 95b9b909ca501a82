/* bytes.c - see bytes.h. */
#include "serve/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(linn_bytes *b, size_t n)
{
    if (b->failed || n <= b->room - b->n)
        return !b->failed;
    size_t room = 2 * b->room + n + 64;
    char *larger = realloc(b->data, room);
    b->failed = !larger;
    if (!larger)
        return false;
    b->data = larger;
    b->room = room;
    return true;
}

void linn_bytes_add(linn_bytes *b, const char *data, size_t n)
{
    if (n == 0 || !make_room(b, n))
        return;
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

void linn_bytes_print(linn_bytes *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !make_room(b, (size_t)n + 1))
        return;
    va_start(args, format);
    vsnprintf(b->data + b->n, (size_t)n + 1, format, args);
    va_end(args);
    b->n += (size_t)n;
}

static int add_json(const char *data, size_t n, void *b)
{
    linn_bytes_add(b, data, n);
    return ((linn_bytes *)b)->failed ? -1 : 0;
}

void linn_bytes_json(linn_bytes *b, json_t *value)
{
    /* Nine digits give every float back. */
    if (!value || json_dump_callback(value, add_json, b,
                                     JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)))
        b->failed = true;
    json_decref(value);
}

void linn_bytes_free(linn_bytes *b)
{
    free(b->data);
    *b = (linn_bytes){0};
}
