/* pool.h - a fixed team of threads that share out the pieces of a stage.
 *
 * Work is a row of stages, each a number of pieces that may be done in any order. The
 * caller publishes a stage and works on it; the other members help if they are awake.
 * A stage ends when its pieces are done, not when all members have come by: on a busy
 * machine a member without a processor is not waited for, and what was meant for it is
 * done by the others. Only a piece that it has begun holds up the rest; if that happens,
 * the caller goes on alone for a while.
 *
 *     linn_pool_begin(p);
 *     linn_pool_stage(p, n, fn, arg);       fn(arg, piece, member) for every piece < n
 *     ...                                   what the caller does alone in between
 *     linn_pool_end(p);
 *
 * Pieces are dealt out in contiguous shares, the same ones for equal n, so that a member
 * finds in its cache what it had there the last time; who is done with its own share takes
 * from the ends of the others'. Results must not depend on who does a piece: a piece is
 * some outputs, and no reduction crosses pieces.
 *
 * Between begin and end, caller and members compute in the mode of fpenv.h. A pool may be
 * used by many threads; the others wait in begin.
 */
#ifndef LINN_BASE_POOL_H
#define LINN_BASE_POOL_H

#include "linn.h"

typedef struct linn_pool linn_pool;
/* `member` is below linn_pool_threads, 0 in the caller; no two run at once as the same one. */
typedef void (*linn_pool_fn)(void *arg, int piece, int member);

enum { LINN_POOL_PIECES = 65535 }; /* that a team can share */

int linn_pool_create(linn_pool **out, int n_threads, linn_error *err);
void linn_pool_free(linn_pool *p);
int linn_pool_threads(const linn_pool *p);

void linn_pool_begin(linn_pool *p);
void linn_pool_end(linn_pool *p);
/* A single piece, or more than LINN_POOL_PIECES, are done by the caller alone. */
void linn_pool_stage(linn_pool *p, int n_pieces, linn_pool_fn fn, void *arg);

/* begin, one stage, end */
void linn_pool_run(linn_pool *p, int n_pieces, linn_pool_fn fn, void *arg);

/* Processors this process may run on (affinity mask), at least 1. */
int linn_processors(void);

/* The contiguous share of [0, n) that is piece `piece` of n_pieces: shares differ by at most one
 * unit, a unit being `grain` items (the last one may be short). */
static inline void linn_share(int n, int grain, int piece, int n_pieces, int *begin, int *end)
{
    long units = ((long)n + grain - 1) / grain;
    long b = units * piece / n_pieces * grain;
    long e = units * (piece + 1) / n_pieces * grain;
    *begin = (int)(b < n ? b : n);
    *end = (int)(e < n ? e : n);
}

#endif
