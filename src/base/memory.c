/* memory.c - see memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *linn_alloc(size_t n, size_t size)
{
    size_t bytes;
    if (linn_mul_overflows(n, size, &bytes) || linn_add_overflows(bytes, LINN_ALIGN - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(LINN_ALIGN - 1);
    if (bytes == 0)
        bytes = LINN_ALIGN;
    if (bytes > PTRDIFF_MAX)
        return NULL;
    void *p = aligned_alloc(LINN_ALIGN, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}
