/* memory.c - see memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

void *linn_reserve(size_t bytes, bool huge)
{
    if (bytes == 0 || bytes > PTRDIFF_MAX)
        return NULL;
    /* No MAP_NORESERVE: what the machine can never hold is refused here, not killed later. */
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (huge)
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* a kernel without them is no error */
    return p;
}

void linn_release(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}
