/* The scheduler's manners: refusals, order, deadlines, endings, reuse, logprobs, out of memory. */
#include "test.h"
#include "alloc_fail.h"
#include "traffic.h"
#include "base/clock.h"

#include <math.h>
#include <pthread.h>

static family models;
static linn_token prompt[200];

static int set_up(void **state)
{
    (void)state;
    family_open(&models, 1, false);
    for (int i = 0; i < 200; i++)
        prompt[i] = 300 + (i * i) % 190;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    family_close(&models);
    return 0;
}

static linn_scheduler_settings small_settings(void)
{
    linn_scheduler_settings s = linn_scheduler_settings_default();
    s.slots = 2;
    s.queue = 4;
    s.cascade.shape = LINN_CASCADE_MAXGRAM;
    s.cascade.session.n_ctx = 256;
    return s;
}

static linn_scheduler *make(const linn_scheduler_settings *s)
{
    linn_scheduler *out;
    linn_error err = {0};
    if (linn_scheduler_create(&out, models.models[0], NULL, 0, s, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return out;
}

/* ---- listening ---------------------------------------------------------------------------------
 */

typedef struct ear {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_tokens, n_finished;
    int order[64]; /* of the jobs that finished */
    linn_job_result result;
    linn_token tokens[256];
    float logprobs[256];
    linn_logprob top[256][3];
    bool stuck; /* callbacks wait */
} ear;

typedef struct mouth {
    ear *ear;
    int id;
} mouth;

static void ear_open(ear *e)
{
    memset(e, 0, sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
}

static void ear_close(ear *e)
{
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
}

static void on_token(void *user, const linn_job_token *t)
{
    ear *e = ((mouth *)user)->ear;
    pthread_mutex_lock(&e->lock);
    if (t->token >= 0 && e->n_tokens < 256) {
        e->tokens[e->n_tokens] = t->token;
        e->logprobs[e->n_tokens] = t->logprob;
        for (int32_t i = 0; i < t->n_top; i++)
            e->top[e->n_tokens][i] = t->top[i];
    }
    e->n_tokens += t->token >= 0;
    pthread_cond_broadcast(&e->changed);
    while (e->stuck)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void on_finish(void *user, const linn_job_result *r)
{
    mouth *m = user;
    pthread_mutex_lock(&m->ear->lock);
    m->ear->result = *r;
    m->ear->order[m->ear->n_finished++] = m->id;
    pthread_cond_broadcast(&m->ear->changed);
    pthread_mutex_unlock(&m->ear->lock);
}

static void wait_tokens(ear *e, int n)
{
    pthread_mutex_lock(&e->lock);
    while (e->n_tokens < n)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void wait_finished(ear *e, int n)
{
    pthread_mutex_lock(&e->lock);
    while (e->n_finished < n)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void stick(ear *e, bool stuck)
{
    pthread_mutex_lock(&e->lock);
    e->stuck = stuck;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

static linn_job_request request_of(mouth *m, size_t n_prompt, int32_t max_tokens)
{
    linn_sampling sampling = linn_sampling_default();
    sampling.temperature = 1.0f;
    sampling.seed = 5;
    return (linn_job_request){.prompt = prompt,
                              .n_prompt = n_prompt,
                              .max_tokens = max_tokens,
                              .sampling = sampling,
                              .top_logprobs = -1,
                              .user = m,
                              .on_token = on_token,
                              .on_finish = on_finish};
}

static linn_job *submit(linn_scheduler *s, const linn_job_request *r)
{
    linn_job *j;
    linn_error err = {0};
    if (linn_scheduler_submit(s, &j, r, NULL, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return j;
}

/* ---- refusals ----------------------------------------------------------------------------------
 */

static void bad_settings(void **state)
{
    (void)state;
    linn_scheduler *s;
    linn_error err;
    for (int i = 0; i < 8; i++) {
        linn_scheduler_settings set = small_settings();
        set.slots = i == 0 ? 0 : i == 1 ? LINN_MAX_SLOTS + 1 : 2;
        set.queue = i == 2 ? -1 : 1;
        set.prefill_chunk = i == 3 ? 0 : 64;
        set.cascade.verify = i == 4 ? LINN_VERIFY_REJECTION : LINN_VERIFY_COUPLED;
        set.kv_bytes = i == 5;
        set.cascade.session.n_ctx = i == 6 ? -5 : 256;
        set.cascade.k = i == 7 ? 0 : 4;
        assert_int_equal(linn_scheduler_create(&s, models.models[0], NULL, 0, &set, &err),
                         LINN_EINVAL);
        assert_null(s);
    }
}

static void refuse(linn_scheduler *s, const linn_job_request *r, int code, const char *says)
{
    linn_job *j;
    linn_error err = {0};
    assert_int_equal(linn_scheduler_submit(s, &j, r, NULL, &err), code);
    assert_null(j);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
}

static void bad_requests(void **state)
{
    (void)state;
    linn_scheduler_settings set = small_settings();
    linn_scheduler *s = make(&set);
    linn_job_request good = request_of(NULL, 10, 5), r = good;
    r.n_prompt = 0;
    refuse(s, &r, LINN_EINVAL, "empty");
    r = good, r.max_tokens = -2;
    refuse(s, &r, LINN_EINVAL, "-2");
    r = good, r.top_logprobs = 21;
    refuse(s, &r, LINN_EINVAL, "21");
    r = good, r.sampling.top_p = 2;
    refuse(s, &r, LINN_EINVAL, "top-p");
    static const linn_token wrong[] = {5, 1 << 20};
    r = good, r.prompt = wrong, r.n_prompt = 2;
    refuse(s, &r, LINN_EINVAL, "position 1");
    static const char *const nothing[] = {""};
    r = good, r.stop = nothing, r.n_stop = 1;
    refuse(s, &r, LINN_EINVAL, "empty");
    linn_scheduler_free(s);

    set.cascade.session.n_ctx = 64;
    s = make(&set);
    r = good, r.n_prompt = 64;
    refuse(s, &r, LINN_ECONTEXT, "64 tokens");
    linn_scheduler_free(s);

    /* A pool of two pages is less than the context. */
    linn_model_info m = linn_model_describe(models.models[0]);
    set = small_settings();
    set.kv_bytes = UINT64_C(2) * 4 * 64 * (uint64_t)(m.n_layers * m.n_kv_heads * m.head_dim);
    s = make(&set);
    assert_int_equal(linn_scheduler_context(s), 128);
    r = good, r.max_tokens = 119;
    refuse(s, &r, LINN_ECONTEXT, "room for 128");
    linn_scheduler_free(s);
}

static void full_queue(void **state)
{
    (void)state;
    linn_scheduler_settings set = small_settings();
    set.slots = 1;
    set.queue = 2;
    linn_scheduler *s = make(&set);
    ear e;
    ear_open(&e);
    mouth m = {&e, 0};
    linn_job_request r = request_of(&m, 10, 5);
    linn_job *jobs[3], *none;
    stick(&e, true);
    jobs[0] = submit(s, &r);
    wait_tokens(&e, 1);
    jobs[1] = submit(s, &r);
    jobs[2] = submit(s, &r);
    int64_t retry = 0;
    linn_error err = {0};
    assert_int_equal(linn_scheduler_submit(s, &none, &r, &retry, &err), LINN_EBUSY);
    assert_null(none);
    assert_true(retry > 0);
    stick(&e, false);
    assert_true(linn_scheduler_drain(s, INT64_MAX));
    assert_int_equal(e.n_finished, 3);
    refuse(s, &r, LINN_EBUSY, "shutting down");
    for (int i = 0; i < 3; i++)
        linn_job_release(jobs[i]);
    linn_scheduler_free(s);
    ear_close(&e);
}

/* ---- order and ends
 * ------------------------------------------------------------------------------ */

static void users_take_turns(void **state)
{
    (void)state;
    linn_scheduler_settings set = small_settings();
    set.slots = 1;
    set.queue = 10;
    linn_scheduler *s = make(&set);
    ear e;
    ear_open(&e);
    static const uint64_t users[] = {1, 1, 1, 1, 2, 2, 3};
    /* The first runs at once; then 2 and 3, who had nothing, and so on in turns. */
    static const int expected[] = {0, 4, 6, 1, 5, 2, 3};
    mouth m[7];
    stick(&e, true);
    for (int i = 0; i < 7; i++) {
        m[i] = (mouth){&e, i};
        linn_job_request r = request_of(&m[i], 10, 3);
        r.user_key = users[i];
        linn_job_release(submit(s, &r));
        if (i == 0)
            wait_tokens(&e, 1);
    }
    stick(&e, false);
    wait_finished(&e, 7);
    for (int i = 0; i < 7; i++)
        assert_int_equal(e.order[i], expected[i]);
    linn_scheduler_free(s);
    ear_close(&e);
}

static void deadlines(void **state)
{
    (void)state;
    linn_scheduler_settings set = small_settings();
    set.slots = 1;
    linn_scheduler *s = make(&set);
    ear first, second;
    ear_open(&first);
    ear_open(&second);
    mouth a = {&first, 0}, b = {&second, 1};
    linn_job_request r = request_of(&a, 10, 200), late = request_of(&b, 10, 200);
    linn_job *j = submit(s, &r);
    wait_tokens(&first, 1);
    late.deadline_ns = linn_now_ns() + 1000;
    linn_job_release(submit(s, &late)); /* expires in the queue, while the first one runs */
    wait_finished(&second, 1);
    assert_true(second.result.expired);
    assert_int_equal(second.n_tokens, 0);
    assert_true(second.result.first_token_ms < 0);
    linn_job_cancel(j);
    linn_job_release(j);
    wait_finished(&first, 1);
    /* Either it was done already, or it was cut. */
    assert_true(first.n_tokens == 200 || first.result.finish == LINN_FINISH_CANCELLED ||
                first.result.finish == LINN_FINISH_END);
    assert_false(first.result.expired);
    linn_metrics m;
    linn_scheduler_drain(s, INT64_MAX);
    linn_scheduler_metrics(s, &m);
    assert_int_equal(m.expired, 1);
    linn_scheduler_free(s);
    ear_close(&first);
    ear_close(&second);
}

static void end_with_jobs_at_work(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        linn_scheduler_settings set = small_settings();
        linn_scheduler *s = make(&set);
        ear e;
        ear_open(&e);
        mouth m = {&e, 0};
        linn_job_request r = request_of(&m, 100, 150);
        linn_job *jobs[5];
        for (int i = 0; i < 5; i++)
            jobs[i] = submit(s, &r);
        if (round % 3)
            wait_tokens(&e, round);
        if (round % 4 == 1)
            assert_true(linn_scheduler_drain(s, linn_now_ns()) || e.n_finished < 5);
        linn_scheduler_free(s);
        assert_int_equal(e.n_finished, 5);
        for (int i = 0; i < 5; i++)
            linn_job_release(jobs[i]); /* may outlive the scheduler */
        ear_close(&e);
    }
}

/* ---- reuse, logprobs
 * ------------------------------------------------------------------------------ */

static void run_one(linn_scheduler *s, ear *e, size_t n_prompt, int32_t max_tokens, int32_t top)
{
    ear_open(e);
    mouth m = {e, 0};
    linn_job_request r = request_of(&m, n_prompt, max_tokens);
    r.top_logprobs = top;
    linn_job_release(submit(s, &r));
    wait_finished(e, 1);
    assert_int_equal(e->result.rc, LINN_OK);
    ear_close(e);
}

static void prefixes_are_reused(void **state)
{
    (void)state;
    linn_scheduler_settings set = small_settings();
    linn_scheduler *s = make(&set);
    ear e;
    run_one(s, &e, 200, 4, -1);
    assert_int_equal(e.result.stats.prompt_reused, 0);
    run_one(s, &e, 200, 4, -1);
    assert_int_equal(e.result.stats.prompt_reused, 192);
    run_one(s, &e, 192, 4, -1); /* the last page holds the last token, which is read again */
    assert_int_equal(e.result.stats.prompt_reused, 128);
    run_one(s, &e, 65, 4, -1);
    assert_int_equal(e.result.stats.prompt_reused, 64);
    run_one(s, &e, 64, 4, -1);
    assert_int_equal(e.result.stats.prompt_reused, 0);
    linn_scheduler_free(s);
}

/* The logprobs are those of the model's plain logits, and the same beside other jobs. */
static void logprobs(void **state)
{
    (void)state;
    linn_scheduler_settings set = small_settings();
    linn_scheduler *s = make(&set);
    ear e, again, other;
    run_one(s, &e, 30, 20, 3);
    ear_open(&other);
    mouth m = {&other, 0};
    linn_job_request r = request_of(&m, 50, 60);
    linn_job_release(submit(s, &r));
    run_one(s, &again, 30, 20, 3);
    wait_finished(&other, 1);
    ear_close(&other);
    assert_int_equal(e.n_tokens, again.n_tokens);
    for (int i = 0; i < e.n_tokens; i++) {
        assert_memory_equal(&e.logprobs[i], &again.logprobs[i], sizeof(float));
        assert_memory_equal(e.top[i], again.top[i], sizeof e.top[i]);
    }

    linn_session_settings session_settings = {.n_ctx = 256};
    linn_session *session;
    linn_batch *batch;
    linn_row rows[64];
    int32_t n_vocab = linn_model_describe(models.models[0]).n_vocab;
    assert_int_equal(linn_session_create(&session, models.models[0], &session_settings, NULL),
                     LINN_OK);
    assert_int_equal(linn_batch_create(&batch, models.models[0], 64, NULL), LINN_OK);
    int32_t n = 30 + e.n_tokens - 1;
    for (int32_t i = 0; i < n; i++)
        rows[i] = (linn_row){.token = i < 30 ? prompt[i] : e.tokens[i - 30],
                             .position = i,
                             .slot = i,
                             .parent = i - 1,
                             .session = session,
                             .outputs = LINN_OUT_LOGITS};
    assert_int_equal(linn_forward(batch, rows, n, NULL), LINN_OK);
    for (int32_t i = 0; i < e.n_tokens; i++) {
        const float *z = linn_batch_logits(batch, 29 + i);
        double sum = 0;
        int32_t best = 0;
        for (int32_t v = 0; v < n_vocab; v++) {
            sum += exp((double)z[v]);
            best = z[v] > z[best] ? v : best;
        }
        assert_true(fabs((double)e.logprobs[i] - ((double)z[e.tokens[i]] - log(sum))) < 1e-4);
        assert_int_equal(e.top[i][0].token, best);
        assert_true(fabs((double)e.top[i][0].logprob - ((double)z[best] - log(sum))) < 1e-4);
    }
    linn_batch_free(batch);
    linn_session_free(session);
    linn_scheduler_free(s);
}

/* ---- out of memory
 * -------------------------------------------------------------------------------- */

static int try_create(void *arg)
{
    linn_scheduler_settings set = small_settings();
    linn_scheduler *s;
    (void)arg;
    const linn_model *const drafters[] = {models.models[1]};
    set.cascade.shape = LINN_CASCADE_AUTO;
    int rc = linn_scheduler_create(&s, models.models[0], drafters, 1, &set, NULL);
    linn_scheduler_free(s);
    return rc;
}

static int try_submit(void *arg)
{
    linn_scheduler *s = arg;
    ear e;
    ear_open(&e);
    mouth m = {&e, 0};
    static const char *const stop[] = {"zzzz"};
    static const linn_logit_bias bias = {3, 1.0f};
    linn_job_request r = request_of(&m, 10, 3);
    r.stop = stop;
    r.n_stop = 1;
    r.sampling.biases = &bias;
    r.sampling.n_biases = 1;
    linn_job *j;
    int rc = linn_scheduler_submit(s, &j, &r, NULL, NULL);
    if (rc == LINN_OK) {
        wait_finished(&e, 1);
        rc = e.result.rc; /* memory may also run out when it begins */
        linn_metrics metrics;
        do /* until the scheduler has let go of the job */
            linn_scheduler_metrics(s, &metrics);
        while (metrics.active > 0 || metrics.alive > 0);
    }
    linn_job_release(j);
    ear_close(&e);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(try_create, NULL) > 30);
    linn_scheduler_settings set = small_settings();
    linn_scheduler *s = make(&set);
    assert_true(alloc_fail_each(try_submit, s) > 5);
    linn_scheduler_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_settings),        cmocka_unit_test(bad_requests),
        cmocka_unit_test(full_queue),          cmocka_unit_test(users_take_turns),
        cmocka_unit_test(deadlines),           cmocka_unit_test(end_with_jobs_at_work),
        cmocka_unit_test(prefixes_are_reused), cmocka_unit_test(logprobs),
        cmocka_unit_test(out_of_memory),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
