/* access_log.h - one JSON object a line for each request that was answered or given up. */
#ifndef LINN_SERVE_ACCESS_LOG_H
#define LINN_SERVE_ACCESS_LOG_H

#include "linn.h"

typedef struct linn_access {
    const char *id, *client, *user; /* user: the name of the API key, or "" */
    const char *method, *path;
    int status; /* 0: the client went away before there was one */
    bool aborted;
    uint64_t bytes_in, bytes_out;
    double ms;
    /* Of requests for text: */
    const char *finish; /* NULL: none was asked for */
    int32_t prompt_tokens, tokens;
    double queued_ms, first_token_ms;
} linn_access;

typedef struct linn_access_log {
    const char *path; /* NULL: no log */
    int fd;           /* -1: not open */
} linn_access_log;

/* Also to open it anew, as after a rotation: then a failure leaves the old file in use. */
int linn_access_log_open(linn_access_log *log, const char *path, linn_error *err);
void linn_access_log_close(linn_access_log *log);
void linn_access_log_write(const linn_access_log *log, const linn_access *a);

#endif
