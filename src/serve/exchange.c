/* exchange.c - a request for text: its jobs, and the answer as it comes (server.h). */
#include "serve/server.h"

#include "base/clock.h"
#include "kernels/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

enum {
    MOST_UNREAD = 1 << 20, /* bytes of a stream that its client has not taken */
    BLOCK = 1 << 14,       /* bytes of a stream handed over at once */
};

/* ---- what jobs say ----------------------------------------------------------------------------
 */

/* With the lock. */
static void resume(linn_exchange *e)
{
    if (!e->suspended)
        return;
    e->suspended = false;
    MHD_resume_connection(e->connection);
    linn_server_wake(e->server);
}

/* With the lock. */
static void cancel_jobs(linn_exchange *e)
{
    for (int32_t i = 0; i < e->n_texts; i++)
        if (e->texts[i].job && !e->texts[i].choice.over)
            linn_job_cancel(e->texts[i].job);
}

/* With the lock. The answer cannot be completed: say why, stop writing it. */
static void fail(linn_exchange *e, const linn_api_error *err)
{
    if (e->failure.status)
        return;
    e->failure = *err;
    cancel_jobs(e);
}

static void on_token(void *user, const linn_job_token *token)
{
    linn_exchange_text *t = user;
    linn_exchange *e = t->exchange;
    int64_t now = linn_now_ns();
    if (t->last_token_ns && token->token >= 0)
        linn_histogram_add(&e->server->metrics.between_tokens,
                           (double)(now - t->last_token_ns) * 1e-6);
    t->last_token_ns = now;
    pthread_mutex_lock(&e->lock);
    if (!e->gone && !e->failure.status) {
        linn_api_error err;
        bool kept = true;
        if (e->stream)
            linn_reply_token(&e->out, &e->head, &t->choice, token);
        else
            kept = linn_reply_keep(&e->head, &t->choice, token);
        if (!kept || e->out.failed) {
            linn_api_fail(&err, 500, NULL, NULL, "out of memory for the answer");
            fail(e, &err);
        } else if (e->out.n - e->n_taken > MOST_UNREAD) {
            linn_api_fail(&err, 503, NULL, NULL, "the client reads too slowly");
            fail(e, &err);
        }
        if (e->out.n > e->n_taken)
            resume(e);
    }
    pthread_mutex_unlock(&e->lock);
}

static int status_of(int rc)
{
    return rc == LINN_EINVAL || rc == LINN_ECONTEXT || rc == LINN_EUNSUPPORTED ? 400 : 500;
}

/* With the lock. What ends the stream of a text, and after the last text that of all. */
static void write_ends(linn_exchange *e, linn_exchange_text *t)
{
    if (!e->failure.status)
        linn_reply_end(&e->out, &e->head, &t->choice);
    if (e->n_left > 0)
        return;
    if (e->failure.status) {
        linn_reply_broken(&e->out, &e->failure);
        return;
    }
    if (e->request.include_usage) {
        for (int32_t i = 0; i < e->n_texts; i++)
            e->choices[i] = e->texts[i].choice;
        linn_reply_usage(&e->out, &e->head, e->choices, e->n_texts);
    }
    linn_reply_done(&e->out);
}

static void on_finish(void *user, const linn_job_result *r)
{
    linn_exchange_text *t = user;
    linn_exchange *e = t->exchange;
    linn_server *s = e->server;
    linn_histogram_add(&s->metrics.total, r->total_ms);
    linn_histogram_add(&s->metrics.queued, r->queued_ms);
    if (r->first_token_ms >= 0)
        linn_histogram_add(&s->metrics.first_token, r->first_token_ms);
    pthread_mutex_lock(&e->lock);
    t->choice.result = *r;
    t->choice.over = true;
    e->n_left--;
    linn_api_error err;
    if (r->rc) {
        linn_api_fail(&err, status_of(r->rc), NULL, NULL, "%s", r->error.message);
        fail(e, &err);
    } else if (r->expired && r->first_token_ms < 0) {
        linn_api_fail(&err, 504, "deadline_exceeded", NULL,
                      "the deadline came before the first token");
        fail(e, &err);
    }
    if (e->stream && !e->gone)
        write_ends(e, t);
    if (e->stream || e->n_left == 0)
        resume(e);
    if (e->n_left == 0)
        linn_server_wake(s);
    pthread_mutex_unlock(&e->lock);
}

/* ---- the stream --------------------------------------------------------------------------------
 */

/* libmicrohttpd asks for more of a stream. */
static ssize_t read_stream(void *user, uint64_t position, char *buffer, size_t most)
{
    linn_exchange *e = user;
    ssize_t n = 0;
    (void)position;
    pthread_mutex_lock(&e->lock);
    linn_phase phase = LINN_PHASE_SEND; /* what was handed over before has been taken */
    size_t waiting = e->out.n - e->n_taken;
    if (waiting > 0) {
        n = (ssize_t)(waiting < most ? waiting : most);
        memcpy(buffer, e->out.data + e->n_taken, (size_t)n);
        e->n_taken += (size_t)n;
        e->bytes_out += (uint64_t)n;
        if (e->n_taken == e->out.n)
            e->n_taken = e->out.n = 0;
    } else if (e->gone || e->out.failed) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (e->n_left == 0) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        phase = LINN_PHASE_ANSWER;
        e->suspended = true;
        MHD_suspend_connection(e->connection);
    }
    linn_server_phase(e->line, phase);
    pthread_mutex_unlock(&e->lock);
    return n;
}

static enum MHD_Result begin_stream(linn_exchange *e)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, e, NULL);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "text/event-stream; charset=utf-8");
    MHD_add_response_header(r, "X-Accel-Buffering", "no"); /* nginx would collect it */
    linn_route_headers(e, r);
    e->status = MHD_HTTP_OK;
    enum MHD_Result queued = MHD_queue_response(e->connection, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return queued;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The model's own form; contents one after the other where it has none, since a model that
 * never saw turns goes on from what is there. */
static int format_chat(linn_exchange *e, linn_bytes *out, linn_api_error *err)
{
    const linn_api_request *r = &e->request;
    if (e->server->plain_chat) {
        for (size_t i = 0; i < r->n_messages; i++) {
            linn_bytes_add(out, "\n\n", i > 0 ? 2 : 0);
            linn_bytes_add(out, r->messages[i].content, strlen(r->messages[i].content));
        }
    } else {
        linn_error why;
        size_t n;
        int rc =
            linn_chat_format(e->server->tokenizer, r->messages, r->n_messages, NULL, 0, &n, &why);
        char *text = rc ? NULL : malloc(n + 1);
        if (text)
            rc = linn_chat_format(e->server->tokenizer, r->messages, r->n_messages, text, n + 1, &n,
                                  &why);
        if (rc)
            return linn_api_fail(err, 400, NULL, "messages", "messages: %s", why.message);
        if (text)
            *out = (linn_bytes){.data = text, .n = n, .room = n + 1};
        else
            out->failed = true;
    }
    return out->failed ? linn_api_fail(err, 500, NULL, NULL, "out of memory for the messages") : 0;
}

static int tokenize(const linn_server *s, const char *text, size_t length, unsigned flags,
                    const char *param, linn_token **out, size_t *n, linn_api_error *err)
{
    /* No token is shorter than a byte, but begin and end tokens have none. */
    size_t capacity = length + 8;
    linn_error why;
    *out = malloc(capacity * sizeof **out);
    if (!*out)
        return linn_api_fail(err, 500, NULL, NULL, "out of memory for the tokens");
    if (linn_tokenize(s->tokenizer, text, length, flags, *out, capacity, n, &why))
        return linn_api_fail(err, 400, NULL, param, "%s: %s", param, why.message);
    if (*n > capacity)
        return linn_api_fail(err, 500, NULL, param, "%s: %zu tokens for %zu bytes", param, *n,
                             length);
    return 0;
}

/* The tokens of prompt i, for free(). */
static int read_tokens(linn_exchange *e, size_t i, linn_token **out, size_t *n, linn_api_error *err)
{
    const linn_api_request *r = &e->request;
    if (r->chat) {
        linn_bytes text = {0};
        *out = NULL;
        unsigned special = e->server->plain_chat ? 0 : LINN_TOKENIZE_SPECIAL;
        int rc = format_chat(e, &text, err);
        if (!rc)
            rc = tokenize(e->server, text.n ? text.data : "", text.n, LINN_TOKENIZE_BOS | special,
                          "messages", out, n, err);
        linn_bytes_free(&text);
        return rc;
    }
    linn_api_prompt *p = &e->request.prompts[i];
    if (!p->tokens)
        return tokenize(e->server, p->text, p->length, LINN_TOKENIZE_BOS, "prompt", out, n, err);
    *out = malloc((p->n_tokens + 1) * sizeof **out);
    if (!*out)
        return linn_api_fail(err, 500, NULL, NULL, "out of memory for the tokens");
    memcpy(*out, p->tokens, p->n_tokens * sizeof **out);
    *n = p->n_tokens;
    return 0;
}

void linn_exchange_detokenize(linn_bytes *out, const linn_tokenizer *t, const linn_token *tokens,
                              size_t n)
{
    linn_text_stream stream = {0};
    size_t length;
    const char *text;
    for (size_t i = 0; i < n; i++) {
        text = linn_text_next(&stream, t, tokens[i], &length);
        linn_bytes_add(out, text, length);
    }
    text = linn_text_finish(&stream, &length);
    linn_bytes_add(out, text, length);
}

static void write_echo(linn_exchange *e, linn_exchange_text *t)
{
    const linn_api_prompt *p = &e->request.prompts[t->choice.prompt];
    linn_bytes text = {0};
    if (p->tokens)
        linn_exchange_detokenize(&text, e->server->tokenizer, p->tokens, p->n_tokens);
    else
        linn_bytes_add(&text, p->text, p->length);
    if (e->stream)
        linn_reply_echo(&e->out, &e->head, t->choice.index, text.data, text.n);
    else
        linn_bytes_add(&t->choice.text, text.data, text.n);
    e->out.failed |= text.failed;
    linn_bytes_free(&text);
}

static int refuse_busy(linn_exchange *e, int64_t retry_ms, const char *message, linn_api_error *err)
{
    if (e->server->draining)
        linn_api_fail(err, 503, "shutting_down", NULL, "%s", message);
    else
        linn_api_fail(err, 429, "rate_limit_exceeded", NULL, "%s", message);
    err->retry_ms = retry_ms > 0 ? retry_ms : 1000;
    return -1;
}

static int submit(linn_exchange *e, linn_exchange_text *t, const linn_token *prompt, size_t n,
                  linn_api_error *err)
{
    const linn_api_request *r = &e->request;
    double seconds = e->server->settings.deadline_seconds;
    if (r->deadline_ms > 0 && (seconds <= 0 || r->deadline_ms < seconds * 1e3))
        seconds = r->deadline_ms * 1e-3;
    linn_job_request job = {
        .prompt = prompt,
        .n_prompt = n,
        .max_tokens = r->max_tokens,
        .sampling = r->sampling,
        .stop = r->stop,
        .n_stop = r->n_stop,
        .plain = r->plain,
        .top_logprobs = r->top_logprobs,
        .user_key = e->user,
        .deadline_ns = seconds > 0 ? e->began_ns + (int64_t)(seconds * 1e9) : 0,
        .user = t,
        .on_token = on_token,
        .on_finish = on_finish,
    };
    job.sampling.seed = linn_choice_seed(e->head.seed, (uint32_t)(t->choice.index % r->n));
    linn_error why;
    int64_t retry_ms = 0;
    int rc = linn_scheduler_submit(e->server->scheduler, &t->job, &job, &retry_ms, &why);
    if (rc == LINN_EBUSY)
        return refuse_busy(e, retry_ms, why.message, err);
    if (rc == LINN_ECONTEXT)
        return linn_api_fail(err, 400, "context_length_exceeded", r->chat ? "messages" : "prompt",
                             "%s", why.message);
    return rc ? linn_api_fail(err, status_of(rc), NULL, NULL, "%s", why.message) : 0;
}

/* Submits texts until one is refused; then those before it are given up. */
static int submit_all(linn_exchange *e, linn_api_error *err)
{
    const linn_api_request *r = &e->request;
    linn_token *prompt = NULL;
    size_t n_prompt = 0;
    int32_t i = 0;
    int rc = 0;
    for (; i < e->n_texts && !rc; i += !rc) {
        if (i % r->n == 0) {
            free(prompt);
            rc = read_tokens(e, (size_t)(i / r->n), &prompt, &n_prompt, err);
        }
        if (!rc)
            rc = submit(e, &e->texts[i], prompt, n_prompt, err);
    }
    free(prompt);
    if (!rc)
        return 0;
    pthread_mutex_lock(&e->lock);
    e->n_left -= e->n_texts - i;
    e->gone = true;
    cancel_jobs(e);
    pthread_mutex_unlock(&e->lock);
    return rc;
}

/* Texts of this user that have not ended. */
static int32_t count_user(const linn_server *s, uint64_t user)
{
    int32_t n = 0;
    for (linn_exchange *e = s->exchanges; e; e = e->next) {
        pthread_mutex_lock(&e->lock);
        n += e->user == user ? e->n_left : 0;
        pthread_mutex_unlock(&e->lock);
    }
    return n;
}

static int check(linn_exchange *e, linn_api_error *err)
{
    const linn_server *s = e->server;
    const linn_server_settings *set = &s->settings;
    const linn_api_request *r = &e->request;
    int64_t n = r->n * (int64_t)(r->chat ? 1 : r->n_prompts);
    if (r->model && strcmp(r->model, s->name) != 0)
        return linn_api_fail(err, 404, "model_not_found", "model",
                             "the model '%.64s' is not here; this server has '%s'", r->model,
                             s->name);
    if (n > set->slots + set->queue)
        return linn_api_fail(err, 400, NULL, "n",
                             "n: %lld texts at once, but this server never takes more than %d",
                             (long long)n, set->slots + set->queue);
    if (set->per_user > 0 && count_user(s, e->user) + n > set->per_user)
        return refuse_busy(e, 0, "too many unfinished requests of this key: wait for some to end",
                           err);
    return 0;
}

static int prepare(linn_exchange *e, linn_api_error *err)
{
    linn_api_request *r = &e->request;
    linn_server *s = e->server;
    e->head = (linn_reply_head){.created = time(NULL),
                                .model = s->name,
                                .fingerprint = s->fingerprint,
                                .tokenizer = s->tokenizer,
                                .request = r,
                                .seed = r->sampling.seed};
    memcpy(e->head.id, e->id, sizeof e->head.id);
    if (!r->seeded && getrandom(&e->head.seed, sizeof e->head.seed, 0) == sizeof e->head.seed)
        e->head.seed >>= 11; /* 53 bits, which every reader of JSON keeps */
    e->stream = r->stream;
    int32_t n = r->n * (int32_t)(r->chat ? 1 : r->n_prompts);
    e->texts = calloc((size_t)n, sizeof *e->texts);
    e->choices = calloc((size_t)n, sizeof *e->choices);
    if (!e->texts || !e->choices)
        return linn_api_fail(err, 500, NULL, NULL, "out of memory for the request");
    e->n_texts = e->n_left = n;
    for (int32_t i = 0; i < n; i++) {
        e->texts[i].exchange = e;
        e->texts[i].choice.index = i;
        e->texts[i].choice.prompt = i / r->n;
        if (r->echo)
            write_echo(e, &e->texts[i]);
        if (e->stream && r->chat)
            linn_reply_role(&e->out, &e->head, i);
    }
    return 0;
}

/* Sees it when the client closes its side, though the connection is suspended. */
static void watch(linn_exchange *e, int operation)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = e};
    epoll_ctl(e->server->epoll, operation, e->line->fd, &event);
}

enum MHD_Result linn_exchange_begin(linn_exchange *e)
{
    linn_api_error err;
    int rc = linn_api_request_parse(&e->request, e->route == LINN_ROUTE_CHAT,
                                    e->body.n ? e->body.data : "", e->body.n, &err);
    if (!rc)
        rc = check(e, &err);
    if (!rc)
        rc = prepare(e, &err);
    linn_bytes_free(&e->body);
    if (!rc)
        rc = submit_all(e, &err);
    if (rc)
        return linn_route_refuse(e, &err);
    watch(e, EPOLL_CTL_ADD);
    linn_server_phase(e->line, LINN_PHASE_ANSWER);
    if (e->stream)
        return begin_stream(e);
    return linn_exchange_go_on(e);
}

static enum MHD_Result answer_whole(linn_exchange *e)
{
    linn_bytes body = {0};
    for (int32_t i = 0; i < e->n_texts; i++)
        e->choices[i] = e->texts[i].choice;
    linn_reply_whole(&body, &e->head, e->choices, e->n_texts);
    for (int32_t i = 0; i < e->n_texts; i++) /* what was used up */
        e->texts[i].choice = e->choices[i];
    return linn_route_reply(e, MHD_HTTP_OK, "application/json", &body);
}

enum MHD_Result linn_exchange_go_on(linn_exchange *e)
{
    pthread_mutex_lock(&e->lock);
    bool over = e->n_left == 0, gone = e->gone;
    if (!over && !gone) {
        e->suspended = true;
        MHD_suspend_connection(e->connection);
    }
    pthread_mutex_unlock(&e->lock);
    if (gone)
        return MHD_NO;
    if (!over)
        return MHD_YES;
    if (e->failure.status)
        return linn_route_refuse(e, &e->failure);
    return answer_whole(e);
}

/* ---- ending ---------------------------------------------------------------------------------- */

void linn_exchange_leave(linn_exchange *e)
{
    pthread_mutex_lock(&e->lock);
    e->gone = true;
    cancel_jobs(e);
    resume(e);
    pthread_mutex_unlock(&e->lock);
}

void linn_exchange_cut(linn_exchange *e)
{
    pthread_mutex_lock(&e->lock);
    cancel_jobs(e);
    pthread_mutex_unlock(&e->lock);
}

bool linn_exchange_is_over(linn_exchange *e)
{
    pthread_mutex_lock(&e->lock);
    bool over = e->n_left == 0;
    pthread_mutex_unlock(&e->lock);
    return over;
}

void linn_exchange_log(linn_exchange *e)
{
    linn_access a = {
        .id = e->id,
        .client = e->client,
        .user = e->user_name,
        .method = e->method,
        .path = e->path,
        .status = e->status,
        .aborted = e->aborted,
        .bytes_in = e->bytes_in,
        .bytes_out = e->bytes_out,
        .ms = (double)(linn_now_ns() - e->began_ns) * 1e-6,
    };
    for (int32_t i = 0; i < e->n_texts; i++) {
        const linn_job_result *r = &e->texts[i].choice.result;
        if (!e->texts[i].job)
            continue;
        a.finish = e->aborted ? "aborted" : e->failure.status ? "error" : linn_reply_finish(r);
        a.prompt_tokens += r->stats.prompt_tokens;
        a.tokens += r->stats.tokens;
        a.queued_ms = fmax(a.queued_ms, r->queued_ms);
        a.first_token_ms = fmax(a.first_token_ms, r->first_token_ms);
    }
    linn_access_log_write(&e->server->log, &a);
}

void linn_exchange_free(linn_exchange *e)
{
    for (int32_t i = 0; i < e->n_texts; i++) {
        linn_job_release(e->texts[i].job);
        linn_reply_choice_free(&e->texts[i].choice);
    }
    free(e->texts);
    free(e->choices);
    linn_bytes_free(&e->body);
    linn_bytes_free(&e->out);
    linn_api_request_free(&e->request);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
