/* state.h - what the parts of the scheduler share.
 *
 *     scheduler.c  making, submitting, ending; metrics
 *     slot.c       a slot: a thread with a cascade that writes one job after the other
 *     lane.c       a lane: what all slots share of one model - pool, cached prefixes, batch
 *     step.c       a step: who is in the next pass, and the pass
 *     drafts.c     how far the texts draft
 *
 * One lock guards everything here. A slot's thread runs its cascade as if it were alone
 * (cascade/recursion.c), until a level wants a forward pass: then it says which tokens and
 * waits. When all slots that have a job wait, nobody reads logits or moves a session; the
 * one who came last does the next step for all, and the pass itself without the lock
 * (`in_pass`). So between two steps a slot's thread has its logits, its sessions and its
 * cascade to itself, and in a step all of them belong to whoever does it.
 *
 * A level (slot_level) hides from its cascade what was found in the cache of prefixes, read
 * ahead or taken away: the cascade asks for outputs after a prefix, and the level has
 * whatever is missing computed.
 */
#ifndef LINN_SERVE_STATE_H
#define LINN_SERVE_STATE_H

#include "cascade/auto.h"
#include "serve/job.h"
#include "serve/prefix.h"
#include "serve/width.h"

#include <pthread.h>

typedef struct linn_slot linn_slot;

typedef struct linn_lane {
    const linn_model *model;
    linn_kv_pool *pool;
    linn_prefix *prefix;
    linn_batch *batch;
    linn_row *rows; /* [max_rows] of the pass being made */
    int32_t n_rows, n_outputs;
    int32_t max_rows, max_outputs;
    bool reads;         /* the pass holds tokens of long requests */
    int32_t chunk_left; /* prompt rows it may still read before the target's next pass */
    linn_widths widths;
    int32_t rows_lately; /* of the last pass, if one was in this round of the target */
    uint64_t n_passes, n_pass_rows, n_evictions;
    int64_t pass_ns;
} linn_lane;

typedef struct linn_slot_level {
    linn_level level;
    linn_slot *slot;
    linn_lane *lane;
    linn_session *session;
    linn_token *held;                  /* [n_ctx] what the session's positions hold */
    int32_t n_tokens;                  /* of the model's vocabulary */
    int32_t first_position, first_row; /* of the outputs of its last pass */
} linn_slot_level;

/* How the target's passes follow each other: sums over those of late. */
typedef struct linn_pace {
    int64_t last_ns, passes_ns; /* when the last one ended; in passes of all lanes since */
    int32_t n_passes;
    uint64_t n_said;
    double spent_ns, tokens, between_ns, steps;
} linn_pace;

typedef struct linn_slot {
    linn_scheduler *scheduler;
    pthread_t thread;
    pthread_cond_t turn; /* its request is answered, or it shall do the next step */
    linn_cascade *cascade;
    linn_auto *adapting; /* its policy; NULL: drafts are as the K matrix says, up to draft_limit */
    linn_company company;
    linn_slot_level *levels[LINN_MAX_LEVELS]; /* owned by the cascade */

    linn_job *job; /* NULL: idle */
    uint64_t age;  /* of the job among all that got a slot; the smaller, the older */
    bool expired;
    int32_t preemptions, reused;

    /* What it waits for. */
    bool waiting;
    linn_slot_level *wants;
    int32_t end, n_outputs; /* tokens up to `end`, the last n_outputs with logits */
    int rc;
    linn_error error;
    uint64_t starved; /* value of `freed` when it found no pages; 0: it did not */

    /* The pass being made. */
    int32_t n_granted; /* of the chunk */
    int32_t n_in_pass; /* rows */

    /* Drafts. */
    int32_t draft_limit;
    double acceptance;
    int32_t committed, drafted; /* before the target's last pass with outputs */
    int32_t n_idle;             /* rounds since it drafted */

    linn_logprob top[LINN_TOP_LOGPROBS];
} linn_slot;

struct linn_scheduler {
    linn_scheduler_settings settings;
    linn_kmatrix k;
    const linn_tokenizer *tokenizer;
    int32_t n_vocab, n_ctx;
    bool pool_is_smaller;             /* n_ctx is what the pool holds, not the context asked for */
    linn_lane lanes[LINN_MAX_LEVELS]; /* [k.n_models] */
    linn_slot *slots;                 /* [n_slots]; threads run in the first n_threads */
    int32_t n_slots, n_threads;

    pthread_mutex_t lock;
    pthread_cond_t work;  /* a job came, or the end */
    pthread_cond_t empty; /* n_alive is 0 */
    bool quit, draining, in_pass;
    int32_t n_running; /* slots at work on the processor: those with a job that do not wait */
    int32_t n_active;  /* slots with a job */
    int32_t n_alive;   /* jobs whose on_finish has not returned */
    linn_queue queue;
    uint64_t n_taken; /* jobs that got a slot */
    uint64_t n_steps;
    uint64_t n_shared;                /* passes of the target whose drafts were shared out */
    uint64_t freed;                   /* grows when pages are given back; from 1 */
    double service_ms;                /* of a job in its slot, a running mean */
    double acceptance;                /* a running mean */
    double draft_ns[LINN_WIDTH_GRID]; /* per token of the longest draft, by sequences at work */
    int64_t drafting_ns;              /* since the target's last pass */
    linn_pace pace;
    linn_contender *contenders; /* [n_slots] */
    linn_slot **order;          /* [n_lined_up] of [n_slots]: slots that want the lane */
    int32_t n_lined_up;
    linn_metrics metrics;                             /* counters */
    atomic_ullong n_said;                             /* tokens */
    linn_level_metrics level_counts[LINN_MAX_LEVELS]; /* of ended jobs: tokens, drafts */
};

/* lane.c */
int linn_lane_open(linn_lane *l, const linn_scheduler *s, const linn_model *m, int index,
                   int32_t n_pages, linn_error *err);
void linn_lane_close(linn_lane *l);
uint64_t linn_lane_page_bytes(const linn_model *m, linn_kv_type type);
/* Fills `widths` by passes over an empty session. */
int linn_lane_measure(linn_lane *l, linn_error *err);
/* Ends a session's timeline: what is in the cache of `length` positions stays for others. */
void linn_lane_leave(linn_slot_level *l, int32_t length);
/* Frees pages, until `n` are free: cached ones, then those of jobs younger than the slot's that
 * are not in the pass being made. */
bool linn_lane_make_room(linn_lane *l, linn_slot *slot, int32_t n, int32_t spare);

/* slot.c */
int linn_slot_open(linn_slot *slot, linn_scheduler *s, const linn_model *target,
                   const linn_model *const *drafters, size_t n_drafters, linn_error *err);
void linn_slot_close(linn_slot *slot);
void *linn_slot_main(void *slot);
/* Fills in the times, calls on_finish, and lets go of the job. Without the lock. */
void linn_slot_finish(linn_scheduler *s, linn_job *j, linn_job_result *result);

/* drafts.c; with the lock. After a pass of the target: how far those who were in it may draft. */
void linn_drafts_share(linn_scheduler *s);

/* step.c; all with the lock. */
/* Waits until the slot's request is answered. */
void linn_step_wait(linn_slot *slot);
/* The slot has no job any more. */
void linn_step_leave(linn_slot *slot);

#endif
