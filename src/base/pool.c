/* pool.c - the thread team; see pool.h.
 *
 * Both the start of a region and the barrier are generation counters that a
 * waiter watches: first spinning, then asleep on a condition variable. The
 * waker takes the mutex only when somebody sleeps.
 */
#include "base/pool.h"
#include "base/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SPIN_LIMIT = 1000 }; /* pause instructions; some tens of microseconds */

/* A counter that only grows, and that can be waited for. */
typedef struct event {
    atomic_uint value;
    atomic_int sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
} event;

typedef struct member {
    linn_pool *pool;
    pthread_t thread;
    int index;
} member;

struct linn_pool {
    int n;
    int spins; /* before a waiter sleeps; 0 when there are more members than processors */
    linn_pool_fn fn;
    void *arg;
    bool quit;
    event start;        /* one more for each region */
    event pass;         /* one more each time a barrier opens */
    atomic_int waiting; /* members inside the barrier */
    pthread_mutex_t region;
    member *members; /* [n - 1]: members 1 .. n-1 */
    int n_started;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void event_init(event *e)
{
    atomic_init(&e->value, 0);
    atomic_init(&e->sleepers, 0);
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->cond, NULL);
}

static void event_destroy(event *e)
{
    pthread_mutex_destroy(&e->mutex);
    pthread_cond_destroy(&e->cond);
}

static void event_signal(event *e)
{
    atomic_fetch_add(&e->value, 1);
    if (atomic_load(&e->sleepers) > 0) {
        pthread_mutex_lock(&e->mutex);
        pthread_cond_broadcast(&e->cond);
        pthread_mutex_unlock(&e->mutex);
    }
}

/* Returns once the value differs from `seen`. */
static void event_wait(event *e, unsigned seen, int spins)
{
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&e->value, memory_order_acquire) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&e->mutex);
    atomic_fetch_add(&e->sleepers, 1);
    while (atomic_load(&e->value) == seen)
        pthread_cond_wait(&e->cond, &e->mutex);
    atomic_fetch_sub(&e->sleepers, 1);
    pthread_mutex_unlock(&e->mutex);
}

void linn_pool_barrier(linn_pool *p)
{
    if (p->n == 1)
        return;
    unsigned seen = atomic_load(&p->pass.value);
    if (atomic_fetch_add(&p->waiting, 1) + 1 == p->n) {
        atomic_store(&p->waiting, 0);
        event_signal(&p->pass);
    } else {
        event_wait(&p->pass, seen, p->spins);
    }
}

static void *member_main(void *arg)
{
    const member *m = arg;
    linn_pool *p = m->pool;
    unsigned seen = 0;
    for (;;) {
        event_wait(&p->start, seen, p->spins);
        seen++;
        if (p->quit)
            return NULL;
        p->fn(p->arg, m->index, p->n);
        linn_pool_barrier(p);
    }
}

void linn_pool_run(linn_pool *p, linn_pool_fn fn, void *arg)
{
    pthread_mutex_lock(&p->region);
    if (p->n == 1) {
        fn(arg, 0, 1);
    } else {
        p->fn = fn;
        p->arg = arg;
        event_signal(&p->start);
        fn(arg, 0, p->n);
        linn_pool_barrier(p);
    }
    pthread_mutex_unlock(&p->region);
}

int linn_pool_create(linn_pool **out, int n_threads, linn_error *err)
{
    *out = NULL;
    linn_pool *p = calloc(1, sizeof *p);
    if (!p)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the thread pool");
    p->n = n_threads;
    p->spins = n_threads <= linn_processors() ? SPIN_LIMIT : 0;
    event_init(&p->start);
    event_init(&p->pass);
    atomic_init(&p->waiting, 0);
    pthread_mutex_init(&p->region, NULL);
    p->members = calloc((size_t)n_threads, sizeof *p->members);
    if (!p->members) {
        linn_pool_free(p);
        return linn_fail(err, LINN_ENOMEM, "out of memory for the thread pool");
    }
    for (int i = 1; i < n_threads; i++) {
        member *m = &p->members[i - 1];
        *m = (member){.pool = p, .index = i};
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
    if (p->n_started > 0) {
        p->quit = true;
        event_signal(&p->start);
        for (int i = 0; i < p->n_started; i++)
            pthread_join(p->members[i].thread, NULL);
    }
    event_destroy(&p->start);
    event_destroy(&p->pass);
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
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}
