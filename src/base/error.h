/* error.h - the one way errors travel inside linn.
 *
 * A function that can fail returns 0 or a negative LINN_E* code and describes
 * the failure in a linn_error that the caller passes (NULL: nobody listens).
 * A message is one line: what failed, where (file, offset, key, tensor), what
 * was expected or what to do. The library never prints and never exits.
 */
#ifndef LINN_BASE_ERROR_H
#define LINN_BASE_ERROR_H

#include "linn.h"

/* Fills *err (if not NULL) and returns `code`, so that a failing function can
 * end with `return linn_fail(err, LINN_EFORMAT, "...", ...)`. Control bytes in
 * the formatted message become '?', so text from a file stays on one line. */
int linn_fail(linn_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
