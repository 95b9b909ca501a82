/* pool.c - the thread team; see pool.h.
 *
 * Each member has a word with what is left of its share: the first and the end of a
 * range of pieces, and the number of the stage, so that a compare-and-swap by someone
 * who was away for a while fails. The owner takes from the front, others from the end.
 * While a piece is taken and not counted as done its stage cannot end, so whoever holds
 * one may read what the stage is about.
 *
 * Members wait for the next stage, and the caller for the last pieces, first spinning,
 * then asleep on a condition variable. To wake a member costs the caller more than many a
 * stage, and it may not help before long, so sleepers are woken once in a while only.
 */
#include "base/pool.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPIN_LIMIT = 1000,  /* pause instructions; some tens of microseconds */
    WAKE_NS = 1000000,  /* from one time that sleepers are woken to the next */
    LOST_NS = 500000,   /* a member that keeps the caller waiting so long has lost its processor */
    ALONE_NS = 5000000, /* then the caller works alone, for this time at first, */
    ALONE_MOST_NS = 160000000, /* and up to this when it happens again and again */
};

/* Where threads sleep until a word has changed. */
typedef struct bed {
    atomic_int sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
} bed;

typedef struct member {
    _Alignas(LINN_ALIGN) _Atomic uint64_t share; /* stage << 32 | begin << 16 | end */
    linn_pool *pool;
    pthread_t thread;
    int index;
} member;

struct linn_pool {
    int n;
    cpu_set_t processors; /* those that the members may use */
    int spins; /* before a waiter sleeps; 0 when there are more members than processors */
    atomic_bool quit;
    member *members; /* [n]; thread 0 is the caller's */
    int n_started;
    pthread_mutex_t region; /* held from begin to end */
    linn_fpenv saved;       /* the caller's, from begin to end */
    int64_t woken_ns;       /* when sleepers were woken last, */
    atomic_int waker;       /* and the caller's processor then */
    int64_t alone_until_ns, alone_ns;

    bed start, finish;

    _Alignas(LINN_ALIGN) atomic_uint stage; /* its number; it begins when this has changed */
    linn_pool_fn fn;
    void *arg;
    _Alignas(LINN_ALIGN) atomic_uint left; /* pieces that are not counted as done */
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void bed_init(bed *b)
{
    atomic_init(&b->sleepers, 0);
    pthread_mutex_init(&b->mutex, NULL);
    pthread_cond_init(&b->cond, NULL);
}

static void bed_destroy(bed *b)
{
    pthread_mutex_destroy(&b->mutex);
    pthread_cond_destroy(&b->cond);
}

/* After a change of the word; no second call to those who were called. */
static void wake(bed *b)
{
    if (atomic_load(&b->sleepers) == 0)
        return;
    pthread_mutex_lock(&b->mutex);
    atomic_store(&b->sleepers, 0);
    pthread_cond_broadcast(&b->cond);
    pthread_mutex_unlock(&b->mutex);
}

static bool spin_while(const atomic_uint *word, unsigned value, int spins)
{
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value)
            return false;
        relax();
    }
    return atomic_load(word) == value;
}

static void sleep_while(bed *b, const atomic_uint *word, unsigned value)
{
    pthread_mutex_lock(&b->mutex);
    for (;;) {
        atomic_fetch_add(&b->sleepers, 1); /* before the word is read: wake reads them in turn */
        if (atomic_load(word) != value)
            break;
        pthread_cond_wait(&b->cond, &b->mutex);
    }
    atomic_fetch_sub(&b->sleepers, 1);
    pthread_mutex_unlock(&b->mutex);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static uint64_t pack_share(unsigned stage, int begin, int end)
{
    return (uint64_t)stage << 32 | (uint64_t)begin << 16 | (uint64_t)end;
}

/* A piece of m's share, -1 if none is left. */
static int take(member *m, bool own)
{
    uint64_t share = atomic_load_explicit(&m->share, memory_order_acquire);
    for (;;) {
        int begin = (int)(share >> 16 & 0xffff), end = (int)(share & 0xffff);
        if (begin >= end)
            return -1;
        uint64_t rest = own ? share + (1 << 16) : share - 1;
        if (atomic_compare_exchange_weak_explicit(&m->share, &share, rest, memory_order_acq_rel,
                                                  memory_order_acquire))
            return own ? begin : end - 1;
    }
}

/* Takes pieces while there are any, from its own share first; returns how many. */
static unsigned work(linn_pool *p, int index)
{
    unsigned done = 0;
    for (int i = 0; i < p->n; i++) {
        int owner = index + i < p->n ? index + i : index + i - p->n;
        for (int piece; (piece = take(&p->members[owner], i == 0)) >= 0; done++)
            p->fn(p->arg, piece, index);
    }
    return done;
}

/* Linux likes to wake a thread on the processor of whoever wakes it. There it would take turns with
 * the caller, asleep too often for the scheduler to see that another processor is idle. */
static void leave_caller(const linn_pool *p)
{
    int caller = atomic_load(&p->waker);
    if (sched_getcpu() != caller)
        return;
    cpu_set_t others = p->processors;
    CPU_CLR((size_t)caller, &others);
    if (CPU_COUNT(&others) > 0)
        pthread_setaffinity_np(pthread_self(), sizeof others, &others);
}

static void *member_main(void *arg)
{
    const member *m = arg;
    linn_pool *p = m->pool;
    linn_fpenv_enter();
    for (unsigned seen = 0;;) {
        if (spin_while(&p->stage, seen, p->spins)) {
            sleep_while(&p->start, &p->stage, seen);
            leave_caller(p);
        }
        seen = atomic_load(&p->stage);
        if (p->quit)
            return NULL;
        unsigned done = work(p, m->index);
        if (done && atomic_fetch_sub(&p->left, done) == done)
            wake(&p->finish);
    }
}

/* The caller has nothing left to do but others hold pieces. */
static void wait_for_others(linn_pool *p, int64_t since)
{
    unsigned left;
    for (int spins = p->spins; (left = atomic_load(&p->left)) != 0; spins--) {
        if (spins > 0) {
            relax();
            continue;
        }
        int64_t before = linn_now_ns();
        sleep_while(&p->finish, &p->left, left);
        int64_t now = linn_now_ns();
        if (now - before < LOST_NS + 2 * (before - since))
            continue;
        bool again = before < p->alone_until_ns + 8 * p->alone_ns;
        p->alone_ns = !again                        ? ALONE_NS
                      : p->alone_ns < ALONE_MOST_NS ? 2 * p->alone_ns
                                                    : p->alone_ns;
        p->alone_until_ns = now + p->alone_ns;
    }
}

/* ---- the caller -------------------------------------------------------------------------------
 */

void linn_pool_begin(linn_pool *p)
{
    pthread_mutex_lock(&p->region);
    p->saved = linn_fpenv_enter();
}

void linn_pool_end(linn_pool *p)
{
    linn_fpenv_leave(p->saved);
    pthread_mutex_unlock(&p->region);
}

static void publish(linn_pool *p, int n_pieces, linn_pool_fn fn, void *arg)
{
    unsigned stage = atomic_load_explicit(&p->stage, memory_order_relaxed) + 1;
    p->fn = fn;
    p->arg = arg;
    atomic_store_explicit(&p->left, (unsigned)n_pieces, memory_order_relaxed);
    for (int i = 0; i < p->n; i++)
        atomic_store_explicit(&p->members[i].share,
                              pack_share(stage, n_pieces * i / p->n, n_pieces * (i + 1) / p->n),
                              memory_order_release);
    atomic_store(&p->stage, stage);
}

void linn_pool_stage(linn_pool *p, int n_pieces, linn_pool_fn fn, void *arg)
{
    bool alone = p->n == 1 || n_pieces <= 1 || n_pieces > LINN_POOL_PIECES;
    int64_t now = alone ? 0 : linn_now_ns();
    if (alone || now < p->alone_until_ns) {
        for (int i = 0; i < n_pieces; i++)
            fn(arg, i, 0);
        return;
    }
    publish(p, n_pieces, fn, arg);
    if (atomic_load(&p->start.sleepers) > 0 && now - p->woken_ns >= WAKE_NS) {
        p->woken_ns = now;
        atomic_store(&p->waker, sched_getcpu());
        wake(&p->start);
    }
    unsigned done = work(p, 0);
    if (atomic_fetch_sub(&p->left, done) != done)
        wait_for_others(p, now);
}

void linn_pool_run(linn_pool *p, int n_pieces, linn_pool_fn fn, void *arg)
{
    linn_pool_begin(p);
    linn_pool_stage(p, n_pieces, fn, arg);
    linn_pool_end(p);
}

/* ---- creation ---------------------------------------------------------------------------------
 */

/* Processors that this thread may use; returns how many, 0 if the system does not say. */
static int allowed(cpu_set_t *set)
{
    CPU_ZERO(set);
    return sched_getaffinity(0, sizeof *set, set) == 0 ? CPU_COUNT(set) : 0;
}

int linn_pool_create(linn_pool **out, int n_threads, linn_error *err)
{
    *out = NULL;
    linn_pool *p = linn_alloc(1, sizeof *p);
    if (!p)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the thread pool");
    p->n = n_threads;
    p->spins = n_threads <= linn_processors() ? SPIN_LIMIT : 0;
    p->alone_ns = ALONE_NS;
    allowed(&p->processors);
    bed_init(&p->start);
    bed_init(&p->finish);
    pthread_mutex_init(&p->region, NULL);
    p->members = linn_alloc((size_t)n_threads, sizeof *p->members);
    if (!p->members) {
        linn_pool_free(p);
        return linn_fail(err, LINN_ENOMEM, "out of memory for the thread pool");
    }
    for (int i = 1; i < n_threads; i++) {
        member *m = &p->members[i];
        m->pool = p;
        m->index = i;
        int rc = pthread_create(&m->thread, NULL, member_main, m);
        if (rc != 0) {
            linn_pool_free(p);
            return linn_fail(err, LINN_ENOMEM, "cannot start thread %d of %d: %s", i + 1, n_threads,
                             strerror(rc));
        }
        p->n_started++;
    }
    *out = p;
    return LINN_OK;
}

void linn_pool_free(linn_pool *p)
{
    if (!p)
        return;
    p->quit = true;
    atomic_fetch_add(&p->stage, 1);
    wake(&p->start);
    for (int i = 1; i <= p->n_started; i++)
        pthread_join(p->members[i].thread, NULL);
    bed_destroy(&p->start);
    bed_destroy(&p->finish);
    pthread_mutex_destroy(&p->region);
    free(p->members);
    free(p);
}

int linn_pool_threads(const linn_pool *p)
{
    return p->n;
}

int linn_processors(void)
{
    cpu_set_t set;
    int n = allowed(&set);
    return n > 0 ? n : 1;
}
