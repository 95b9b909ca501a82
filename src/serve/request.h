/* request.h - what a client asks for: the JSON bodies of OpenAI's API, checked.
 *
 * Parsing knows nothing of sockets, models or tokenizers. Names, types and ranges are
 * OpenAI's; unknown members are passed over as they do it, and what linn has no code for
 * (tools, grammars, images) is refused by name rather than ignored. Extensions: top_k,
 * min_p, repeat_penalty, and the object `linn`:
 *
 *     "linn": {"levels": true,         each token comes with the level that proposed it
 *              "cascade": "off",       no drafts: the same text; "auto" is the default
 *              "deadline_ms": 5000}    the text ends where it is by then
 */
#ifndef LINN_SERVE_REQUEST_H
#define LINN_SERVE_REQUEST_H

#include "linn.h"

#include <jansson.h>

/* An answer that is an error, as OpenAI writes it. */
typedef struct linn_api_error {
    int status;       /* of HTTP; 0: no error */
    const char *type; /* a constant */
    const char *code; /* a constant, or NULL */
    char param[64];   /* "messages[0].role", or "" */
    char message[512];
    int64_t retry_ms; /* > 0: when to try again */
} linn_api_error;

/* Fills *err and returns -1. `param` may be NULL. */
int linn_api_fail(linn_api_error *err, int status, const char *code, const char *param,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

enum {
    LINN_API_STOPS = 16,
    LINN_API_CHOICES = 128, /* texts of one request: n times prompts */
    LINN_API_BIASES = 1024,
};

/* Either text or tokens; borrowed from the request. */
typedef struct linn_api_prompt {
    const char *text;
    size_t length;
    linn_token *tokens; /* for free(); NULL: text */
    size_t n_tokens;
} linn_api_prompt;

typedef struct linn_api_request {
    json_t *root; /* owns the strings */
    bool chat;
    const char *model;           /* NULL: not said */
    linn_chat_message *messages; /* [n_messages] of a chat */
    char **joined;               /* [n_messages] contents that came in parts; for free() */
    size_t n_messages;
    linn_api_prompt *prompts; /* [n_prompts] of a completion */
    size_t n_prompts;
    int32_t n;          /* choices of each prompt */
    int32_t max_tokens; /* -1: no limit */
    linn_sampling sampling;
    linn_logit_bias *biases; /* [sampling.n_biases] */
    bool seeded;
    const char *stop[LINN_API_STOPS];
    size_t n_stop;
    int32_t top_logprobs; /* -1: none; else as linn_job_request */
    bool stream, include_usage, echo;
    bool levels, plain;
    double deadline_ms; /* 0: none */
} linn_api_request;

/* The object is to be freed after a failure too. */
int linn_api_request_parse(linn_api_request *r, bool chat, const char *body, size_t length,
                           linn_api_error *err);
void linn_api_request_free(linn_api_request *r);

/* The body as an object, or NULL with the place where it is broken. */
json_t *linn_api_json(const char *body, size_t length, linn_api_error *err);

/* An array of token ids, for free(). */
int linn_api_tokens(const json_t *array, const char *param, linn_token **out, size_t *n,
                    linn_api_error *err);

#endif
