/* pool.h - a fixed team of threads that run one parallel region at a time.
 *
 * linn_pool_run calls fn(arg, i, n) on every member i of the team of n; the
 * caller is member 0. Inside a region, linn_pool_barrier waits for all members.
 * Members spin briefly and then sleep, so a waiting team costs little and a busy
 * machine gets its cores back. Results never depend on n: what a member computes
 * is decided by output, and no reduction crosses members.
 *
 * A pool may be shared by many callers; regions are serialised by a mutex.
 */
#ifndef LINN_BASE_POOL_H
#define LINN_BASE_POOL_H

#include "linn.h"

typedef struct linn_pool linn_pool;
typedef void (*linn_pool_fn)(void *arg, int member, int n_members);

int linn_pool_create(linn_pool **out, int n_threads, linn_error *err);
void linn_pool_free(linn_pool *p);
int linn_pool_threads(const linn_pool *p);

void linn_pool_run(linn_pool *p, linn_pool_fn fn, void *arg);
void linn_pool_barrier(linn_pool *p);

/* Processors this process may run on (affinity mask), at least 1. */
int linn_processors(void);

/* The contiguous share of [0, n) that belongs to `member`: shares differ by at
 * most one unit, a unit being `grain` items (the last one may be short). */
static inline void linn_share(int n, int grain, int member, int n_members, int *begin, int *end)
{
    long units = ((long)n + grain - 1) / grain;
    long b = units * member / n_members * grain;
    long e = units * (member + 1) / n_members * grain;
    *begin = (int)(b < n ? b : n);
    *end = (int)(e < n ? e : n);
}

#endif
