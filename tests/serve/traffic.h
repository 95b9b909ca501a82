/* traffic.h - clients that ask a scheduler for many texts at once, and know what each must be.
 *
 * A book holds requests of mixed lengths and settings, many of which begin alike, with the
 * text that linn_generate writes for each alone, without a cascade. Clients take random
 * requests from it; some cancel, set deadlines, or release early. Whatever is said must be
 * the beginning of what the book says, and all of it where the job was not cut short.
 */
#ifndef LINN_TESTS_SERVE_TRAFFIC_H
#define LINN_TESTS_SERVE_TRAFFIC_H

#include "serve/scheduler.h"

typedef struct family {
    linn_engine *engine;
    linn_model *models[3]; /* the target and two drafters */
} family;

/* The project's own models, by LINN_MODELS. `small`: the largest left out, the smallest twice. */
void family_open(family *f, int threads, bool small);
void family_close(family *f);

enum { ENTRY_PROMPT = 400, ENTRY_TOKENS = 120, ENTRY_TEXT = 4096 };

typedef struct entry {
    linn_token prompt[ENTRY_PROMPT];
    linn_logit_bias biases[2];
    const char *stop[2];
    linn_job_request r; /* pointers are into the entry */
    linn_token tokens[ENTRY_TOKENS];
    int32_t n_tokens;
    char text[ENTRY_TEXT];
    size_t length;
    linn_finish finish;
} entry;

typedef struct book {
    entry *entries; /* [n] */
    int n;
    int32_t n_ctx;
} book;

/* No request needs more than n_ctx positions, which is the context of the texts alone too. */
void book_write(book *b, const family *f, int n, int32_t n_ctx, uint64_t seed);
void book_close(book *b);

typedef struct traffic {
    const book *book;
    linn_scheduler *scheduler;
    int n_clients;
    int n_jobs; /* of each client; 0: until `seconds` are over */
    double seconds;
    double cut_rate; /* of jobs that are cancelled, expire, or are released early */
    uint64_t seed;
    /* Outcome: */
    int n_whole, n_cut, n_refused;
} traffic;

/* Fails the test at the first wrong token. Returns when all jobs are over. */
void traffic_run(traffic *t);

/* One request, waited for and compared. */
void traffic_one(linn_scheduler *s, const entry *e, linn_job_result *result);

uint64_t traffic_random(uint64_t *state);

#endif
