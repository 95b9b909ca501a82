/* alloc_fail.h - makes allocations fail on purpose, counts them, and notices leaks.
 *
 * A test that depends on `alloc_fail_dep` (tests/meson.build) is linked so that calls of malloc,
 * calloc, realloc, aligned_alloc, strdup, strndup and mmap from linn's own objects come here
 * first. What shared libraries allocate among themselves is not seen.
 *
 * Two uses: every out-of-memory path is walked (alloc_fail_each), and code that promises not to
 * allocate is held to it (alloc_fail_count before and after).
 */
#ifndef LINN_TESTS_ALLOC_FAIL_H
#define LINN_TESTS_ALLOC_FAIL_H

#include <stddef.h>

/* Calls attempt(arg) again and again, with the first allocation failing, then the second, and so
 * on, until it finishes without reaching the one that would fail, when it must return LINN_OK.
 * An attempt that met a failure must return LINN_ENOMEM and hold no memory that it took; else the
 * test fails. An attempt frees its result itself. Returns how many failures were tried. */
size_t alloc_fail_each(int (*attempt)(void *arg), void *arg);

/* Allocations so far, by any thread. */
size_t alloc_fail_count(void);

/* By hand: the n-th allocation from here (1: the next) fails, once; 0: none. */
void alloc_fail_at(size_t n);
/* Whether it did. */
int alloc_fail_hit(void);

#endif
