/* reply.h - what clients get back, as OpenAI's API has it: whole answers, chunks of a
 * stream, errors. All of it is JSON appended to linn_bytes.
 *
 * Additions: the object `linn` holds the seed, the numeric version and, for each text that
 * ended, the cascade's statistics; in a choice it holds the tokens with their levels, where
 * these were asked for.
 */
#ifndef LINN_SERVE_REPLY_H
#define LINN_SERVE_REPLY_H

#include "serve/bytes.h"
#include "serve/request.h"
#include "serve/scheduler.h"

/* What all parts of one answer have in common. */
typedef struct linn_reply_head {
    char id[48]; /* "chatcmpl-..." */
    int64_t created;
    const char *model, *fingerprint;
    const linn_tokenizer *tokenizer;
    const linn_api_request *request;
    uint64_t seed;
} linn_reply_head;

/* One text. */
typedef struct linn_reply_choice {
    int32_t index;
    int32_t prompt; /* of the request's */
    linn_bytes text;
    json_t *logprobs; /* array, NULL: not asked for */
    json_t *tokens;   /* with levels; array, NULL: not asked for */
    bool over;
    linn_job_result result; /* once it is over */
} linn_reply_choice;

/* "stop" or "length" */
const char *linn_reply_finish(const linn_job_result *r);

/* Keeps a token for the whole answer. False: out of memory. */
bool linn_reply_keep(const linn_reply_head *h, linn_reply_choice *c, const linn_job_token *token);
void linn_reply_whole(linn_bytes *out, const linn_reply_head *h, linn_reply_choice *choices,
                      int32_t n);
void linn_reply_choice_free(linn_reply_choice *c);

/* Events of a stream, "data: ...\n\n". The first one of a chat names the role. */
void linn_reply_role(linn_bytes *out, const linn_reply_head *h, int32_t index);
void linn_reply_echo(linn_bytes *out, const linn_reply_head *h, int32_t index, const char *text,
                     size_t length);
/* Nothing, where the token brings neither text nor anything else that was asked for. */
void linn_reply_token(linn_bytes *out, const linn_reply_head *h, linn_reply_choice *c,
                      const linn_job_token *token);
void linn_reply_end(linn_bytes *out, const linn_reply_head *h, const linn_reply_choice *c);
void linn_reply_usage(linn_bytes *out, const linn_reply_head *h, const linn_reply_choice *choices,
                      int32_t n);
void linn_reply_broken(linn_bytes *out, const linn_api_error *err);
void linn_reply_done(linn_bytes *out);

void linn_reply_error(linn_bytes *out, const linn_api_error *err);

#endif
