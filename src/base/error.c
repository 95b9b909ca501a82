/* error.c - formats error messages; see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int linn_fail(linn_error *err, int code, const char *format, ...)
{
    if (err) {
        err->code = code;
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        for (char *c = err->message; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
    }
    return code;
}
