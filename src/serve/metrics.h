/* metrics.h - what Prometheus is told: counts of the server's own, and the scheduler's.
 *
 * Histograms may be fed from any thread, without a lock.
 */
#ifndef LINN_SERVE_METRICS_H
#define LINN_SERVE_METRICS_H

#include "serve/bytes.h"
#include "serve/scheduler.h"

#include <stdatomic.h>

/* Of seconds, in fixed buckets from 1 ms to 5 minutes. */
enum { LINN_LATENCY_BUCKETS = 17 };

typedef struct linn_histogram {
    atomic_ullong counts[LINN_LATENCY_BUCKETS + 1]; /* the last: beyond all */
    atomic_ullong sum_us;
} linn_histogram;

void linn_histogram_add(linn_histogram *h, double ms);

typedef enum linn_route {
    LINN_ROUTE_CHAT,
    LINN_ROUTE_COMPLETIONS,
    LINN_ROUTE_TOKENIZE,
    LINN_ROUTE_DETOKENIZE,
    LINN_ROUTE_MODELS,
    LINN_ROUTE_MODEL, /* one of them */
    LINN_ROUTE_HEALTH,
    LINN_ROUTE_METRICS,
    LINN_ROUTE_PAGE,
    LINN_ROUTE_NONE,
    LINN_N_ROUTES,
} linn_route;

enum { LINN_N_STATUSES = 16 };

typedef struct linn_server_metrics {
    uint64_t requests[LINN_N_ROUTES][LINN_N_STATUSES]; /* by linn_status_index */
    uint64_t aborted;                                  /* clients that went away */
    uint64_t connections;                              /* accepted */
    uint64_t cut_connections;                          /* by a limit of time */
    int32_t open_connections;
    linn_histogram total, first_token, queued; /* of texts */
    linn_histogram between_tokens;
} linn_server_metrics;

void linn_server_metrics_count(linn_server_metrics *m, linn_route route, int status);
void linn_server_metrics_write(linn_bytes *out, const linn_server_metrics *m,
                               const linn_metrics *scheduler);

#endif
