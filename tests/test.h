/* test.h - what every test includes: cmocka with the headers it wants before it,
 * and the path of the conformance data. */
#ifndef LINN_TESTS_TEST_H
#define LINN_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "linn.h"

/* Path of a file of the conformance data, or NULL when the data are not here
 * (then skip()). Valid until the next call. */
static inline const char *shared_path(const char *name)
{
    static char path[4096];
    const char *root = getenv("LINN_SHARED");
    if (!root)
        return NULL;
    snprintf(path, sizeof path, "%s/%s", root, name);
    return access(path, R_OK) == 0 ? path : NULL;
}

#endif
