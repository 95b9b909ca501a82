/* job.c - see job.h. */
#include "serve/job.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static bool copy_stop_strings(linn_job *j, const linn_job_request *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->n_stop; i++)
        bytes += strlen(r->stop[i]) + 1;
    j->stop_text = linn_alloc(bytes, 1);
    j->stop = linn_alloc(r->n_stop, sizeof *j->stop);
    if (!j->stop_text || !j->stop)
        return false;
    char *at = j->stop_text;
    for (size_t i = 0; i < r->n_stop; i++) {
        size_t n = strlen(r->stop[i]) + 1;
        memcpy(at, r->stop[i], n);
        j->stop[i] = at;
        at += n;
    }
    return true;
}

int linn_job_create(linn_job **out, const linn_job_request *r, linn_error *err)
{
    *out = NULL;
    linn_job *j = calloc(1, sizeof *j);
    if (!j)
        return linn_fail(err, LINN_ENOMEM, "out of memory for a job");
    atomic_init(&j->holders, 1);
    atomic_init(&j->cancelled, false);
    j->r = *r;
    j->prompt = linn_alloc(r->n_prompt, sizeof *j->prompt);
    j->biases = linn_alloc(r->sampling.n_biases, sizeof *j->biases);
    if (!j->prompt || !j->biases || !copy_stop_strings(j, r)) {
        linn_job_release(j);
        return linn_fail(err, LINN_ENOMEM, "out of memory for a job of %zu tokens", r->n_prompt);
    }
    memcpy(j->prompt, r->prompt, r->n_prompt * sizeof *j->prompt);
    if (r->sampling.n_biases > 0)
        memcpy(j->biases, r->sampling.biases, r->sampling.n_biases * sizeof *j->biases);
    j->r.prompt = j->prompt;
    j->r.sampling.biases = j->biases;
    j->r.stop = j->stop;
    *out = j;
    return LINN_OK;
}

void linn_job_release(linn_job *j)
{
    if (!j || atomic_fetch_sub(&j->holders, 1) > 1)
        return;
    free(j->prompt);
    free(j->biases);
    free(j->stop_text);
    free(j->stop);
    free(j);
}

void linn_job_cancel(linn_job *j)
{
    atomic_store(&j->cancelled, true);
}

bool linn_job_is_over(const linn_job *j, int64_t now_ns)
{
    return atomic_load(&j->cancelled) || (j->r.deadline_ns && now_ns >= j->r.deadline_ns);
}

/* ---- queue ----------------------------------------------------------------------------------- */

int linn_queue_open(linn_queue *q, int32_t capacity, int32_t max_active, linn_error *err)
{
    memset(q, 0, sizeof *q);
    q->capacity = capacity;
    q->n_users = capacity + max_active;
    q->jobs = linn_alloc((size_t)capacity, sizeof *q->jobs);
    q->users = linn_alloc((size_t)q->n_users, sizeof *q->users);
    if (q->jobs && q->users)
        return LINN_OK;
    linn_queue_close(q);
    return linn_fail(err, LINN_ENOMEM, "out of memory for a queue of %d jobs", capacity);
}

void linn_queue_close(linn_queue *q)
{
    free(q->jobs);
    free(q->users);
    memset(q, 0, sizeof *q);
}

static linn_queue_user *user_of(const linn_queue *q, const linn_job *j)
{
    return &q->users[j->user_record];
}

/* The user's record, or a free one. There is one, since every other belongs to a job. */
static int32_t find_user(linn_queue *q, uint64_t key)
{
    int32_t vacant = 0;
    for (int32_t i = 0; i < q->n_users; i++) {
        const linn_queue_user *u = &q->users[i], *v = &q->users[vacant];
        if (u->n_active + u->n_waiting > 0) {
            if (u->key == key)
                return i;
            continue;
        }
        /* His own old record remembers when he was served; else the oldest one will do. */
        bool v_is_free = v->n_active + v->n_waiting == 0;
        if (!v_is_free || u->key == key || (v->key != key && u->served < v->served))
            vacant = i;
    }
    if (q->users[vacant].key != key)
        q->users[vacant] = (linn_queue_user){.key = key};
    return vacant;
}

bool linn_queue_push(linn_queue *q, linn_job *j)
{
    if (q->n == q->capacity)
        return false;
    j->user_record = find_user(q, j->r.user_key);
    user_of(q, j)->n_waiting++;
    q->jobs[q->n++] = j;
    return true;
}

static linn_job *remove_at(linn_queue *q, int32_t i)
{
    linn_job *j = q->jobs[i];
    q->n--;
    memmove(q->jobs + i, q->jobs + i + 1, (size_t)(q->n - i) * sizeof *q->jobs);
    user_of(q, j)->n_waiting--;
    return j;
}

static bool goes_before(const linn_queue_user *a, const linn_queue_user *b)
{
    return a->n_active != b->n_active ? a->n_active < b->n_active : a->served < b->served;
}

linn_job *linn_queue_take(linn_queue *q)
{
    int32_t best = -1;
    const linn_queue_user *best_user = NULL;
    for (int32_t i = 0; i < q->n; i++) {
        const linn_queue_user *u = user_of(q, q->jobs[i]);
        if (!best_user || goes_before(u, best_user)) {
            best = i;
            best_user = u;
        }
    }
    if (best < 0)
        return NULL;
    linn_queue_user *u = user_of(q, q->jobs[best]);
    u->n_active++;
    u->served = ++q->clock;
    return remove_at(q, best);
}

void linn_queue_ended(linn_queue *q, const linn_job *j)
{
    user_of(q, j)->n_active--;
}

linn_job *linn_queue_drop(linn_queue *q, int64_t now_ns, bool all)
{
    for (int32_t i = 0; i < q->n; i++)
        if (all || linn_job_is_over(q->jobs[i], now_ns))
            return remove_at(q, i);
    return NULL;
}
