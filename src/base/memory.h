/* memory.h - allocation with overflow checks.
 *
 * Buffers are aligned to 64 bytes (a cache line, and the widest vector) and start
 * as zeros. Free them with free(). (KV caches, of which most may never be
 * touched, come from the kernel page by page instead: model/kv.c.)
 */
#ifndef LINN_BASE_MEMORY_H
#define LINN_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum { LINN_ALIGN = 64 };

/* n * size zeroed bytes at a multiple of LINN_ALIGN, the size rounded up to one;
 * never NULL for n * size == 0. NULL when out of memory or when n * size
 * overflows. */
void *linn_alloc(size_t n, size_t size);

static inline bool linn_add_overflows(size_t a, size_t b, size_t *sum)
{
    return __builtin_add_overflow(a, b, sum);
}

static inline bool linn_mul_overflows(size_t a, size_t b, size_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}

#endif
