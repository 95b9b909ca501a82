/* route.c - from a request's head to whoever answers it (server.h).
 *
 * libmicrohttpd calls linn_route_request once with the head, then with pieces of the body,
 * then when it is complete, and again after each suspension. What is wrong with the head is
 * remembered (`refusal`) and said when the body is through: a client that is still sending
 * would not read it.
 */
#include "serve/server.h"

#include "base/clock.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

typedef struct route_row {
    const char *method, *path;
    linn_route route;
    bool open; /* needs no key */
} route_row;

static const route_row rows[] = {
    {"POST", "/v1/chat/completions", LINN_ROUTE_CHAT, false},
    {"POST", "/v1/completions", LINN_ROUTE_COMPLETIONS, false},
    {"POST", "/tokenize", LINN_ROUTE_TOKENIZE, false},
    {"POST", "/detokenize", LINN_ROUTE_DETOKENIZE, false},
    {"GET", "/v1/models", LINN_ROUTE_MODELS, false},
    {"GET", "/health", LINN_ROUTE_HEALTH, true},
    {"GET", "/metrics", LINN_ROUTE_METRICS, false},
};

static const char one_model[] = "/v1/models/";

/* ---- answers --------------------------------------------------------------------------------- */

static const char *header(const linn_exchange *e, const char *name)
{
    return MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, name);
}

static bool is_allowed_origin(const linn_server_settings *s, const char *origin)
{
    for (size_t i = 0; i < s->n_cors; i++)
        if (strcmp(s->cors[i], "*") == 0 || strcasecmp(s->cors[i], origin) == 0)
            return true;
    return false;
}

void linn_route_headers(const linn_exchange *e, struct MHD_Response *r)
{
    const char *origin = header(e, "Origin");
    MHD_add_response_header(r, "X-Request-Id", e->id);
    MHD_add_response_header(r, "Cache-Control", e->page ? "no-cache" : "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (e->server->draining)
        MHD_add_response_header(r, "Connection", "close");
    if (origin && is_allowed_origin(&e->server->settings, origin)) {
        MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
        MHD_add_response_header(r, "Vary", "Origin");
        MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
    }
}

static enum MHD_Result queue(linn_exchange *e, int status, struct MHD_Response *r)
{
    linn_route_headers(e, r);
    e->status = status;
    linn_server_phase(e->line, LINN_PHASE_SEND);
    enum MHD_Result queued = MHD_queue_response(e->connection, (unsigned)status, r);
    MHD_destroy_response(r);
    return queued;
}

static struct MHD_Response *make_response(linn_exchange *e, const char *type, linn_bytes *body)
{
    if (body->failed) {
        linn_bytes_free(body);
        return NULL; /* the connection is closed, which is all that can be done without memory */
    }
    struct MHD_Response *r =
        MHD_create_response_from_buffer(body->n, body->n ? body->data : "", MHD_RESPMEM_MUST_COPY);
    e->bytes_out = body->n;
    linn_bytes_free(body);
    if (r)
        MHD_add_response_header(r, "Content-Type", type);
    return r;
}

enum MHD_Result linn_route_reply(linn_exchange *e, int status, const char *type, linn_bytes *body)
{
    struct MHD_Response *r = make_response(e, type, body);
    return r ? queue(e, status, r) : MHD_NO;
}

enum MHD_Result linn_route_refuse(linn_exchange *e, const linn_api_error *err)
{
    linn_bytes body = {0};
    char number[32];
    linn_reply_error(&body, err);
    struct MHD_Response *r = make_response(e, "application/json", &body);
    if (!r)
        return MHD_NO;
    if (err->retry_ms > 0) {
        snprintf(number, sizeof number, "%" PRId64, (err->retry_ms + 999) / 1000);
        MHD_add_response_header(r, "Retry-After", number);
        snprintf(number, sizeof number, "%" PRId64, err->retry_ms);
        MHD_add_response_header(r, "Retry-After-Ms", number);
    }
    if (err->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (err->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(
            r, "Allow", err->code && strcmp(err->code, "post_only") == 0 ? "POST" : "GET, HEAD");
    return queue(e, err->status, r);
}

static enum MHD_Result reply_json(linn_exchange *e, json_t *value)
{
    linn_bytes body = {0};
    linn_bytes_json(&body, value);
    return linn_route_reply(e, MHD_HTTP_OK, "application/json", &body);
}

/* ---- small endpoints ------------------------------------------------------------------------- */

static json_t *describe_model(const linn_server *s)
{
    linn_metrics m;
    linn_scheduler_metrics(s->scheduler, &m);
    json_t *levels = json_array();
    for (int i = 0; i < m.n_levels; i++) {
        json_t *name = json_string(m.levels[i].name);
        json_array_append_new(levels, json_pack("{s:o}", "name", name ? name : json_string("?")));
    }
    const char *chat = linn_chat_template_name(s->tokenizer);
    return json_pack("{s:s, s:s, s:I, s:s, s:{s:i, s:I, s:i, s:s?, s:i, s:s, s:s, s:i, s:o}}", "id",
                     s->name, "object", "model", "created", (json_int_t)s->created, "owned_by",
                     "linn", "linn", "context", (int)linn_scheduler_context(s->scheduler),
                     "parameters", (json_int_t)s->model.n_parameters, "vocabulary",
                     (int)linn_tokenizer_size(s->tokenizer), "chat_template", chat, "slots",
                     (int)m.slots, "system_fingerprint", s->fingerprint, "version", linn_version(),
                     "numeric_version", linn_numeric_version(), "levels", levels);
}

static enum MHD_Result reply_models(linn_exchange *e)
{
    const linn_server *s = e->server;
    linn_api_error err;
    if (e->route == LINN_ROUTE_MODELS)
        return reply_json(e,
                          json_pack("{s:s, s:[o]}", "object", "list", "data", describe_model(s)));
    const char *name = e->path + sizeof one_model - 1;
    if (strcmp(name, s->name) == 0)
        return reply_json(e, describe_model(s));
    linn_api_fail(&err, 404, "model_not_found", "model",
                  "the model '%.64s' is not here; this server has '%s'", name, s->name);
    return linn_route_refuse(e, &err);
}

static enum MHD_Result reply_health(linn_exchange *e)
{
    linn_bytes body = {0};
    bool draining = e->server->draining;
    linn_bytes_print(&body, "{\"status\":\"%s\"}", draining ? "stopping" : "ok");
    return linn_route_reply(e, draining ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                            "application/json", &body);
}

static enum MHD_Result reply_metrics(linn_exchange *e)
{
    linn_bytes body = {0};
    linn_metrics m;
    linn_scheduler_metrics(e->server->scheduler, &m);
    linn_server_metrics_write(&body, &e->server->metrics, &m);
    return linn_route_reply(e, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static enum MHD_Result reply_page(linn_exchange *e)
{
    const linn_page_file *f = e->page;
    const char *known = header(e, "If-None-Match");
    bool fresh = known && strcmp(known, f->tag) == 0;
    struct MHD_Response *r = MHD_create_response_from_buffer(
        fresh ? 0 : f->size, fresh ? (void *)"" : (void *)(uintptr_t)f->data,
        MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    e->bytes_out = fresh ? 0 : f->size;
    MHD_add_response_header(r, "Content-Type", f->type);
    MHD_add_response_header(r, "ETag", f->tag);
    MHD_add_response_header(r, "Content-Security-Policy",
                            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
                            "base-uri 'none'; form-action 'none'");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    return queue(e, fresh ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r);
}

/* {"content": "...", "add_special": false} to {"tokens": [...], "count": n} */
static int read_text(const linn_server *s, const json_t *body, json_t **out, linn_api_error *err)
{
    const json_t *text = json_object_get(body, "content");
    const json_t *special = json_object_get(body, "add_special");
    if (!json_is_string(text))
        return linn_api_fail(err, 400, NULL, "content", "content: must be a string");
    if (special && !json_is_boolean(special) && !json_is_null(special))
        return linn_api_fail(err, 400, NULL, "add_special", "add_special: must be a boolean");
    unsigned flags = json_is_true(special) ? LINN_TOKENIZE_BOS | LINN_TOKENIZE_SPECIAL : 0;
    size_t length = json_string_length(text), capacity = length + 8, n = 0;
    linn_error why;
    linn_token *tokens = malloc(capacity * sizeof *tokens);
    json_t *list = json_array();
    int rc = tokens && list ? linn_tokenize(s->tokenizer, json_string_value(text), length, flags,
                                            tokens, capacity, &n, &why)
                            : LINN_ENOMEM;
    for (size_t i = 0; !rc && i < n && i < capacity; i++)
        rc = json_array_append_new(list, json_integer(tokens[i])) ? LINN_ENOMEM : LINN_OK;
    free(tokens);
    if (!rc)
        *out = json_pack("{s:o, s:I}", "tokens", list, "count", (json_int_t)n);
    else
        json_decref(list);
    if (rc == LINN_ENOMEM)
        return linn_api_fail(err, 500, NULL, NULL, "out of memory for the tokens");
    return rc ? linn_api_fail(err, 400, NULL, "content", "content: %s", why.message) : 0;
}

/* {"tokens": [...]} to {"content": "..."} */
static int read_tokens(const linn_server *s, const json_t *body, json_t **out, linn_api_error *err)
{
    const json_t *list = json_object_get(body, "tokens");
    linn_token *tokens = NULL;
    size_t n = 0;
    if (!json_is_array(list))
        return linn_api_fail(err, 400, NULL, "tokens", "tokens: must be an array of token ids");
    int rc = linn_api_tokens(list, "tokens", &tokens, &n, err);
    int32_t size = linn_tokenizer_size(s->tokenizer);
    for (size_t i = 0; i < n && !rc; i++)
        if (tokens[i] >= size)
            rc = linn_api_fail(err, 400, NULL, "tokens",
                               "tokens: token %zu is %d: the vocabulary has 0 to %d", i, tokens[i],
                               size - 1);
    if (!rc) {
        linn_bytes text = {0};
        linn_exchange_detokenize(&text, s->tokenizer, tokens, n);
        *out = text.failed
                   ? NULL
                   : json_pack("{s:o}", "content", json_stringn(text.n ? text.data : "", text.n));
        linn_bytes_free(&text);
    }
    free(tokens);
    return rc;
}

static enum MHD_Result reply_tokens(linn_exchange *e)
{
    linn_api_error err;
    json_t *out = NULL, *body = linn_api_json(e->body.n ? e->body.data : "", e->body.n, &err);
    int rc = body ? (e->route == LINN_ROUTE_TOKENIZE ? read_text : read_tokens)(e->server, body,
                                                                                &out, &err)
                  : -1;
    json_decref(body);
    linn_bytes_free(&e->body);
    return rc ? linn_route_refuse(e, &err) : reply_json(e, out);
}

/* What a browser asks before a page of another origin may send JSON and a key. */
static enum MHD_Result reply_preflight(linn_exchange *e)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    const char *asked = header(e, "Access-Control-Request-Headers");
    MHD_add_response_header(r, "Access-Control-Allow-Headers",
                            asked ? asked : "authorization, content-type");
    MHD_add_response_header(r, "Access-Control-Max-Age", "600");
    return queue(e, MHD_HTTP_NO_CONTENT, r);
}

static enum MHD_Result answer(linn_exchange *e)
{
    if (strcmp(e->method, "OPTIONS") == 0)
        return reply_preflight(e);
    switch (e->route) {
    case LINN_ROUTE_CHAT:
    case LINN_ROUTE_COMPLETIONS:
        return linn_exchange_begin(e);
    case LINN_ROUTE_TOKENIZE:
    case LINN_ROUTE_DETOKENIZE:
        return reply_tokens(e);
    case LINN_ROUTE_MODELS:
    case LINN_ROUTE_MODEL:
        return reply_models(e);
    case LINN_ROUTE_HEALTH:
        return reply_health(e);
    case LINN_ROUTE_METRICS:
        return reply_metrics(e);
    case LINN_ROUTE_PAGE:
        return reply_page(e);
    case LINN_ROUTE_NONE:
    case LINN_N_ROUTES:
        break;
    }
    return MHD_NO; /* cannot happen: such a request was refused */
}

/* ---- heads ----------------------------------------------------------------------------------- */

static bool is_get(const linn_exchange *e)
{
    return strcmp(e->method, "GET") == 0 || strcmp(e->method, "HEAD") == 0;
}

/* Sets the route; returns whether it is open to everybody, or refuses. */
static bool find_route(linn_exchange *e)
{
    const char *wanted = NULL;
    bool open = false;
    e->route = LINN_ROUTE_NONE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].path, e->path) == 0) {
            e->route = rows[i].route;
            wanted = rows[i].method;
            open = rows[i].open;
        }
    if (!wanted && strncmp(e->path, one_model, sizeof one_model - 1) == 0) {
        e->route = LINN_ROUTE_MODEL;
        wanted = "GET";
    } else if (!wanted && (e->page = linn_page_find(e->path))) {
        e->route = LINN_ROUTE_PAGE;
        wanted = "GET";
        open = true;
    }
    if (!wanted) {
        linn_api_fail(&e->refusal, 404, "unknown_url", NULL,
                      "there is nothing at %.128s; see /v1/models, /v1/chat/completions, "
                      "/v1/completions",
                      e->path);
        return true;
    }
    if (strcmp(e->method, "OPTIONS") == 0)
        return true;
    if (strcmp(wanted, "GET") == 0 ? !is_get(e) : strcmp(wanted, e->method) != 0)
        linn_api_fail(&e->refusal, 405, strcmp(wanted, "POST") == 0 ? "post_only" : "get_only",
                      NULL, "%s needs %s, not %s", e->path, wanted, e->method);
    return open;
}

/* Pages of other origins, and names that were made to point here, cannot use the server behind a
 * user's back. */
static int check_origin(linn_exchange *e)
{
    const linn_server *s = e->server;
    const char *origin = header(e, "Origin"), *host = header(e, "Host");
    if (s->loopback && s->keys.n == 0 && !(host && linn_host_is_loopback(host)))
        return linn_api_fail(&e->refusal, 403, "unknown_host", NULL,
                             "the Host header is %.64s: a server without API keys on a loopback "
                             "address answers to localhost only (linn serve --api-key)",
                             host ? host : "missing");
    if (origin && !linn_origin_is_host(origin, host) && !is_allowed_origin(&s->settings, origin))
        return linn_api_fail(&e->refusal, 403, "origin_not_allowed", NULL,
                             "pages of %.64s may not use this server (linn serve --cors)", origin);
    if (strcmp(e->method, "OPTIONS") == 0 && !origin)
        return linn_api_fail(&e->refusal, 405, NULL, NULL,
                             "OPTIONS is only for CORS, which is off "
                             "(linn serve --cors)");
    return 0;
}

static int check_key(linn_exchange *e)
{
    const linn_keys *keys = &e->server->keys;
    if (keys->n == 0)
        return 0;
    const char *given = header(e, "Authorization");
    const linn_key *key = linn_keys_find(keys, given);
    if (!key)
        return linn_api_fail(&e->refusal, 401, "invalid_api_key", NULL,
                             given ? "this API key is not one of the server's"
                                   : "this server wants an API key: Authorization: Bearer KEY");
    e->user = key->user;
    memcpy(e->user_name, key->name, sizeof e->user_name);
    return 0;
}

static int check_length(linn_exchange *e)
{
    const char *length = header(e, "Content-Length");
    size_t most = e->server->settings.max_body;
    if (length && strtoull(length, NULL, 10) > most)
        return linn_api_fail(&e->refusal, 413, NULL, NULL,
                             "the body has %.24s bytes: this server takes at most %zu", length,
                             most);
    return 0;
}

static void describe_client(linn_exchange *e)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;
    snprintf(e->client, sizeof e->client, "local");
    if (a && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, e->client, sizeof e->client);
    else if (a && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, e->client,
                  sizeof e->client);
    e->user = linn_hash_bytes(0, e->client, strlen(e->client));
}

static void make_id(char id[48], linn_route route)
{
    unsigned char bytes[12] = {0};
    if (getrandom(bytes, sizeof bytes, 0) < 0)
        memset(bytes, 0, sizeof bytes);
    char *at = stpcpy(id, route == LINN_ROUTE_CHAT          ? "chatcmpl-"
                          : route == LINN_ROUTE_COMPLETIONS ? "cmpl-"
                                                            : "req-");
    for (size_t i = 0; i < sizeof bytes; i++, at += 2)
        snprintf(at, 3, "%02x", bytes[i]);
}

static linn_exchange *begin(linn_server *s, struct MHD_Connection *connection, const char *url,
                            const char *method)
{
    linn_line *line =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    linn_exchange *e = line ? calloc(1, sizeof *e) : NULL;
    if (!e)
        return NULL;
    pthread_mutex_init(&e->lock, NULL);
    e->server = s;
    e->connection = connection;
    e->began_ns = linn_now_ns();
    e->line = line;
    snprintf(e->method, sizeof e->method, "%s", method);
    snprintf(e->path, sizeof e->path, "%s", url);
    e->next = s->exchanges;
    e->link = &s->exchanges;
    if (e->next)
        e->next->link = &e->next;
    s->exchanges = e;
    s->n_exchanges++;
    describe_client(e);
    bool open = find_route(e);
    make_id(e->id, e->route);
    if (!e->refusal.status)
        check_origin(e);
    if (!e->refusal.status && !open)
        check_key(e);
    if (!e->refusal.status)
        check_length(e);
    if (!e->refusal.status && s->draining && strcmp(e->method, "POST") == 0) {
        linn_api_fail(&e->refusal, 503, "shutting_down", NULL, "the server is shutting down");
        e->refusal.retry_ms = 5000;
    }
    return e;
}

static void take_body(linn_exchange *e, const char *data, size_t n)
{
    size_t most = e->server->settings.max_body;
    e->bytes_in += n;
    if (e->refusal.status)
        return;
    if (n > most - e->body.n) {
        linn_bytes_free(&e->body);
        linn_api_fail(&e->refusal, 413, NULL, NULL,
                      "the body is too long: this server takes at most %zu bytes", most);
        return;
    }
    linn_bytes_add(&e->body, data, n);
    if (e->body.failed) {
        linn_bytes_free(&e->body);
        linn_api_fail(&e->refusal, 500, NULL, NULL, "out of memory for the request");
    }
}

enum MHD_Result linn_route_request(void *server, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **exchange)
{
    linn_exchange *e = *exchange;
    (void)version;
    if (!e) {
        *exchange = e = begin(server, connection, url, method);
        if (!e)
            return MHD_NO;
        linn_server_phase(e->line, LINN_PHASE_BODY);
        /* Who asks first whether to send the body is told at once. */
        if (e->refusal.status && header(e, "Expect"))
            return linn_route_refuse(e, &e->refusal);
        return MHD_YES;
    }
    if (*size > 0) {
        take_body(e, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (e->n_texts > 0) /* its answer is being written */
        return linn_exchange_go_on(e);
    return e->refusal.status ? linn_route_refuse(e, &e->refusal) : answer(e);
}
