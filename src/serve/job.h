/* job.h - a job with all that it needs, and the queue in which jobs wait for a slot.
 *
 * The queue is fair between users: the next job is the oldest one of the user who has the
 * fewest slots now, and of several such users, of the one who was served least recently.
 * Whoever uses a queue holds the scheduler's lock.
 */
#ifndef LINN_SERVE_JOB_H
#define LINN_SERVE_JOB_H

#include "serve/scheduler.h"

#include <stdatomic.h>

struct linn_job {
    atomic_int holders; /* the caller, and the scheduler until on_finish has returned */
    atomic_bool cancelled;
    linn_job_request r; /* pointers are into the job, but for `user` and the constraint */
    linn_token *prompt;
    linn_logit_bias *biases;
    char *stop_text; /* the stop strings one after the other */
    const char **stop;
    int32_t user_record;                              /* in the queue */
    int64_t submitted_ns, started_ns, first_token_ns; /* 0: not yet */
};

/* A copy of the request, with one holder. */
int linn_job_create(linn_job **out, const linn_job_request *r, linn_error *err);
bool linn_job_is_over(const linn_job *j, int64_t now_ns); /* cancelled, or past its deadline */

/* ---- queue ----------------------------------------------------------------------------------- */

typedef struct linn_queue_user {
    uint64_t key;
    int32_t n_active, n_waiting; /* both 0: the record is free */
    uint64_t served;             /* when a job of his was taken last */
} linn_queue_user;

typedef struct linn_queue {
    linn_job **jobs; /* [n] of [capacity], the oldest first */
    int32_t n, capacity;
    linn_queue_user *users; /* [n_users], as many as there can be */
    int32_t n_users;
    uint64_t clock;
} linn_queue;

/* max_active: jobs taken and not ended. */
int linn_queue_open(linn_queue *q, int32_t capacity, int32_t max_active, linn_error *err);
void linn_queue_close(linn_queue *q);             /* it must be empty; takes a zeroed struct too */
bool linn_queue_push(linn_queue *q, linn_job *j); /* false: it is full */
linn_job *linn_queue_take(linn_queue *q);         /* NULL: it is empty */
void linn_queue_ended(linn_queue *q, const linn_job *j); /* a job that was taken */
/* Removes a job that is over, or any job if `all`; NULL: there is none. */
linn_job *linn_queue_drop(linn_queue *q, int64_t now_ns, bool all);

#endif
