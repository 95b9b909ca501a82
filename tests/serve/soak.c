/* soak.c - clients for as long as you like: every text is compared with the text alone.
 *
 *   soak-scheduler [SECONDS [CLIENTS [SLOTS [PAGES [ENTRIES [small]]]]]]
 *
 * A third of the jobs is cut short. PAGES of KV memory are far too few for all slots. Every
 * ten seconds a line: jobs, tokens, preemptions, memory. Ends with status 0 when all texts
 * were right, no page was lost, and (from 300 seconds on) memory stayed flat
 * after the first quarter.
 */
#include "test.h"
#include "traffic.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_bool over;

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

typedef struct watch {
    linn_scheduler *s;
    double seconds;
    long early_kib, last_kib; /* after a quarter of the time, and at the end */
} watch;

static void *watch_main(void *arg)
{
    watch *w = arg;
    int64_t start = linn_now_ns();
    double next = 10;
    while (!atomic_load(&over)) {
        usleep(100000);
        double t = (double)(linn_now_ns() - start) * 1e-9;
        w->last_kib = resident_kib();
        if (t <= w->seconds / 4)
            w->early_kib = w->last_kib;
        if (t < next)
            continue;
        next += 10;
        linn_metrics m;
        linn_scheduler_metrics(w->s, &m);
        printf(
            "%5.0f s: %llu whole, %llu cut, %llu refused; %llu tokens; %llu of %llu prompt tokens "
            "reused, %llu preemptions, %llu evictions; %ld KiB\n",
            t, (unsigned long long)m.finished, (unsigned long long)(m.cancelled + m.expired),
            (unsigned long long)m.refused, (unsigned long long)m.tokens,
            (unsigned long long)m.prompt_reused, (unsigned long long)m.prompt_tokens,
            (unsigned long long)m.preemptions, (unsigned long long)m.evictions, w->last_kib);
        fflush(stdout);
    }
    return NULL;
}

static int argument(int argc, char **argv, int i, int otherwise)
{
    return argc > i ? atoi(argv[i]) : otherwise;
}

static uint64_t kv_bytes(const family *f, int pages)
{
    uint64_t one = 0;
    for (int i = 0; i < 3; i++) {
        linn_model_info m = linn_model_describe(f->models[i]);
        one += UINT64_C(4) * 64 * (uint64_t)(m.n_layers * m.n_kv_heads * m.head_dim);
    }
    return one * (uint64_t)pages;
}

int main(int argc, char **argv)
{
    family f;
    book b;
    linn_error err = {0};
    watch w = {.seconds = argument(argc, argv, 1, 600)};
    family_open(&f, 1, argc > 6);
    linn_scheduler_settings s = linn_scheduler_settings_default();
    s.slots = argument(argc, argv, 3, 16);
    s.queue = 8;
    s.kv_bytes = kv_bytes(&f, argument(argc, argv, 4, 20));
    s.cascade.session.n_ctx = 448;
    const linn_model *const drafters[] = {f.models[1], f.models[2]};
    book_write(&b, &f, argument(argc, argv, 5, 60), 448, 11);
    if (linn_scheduler_create(&w.s, f.models[0], drafters, 2, &s, &err) != LINN_OK) {
        fprintf(stderr, "soak-scheduler: %s\n", err.message);
        return 1;
    }
    traffic t = {.book = &b,
                 .scheduler = w.s,
                 .n_clients = argument(argc, argv, 2, 32),
                 .seconds = w.seconds,
                 .cut_rate = 0.33,
                 .seed = 3};
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch_main, &w))
        return 1;
    traffic_run(&t);
    linn_scheduler_drain(w.s, INT64_MAX);
    atomic_store(&over, true);
    pthread_join(watcher, NULL);
    linn_metrics m;
    linn_scheduler_metrics(w.s, &m);
    int32_t lost = 0;
    for (int i = 0; i < 3; i++)
        lost += m.levels[i].pages_used;
    linn_scheduler_free(w.s);
    printf("%d texts whole and right, %d cut short, %d refusals; %llu preemptions; %d pages lost; "
           "%ld KiB early, %ld KiB at the end\n",
           t.n_whole, t.n_cut, t.n_refused, (unsigned long long)m.preemptions, lost, w.early_kib,
           w.last_kib);
    book_close(&b);
    family_close(&f);
    return lost || m.failed || (w.seconds >= 300 && w.last_kib > w.early_kib * 11 / 10 + 4096);
}
