/* memory.h - allocation with overflow checks.
 *
 * Buffers are aligned to 64 bytes (a cache line, and the widest vector) and start
 * as zeros. Free them with free(). Large ones, of which part may never be touched,
 * are reserved from the kernel instead, which gives memory at the first write.
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

/* `bytes` zeroed bytes at a multiple of a page, for linn_release with the same size; NULL when the
 * kernel refuses. Takes memory only as it is written. `huge`: in large pages if there are any. */
void *linn_reserve(size_t bytes, bool huge);
void linn_release(void *p, size_t bytes); /* p may be NULL */

static inline bool linn_add_overflows(size_t a, size_t b, size_t *sum)
{
    return __builtin_add_overflow(a, b, sum);
}

static inline bool linn_mul_overflows(size_t a, size_t b, size_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}

/* Lays arrays out one after the other in a single allocation. With base NULL it only measures:
 * run the same calls twice, and allocate `used` bytes in between. */
typedef struct linn_carver {
    char *base;
    size_t used;   /* bytes */
    bool overflow; /* `used` means nothing */
} linn_carver;

/* Room for n * size bytes at a multiple of LINN_ALIGN from base; NULL while measuring. */
static inline void *linn_carve(linn_carver *c, size_t n, size_t size)
{
    size_t at = c->used, bytes;
    c->overflow |= linn_mul_overflows(n, size, &bytes) ||
                   linn_add_overflows(bytes, LINN_ALIGN - 1, &bytes) ||
                   linn_add_overflows(at, bytes & ~(size_t)(LINN_ALIGN - 1), &c->used);
    return c->base ? c->base + at : NULL;
}

#endif
