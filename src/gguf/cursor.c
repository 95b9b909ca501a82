/* cursor.c - see cursor.h. */
#include "gguf/cursor.h"
#include "base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values of a file are copied as they are");

int linn_cursor_fail(linn_cursor *c, int code, size_t offset, const char *format, ...)
{
    if (c->code)
        return c->code;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->code = code;
    if (!c->what)
        return linn_fail(c->err, code, "%s: byte %zu: %s", c->path, offset, text);
    if (!c->name.data)
        return linn_fail(c->err, code, "%s: byte %zu: %s %zu: %s", c->path, offset, c->what,
                         c->index, text);
    int n = c->name.length < 100 ? (int)c->name.length : 100;
    return linn_fail(c->err, code, "%s: byte %zu: %s '%.*s': %s", c->path, offset, c->what, n,
                     c->name.data, text);
}

const uint8_t *linn_cursor_take(linn_cursor *c, uint64_t n, const char *part)
{
    if (c->code)
        return NULL;
    if (n > linn_cursor_left(c)) {
        linn_cursor_fail(c, LINN_EFORMAT, c->at,
                         "%s needs %" PRIu64 " bytes, but the file has only %zu more", part, n,
                         linn_cursor_left(c));
        return NULL;
    }
    const uint8_t *p = c->data + c->at;
    c->at += (size_t)n;
    return p;
}

uint32_t linn_cursor_u32(linn_cursor *c, const char *part)
{
    uint32_t value = 0;
    const uint8_t *p = linn_cursor_take(c, sizeof value, part);
    if (p)
        memcpy(&value, p, sizeof value);
    return value;
}

uint64_t linn_cursor_u64(linn_cursor *c, const char *part)
{
    uint64_t value = 0;
    const uint8_t *p = linn_cursor_take(c, sizeof value, part);
    if (p)
        memcpy(&value, p, sizeof value);
    return value;
}

linn_string linn_cursor_string(linn_cursor *c, const char *part)
{
    uint64_t length = linn_cursor_u64(c, part);
    const uint8_t *p = linn_cursor_take(c, length, part);
    return p ? (linn_string){(const char *)p, (size_t)length} : (linn_string){NULL, 0};
}
