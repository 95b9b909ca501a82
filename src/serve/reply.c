/* reply.c - answers as JSON (reply.h). */
#include "serve/reply.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A member whose value may be out of memory: then the object is, too. Takes both. */
static json_t *with(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *text_json(const char *text, size_t n)
{
    return json_stringn(n > 0 ? text : "", n);
}

/* Of something that need not be UTF-8: a name in a file, a message that was cut or quotes bytes. */
static json_t *safe_string(const char *text)
{
    size_t n = strlen(text), good = linn_utf8_check(text, n);
    if (good == n)
        return text_json(text, n);
    linn_bytes copy = {0};
    linn_bytes_add(&copy, text, n);
    for (; !copy.failed && good < n; good += linn_utf8_check(copy.data + good, n - good))
        copy.data[good] = '?';
    json_t *v = copy.failed ? NULL : text_json(copy.data, n);
    linn_bytes_free(&copy);
    return v;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* Token text, or "bytes:\xe2\x80" as OpenAI writes what is no whole character. */
static json_t *token_text(const linn_tokenizer *t, linn_token token)
{
    size_t n;
    const char *bytes = linn_token_bytes(t, token, true, &n);
    if (linn_utf8_check(bytes, n) == n)
        return text_json(bytes, n);
    linn_bytes text = {0};
    linn_bytes_print(&text, "bytes:");
    for (size_t i = 0; i < n; i++)
        linn_bytes_print(&text, "\\x%02x", (unsigned char)bytes[i]);
    json_t *v = text.failed ? NULL : json_stringn(text.data, text.n);
    linn_bytes_free(&text);
    return v;
}

static json_t *token_bytes(const linn_tokenizer *t, linn_token token)
{
    size_t n;
    const char *bytes = linn_token_bytes(t, token, true, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        list = append(list, json_integer((unsigned char)bytes[i]));
    return list;
}

/* JSON has no infinity; OpenAI writes this for what cannot be. */
static json_t *logprob_number(float logprob)
{
    return json_real(isfinite(logprob) ? (double)logprob : -9999.0);
}

static json_t *logprob_entry(const linn_tokenizer *t, linn_token token, float logprob)
{
    json_t *o = with(json_object(), "token", token_text(t, token));
    o = with(o, "logprob", logprob_number(logprob));
    return with(o, "bytes", token_bytes(t, token));
}

/* An entry of logprobs.content, for both kinds of answers. */
static json_t *logprob_of(const linn_tokenizer *t, const linn_job_token *token)
{
    json_t *top = json_array();
    for (int32_t i = 0; i < token->n_top; i++)
        top = append(top, logprob_entry(t, token->top[i].token, token->top[i].logprob));
    return with(logprob_entry(t, token->token, token->logprob), "top_logprobs", top);
}

/* The other form: four lists side by side, made of entries. */
static json_t *as_lists(const json_t *entries, size_t offset)
{
    json_t *tokens = json_array(), *logprobs = json_array(), *tops = json_array();
    json_t *offsets = json_array();
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *e = json_array_get(entries, i);
        const json_t *alternatives = json_object_get(e, "top_logprobs");
        json_t *text = json_object_get(e, "token"), *top = json_object();
        for (size_t k = 0; k < json_array_size(alternatives); k++) {
            const json_t *a = json_array_get(alternatives, k);
            json_object_set(top, json_string_value(json_object_get(a, "token")),
                            json_object_get(a, "logprob"));
        }
        tokens = append(tokens, json_incref(text));
        logprobs = append(logprobs, json_incref(json_object_get(e, "logprob")));
        tops = append(tops, top);
        offsets = append(offsets, json_integer((json_int_t)offset));
        offset += json_string_length(text);
    }
    json_t *o = with(json_object(), "tokens", tokens);
    o = with(o, "token_logprobs", logprobs);
    o = with(o, "top_logprobs", tops);
    return with(o, "text_offset", offsets);
}

/* The member `logprobs` of a choice; takes the entries (NULL: none were asked for). */
static json_t *logprobs_member(const linn_reply_head *h, json_t *entries, size_t offset)
{
    if (!entries)
        return json_null();
    if (h->request->chat)
        return with(with(json_object(), "content", entries), "refusal", json_null());
    json_t *lists = as_lists(entries, offset);
    json_decref(entries);
    return lists;
}

static json_t *level_entry(const linn_job_token *token)
{
    json_t *o = with(json_object(), "id", json_integer(token->token));
    o = with(o, "level", json_integer(token->level));
    return with(o, "text", text_json(token->text, token->length));
}

static bool adds_level(const linn_reply_head *h, const linn_job_token *token)
{
    return h->request->levels && (token->token >= 0 || token->length > 0);
}

/* ---- statistics ------------------------------------------------------------------------------ */

static json_t *counts(const uint64_t *of)
{
    int n = LINN_MAX_POSITIONS;
    while (n > 0 && of[n - 1] == 0)
        n--;
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        list = append(list, json_integer((json_int_t)of[i]));
    return list;
}

static json_t *level_stats(const linn_level_stats *l)
{
    json_t *o =
        json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "name", safe_string(l->name), "parameters",
                  (json_int_t)l->n_parameters, "tokens", (json_int_t)l->tokens, "passes",
                  (json_int_t)l->passes, "rows", (json_int_t)l->rows, "reviewed",
                  (json_int_t)l->reviewed, "approved", (json_int_t)l->approved);
    o = with(o, "drafted", counts(l->drafted));
    o = with(o, "accepted", counts(l->accepted));
    return with(o, "ms", json_real(l->ms));
}

static const char *own_finish(const linn_job_result *r)
{
    switch (r->finish) {
    case LINN_FINISH_LENGTH:
        return "length";
    case LINN_FINISH_END:
        return "end";
    case LINN_FINISH_STOP:
        return "stop";
    case LINN_FINISH_CONTEXT:
        return "context";
    case LINN_FINISH_CANCELLED:
        break;
    }
    return r->expired ? "deadline" : "cancelled";
}

static json_t *choice_stats(const linn_reply_choice *c)
{
    const linn_job_result *r = &c->result;
    const linn_stats *s = &r->stats;
    json_t *levels = json_array();
    for (int i = 0; i < s->n_levels; i++)
        levels = append(levels, level_stats(&s->levels[i]));
    json_t *o =
        json_pack("{s:i, s:s, s:i, s:i, s:i, s:i}", "index", (int)c->index, "finish", own_finish(r),
                  "tokens", (int)s->tokens, "prompt_tokens", (int)s->prompt_tokens, "prompt_reused",
                  (int)s->prompt_reused, "preemptions", (int)r->preemptions);
    double per_second = s->decode_ms > 0 ? 1000 * s->tokens / s->decode_ms : 0;
    o = with(o, "tokens_per_second", json_real(per_second));
    o = with(o, "queued_ms", json_real(r->queued_ms));
    o = with(o, "first_token_ms", json_real(r->first_token_ms));
    o = with(o, "total_ms", json_real(r->total_ms));
    o = with(o, "prompt_ms", json_real(s->prompt_ms));
    o = with(o, "decode_ms", json_real(s->decode_ms));
    o = with(o, "swi_ms", json_real(s->swi_ms));
    o = with(o, "swi_pw", json_real(s->swi_pw));
    return with(o, "levels", levels);
}

/* The object `linn` of an answer, or of the last chunk of a choice. */
static json_t *own_member(const linn_reply_head *h, const linn_reply_choice *choices, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++)
        list = append(list, choice_stats(&choices[i]));
    json_t *o = json_pack("{s:I, s:i, s:s}", "seed", (json_int_t)h->seed, "numeric_version",
                          linn_numeric_version(), "version", linn_version());
    return with(o, "choices", list);
}

static json_t *usage(const linn_reply_choice *choices, int32_t n)
{
    json_int_t prompt = 0, reused = 0, tokens = 0;
    int32_t last = -1;
    for (int32_t i = 0; i < n; i++) {
        const linn_stats *s = &choices[i].result.stats;
        bool first = choices[i].prompt != last; /* a prompt counts once, however many texts */
        last = choices[i].prompt;
        prompt += first ? s->prompt_tokens : 0;
        reused += first ? s->prompt_reused : 0;
        tokens += s->tokens;
    }
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", prompt, "completion_tokens",
                     tokens, "total_tokens", prompt + tokens, "prompt_tokens_details",
                     "cached_tokens", reused);
}

const char *linn_reply_finish(const linn_job_result *r)
{
    return r->finish == LINN_FINISH_END || r->finish == LINN_FINISH_STOP ? "stop" : "length";
}

/* ---- whole answers -----------------------------------------------------------------------------
 */

static json_t *head(const linn_reply_head *h, const char *object)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "id", h->id, "object", object, "created",
                     (json_int_t)h->created, "model", h->model, "system_fingerprint",
                     h->fingerprint);
}

bool linn_reply_keep(const linn_reply_head *h, linn_reply_choice *c, const linn_job_token *token)
{
    linn_bytes_add(&c->text, token->text, token->length);
    if (h->request->top_logprobs >= 0 && token->token >= 0) {
        c->logprobs = c->logprobs ? c->logprobs : json_array();
        c->logprobs = append(c->logprobs, logprob_of(h->tokenizer, token));
        c->text.failed |= !c->logprobs;
    }
    if (adds_level(h, token)) {
        c->tokens = c->tokens ? c->tokens : json_array();
        c->tokens = append(c->tokens, level_entry(token));
        c->text.failed |= !c->tokens;
    }
    return !c->text.failed;
}

static json_t *whole_choice(const linn_reply_head *h, linn_reply_choice *c)
{
    json_t *text = text_json(c->text.data, c->text.n);
    json_t *o = with(json_object(), "index", json_integer(c->index));
    const linn_api_prompt *p = h->request->echo ? &h->request->prompts[c->prompt] : NULL;
    json_t *entries = c->logprobs;
    c->logprobs = NULL;
    if (!entries && h->request->top_logprobs >= 0)
        entries = json_array();
    if (h->request->chat) {
        json_t *message = json_pack("{s:s}", "role", "assistant");
        o = with(o, "message", with(with(message, "content", text), "refusal", json_null()));
    } else {
        o = with(o, "text", text);
    }
    o = with(o, "logprobs", logprobs_member(h, entries, p ? p->length : 0));
    o = with(o, "finish_reason", json_string(linn_reply_finish(&c->result)));
    if (h->request->levels)
        o = with(o, "linn", with(json_object(), "tokens", c->tokens ? c->tokens : json_array()));
    c->tokens = NULL;
    return o;
}

void linn_reply_whole(linn_bytes *out, const linn_reply_head *h, linn_reply_choice *choices,
                      int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++)
        list = append(list, whole_choice(h, &choices[i]));
    json_t *o = head(h, h->request->chat ? "chat.completion" : "text_completion");
    o = with(o, "choices", list);
    o = with(o, "usage", usage(choices, n));
    linn_bytes_json(out, with(o, "linn", own_member(h, choices, n)));
}

void linn_reply_choice_free(linn_reply_choice *c)
{
    linn_bytes_free(&c->text);
    json_decref(c->logprobs);
    json_decref(c->tokens);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void event(linn_bytes *out, json_t *value)
{
    linn_bytes_add(out, "data: ", 6);
    linn_bytes_json(out, value);
    linn_bytes_add(out, "\n\n", 2);
}

static json_t *chunk(const linn_reply_head *h, json_t *choices)
{
    json_t *o = head(h, h->request->chat ? "chat.completion.chunk" : "text_completion");
    o = with(o, "choices", choices);
    return h->request->include_usage ? with(o, "usage", json_null()) : o;
}

/* A chunk of one choice that adds text[length]; takes the entries of logprobs. */
static json_t *delta(const linn_reply_head *h, int32_t index, const char *text, size_t length,
                     json_t *entries, const char *finish)
{
    json_t *o = with(json_object(), "index", json_integer(index));
    if (!h->request->chat)
        o = with(o, "text", text_json(text, length));
    else if (finish)
        o = with(o, "delta", json_object());
    else
        o = with(o, "delta", with(json_object(), "content", text_json(text, length)));
    o = with(o, "logprobs", logprobs_member(h, entries, 0));
    return with(o, "finish_reason", finish ? json_string(finish) : json_null());
}

void linn_reply_role(linn_bytes *out, const linn_reply_head *h, int32_t index)
{
    json_t *first =
        json_pack("{s:i, s:{s:s, s:s, s:n}, s:n, s:n}", "index", (int)index, "delta", "role",
                  "assistant", "content", "", "refusal", "logprobs", "finish_reason");
    event(out, chunk(h, append(json_array(), first)));
}

void linn_reply_echo(linn_bytes *out, const linn_reply_head *h, int32_t index, const char *text,
                     size_t length)
{
    event(out, chunk(h, append(json_array(), delta(h, index, text, length, NULL, NULL))));
}

void linn_reply_token(linn_bytes *out, const linn_reply_head *h, linn_reply_choice *c,
                      const linn_job_token *token)
{
    bool logprobs = h->request->top_logprobs >= 0 && token->token >= 0,
         level = adds_level(h, token);
    if (token->length == 0 && !logprobs && !level)
        return;
    json_t *entries = logprobs ? append(json_array(), logprob_of(h->tokenizer, token)) : NULL;
    json_t *o = delta(h, c->index, token->text, token->length, entries, NULL);
    if (level) {
        json_t *tokens = append(json_array(), level_entry(token));
        o = with(o, "linn", with(json_object(), "tokens", tokens));
    }
    event(out, chunk(h, append(json_array(), o)));
}

void linn_reply_end(linn_bytes *out, const linn_reply_head *h, const linn_reply_choice *c)
{
    json_t *o = delta(h, c->index, "", 0, NULL, linn_reply_finish(&c->result));
    event(out, with(chunk(h, append(json_array(), o)), "linn", own_member(h, c, 1)));
}

void linn_reply_usage(linn_bytes *out, const linn_reply_head *h, const linn_reply_choice *choices,
                      int32_t n)
{
    event(out, with(chunk(h, json_array()), "usage", usage(choices, n)));
}

void linn_reply_done(linn_bytes *out)
{
    static const char done[] = "data: [DONE]\n\n";
    linn_bytes_add(out, done, sizeof done - 1);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static json_t *error_object(const linn_api_error *err)
{
    json_t *o = with(json_object(), "message", safe_string(err->message));
    o = with(o, "type", json_string(err->type));
    o = with(o, "param", err->param[0] ? safe_string(err->param) : json_null());
    o = with(o, "code", err->code ? json_string(err->code) : json_null());
    return with(json_object(), "error", o);
}

void linn_reply_error(linn_bytes *out, const linn_api_error *err)
{
    linn_bytes_json(out, error_object(err));
}

void linn_reply_broken(linn_bytes *out, const linn_api_error *err)
{
    event(out, error_object(err));
}
