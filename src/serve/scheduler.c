/* scheduler.c - making, submitting, ending; metrics (scheduler.h, state.h). */
#include "serve/state.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

linn_scheduler_settings linn_scheduler_settings_default(void)
{
    return (linn_scheduler_settings){.slots = 8,
                                     .queue = 64,
                                     .prefill_chunk = LINN_PASS_ROWS,
                                     .cascade = linn_cascade_settings_default()};
}

/* ---- making ---------------------------------------------------------------------------------- */

static int check_settings(const linn_scheduler_settings *s, linn_error *err)
{
    enum { MOST_QUEUE = 1 << 16, MOST_CHUNK = 1 << 12 };
    if (s->slots < 1 || s->slots > LINN_MAX_SLOTS)
        return linn_fail(err, LINN_EINVAL, "scheduler: %d slots: must be 1 to %d", s->slots,
                         LINN_MAX_SLOTS);
    if (s->queue < 0 || s->queue > MOST_QUEUE)
        return linn_fail(err, LINN_EINVAL, "scheduler: a queue of %d: must be 0 to %d", s->queue,
                         MOST_QUEUE);
    if (s->prefill_chunk < 1 || s->prefill_chunk > MOST_CHUNK)
        return linn_fail(err, LINN_EINVAL, "scheduler: chunks of %d tokens: must be 1 to %d",
                         s->prefill_chunk, MOST_CHUNK);
    if (s->cascade.verify != LINN_VERIFY_COUPLED)
        return linn_fail(err, LINN_EINVAL,
                         "scheduler: drafts must be verified coupled, since texts must not depend "
                         "on what else runs");
    return LINN_OK;
}

static const linn_model *model_of(int level, const linn_model *target,
                                  const linn_model *const *drafters)
{
    return level == 0 ? target : drafters[level - 1];
}

/* Sets the context, and how many pages each model has. */
static int share_out(linn_scheduler *s, const linn_model *target, const linn_model *const *drafters,
                     int32_t *n_pages, linn_error *err)
{
    const linn_scheduler_settings *set = &s->settings;
    s->n_ctx =
        set->cascade.session.n_ctx ? set->cascade.session.n_ctx : linn_model_describe(target).n_ctx;
    if (s->n_ctx < 1 || s->n_ctx > LINN_MAX_CTX)
        return linn_fail(err, LINN_EINVAL, "scheduler: a context of %d: must be 1 to %d", s->n_ctx,
                         LINN_MAX_CTX);
    uint64_t one_page = 0, pages = (uint64_t)set->slots * (uint64_t)linn_kv_pages(s->n_ctx);
    for (int i = 0; i < s->k.n_models; i++)
        one_page += linn_lane_page_bytes(model_of(i, target, drafters), set->cascade.session.kv);
    if (set->kv_bytes) {
        if (set->kv_bytes < one_page)
            return linn_fail(err, LINN_EINVAL,
                             "scheduler: %llu bytes of KV memory: %d positions of all models take "
                             "%llu, give at least as much",
                             (unsigned long long)set->kv_bytes, LINN_KV_PAGE,
                             (unsigned long long)one_page);
        uint64_t fit = set->kv_bytes / one_page;
        pages = fit < pages ? fit : pages;
    }
    *n_pages = (int32_t)pages; /* at most 2^8 * 2^18 */
    if (pages * LINN_KV_PAGE < (uint64_t)s->n_ctx) {
        s->n_ctx = (int32_t)pages * LINN_KV_PAGE;
        s->pool_is_smaller = true;
    }
    s->settings.cascade.session.n_ctx = s->n_ctx;
    return LINN_OK;
}

static int make_lanes(linn_scheduler *s, const linn_model *target,
                      const linn_model *const *drafters, linn_error *err)
{
    int32_t n_pages = 0;
    int rc = share_out(s, target, drafters, &n_pages, err);
    for (int i = 0; i < s->k.n_models && !rc; i++) {
        const linn_model *m = model_of(i, target, drafters);
        rc = linn_lane_open(&s->lanes[i], s, m, i, n_pages, err);
        if (!rc)
            rc = linn_lane_measure(&s->lanes[i], err);
    }
    return rc;
}

static int make_slots(linn_scheduler *s, const linn_model *target,
                      const linn_model *const *drafters, size_t n_drafters, linn_error *err)
{
    size_t n = (size_t)s->settings.slots;
    s->slots = linn_alloc(n, sizeof *s->slots);
    s->contenders = linn_alloc(n, sizeof *s->contenders);
    s->order = linn_alloc(n, sizeof *s->order);
    if (!s->slots || !s->contenders || !s->order)
        return linn_fail(err, LINN_ENOMEM, "scheduler: out of memory for %d slots",
                         s->settings.slots);
    int rc =
        linn_queue_open(&s->queue, s->settings.queue + s->settings.slots, s->settings.slots, err);
    while (!rc && s->n_slots < s->settings.slots)
        rc = linn_slot_open(&s->slots[s->n_slots++], s, target, drafters, n_drafters, err);
    while (!rc && s->n_threads < s->n_slots) {
        linn_slot *slot = &s->slots[s->n_threads];
        int code = pthread_create(&slot->thread, NULL, linn_slot_main, slot);
        if (code)
            rc = linn_fail(err, LINN_ENOMEM, "scheduler: cannot start thread %d: %s",
                           s->n_threads + 1, strerror(code));
        else
            s->n_threads++;
    }
    return rc;
}

static void init_sync(linn_scheduler *s)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->empty, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int linn_scheduler_create(linn_scheduler **out, const linn_model *target,
                          const linn_model *const *drafters, size_t n_drafters,
                          const linn_scheduler_settings *settings, linn_error *err)
{
    *out = NULL;
    int rc = check_settings(settings, err);
    if (rc)
        return rc;
    linn_scheduler *s = calloc(1, sizeof *s);
    if (!s)
        return linn_fail(err, LINN_ENOMEM, "out of memory for a scheduler");
    init_sync(s);
    s->settings = *settings;
    s->freed = 1;
    s->acceptance = 0.7; /* until it is known: worth trying */
    s->tokenizer = linn_model_tokenizer(target);
    rc = linn_kmatrix_make(&s->k, &s->settings.cascade, n_drafters, err);
    if (!rc && s->settings.cascade.shape == LINN_CASCADE_AUTO)
        linn_kmatrix_open(&s->k);
    if (!rc)
        rc = make_lanes(s, target, drafters, err);
    if (!rc)
        rc = make_slots(s, target, drafters, n_drafters, err);
    if (rc) {
        linn_scheduler_free(s);
        return rc;
    }
    s->n_vocab = s->slots[0].levels[0]->level.n_vocab;
    s->settings.cascade.k_matrix = NULL; /* was borrowed */
    *out = s;
    return LINN_OK;
}

/* ---- ending ---------------------------------------------------------------------------------- */

void linn_scheduler_free(linn_scheduler *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->quit = s->draining = true;
    pthread_cond_broadcast(&s->work);
    linn_job *j;
    while ((j = linn_queue_drop(&s->queue, 0, true))) {
        linn_job_result result = {.finish = LINN_FINISH_CANCELLED};
        pthread_mutex_unlock(&s->lock);
        linn_slot_finish(s, j, &result);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    for (int32_t i = 0; i < s->n_threads; i++)
        pthread_join(s->slots[i].thread, NULL);
    for (int32_t i = 0; i < s->n_slots; i++)
        linn_slot_close(&s->slots[i]);
    for (int i = 0; i < s->k.n_models; i++)
        linn_lane_close(&s->lanes[i]);
    linn_queue_close(&s->queue);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->empty);
    free(s->slots);
    free(s->contenders);
    free(s->order);
    free(s);
}

bool linn_scheduler_drain(linn_scheduler *s, int64_t deadline_ns)
{
    struct timespec at = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    int rc = 0;
    while (s->n_alive > 0 && rc == 0)
        rc = pthread_cond_timedwait(&s->empty, &s->lock, &at);
    bool done = s->n_alive == 0;
    pthread_mutex_unlock(&s->lock);
    return done;
}

int32_t linn_scheduler_context(const linn_scheduler *s)
{
    return s->n_ctx;
}

/* ---- submitting --------------------------------------------------------------------------------
 */

static int check_length(const linn_scheduler *s, const linn_job_request *r, linn_error *err)
{
    const char *what = s->pool_is_smaller ? "the whole KV memory" : "the context";
    if (r->n_prompt == 0)
        return linn_fail(err, LINN_EINVAL, "the prompt is empty: at least one token is needed");
    if (r->max_tokens < -1)
        return linn_fail(err, LINN_EINVAL, "max tokens %d: must be at least 0, or -1 for no limit",
                         r->max_tokens);
    if (r->n_prompt >= (size_t)s->n_ctx)
        return linn_fail(err, LINN_ECONTEXT,
                         "the prompt has %zu tokens, %s room for %d: at most %d tokens can be read",
                         r->n_prompt, what, s->n_ctx, s->n_ctx - 1);
    if (s->pool_is_smaller && r->max_tokens > s->n_ctx - (int32_t)r->n_prompt)
        return linn_fail(err, LINN_ECONTEXT,
                         "the prompt has %zu tokens and %d more are asked for, %s has room for %d "
                         "together",
                         r->n_prompt, r->max_tokens, what, s->n_ctx);
    return LINN_OK;
}

static int check_request(const linn_scheduler *s, const linn_job_request *r, linn_error *err)
{
    int rc = check_length(s, r, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || r->prompt[i] >= s->n_vocab)
            return linn_fail(err, LINN_EINVAL,
                             "token %d at position %zu of the prompt: the vocabulary has 0 to %d",
                             r->prompt[i], i, s->n_vocab - 1);
    if (r->top_logprobs < -1 || r->top_logprobs > LINN_TOP_LOGPROBS)
        return linn_fail(err, LINN_EINVAL, "top logprobs %d: must be 0 to %d, or -1 for none",
                         r->top_logprobs, LINN_TOP_LOGPROBS);
    rc = linn_sampling_check(&r->sampling, s->n_vocab, err);
    if (rc)
        return rc;
    linn_stops stops;
    rc = linn_stops_create(&stops, r->stop, r->n_stop, err);
    linn_stops_free(&stops);
    return rc;
}

/* With the lock. When a place in the queue should be free: a job ends every service_ms / slots. */
static int64_t estimate_ms(const linn_scheduler *s)
{
    double ms = s->service_ms / s->n_slots;
    return ms < 1 ? 1 : ms > 3600e3 ? 3600000 : (int64_t)ms;
}

int linn_scheduler_submit(linn_scheduler *s, linn_job **out, const linn_job_request *r,
                          int64_t *retry_ms, linn_error *err)
{
    linn_job *j;
    *out = NULL;
    int rc = check_request(s, r, err);
    if (!rc)
        rc = linn_job_create(&j, r, err);
    if (rc)
        return rc;
    atomic_store(&j->holders, 2);
    j->submitted_ns = linn_now_ns();
    *out = j; /* before callbacks may begin */
    pthread_mutex_lock(&s->lock);
    bool full = s->queue.n >= s->settings.queue + s->n_slots - s->n_active;
    bool taken = !s->draining && !full && linn_queue_push(&s->queue, j);
    int64_t wait_ms = estimate_ms(s);
    s->metrics.submitted += taken;
    s->metrics.refused += !taken;
    s->n_alive += taken;
    bool draining = s->draining;
    if (taken)
        pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    if (taken)
        return LINN_OK;
    *out = NULL;
    linn_job_release(j);
    linn_job_release(j);
    if (retry_ms)
        *retry_ms = wait_ms;
    if (draining)
        return linn_fail(err, LINN_EBUSY, "the server is shutting down");
    return linn_fail(err, LINN_EBUSY, "%d requests wait already: try again in %lld ms",
                     s->settings.queue, (long long)wait_ms);
}

/* ---- metrics -----------------------------------------------------------------------------------
 */

static void read_lane(const linn_lane *lane, linn_level_metrics *out)
{
    linn_kv_pool *pool = lane->pool;
    out->passes = lane->n_passes;
    out->rows = lane->n_pass_rows;
    out->pass_ms = (double)lane->pass_ns * 1e-6;
    pthread_mutex_lock(&pool->lock); /* a pass may be running */
    out->pages = pool->n_pages;
    out->pages_cached = linn_prefix_evictable(lane->prefix);
    out->pages_used = pool->n_pages - pool->n_free - out->pages_cached;
    pthread_mutex_unlock(&pool->lock);
}

void linn_scheduler_metrics(linn_scheduler *s, linn_metrics *out)
{
    pthread_mutex_lock(&s->lock);
    const linn_cascade *c = s->slots[0].cascade;
    *out = s->metrics;
    out->slots = s->n_slots;
    out->active = s->n_active;
    out->queued = s->queue.n;
    out->alive = s->n_alive;
    out->tokens = atomic_load(&s->n_said);
    out->n_levels = s->k.n_models + c->n_statistical;
    for (int i = 0; i < out->n_levels; i++) {
        linn_level_metrics *l = &out->levels[i];
        *l = s->level_counts[i];
        l->name = i < s->k.n_models ? s->slots[0].levels[i]->level.name
                                    : c->statistical[i - s->k.n_models]->name;
        if (i >= s->k.n_models)
            continue;
        read_lane(&s->lanes[i], l);
        out->evictions += s->lanes[i].n_evictions;
    }
    pthread_mutex_unlock(&s->lock);
}
