/* slot.c - a slot: a thread with a cascade that writes one job after the other (state.h). */
#include "serve/state.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "kernels/math.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- levels ------------------------------------------------------------------------------------
 */

/* Before the target judges a draft: what became of the last one. */
static void learn_acceptance(linn_slot *slot)
{
    linn_cascade *c = slot->cascade;
    int32_t accepted = c->committed - slot->committed - 1;
    if (slot->drafted > 0 && accepted >= 0) {
        int32_t judged = accepted < slot->drafted ? accepted + 1 : slot->drafted;
        int32_t passed = accepted < slot->drafted ? accepted : slot->drafted;
        double weight = judged < 5 ? 0.1 * judged : 0.5, rate = (double)passed / judged;
        slot->acceptance += (rate - slot->acceptance) * weight;
        slot->scheduler->acceptance += (rate - slot->scheduler->acceptance) * weight / 8;
    }
    slot->committed = c->committed;
    slot->drafted = c->length - c->committed;
}

/* Cuts the session to what it has of the timeline, which may be more than the cascade knows. */
static int cut(linn_slot_level *l, const linn_token *text, int32_t limit, linn_error *err)
{
    linn_session *s = l->session;
    int32_t same = l->level.known;
    while (same < s->length && same < limit && l->held[same] == text[same])
        same++;
    return s->length > same ? linn_session_truncate(s, same, err) : LINN_OK;
}

static int forward(linn_level *level, const linn_token *text, int32_t length, int32_t n_outputs,
                   linn_error *err)
{
    linn_slot_level *l = (linn_slot_level *)level;
    linn_slot *slot = l->slot;
    linn_cascade *c = slot->cascade;
    int32_t end = length;
    if (n_outputs == 0 && end < c->committed - 1)
        end = c->committed - 1; /* all that is certain to be read, in passes as they come */
    int rc = cut(l, text, n_outputs > 0 ? length - n_outputs : c->length, err);
    if (rc || (n_outputs == 0 && l->session->length >= length))
        return rc;
    pthread_mutex_lock(&slot->scheduler->lock);
    if (l == slot->levels[0] && n_outputs > 0)
        learn_acceptance(slot);
    slot->wants = l;
    slot->end = end;
    slot->n_outputs = n_outputs;
    slot->starved = 0;
    linn_step_wait(slot);
    c->draft_limit = slot->draft_limit;
    rc = slot->rc;
    if (rc < 0 && err)
        *err = slot->error;
    pthread_mutex_unlock(&slot->scheduler->lock);
    return rc;
}

static const float *logits(const linn_level *level, int32_t i)
{
    const linn_slot_level *l = (const linn_slot_level *)level;
    return linn_batch_logits(l->lane->batch, l->first_row + i);
}

static void release(linn_level *level)
{
    linn_slot_level *l = (linn_slot_level *)level;
    linn_session_free(l->session);
    free(l->held);
    free(l);
}

static int make_level(void *user, linn_level **out, int index, const linn_model *m, int32_t n_vocab,
                      int32_t max_outputs, const linn_session_settings *s, linn_error *err)
{
    linn_slot *slot = user;
    (void)max_outputs; /* the lane has room for every slot's */
    *out = NULL;
    linn_slot_level *l = calloc(1, sizeof *l);
    if (!l)
        return linn_fail(err, LINN_ENOMEM, "scheduler: out of memory for a slot");
    linn_model_info info = linn_model_describe(m);
    l->level = (linn_level){.name = info.name,
                            .n_parameters = info.n_parameters,
                            .n_vocab = n_vocab,
                            .n_ctx = s->n_ctx,
                            .forward = forward,
                            .logits = logits,
                            .free = release};
    l->slot = slot;
    l->lane = &slot->scheduler->lanes[index];
    l->n_tokens = info.n_vocab;
    l->held = linn_alloc((size_t)s->n_ctx, sizeof *l->held);
    int rc = l->held ? linn_session_create_in(&l->session, m, l->lane->pool, s->n_ctx, err)
                     : linn_fail(err, LINN_ENOMEM, "scheduler: out of memory for a slot");
    if (rc) {
        release(&l->level);
        return rc;
    }
    slot->levels[index] = l;
    *out = &l->level;
    return LINN_OK;
}

int linn_slot_open(linn_slot *slot, linn_scheduler *s, const linn_model *target,
                   const linn_model *const *drafters, size_t n_drafters, linn_error *err)
{
    linn_level_source source = {.user = slot, .make = make_level};
    slot->scheduler = s;
    pthread_cond_init(&slot->turn, NULL);
    int rc = linn_cascade_create_on(&slot->cascade, &source, target, drafters, n_drafters,
                                    &s->settings.cascade, err);
    slot->adapting = rc ? NULL : linn_auto_of(slot->cascade);
    if (slot->adapting)
        slot->adapting->company = &slot->company;
    for (int i = 0; i < s->k.n_models; i++)
        slot->company.widths[i] = &s->lanes[i].widths;
    return rc;
}

void linn_slot_close(linn_slot *slot)
{
    linn_cascade_free(slot->cascade);
    pthread_cond_destroy(&slot->turn);
}

/* ---- what a job says ------------------------------------------------------------------------- */

static bool ranks_before(linn_logprob a, linn_logprob b)
{
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

/* Puts v among the first n; returns how many there are then. */
static int32_t rank(linn_logprob *top, int32_t n_top, int32_t most, linn_logprob v)
{
    if (n_top == most && (most == 0 || !ranks_before(v, top[most - 1])))
        return n_top;
    int32_t at = n_top < most ? n_top++ : most - 1;
    for (; at > 0 && ranks_before(v, top[at - 1]); at--)
        top[at] = top[at - 1];
    top[at] = v;
    return n_top;
}

/* From the row that gave the token, the last one said: it is still in the batch, since no pass runs
 * while this thread does. */
static void add_logprobs(linn_slot *slot, linn_job_token *out)
{
    const linn_slot_level *l = slot->levels[0];
    int32_t position = slot->cascade->committed - 1, n = l->level.n_vocab;
    const float *z = logits(&l->level, position - 1 - l->first_position);
    float most = z[0];
    for (int32_t i = 1; i < n; i++)
        most = z[i] > most ? z[i] : most;
    double sum = 0;
    int32_t n_top = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += (double)linn_exp32(z[i] - most);
        n_top = rank(slot->top, n_top, slot->job->r.top_logprobs, (linn_logprob){i, z[i]});
    }
    double whole = (double)most + linn_log64(sum);
    for (int32_t i = 0; i < n_top; i++)
        slot->top[i].logprob = (float)((double)slot->top[i].logprob - whole);
    out->logprob = (float)((double)z[out->token] - whole);
    out->top = slot->top;
    out->n_top = n_top;
}

static bool say(void *user, const linn_piece *piece)
{
    linn_slot *slot = user;
    linn_job *j = slot->job;
    if (piece->token >= 0) {
        int64_t now = linn_now_ns();
        if (linn_job_is_over(j, now))
            return false;
        if (!j->first_token_ns)
            j->first_token_ns = now;
        atomic_fetch_add(&slot->scheduler->n_said, 1);
    }
    linn_job_token out = {
        .token = piece->token, .level = piece->level, .text = piece->text, .length = piece->length};
    if (piece->token >= 0 && j->r.top_logprobs >= 0)
        add_logprobs(slot, &out);
    if (j->r.on_token)
        j->r.on_token(j->r.user, &out);
    return !atomic_load(&j->cancelled);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void write_job(linn_slot *slot, linn_job_result *result)
{
    linn_cascade *c = slot->cascade;
    const linn_job_request *r = &slot->job->r;
    linn_request request = {.prompt = r->prompt,
                            .n_prompt = r->n_prompt,
                            .max_tokens = r->max_tokens,
                            .sampling = r->sampling,
                            .stop = r->stop,
                            .n_stop = r->n_stop,
                            .special = r->special,
                            .user = slot,
                            .on_piece = say};
    /* Nothing is left of the job before; what its pages hold is found by the lane. */
    c->length = 0;
    for (int i = 0; i < c->k.n_models; i++)
        c->n_cached[i] = c->levels[i]->known = 0;
    c->draft_limit = 0; /* the first token comes before any drafting */
    result->rc = linn_generate(c, &request, &result->finish, &result->stats, &result->error);
    result->stats.prompt_reused = slot->reused;
    result->preemptions = slot->preemptions;
}

static void count_ended(linn_scheduler *s, const linn_job *j, const linn_job_result *r)
{
    linn_metrics *m = &s->metrics;
    bool cut_off = r->rc == LINN_OK && r->finish == LINN_FINISH_CANCELLED;
    m->failed += r->rc != LINN_OK;
    m->expired += r->expired;
    m->cancelled += cut_off && !r->expired;
    m->finished += r->rc == LINN_OK && !cut_off;
    if (!j->started_ns)
        return;
    m->prompt_tokens += (uint64_t)r->stats.prompt_tokens;
    m->prompt_reused += (uint64_t)r->stats.prompt_reused;
    for (int i = 0; i < r->stats.n_levels; i++) {
        const linn_level_stats *l = &r->stats.levels[i];
        s->level_counts[i].tokens += l->tokens;
        for (int k = 0; k < LINN_MAX_POSITIONS; k++) {
            s->level_counts[i].drafted += l->drafted[k];
            s->level_counts[i].accepted += l->accepted[k];
        }
    }
}

void linn_slot_finish(linn_scheduler *s, linn_job *j, linn_job_result *r)
{
    int64_t now = linn_now_ns();
    r->total_ms = (double)(now - j->submitted_ns) * 1e-6;
    r->queued_ms = j->started_ns ? (double)(j->started_ns - j->submitted_ns) * 1e-6 : r->total_ms;
    r->first_token_ms =
        j->first_token_ns ? (double)(j->first_token_ns - j->submitted_ns) * 1e-6 : -1;
    r->expired = r->rc == LINN_OK && r->finish == LINN_FINISH_CANCELLED &&
                 !atomic_load(&j->cancelled) && j->r.deadline_ns && now >= j->r.deadline_ns;
    pthread_mutex_lock(&s->lock);
    count_ended(s, j, r);
    pthread_mutex_unlock(&s->lock);
    if (j->r.on_finish)
        j->r.on_finish(j->r.user, r);
    linn_job_release(j);
    pthread_mutex_lock(&s->lock);
    if (--s->n_alive == 0)
        pthread_cond_broadcast(&s->empty);
    pthread_mutex_unlock(&s->lock);
}

/* With the lock. */
static void begin_job(linn_slot *slot, linn_job *j)
{
    linn_scheduler *s = slot->scheduler;
    slot->job = j;
    slot->age = ++s->n_taken;
    slot->preemptions = slot->reused = 0;
    slot->acceptance = s->acceptance;
    slot->draft_limit = slot->drafted = slot->n_idle = 0;
    slot->committed = 0;
    s->n_running++;
    s->n_active++;
    j->started_ns = linn_now_ns();
}

/* With the lock. */
static void end_job(linn_slot *slot)
{
    linn_scheduler *s = slot->scheduler;
    linn_job *j = slot->job;
    for (int i = 0; i < s->k.n_models; i++) {
        int rc = cut(slot->levels[i], slot->cascade->text, slot->cascade->committed, NULL);
        linn_lane_leave(slot->levels[i], rc ? 0 : slot->levels[i]->session->length);
    }
    s->freed++; /* even if it held none: who is the oldest may have changed */
    linn_queue_ended(&s->queue, j);
    s->n_active--;
    double ms = (double)(linn_now_ns() - j->started_ns) * 1e-6;
    s->service_ms += (ms - s->service_ms) / (s->service_ms > 0 ? 8 : 1);
    slot->job = NULL;
    linn_step_leave(slot);
}

void *linn_slot_main(void *arg)
{
    linn_slot *slot = arg;
    linn_scheduler *s = slot->scheduler;
    pthread_mutex_lock(&s->lock);
    while (!s->quit) {
        linn_job *j = linn_queue_take(&s->queue);
        if (!j) {
            pthread_cond_wait(&s->work, &s->lock);
            continue;
        }
        begin_job(slot, j);
        pthread_mutex_unlock(&s->lock);
        linn_job_result result = {0};
        write_job(slot, &result);
        pthread_mutex_lock(&s->lock);
        end_job(slot);
        pthread_mutex_unlock(&s->lock);
        linn_slot_finish(s, j, &result);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
