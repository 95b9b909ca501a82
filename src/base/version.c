/* version.c - what this build calls itself. */
#include "linn.h"

const char *linn_version(void)
{
    return LINN_VERSION;
}

int linn_numeric_version(void)
{
    return 1; /* raise when any result may differ in any bit: docs/numerics.md */
}
