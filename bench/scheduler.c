/* scheduler.c - tokens per second of many clients, drafts on and off.
 *
 *   bench-scheduler [THREADS [MODELS [ROUNDS [TOKENS [CLIENTS...]]]]]
 *
 * THREADS 0: as many as processors. MODELS is a folder with river.gguf, brook.gguf and rill.gguf.
 * Each client asks for texts one after the other, of TOKENS tokens. Both sides run in turns, each
 * in a scheduler of its own; the medians are of ROUNDS rounds, the ratio that of the rounds'
 * ratios.
 */
#include "base/clock.h"
#include "serve/scheduler.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CLIENTS = 64, MOST_ROUNDS = 64, JOBS = 3 };

static const char *const texts[] = {
    "Question: A baker has twelve loaves and sells five. How many loaves are left? Answer:",
    "Once upon a time there was a river that ran from the hills to the sea, and the river said",
    "The old house at the end of the road had been empty for many years when",
    "def add(a, b):\n    return a + b\n\ndef subtract(a, b):\n    return",
};

typedef struct client {
    linn_scheduler *s;
    const linn_tokenizer *t;
    int index, n_tokens;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool finished;
    long said;
} client;

static void die(const linn_error *err)
{
    fprintf(stderr, "bench-scheduler: %s\n", err->message);
    exit(1);
}

static void on_finish(void *user, const linn_job_result *r)
{
    client *c = user;
    if (r->rc)
        die(&r->error);
    pthread_mutex_lock(&c->lock);
    c->said += r->stats.tokens;
    c->finished = true;
    pthread_cond_signal(&c->over);
    pthread_mutex_unlock(&c->lock);
}

static void ask(client *c, int i)
{
    linn_error err;
    linn_token prompt[256];
    size_t n;
    const char *text = texts[(c->index + i) % 4];
    if (linn_tokenize(c->t, text, strlen(text), LINN_TOKENIZE_BOS, prompt, 256, &n, &err))
        die(&err);
    linn_job_request r = {.prompt = prompt,
                          .n_prompt = n,
                          .max_tokens = c->n_tokens,
                          .sampling = linn_sampling_default(),
                          .top_logprobs = -1,
                          .user = c,
                          .on_finish = on_finish};
    r.sampling.temperature = c->index % 2 ? 0.6f : 0;
    r.sampling.seed = (uint64_t)(c->index * JOBS + i);
    c->finished = false;
    linn_job *j;
    if (linn_scheduler_submit(c->s, &j, &r, NULL, &err))
        die(&err);
    pthread_mutex_lock(&c->lock);
    while (!c->finished)
        pthread_cond_wait(&c->over, &c->lock);
    pthread_mutex_unlock(&c->lock);
    linn_job_release(j);
}

static void *client_main(void *arg)
{
    client *c = arg;
    for (int i = 0; i < JOBS; i++)
        ask(c, i);
    return NULL;
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Tokens per second; with one thread, of processor time, which a busy machine disturbs less. */
static double round_of(linn_scheduler *s, bool cpu, const linn_tokenizer *t, int n_clients,
                       int n_tokens)
{
    static client clients[MOST_CLIENTS];
    long said = 0;
    int64_t start = cpu ? cpu_ns() : linn_now_ns();
    for (int i = 0; i < n_clients; i++) {
        clients[i] = (client){.s = s, .t = t, .index = i, .n_tokens = n_tokens};
        pthread_mutex_init(&clients[i].lock, NULL);
        pthread_cond_init(&clients[i].over, NULL);
        pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
    }
    for (int i = 0; i < n_clients; i++) {
        pthread_join(clients[i].thread, NULL);
        said += clients[i].said;
    }
    return (double)said / ((double)((cpu ? cpu_ns() : linn_now_ns()) - start) * 1e-9);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static void compare(linn_model *const models[3], bool cpu, int n_clients, int rounds, int n_tokens)
{
    static const struct {
        const char *name;
        linn_shape shape;
    } sides[] = {{"off", LINN_CASCADE_OFF},
                 {"maxgram", LINN_CASCADE_MAXGRAM},
                 {"spec", LINN_CASCADE_SPEC},
                 {"auto", LINN_CASCADE_AUTO}};
    enum { SIDES = sizeof sides / sizeof *sides };
    double rates[SIDES][MOST_ROUNDS], ratios[SIDES][MOST_ROUNDS];
    linn_scheduler *s[SIDES];
    linn_error err;
    for (int i = 0; i < SIDES; i++) {
        linn_scheduler_settings set = linn_scheduler_settings_default();
        const linn_model *const drafters[] = {models[1], models[2]};
        set.slots = n_clients;
        set.cascade.shape = sides[i].shape;
        if (linn_scheduler_create(&s[i], models[0], drafters, 2, &set, &err))
            die(&err);
    }
    for (int r = -1; r < rounds; r++) /* the first one warms up */
        for (int i = 0; i < SIDES; i++) {
            double rate = round_of(s[i], cpu, linn_model_tokenizer(models[0]), n_clients, n_tokens);
            if (r >= 0) {
                rates[i][r] = rate;
                ratios[i][r] = rate / rates[0][r];
            }
        }
    for (int i = 0; i < SIDES; i++) {
        linn_metrics m;
        linn_scheduler_metrics(s[i], &m);
        uint64_t drafted = 0, accepted = 0;
        for (int k = 0; k < m.n_levels; k++) {
            drafted += m.levels[k].drafted;
            accepted += m.levels[k].accepted;
        }
        printf("%3d clients  %-8s %8.0f tokens/s  %5.2f of off; %5.1f rows a pass, %4.1f%% drafted "
               "of what was said, %4.1f%% of it accepted\n",
               n_clients, sides[i].name, median(rates[i], rounds), median(ratios[i], rounds),
               (double)m.levels[0].rows / (double)m.levels[0].passes,
               100.0 * (double)drafted / (double)m.tokens,
               drafted ? 100.0 * (double)accepted / (double)drafted : 0);
        linn_scheduler_free(s[i]);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"river", "brook", "rill"};
    const char *folder = argc > 2 ? argv[2] : "models";
    int rounds = argc > 3 ? atoi(argv[3]) : 5, n_tokens = argc > 4 ? atoi(argv[4]) : 100;
    linn_engine *e;
    linn_model *models[3];
    linn_error err;
    linn_engine_settings settings = linn_engine_settings_default();
    settings.threads = argc > 1 ? atoi(argv[1]) : 0;
    if (rounds < 1 || rounds > MOST_ROUNDS || n_tokens < 1)
        return 2;
    if (linn_engine_create(&e, &settings, &err))
        die(&err);
    for (int i = 0; i < 3; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.gguf", folder, names[i]);
        if (linn_model_open(&models[i], e, path, &err))
            die(&err);
    }
    if (argc <= 5)
        for (int n = 1; n <= 16; n *= 4)
            compare(models, settings.threads == 1, n, rounds, n_tokens);
    for (int i = 5; i < argc; i++)
        if (atoi(argv[i]) >= 1 && atoi(argv[i]) <= MOST_CLIENTS)
            compare(models, settings.threads == 1, atoi(argv[i]), rounds, n_tokens);
    for (int i = 0; i < 3; i++)
        linn_model_free(models[i]);
    linn_engine_free(e);
    return 0;
}
