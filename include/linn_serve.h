/* linn_serve.h - the server: OpenAI's API over models of linn (docs/serving.md).
 *
 * Part of the program, not of the library: link with linn-serve. All conventions are those
 * of linn.h.
 *
 * A server takes HTTP requests in one thread, that of linn_server_run, and has a thread for
 * each slot; all texts share the forward passes. What a request says never depends on the
 * others.
 */
#ifndef LINN_SERVE_H
#define LINN_SERVE_H

#include "linn.h"

typedef struct linn_server linn_server;

typedef struct linn_server_settings {
    /* Where it listens. */
    const char *host; /* "127.0.0.1": a name or an address */
    int port;         /* 8080; 0: any that is free; -1: nowhere (tests bring connections) */

    /* What it serves. */
    const char *model_name; /* as requests call the target; NULL: as its file does */
    const char *model_path; /* of the target's file, for system_fingerprint; NULL: left out of it */
    int32_t slots;          /* texts at work at once: 8 */
    int32_t queue;          /* texts that may wait: 64 */
    int32_t per_user;       /* unfinished texts of one API key (or address); 0: no limit */
    uint64_t kv_bytes;      /* of KV memory; 0: enough for all slots at full context */
    int32_t prefill_chunk;  /* prompt tokens read beside the rows of running texts: 64 */
    linn_cascade_settings cascade;

    /* Who may use it. */
    const char *const *keys; /* [n_keys] API keys; none, and no file: everybody */
    size_t n_keys;
    const char *key_file;    /* a key a line, and perhaps a name for the log; read again by
                                linn_server_reload; NULL: none */
    const char *const *cors; /* [n_cors] origins of pages that may use it ("*": all); none: CORS is
                                off, and requests of other origins' pages are refused */
    size_t n_cors;

    /* Limits, in bytes and seconds. */
    size_t max_body;         /* 4 MiB */
    int32_t max_connections; /* 1024 */
    double header_seconds;   /* to send a request's head: 10 */
    double body_seconds;     /* to send its body: 30 */
    double idle_seconds;     /* between requests on one connection: 60 */
    double send_seconds; /* in which a client must take some of a stream, or all of an answer: 30 */
    double deadline_seconds; /* for a whole request, its text is cut there; 0: none */
    double grace_seconds;    /* for what runs when linn_server_stop is called: 30 */

    const char *access_log; /* a file to which JSON lines are added, opened anew by
                               linn_server_reload; "-": standard output; NULL: none */

    void *user;
    void (*on_note)(void *user, const char *line); /* what an operator should know; may be NULL */
} linn_server_settings;

linn_server_settings linn_server_settings_default(void);

/* Listens at once. Models and what settings point to must outlive the server. Drafters come
 * largest first. */
int linn_server_create(linn_server **out, const linn_model *target,
                       const linn_model *const *drafters, size_t n_drafters,
                       const linn_server_settings *s, linn_error *err);
void linn_server_free(linn_server *s);

const char *linn_server_url(const linn_server *s); /* "http://127.0.0.1:8080" */
int32_t linn_server_context(const linn_server *s); /* tokens of prompt and text together */

/* Serves until linn_server_stop; returns LINN_OK then. */
int linn_server_run(linn_server *s, linn_error *err);

/* From any thread, and from signal handlers. The first call takes no more requests and lets those
 * at work finish within grace_seconds; the second cuts them off. */
void linn_server_stop(linn_server *s);
/* From any thread, and from signal handlers: reads the keys again and reopens the log. */
void linn_server_reload(linn_server *s);

#endif
