/* metrics.c - in Prometheus' text format (metrics.h). */
#include "serve/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const double bounds_ms[LINN_LATENCY_BUCKETS] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 20e3, 60e3, 120e3, 300e3};

/* Statuses that are counted by themselves; the last is all others. */
static const int statuses[LINN_N_STATUSES] = {0,   200, 204, 304, 400, 401, 403, 404,
                                              405, 413, 415, 429, 500, 503, 504, -1};

static const char *const route_names[LINN_N_ROUTES] = {
    [LINN_ROUTE_CHAT] = "chat_completions",
    [LINN_ROUTE_COMPLETIONS] = "completions",
    [LINN_ROUTE_TOKENIZE] = "tokenize",
    [LINN_ROUTE_DETOKENIZE] = "detokenize",
    [LINN_ROUTE_MODELS] = "models",
    [LINN_ROUTE_MODEL] = "model",
    [LINN_ROUTE_HEALTH] = "health",
    [LINN_ROUTE_METRICS] = "metrics",
    [LINN_ROUTE_PAGE] = "page",
    [LINN_ROUTE_NONE] = "none",
};

void linn_histogram_add(linn_histogram *h, double ms)
{
    int i = 0;
    while (i < LINN_LATENCY_BUCKETS && ms > bounds_ms[i])
        i++;
    atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, ms > 0 ? (uint64_t)(ms * 1e3) : 0, memory_order_relaxed);
}

void linn_server_metrics_count(linn_server_metrics *m, linn_route route, int status)
{
    int i = 0;
    while (i < LINN_N_STATUSES - 1 && statuses[i] != status)
        i++;
    m->requests[route][i]++;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void describe(linn_bytes *out, const char *name, const char *type, const char *help)
{
    linn_bytes_print(out, "# HELP linn_%s %s\n# TYPE linn_%s %s\n", name, help, name, type);
}

static void one(linn_bytes *out, const char *name, const char *type, const char *help, double value)
{
    describe(out, name, type, help);
    linn_bytes_print(out, "linn_%s %.15g\n", name, value);
}

static void histogram(linn_bytes *out, const char *name, const char *help, const linn_histogram *h)
{
    uint64_t n = 0;
    describe(out, name, "histogram", help);
    for (int i = 0; i <= LINN_LATENCY_BUCKETS; i++) {
        n += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        if (i < LINN_LATENCY_BUCKETS)
            linn_bytes_print(out, "linn_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                             bounds_ms[i] * 1e-3, n);
        else
            linn_bytes_print(out, "linn_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, n);
    }
    double sum = (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) * 1e-6;
    linn_bytes_print(out, "linn_%s_sum %.9g\nlinn_%s_count %" PRIu64 "\n", name, sum, name, n);
}

static void write_requests(linn_bytes *out, const linn_server_metrics *m)
{
    describe(out, "http_requests_total", "counter",
             "HTTP requests by endpoint and status; status 0: the client went away before it");
    for (int r = 0; r < LINN_N_ROUTES; r++)
        for (int i = 0; i < LINN_N_STATUSES; i++) {
            if (m->requests[r][i] == 0)
                continue;
            char status[16] = "other";
            if (statuses[i] >= 0)
                snprintf(status, sizeof status, "%d", statuses[i]);
            linn_bytes_print(
                out, "linn_http_requests_total{endpoint=\"%s\",status=\"%s\"} %" PRIu64 "\n",
                route_names[r], status, m->requests[r][i]);
        }
    one(out, "http_aborted_total", "counter", "Requests whose client went away before the end",
        (double)m->aborted);
    one(out, "http_connections_total", "counter", "Connections accepted", (double)m->connections);
    one(out, "http_connections_cut_total", "counter", "Connections cut by a limit of time",
        (double)m->cut_connections);
    one(out, "http_connections", "gauge", "Open connections", m->open_connections);
}

static void write_widths(linn_bytes *out, const linn_metrics *s)
{
    uint64_t n = 0;
    describe(out, "pass_rows", "histogram", "Rows (tokens) of the target's forward passes");
    for (int i = 0; i < LINN_WIDTH_BUCKETS; i++) {
        n += s->width[i];
        if (i + 1 < LINN_WIDTH_BUCKETS)
            linn_bytes_print(out, "linn_pass_rows_bucket{le=\"%d\"} %" PRIu64 "\n", 1 << i, n);
        else
            linn_bytes_print(out, "linn_pass_rows_bucket{le=\"+Inf\"} %" PRIu64 "\n", n);
    }
    linn_bytes_print(out, "linn_pass_rows_sum %" PRIu64 "\nlinn_pass_rows_count %" PRIu64 "\n",
                     s->levels[0].rows, n);
}

/* A label's value: the three characters that would end it are escaped. */
static void label(linn_bytes *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            linn_bytes_add(out, "\\n", 2);
        else {
            if (*text == '"' || *text == '\\')
                linn_bytes_add(out, "\\", 1);
            linn_bytes_add(out, text, 1);
        }
}

typedef struct level_series {
    const char *name, *type, *help;
    double (*value)(const linn_level_metrics *l);
    bool of_models; /* only */
} level_series;

static double passes(const linn_level_metrics *l)
{
    return (double)l->passes;
}

static double rows(const linn_level_metrics *l)
{
    return (double)l->rows;
}

static double pass_seconds(const linn_level_metrics *l)
{
    return l->pass_ms * 1e-3;
}

static double tokens(const linn_level_metrics *l)
{
    return (double)l->tokens;
}

static double drafted(const linn_level_metrics *l)
{
    return (double)l->drafted;
}

static double accepted(const linn_level_metrics *l)
{
    return (double)l->accepted;
}

static double pages(const linn_level_metrics *l)
{
    return l->pages;
}

static double pages_used(const linn_level_metrics *l)
{
    return l->pages_used;
}

static double pages_cached(const linn_level_metrics *l)
{
    return l->pages_cached;
}

static void write_levels(linn_bytes *out, const linn_metrics *s)
{
    static const level_series all[] = {
        {"level_passes_total", "counter", "Forward passes", passes, true},
        {"level_rows_total", "counter", "Tokens in them", rows, true},
        {"level_pass_seconds_total", "counter", "Time in them", pass_seconds, true},
        {"level_tokens_total", "counter", "Tokens of ended texts, by who proposed them first",
         tokens, false},
        {"level_drafted_total", "counter", "Draft tokens that the target judged", drafted, false},
        {"level_accepted_total", "counter", "Draft tokens that it accepted", accepted, false},
        {"kv_pages", "gauge", "KV pages there are", pages, true},
        {"kv_pages_used", "gauge", "KV pages that running texts hold", pages_used, true},
        {"kv_pages_cached", "gauge", "KV pages kept for texts that begin alike", pages_cached,
         true},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        describe(out, all[i].name, all[i].type, all[i].help);
        for (int k = 0; k < s->n_levels; k++) {
            const linn_level_metrics *l = &s->levels[k];
            if (all[i].of_models && l->pages == 0)
                continue;
            linn_bytes_print(out, "linn_%s{level=\"%d\",name=\"", all[i].name, k);
            label(out, l->name);
            linn_bytes_print(out, "\"} %.15g\n", all[i].value(l));
        }
    }
}

void linn_server_metrics_write(linn_bytes *out, const linn_server_metrics *m, const linn_metrics *s)
{
    write_requests(out, m);
    one(out, "slots", "gauge", "Texts that can be at work at once", s->slots);
    one(out, "texts_active", "gauge", "Texts at work", s->active);
    one(out, "texts_queued", "gauge", "Texts that wait for a slot", s->queued);
    one(out, "texts_submitted_total", "counter", "Texts taken on", (double)s->submitted);
    one(out, "texts_refused_total", "counter", "Texts refused because the queue was full",
        (double)s->refused);
    one(out, "texts_finished_total", "counter", "Texts written to their end", (double)s->finished);
    one(out, "texts_cancelled_total", "counter", "Texts given up by their client",
        (double)s->cancelled);
    one(out, "texts_expired_total", "counter", "Texts cut at their deadline", (double)s->expired);
    one(out, "texts_failed_total", "counter", "Texts that failed", (double)s->failed);
    one(out, "tokens_total", "counter", "Tokens written", (double)s->tokens);
    one(out, "prompt_tokens_total", "counter", "Tokens of prompts", (double)s->prompt_tokens);
    one(out, "prompt_tokens_reused_total", "counter", "Of these, found in the KV cache",
        (double)s->prompt_reused);
    one(out, "preemptions_total", "counter", "Times that a text lost its KV pages of a model",
        (double)s->preemptions);
    one(out, "kv_evictions_total", "counter", "Cached KV pages given up", (double)s->evictions);
    histogram(out, "request_seconds", "From submission to the end of a text", &m->total);
    histogram(out, "first_token_seconds", "From submission to a text's first token",
              &m->first_token);
    histogram(out, "queued_seconds", "From submission to a slot", &m->queued);
    histogram(out, "between_tokens_seconds", "Between the tokens of a text", &m->between_tokens);
    write_widths(out, s);
    write_levels(out, s);
}
