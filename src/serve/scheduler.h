/* scheduler.h - many requests at once over one set of models.
 *
 * A scheduler holds a target, its drafters, a pool of KV pages for each, and a number of
 * slots. A job is one text to be written: it waits in a bounded queue, gets a slot, and is
 * finished. All jobs that have a slot share the forward passes.
 *
 * Exactness: what a job says is what linn_generate says alone with the same prompt,
 * sampling settings and seed, whatever else runs, was cached, was preempted or drafts.
 * (So verification is always coupled.) Only the statistics may differ.
 *
 * Memory: the KV pool is of a stated size. Pages of finished prompts and texts stay, to be
 * found by later jobs that begin alike, until the room is wanted (least recently used
 * first). When that is not enough, the job that got its slot last gives its pages back and
 * computes them again later. A job that fits alone never fails for lack of pages; one that
 * cannot is refused by submit.
 *
 * Ownership: models outlive the scheduler. What a linn_job_request points to is copied by
 * submit, but for `user` and a constraint, which must live until on_finish has returned.
 * A job belongs to the caller until linn_job_release, once, at any time after submit, also
 * inside on_finish; releasing neither cancels the job nor silences its callbacks.
 * linn_scheduler_free ends all jobs (CANCELLED), so that every job submitted gets its
 * on_finish, and jobs not yet released may still be released after it.
 *
 * Threads: submit, cancel, release, drain and metrics may be called from any thread, also
 * from callbacks (drain not). The callbacks of a job come one at a time and in order, from
 * threads of the scheduler (on_finish of jobs that never ran also from the thread in
 * linn_scheduler_free); those of different jobs come at the same time. No lock of the
 * scheduler is held, but the next pass of all jobs waits: they must be short and never wait
 * for a client. Before submit returns, callbacks may already have begun.
 *
 * Errors: as everywhere (linn.h); a full queue is LINN_EBUSY.
 */
#ifndef LINN_SERVE_SCHEDULER_H
#define LINN_SERVE_SCHEDULER_H

#include "linn.h"

enum {
    LINN_EBUSY = -32,        /* the queue is full, or the scheduler is draining: HTTP's 429, 503 */
    LINN_TOP_LOGPROBS = 20,  /* most alternatives per token */
    LINN_WIDTH_BUCKETS = 16, /* of the histogram of pass widths */
    LINN_MAX_SLOTS = 256,
};

typedef struct linn_scheduler linn_scheduler;
typedef struct linn_job linn_job;

typedef struct linn_scheduler_settings {
    int32_t slots;         /* jobs at work at once, 1 to LINN_MAX_SLOTS */
    int32_t queue;         /* jobs that may wait for a slot, at least 0 */
    uint64_t kv_bytes;     /* of KV pages, shared out between the models; 0: enough for all slots
                              at full context (the system gives memory as it is written) */
    int32_t prefill_chunk; /* prompt tokens read in one pass, beside the rows of running jobs */
    linn_cascade_settings cascade; /* session.n_ctx limits prompt and text of each job */
} linn_scheduler_settings;

/* 8 slots, a queue of 64, no stated KV size, chunks of 64, the default cascade. */
linn_scheduler_settings linn_scheduler_settings_default(void);

/* Drafters come largest first, as for linn_cascade_create; those that the cascade's shape has no
 * use for get no KV pages. */
int linn_scheduler_create(linn_scheduler **out, const linn_model *target,
                          const linn_model *const *drafters, size_t n_drafters,
                          const linn_scheduler_settings *s, linn_error *err);
/* Cancels what runs or waits, and returns when all callbacks have. */
void linn_scheduler_free(linn_scheduler *s);

/* Takes no more jobs; returns true when none is left, false when some are at the deadline
 * (CLOCK_MONOTONIC, ns, as linn_now_ns). */
bool linn_scheduler_drain(linn_scheduler *s, int64_t deadline_ns);

/* Positions of prompt and text together that a job can have: the context, or less where the whole
 * KV pool is smaller. */
int32_t linn_scheduler_context(const linn_scheduler *s);

/* ---- jobs ------------------------------------------------------------------------------------ */

typedef struct linn_logprob {
    linn_token token;
    float logprob; /* natural logarithm, of the plain softmax of the target's logits */
} linn_logprob;

/* A token of the text; fields as in linn_piece. The last one may have token -1: it brings only
 * text that was held back. Everything pointed to is borrowed until the callback returns. */
typedef struct linn_job_token {
    linn_token token;
    int level; /* who proposed it first: 0 the target, then as in linn_stats.levels */
    const char *text;
    size_t length;
    float logprob;           /* if logprobs were asked for */
    const linn_logprob *top; /* [n_top] the most likely ones, falling, ties by id */
    int32_t n_top;
} linn_job_token;

typedef struct linn_job_result {
    int rc;                /* LINN_OK, or why the job failed: then see error */
    linn_error error;      /* */
    linn_finish finish;    /* if rc is LINN_OK */
    bool expired;          /* CANCELLED because its deadline came */
    linn_stats stats;      /* as of linn_generate; ms hold the waiting for shared passes too;
                              prompt_reused counts tokens whose KV pages were found */
    int32_t preemptions;   /* times that its pages were taken away */
    double queued_ms;      /* from submit to a slot */
    double first_token_ms; /* from submit to the first token; < 0: there was none */
    double total_ms;       /* from submit to the end */
} linn_job_result;

typedef struct linn_job_request {
    const linn_token *prompt; /* [n_prompt] */
    size_t n_prompt;
    int32_t max_tokens; /* -1: until the end of text or of the context */
    linn_sampling sampling;
    const char *const *stop; /* [n_stop] */
    size_t n_stop;
    bool special;         /* write control tokens into the text */
    bool plain;           /* without drafts: the same text */
    int32_t top_logprobs; /* -1: no logprobs; 0: the token's own; n: and the n most likely */
    uint64_t user_key;    /* slots are shared fairly between users */
    int64_t deadline_ns;  /* CLOCK_MONOTONIC; 0: none. Past it the job is cut (expired) */
    void *user;           /* handed to the callbacks, each of which may be NULL */
    void (*on_token)(void *user, const linn_job_token *token);
    void (*on_finish)(void *user, const linn_job_result *result); /* once, and last */
} linn_job_request;

/* LINN_EINVAL: a setting or token out of range. LINN_ECONTEXT: it does not fit, with the numbers.
 * LINN_EBUSY: try again in *retry_ms (NULL: not wanted), an estimate from the jobs finished
 * lately. After a failure there is no job and no callback. */
int linn_scheduler_submit(linn_scheduler *s, linn_job **out, const linn_job_request *r,
                          int64_t *retry_ms, linn_error *err);

/* Ends a job within one pass; its on_finish comes all the same. Harmless when it has ended. */
void linn_job_cancel(linn_job *j);
void linn_job_release(linn_job *j); /* may be NULL */

/* ---- what is going on ------------------------------------------------------------------------ */

typedef struct linn_level_metrics {
    const char *name;           /* of model or library, valid as long as the scheduler */
    uint64_t passes, rows;      /* shared forward passes, and tokens in them */
    uint64_t tokens;            /* of texts, that it proposed first */
    uint64_t drafted, accepted; /* of its tokens: judged by the target, and accepted */
    double pass_ms;             /* in forward passes, altogether */
    int32_t pages, pages_used, pages_cached; /* of its KV pool; used: held by running jobs;
                                                cached: kept for later jobs, and evictable */
} linn_level_metrics;

typedef struct linn_metrics {
    int32_t slots, active, queued; /* now */
    int32_t alive;                 /* jobs whose on_finish has not returned */
    uint64_t submitted, refused;   /* refused: LINN_EBUSY */
    uint64_t finished, cancelled, expired, failed;
    uint64_t prompt_tokens, prompt_reused, tokens; /* of ended jobs; tokens: as they come */
    uint64_t preemptions;                          /* a job losing its pages of one model */
    uint64_t evictions;                            /* cached pages given up */
    /* Of the target's passes: bucket i counts those of 2^(i-1) < rows <= 2^i. */
    uint64_t width[LINN_WIDTH_BUCKETS];
    int n_levels;
    linn_level_metrics levels[LINN_MAX_LEVELS]; /* as linn_stats.levels */
} linn_metrics;

void linn_scheduler_metrics(linn_scheduler *s, linn_metrics *out);

#endif
