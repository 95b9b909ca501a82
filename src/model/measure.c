/* measure.c - how fast this machine reads memory: the floor under a forward pass,
 * which reads every weight once.
 *
 * Each thread sums its own contiguous share, as a product reads its own rows. The
 * buffer is written first, so that every page is there and none is the zero page.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "linn_tools.h"
#include "model/engine.h"

#include <stdlib.h>

enum { LANES = 8, GRAIN = 4096 }; /* words of a cache line; words that are not split */

typedef struct job {
    uint64_t *words; /* [n] */
    size_t n;        /* a multiple of GRAIN */
    uint64_t *sums;  /* [members], so that nothing is optimised away */
} job;

static void share_of(const job *j, int member, int n_members, size_t *begin, size_t *end)
{
    size_t units = j->n / GRAIN, m = (size_t)member, all = (size_t)n_members;
    *begin = units * m / all * GRAIN;
    *end = units * (m + 1) / all * GRAIN;
}

static void fill(void *arg, int member, int n_members)
{
    const job *j = arg;
    size_t begin, end;
    share_of(j, member, n_members, &begin, &end);
    for (size_t i = begin; i < end; i++)
        j->words[i] = i;
}

static void read_share(void *arg, int member, int n_members)
{
    const job *j = arg;
    size_t begin, end;
    uint64_t lanes[LANES] = {0}, sum = 0;
    share_of(j, member, n_members, &begin, &end);
    for (size_t i = begin; i < end; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += j->words[i + l];
    for (size_t l = 0; l < LANES; l++)
        sum += lanes[l];
    j->sums[member] += sum;
}

int linn_measure_memory(linn_engine *e, size_t bytes, int rounds, double *bytes_per_second,
                        linn_error *err)
{
    size_t unit = GRAIN * sizeof(uint64_t);
    if (bytes < unit || rounds < 1)
        return linn_fail(err, LINN_EINVAL,
                         "memory: %zu bytes, %d rounds: must be at least %zu and 1", bytes, rounds,
                         unit);
    job j = {.n = bytes / unit * GRAIN};
    j.words = malloc(j.n * sizeof *j.words);
    j.sums = linn_alloc((size_t)linn_engine_threads(e), sizeof *j.sums);
    int rc = LINN_OK;
    if (!j.words || !j.sums) {
        rc = linn_fail(err, LINN_ENOMEM, "memory: out of memory for %zu bytes", bytes);
        goto done;
    }
    linn_pool_run(e->pool, fill, &j);
    int64_t least = INT64_MAX;
    for (int r = 0; r < rounds; r++) {
        int64_t start = linn_now_ns();
        linn_pool_run(e->pool, read_share, &j);
        int64_t took = linn_now_ns() - start;
        least = took < least ? took : least;
    }
    least = least < 1 ? 1 : least;
    *bytes_per_second = (double)(j.n * sizeof *j.words) / ((double)least * 1e-9);
done:
    free(j.words);
    free(j.sums);
    return rc;
}
