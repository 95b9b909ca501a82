/* traffic.c - see traffic.h. */
#include "test.h"
#include "traffic.h"
#include "base/clock.h"

#include <pthread.h>
#include <time.h>

uint64_t traffic_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int below(uint64_t *state, int n)
{
    return (int)(traffic_random(state) % (uint64_t)n);
}

/* ---- family ------------------------------------------------------------------------------------
 */

void family_open(family *f, int threads, bool small)
{
    static const char *const names[] = {"river", "brook", "rill", "rill"};
    linn_error err = {0};
    linn_engine_settings s = linn_engine_settings_default();
    s.threads = threads;
    if (linn_engine_create(&f->engine, &s, &err) != LINN_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++) {
        char path[4096];
        const char *folder = getenv("LINN_MODELS");
        snprintf(path, sizeof path, "%s/%s.gguf", folder ? folder : "models", names[i + small]);
        if (linn_model_open(&f->models[i], f->engine, path, &err) != LINN_OK)
            fail_msg("%s", err.message);
    }
}

void family_close(family *f)
{
    for (int i = 0; i < 3; i++)
        linn_model_free(f->models[i]);
    linn_engine_free(f->engine);
}

/* ---- book --------------------------------------------------------------------------------------
 */

static const char *const openings[] = {
    "Question: A baker has twelve loaves and sells five of them in the morning. In the afternoon "
    "she bakes nine more, and gives two to her neighbour. How many loaves does the baker have now? "
    "Answer: Let us count step by step. First there were twelve loaves, then",
    "Once upon a time there was a river that ran from the hills to the sea. The river had a little "
    "brook, and the brook had a little rill. The rill said to the brook: I am small, but I am "
    "quick. The brook said to the river: I am small, but I am quick. The river said",
    "The cat sat on the mat. The cat sat on the mat. The cat sat on the mat. The cat sat on the",
    "Translate: one two three four five six seven eight nine ten one two three four five six",
};

static void write_prompt(entry *e, const linn_tokenizer *t, int32_t most, uint64_t *rng)
{
    const char *text = openings[below(rng, 4)];
    size_t n = 0;
    linn_error err = {0};
    if (linn_tokenize(t, text, strlen(text), LINN_TOKENIZE_BOS, e->prompt, ENTRY_PROMPT, &n, &err))
        fail_msg("%s", err.message);
    while (n < ENTRY_PROMPT / 2 && below(rng, 3)) { /* longer, and alike for a while */
        size_t more = n < ENTRY_PROMPT - n ? n : ENTRY_PROMPT - n;
        memcpy(e->prompt + n, e->prompt, more * sizeof *e->prompt);
        n += more;
    }
    int32_t length = 1 + below(rng, (int)n < most ? (int)n : most);
    for (int i = below(rng, 3); i > 0; i--)
        e->prompt[length - 1] = below(rng, linn_tokenizer_size(t));
    e->r.prompt = e->prompt;
    e->r.n_prompt = (size_t)length;
}

static void write_settings(entry *e, const linn_tokenizer *t, uint64_t *rng)
{
    linn_sampling *s = &e->r.sampling;
    *s = linn_sampling_default();
    s->seed = traffic_random(rng);
    s->temperature = below(rng, 3) ? 0.3f * (float)below(rng, 5) : 0;
    if (below(rng, 4) == 0)
        s->top_k = 0;
    if (below(rng, 4) == 0)
        s->top_p = 1;
    if (below(rng, 4) == 0)
        s->repeat_penalty = 1.2f;
    if (below(rng, 4) == 0)
        s->frequency_penalty = 0.5f;
    if (below(rng, 4) == 0) {
        for (int i = 0; i < 2; i++)
            e->biases[i] = (linn_logit_bias){below(rng, linn_tokenizer_size(t)), 3.0f};
        s->biases = e->biases;
        s->n_biases = 2;
    }
    if (below(rng, 4) == 0) {
        e->stop[0] = "the";
        e->stop[1] = "\n\n";
        e->r.stop = e->stop;
        e->r.n_stop = 2;
    }
    e->r.plain = below(rng, 6) == 0;
    e->r.top_logprobs = below(rng, 4) - 1;
    e->r.user_key = (uint64_t)below(rng, 3);
}

static bool note(void *user, const linn_piece *piece)
{
    entry *e = user;
    if (piece->token >= 0)
        e->tokens[e->n_tokens++] = piece->token;
    assert_true(e->length + piece->length <= sizeof e->text);
    if (piece->length > 0)
        memcpy(e->text + e->length, piece->text, piece->length);
    e->length += piece->length;
    return true;
}

static void write_entry(entry *e, linn_cascade *alone, const linn_tokenizer *t, int32_t n_ctx,
                        uint64_t *rng)
{
    linn_error err = {0};
    int32_t most = n_ctx < ENTRY_PROMPT ? n_ctx : ENTRY_PROMPT;
    write_prompt(e, t, most - 2, rng);
    int32_t room = n_ctx - (int32_t)e->r.n_prompt;
    room = room < ENTRY_TOKENS ? room : ENTRY_TOKENS;
    e->r.max_tokens = below(rng, room + 1);
    write_settings(e, t, rng);
    linn_request r = {.prompt = e->r.prompt,
                      .n_prompt = e->r.n_prompt,
                      .max_tokens = e->r.max_tokens,
                      .sampling = e->r.sampling,
                      .stop = e->r.stop,
                      .n_stop = e->r.n_stop,
                      .user = e,
                      .on_piece = note};
    if (linn_generate(alone, &r, &e->finish, NULL, &err) != LINN_OK)
        fail_msg("%s", err.message);
}

void book_write(book *b, const family *f, int n, int32_t n_ctx, uint64_t seed)
{
    linn_cascade_settings s = linn_cascade_settings_default();
    linn_cascade *alone;
    s.shape = LINN_CASCADE_OFF;
    s.session.n_ctx = n_ctx;
    assert_int_equal(linn_cascade_create(&alone, f->models[0], NULL, 0, &s, NULL), LINN_OK);
    *b = (book){calloc((size_t)n, sizeof *b->entries), n, n_ctx};
    for (int i = 0; i < n; i++)
        write_entry(&b->entries[i], alone, linn_model_tokenizer(f->models[0]), n_ctx, &seed);
    linn_cascade_free(alone);
}

void book_close(book *b)
{
    free(b->entries);
}

/* ---- clients -----------------------------------------------------------------------------------
 */

typedef struct client {
    traffic *t;
    const entry *e;
    uint64_t rng;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
    linn_job *job;
    int32_t n_tokens, cut_at; /* cancels itself after so many */
    size_t length;
    bool finished;
    linn_job_result result;
    int n_whole, n_cut, n_refused;
} client;

static void check_token(const client *c, const linn_job_token *t)
{
    const entry *e = c->e;
    if (t->token >= 0 && (c->n_tokens >= e->n_tokens || e->tokens[c->n_tokens] != t->token))
        fail_msg("token %d of '%.60s...' is %d, alone %d", c->n_tokens, e->text, t->token,
                 c->n_tokens < e->n_tokens ? e->tokens[c->n_tokens] : -1);
    if (c->length + t->length > e->length ||
        (t->length > 0 && memcmp(e->text + c->length, t->text, t->length)))
        fail_msg("text '%.*s' at byte %zu of '%.*s'", (int)t->length, t->text, c->length,
                 (int)e->length, e->text);
    if (t->token < 0 || e->r.top_logprobs < 0)
        return;
    assert_true(t->logprob <= 1e-5f);
    assert_int_equal(t->n_top, e->r.top_logprobs);
    for (int32_t i = 1; i < t->n_top; i++)
        assert_true(t->top[i - 1].logprob >= t->top[i].logprob);
}

static void on_token(void *user, const linn_job_token *t)
{
    client *c = user;
    pthread_mutex_lock(&c->lock);
    assert_false(c->finished);
    /* After a cut, what was held back comes although the text alone goes on differently. */
    if (t->token >= 0 || c->cut_at < 0)
        check_token(c, t);
    c->n_tokens += t->token >= 0;
    c->length += t->length;
    if (c->n_tokens == c->cut_at && c->job)
        linn_job_cancel(c->job);
    pthread_mutex_unlock(&c->lock);
}

static void on_finish(void *user, const linn_job_result *r)
{
    client *c = user;
    pthread_mutex_lock(&c->lock);
    assert_false(c->finished);
    c->finished = true;
    c->result = *r;
    pthread_cond_signal(&c->over);
    pthread_mutex_unlock(&c->lock);
}

static void client_open(client *c)
{
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->over, NULL);
}

static void client_close(client *c)
{
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->over);
}

/* Whether the job was taken. */
static bool ask(client *c, linn_scheduler *s, const entry *e, int64_t deadline_ns)
{
    linn_error err = {0};
    linn_job_request r = e->r;
    r.user = c;
    r.on_token = on_token;
    r.on_finish = on_finish;
    r.deadline_ns = deadline_ns;
    c->e = e;
    c->n_tokens = 0;
    c->length = 0;
    c->finished = false;
    int64_t retry_ms = 0;
    pthread_mutex_lock(&c->lock); /* c->job is set before a callback sees it */
    int rc = linn_scheduler_submit(s, &c->job, &r, &retry_ms, &err);
    pthread_mutex_unlock(&c->lock);
    if (rc == LINN_OK)
        return true;
    if (rc != LINN_EBUSY)
        fail_msg("%s", err.message);
    assert_true(retry_ms > 0);
    return false;
}

static void wait_for_end(client *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->finished)
        pthread_cond_wait(&c->over, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

static void check_whole(const client *c)
{
    const entry *e = c->e;
    if (c->result.rc)
        fail_msg("%s", c->result.error.message);
    if (c->result.finish != e->finish || c->n_tokens != e->n_tokens || c->length != e->length)
        fail_msg("%d tokens of %d, %zu bytes of %zu, finish %d instead of %d", c->n_tokens,
                 e->n_tokens, c->length, e->length, (int)c->result.finish, (int)e->finish);
    assert_int_equal(c->result.stats.tokens, e->n_tokens);
    uint64_t sum = 0;
    for (int i = 0; i < c->result.stats.n_levels; i++)
        sum += c->result.stats.levels[i].tokens;
    assert_true(sum == (uint64_t)e->n_tokens);
}

static void one_job(client *c)
{
    traffic *t = c->t;
    const entry *e = &t->book->entries[below(&c->rng, t->book->n)];
    bool cut = below(&c->rng, 1000) < t->cut_rate * 1000;
    int how = below(&c->rng, 3);
    int64_t deadline = 0;
    c->cut_at = -1;
    if (cut)
        c->cut_at = how == 0 ? 1 + below(&c->rng, ENTRY_TOKENS) : INT32_MAX;
    if (cut && how == 1)
        deadline = linn_now_ns() + below(&c->rng, 100) * INT64_C(1000000);
    while (!ask(c, t->scheduler, e, deadline)) {
        c->n_refused++;
        usleep(2000);
    }
    if (cut && how == 2) {
        usleep((useconds_t)below(&c->rng, 50000));
        linn_job_cancel(c->job);
    }
    wait_for_end(c);
    linn_job_release(c->job);
    bool cancelled = c->result.rc == LINN_OK && c->result.finish == LINN_FINISH_CANCELLED;
    if (cancelled) {
        assert_true(cut);
        assert_int_equal(c->result.expired, how == 1);
        c->n_cut++;
    } else {
        check_whole(c);
        c->n_whole++;
    }
}

static void *client_main(void *arg)
{
    client *c = arg;
    int64_t end = linn_now_ns() + (int64_t)(c->t->seconds * 1e9);
    for (int i = 0; c->t->n_jobs ? i < c->t->n_jobs : linn_now_ns() < end; i++)
        one_job(c);
    return NULL;
}

void traffic_run(traffic *t)
{
    client *clients = calloc((size_t)t->n_clients, sizeof *clients);
    for (int i = 0; i < t->n_clients; i++) {
        client *c = &clients[i];
        client_open(c);
        c->t = t;
        c->rng = traffic_random(&t->seed);
        assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
    }
    t->n_whole = t->n_cut = t->n_refused = 0;
    for (int i = 0; i < t->n_clients; i++) {
        client *c = &clients[i];
        pthread_join(c->thread, NULL);
        t->n_whole += c->n_whole;
        t->n_cut += c->n_cut;
        t->n_refused += c->n_refused;
        client_close(c);
    }
    free(clients);
}

void traffic_one(linn_scheduler *s, const entry *e, linn_job_result *result)
{
    client c = {.cut_at = -1};
    client_open(&c);
    assert_true(ask(&c, s, e, 0));
    wait_for_end(&c);
    linn_job_release(c.job);
    check_whole(&c);
    if (result)
        *result = c.result;
    client_close(&c);
}
