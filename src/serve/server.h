/* server.h - what the parts of the HTTP server share.
 *
 *     server.c    listening, the event loop, limits of time, reloading, ending
 *     route.c     from a request's head to whoever answers it
 *     exchange.c  a request for text: its jobs, and the answer as it comes
 *
 * One thread, that of linn_server_run, does all of HTTP: it alone calls libmicrohttpd (but
 * for resuming) and touches connections and the list of exchanges. The scheduler's threads
 * meet it in an exchange: they append to the answer under the exchange's lock, and resume
 * the connection if it waits. A connection that has nothing to send is suspended, which
 * costs nothing; whether its client is still there is seen by our own epoll.
 *
 * An exchange is freed by the event thread, once its connection is done with it and all
 * its jobs have ended.
 */
#ifndef LINN_SERVE_SERVER_H
#define LINN_SERVE_SERVER_H

#include "linn_serve.h"
#include "serve/access_log.h"
#include "serve/auth.h"
#include "serve/fingerprint.h"
#include "serve/metrics.h"
#include "serve/page.h"
#include "serve/reply.h"

#include <microhttpd.h>
#include <pthread.h>

typedef struct linn_exchange linn_exchange;

/* What a connection is at; each phase but ANSWER has a limit of time. */
typedef enum linn_phase {
    LINN_PHASE_HEAD,   /* a request's head is to come, perhaps the next one's */
    LINN_PHASE_BODY,   /* its body is */
    LINN_PHASE_ANSWER, /* it is ours to say something */
    LINN_PHASE_SEND,   /* something was said that the client has not taken yet */
} linn_phase;

typedef struct linn_line {
    struct linn_line *next, **link;
    int fd;
    linn_phase phase;
    bool used; /* a request was answered: the next one may take its time */
    int64_t since_ns;
} linn_line;

/* One text of an exchange. */
typedef struct linn_exchange_text {
    linn_exchange *exchange;
    linn_reply_choice choice;
    linn_job *job; /* NULL: not submitted */
    int64_t last_token_ns;
} linn_exchange_text;

struct linn_exchange {
    linn_server *server;
    struct linn_exchange *next, **link;
    linn_line *line;
    linn_route route;
    const linn_page_file *page; /* of LINN_ROUTE_PAGE */
    char id[48], client[64], user_name[64], method[16], path[256];
    int64_t began_ns;
    uint64_t user;
    linn_bytes body;
    uint64_t bytes_in, bytes_out;
    linn_api_error refusal; /* found in the head: the body is not kept */
    int status;             /* of the answer; 0: none yet */
    bool aborted, stream;

    /* Of requests for text. */
    linn_api_request request;
    linn_reply_head head;
    linn_exchange_text *texts;  /* [n_texts] */
    linn_reply_choice *choices; /* [n_texts], in the end, for the answer */
    int32_t n_texts;

    pthread_mutex_t lock;              /* of all below, and of texts */
    struct MHD_Connection *connection; /* NULL: it is done with */
    bool suspended;                    /* resume it when there is something to do */
    bool gone;                         /* nobody will read what is written */
    int32_t n_left;                    /* jobs that have not ended */
    linn_bytes out;                    /* events of the stream */
    size_t n_taken;                    /* of them */
    linn_api_error failure;
};

struct linn_server {
    linn_server_settings settings;
    linn_scheduler *scheduler;
    const linn_tokenizer *tokenizer;
    linn_model_info model;
    bool plain_chat; /* the model has no chat template: contents are read one after the other */
    char name[128], fingerprint[64], url[160];
    int64_t created; /* seconds since 1970 */
    linn_keys keys;
    bool loopback; /* listens on this machine only */
    linn_access_log log;
    linn_server_metrics metrics;

    struct MHD_Daemon *daemon;
    int epoll, wake; /* wake: an eventfd */
    atomic_int stops;
    atomic_bool reload;
    linn_line *lines;
    linn_exchange *exchanges;
    int32_t n_exchanges, n_done; /* done: their connection is */
    bool draining, cut;
    bool again; /* a connection has ended: no waiting before the next round */
    int64_t drain_until_ns, cut_until_ns, swept_ns;
};

/* server.c */
/* One round of the event loop: waits for at most timeout_ms. False: the server has ended. */
bool linn_server_step(linn_server *s, int timeout_ms);
void linn_server_wake(linn_server *s);                  /* from any thread */
void linn_server_phase(linn_line *l, linn_phase phase); /* it begins now */
/* Takes a connected socket as if it had been accepted. */
bool linn_server_adopt(linn_server *s, int fd);

/* route.c: callbacks of libmicrohttpd */
enum MHD_Result linn_route_request(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **exchange);
/* Answers with what is in *body, which is taken. */
enum MHD_Result linn_route_reply(linn_exchange *e, int status, const char *type, linn_bytes *body);
enum MHD_Result linn_route_refuse(linn_exchange *e, const linn_api_error *err);
void linn_route_headers(const linn_exchange *e, struct MHD_Response *r);

/* exchange.c */
/* The body is complete: submits the jobs, and answers or suspends. */
enum MHD_Result linn_exchange_begin(linn_exchange *e);
/* After a suspension. */
enum MHD_Result linn_exchange_go_on(linn_exchange *e);
/* Nobody waits for the answer any more, or (`cut`) nobody shall for long. */
void linn_exchange_leave(linn_exchange *e);
void linn_exchange_cut(linn_exchange *e);
bool linn_exchange_is_over(linn_exchange *e); /* no job is left */
void linn_exchange_free(linn_exchange *e);
void linn_exchange_log(linn_exchange *e);
/* Appends the text of tokens. */
void linn_exchange_detokenize(linn_bytes *out, const linn_tokenizer *t, const linn_token *tokens,
                              size_t n);

#endif
