/* request.c - the JSON of a request, member by member (request.h). */
#include "serve/request.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int linn_api_fail(linn_api_error *err, int status, const char *code, const char *param,
                  const char *format, ...)
{
    *err = (linn_api_error){.status = status, .code = code};
    err->type = status == 429   ? "rate_limit_error"
                : status >= 500 ? "server_error"
                                : "invalid_request_error";
    snprintf(err->param, sizeof err->param, "%s", param ? param : "");
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return -1;
}

static int no_memory(linn_api_error *err)
{
    return linn_api_fail(err, 500, NULL, NULL, "out of memory for the request");
}

/* ---- members --------------------------------------------------------------------------------- */

static const char *kind(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int wrong_type(linn_api_error *err, const char *param, const char *wanted, const json_t *v)
{
    return linn_api_fail(err, 400, NULL, param, "%s: must be %s, not %s", param, wanted, kind(v));
}

/* A member that is there and not null; null means what its absence means. `path` is how errors
 * call it, "linn.levels"; its name in the object is what follows the last dot. */
static json_t *member(const json_t *object, const char *path)
{
    const char *dot = strrchr(path, '.');
    json_t *v = json_object_get(object, dot ? dot + 1 : path);
    return json_is_null(v) ? NULL : v;
}

static int read_bool(const json_t *object, const char *name, bool *out, linn_api_error *err)
{
    const json_t *v = member(object, name);
    if (!v)
        return 0;
    if (!json_is_boolean(v))
        return wrong_type(err, name, "a boolean", v);
    *out = json_is_true(v);
    return 0;
}

/* A number of JSON with no fraction counts as whole: 16.0 is 16. */
static int read_integer(const json_t *object, const char *name, json_int_t low, json_int_t high,
                        json_int_t *out, linn_api_error *err)
{
    const json_t *v = member(object, name);
    if (!v)
        return 0;
    if (!json_is_number(v))
        return wrong_type(err, name, "a whole number", v);
    double real = json_number_value(v);
    if (json_is_real(v) && (real != floor(real) || fabs(real) > 0x1p53))
        return linn_api_fail(err, 400, NULL, name, "%s: must be a whole number, not %g", name,
                             real);
    json_int_t value = json_is_integer(v) ? json_integer_value(v) : (json_int_t)real;
    if (value < low || value > high)
        return linn_api_fail(err, 400, NULL, name,
                             "%s: %" JSON_INTEGER_FORMAT
                             " is out of range: must be %" JSON_INTEGER_FORMAT
                             " to %" JSON_INTEGER_FORMAT,
                             name, value, low, high);
    *out = value;
    return 0;
}

static int read_int32(const json_t *object, const char *name, int32_t low, int32_t high,
                      int32_t *out, linn_api_error *err)
{
    json_int_t value = *out;
    int rc = read_integer(object, name, low, high, &value, err);
    *out = (int32_t)value;
    return rc;
}

typedef struct range {
    double low, high;
    bool above_low, below_high; /* the limit itself is not allowed */
} range;

static int read_real(const json_t *object, const char *name, range allowed, float *out,
                     linn_api_error *err)
{
    const json_t *v = member(object, name);
    if (!v)
        return 0;
    if (!json_is_number(v))
        return wrong_type(err, name, "a number", v);
    double value = json_number_value(v);
    if (!(value >= allowed.low && value <= allowed.high) ||
        (allowed.above_low && value == allowed.low) ||
        (allowed.below_high && value == allowed.high))
        return linn_api_fail(err, 400, NULL, name,
                             "%s: %g is out of range: must be %s %g and %s %g", name, value,
                             allowed.above_low ? "above" : "at least", allowed.low,
                             allowed.below_high ? "below" : "at most", allowed.high);
    *out = (float)value;
    return 0;
}

/* A string without zero bytes, which nothing below the API can take. */
static int read_string(const json_t *v, const char *param, const char **out, linn_api_error *err)
{
    if (!json_is_string(v))
        return wrong_type(err, param, "a string", v);
    *out = json_string_value(v);
    if (strlen(*out) < json_string_length(v))
        return linn_api_fail(err, 400, NULL, param, "%s: must not hold zero characters", param);
    return 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

static int read_role(const json_t *message, size_t i, const char **out, linn_api_error *err)
{
    static const char *const names[][2] = {{"system", "system"},
                                           {"developer", "system"},
                                           {"user", "user"},
                                           {"assistant", "assistant"}};
    char param[64];
    const char *role = NULL;
    snprintf(param, sizeof param, "messages[%zu].role", i);
    const json_t *v = member(message, "role");
    if (!v)
        return linn_api_fail(err, 400, NULL, param, "%s: is missing", param);
    if (read_string(v, param, &role, err))
        return -1;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (strcmp(role, names[k][0]) == 0) {
            *out = names[k][1];
            return 0;
        }
    return linn_api_fail(err, 400, NULL, param,
                         "%s: '%.32s' is not a role that this server has: must be system, "
                         "developer, user or assistant",
                         param, role);
}

/* Contents in parts: all must be text; they are joined. */
static int join_parts(const json_t *parts, size_t i, char **out, linn_api_error *err)
{
    char param[64];
    size_t length = 0, n = json_array_size(parts);
    for (size_t k = 0; k < n; k++) {
        snprintf(param, sizeof param, "messages[%zu].content[%zu]", i, k);
        const json_t *part = json_array_get(parts, k), *words = json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type")), *text = "";
        if (!type || strcmp(type, "text") != 0)
            return linn_api_fail(err, 400, NULL, param,
                                 "%s: only parts of type text can be read, not %.32s", param,
                                 type ? type : "one without a type");
        if (!words)
            return linn_api_fail(err, 400, NULL, param, "%s: has no text", param);
        if (read_string(words, param, &text, err))
            return -1;
        length += strlen(text);
    }
    *out = malloc(length + 1);
    if (!*out)
        return no_memory(err);
    char *at = *out;
    for (size_t k = 0; k < n; k++)
        at = stpcpy(at, json_string_value(json_object_get(json_array_get(parts, k), "text")));
    *at = '\0';
    return 0;
}

static int read_message(linn_api_request *r, const json_t *message, size_t i, linn_api_error *err)
{
    char param[64];
    snprintf(param, sizeof param, "messages[%zu]", i);
    if (!json_is_object(message))
        return wrong_type(err, param, "an object", message);
    linn_chat_message *m = &r->messages[i];
    if (read_role(message, i, &m->role, err))
        return -1;
    snprintf(param, sizeof param, "messages[%zu].content", i);
    const json_t *content = member(message, "content");
    if (json_is_array(content)) {
        int rc = join_parts(content, i, &r->joined[i], err);
        m->content = r->joined[i];
        return rc;
    }
    if (content)
        return read_string(content, param, &m->content, err);
    m->content = "";
    if (strcmp(m->role, "assistant") != 0)
        return linn_api_fail(err, 400, NULL, param, "%s: is missing", param);
    return 0;
}

static int read_messages(linn_api_request *r, linn_api_error *err)
{
    const json_t *list = member(r->root, "messages");
    if (!list)
        return linn_api_fail(err, 400, NULL, "messages", "messages: is missing");
    if (!json_is_array(list))
        return wrong_type(err, "messages", "an array", list);
    size_t n = json_array_size(list);
    if (n == 0)
        return linn_api_fail(err, 400, NULL, "messages", "messages: is empty; give at least one");
    r->messages = calloc(n, sizeof *r->messages);
    r->joined = calloc(n, sizeof *r->joined);
    if (!r->messages || !r->joined)
        return no_memory(err);
    r->n_messages = n;
    for (size_t i = 0; i < n; i++)
        if (read_message(r, json_array_get(list, i), i, err))
            return -1;
    return 0;
}

/* ---- prompts --------------------------------------------------------------------------------- */

int linn_api_tokens(const json_t *array, const char *param, linn_token **out, size_t *n,
                    linn_api_error *err)
{
    *n = json_array_size(array);
    *out = malloc((*n + 1) * sizeof **out);
    if (!*out)
        return no_memory(err);
    for (size_t i = 0; i < *n; i++) {
        const json_t *v = json_array_get(array, i);
        if (!json_is_integer(v))
            return linn_api_fail(err, 400, NULL, param, "%s: token %zu is %s, not a whole number",
                                 param, i, json_is_real(v) ? "a fraction" : kind(v));
        json_int_t id = json_integer_value(v);
        if (id < 0 || id > INT32_MAX)
            return linn_api_fail(err, 400, NULL, param,
                                 "%s: token %zu is %" JSON_INTEGER_FORMAT ": out of range", param,
                                 i, id);
        (*out)[i] = (linn_token)id;
    }
    return 0;
}

static int read_prompt(linn_api_prompt *p, const json_t *v, const char *param, linn_api_error *err)
{
    if (json_is_string(v)) {
        p->text = json_string_value(v);
        p->length = json_string_length(v);
        return 0;
    }
    if (json_is_array(v) && json_array_size(v) > 0)
        return linn_api_tokens(v, param, &p->tokens, &p->n_tokens, err);
    return linn_api_fail(err, 400, NULL, param,
                         "%s: must be a string, or an array of token ids that is not empty", param);
}

/* A string, an array of strings, of tokens, or of arrays of tokens. */
static int read_prompts(linn_api_request *r, linn_api_error *err)
{
    const json_t *v = member(r->root, "prompt");
    if (!v)
        return linn_api_fail(err, 400, NULL, "prompt", "prompt: is missing");
    bool many = json_is_array(v) && !json_is_integer(json_array_get(v, 0));
    size_t n = many ? json_array_size(v) : 1;
    if (n == 0 || n > LINN_API_CHOICES)
        return linn_api_fail(err, 400, NULL, "prompt", "prompt: %zu prompts: must be 1 to %d", n,
                             LINN_API_CHOICES);
    r->prompts = calloc(n, sizeof *r->prompts);
    if (!r->prompts)
        return no_memory(err);
    r->n_prompts = n;
    for (size_t i = 0; i < n; i++) {
        char param[64] = "prompt";
        if (many)
            snprintf(param, sizeof param, "prompt[%zu]", i);
        if (read_prompt(&r->prompts[i], many ? json_array_get(v, i) : v, param, err))
            return -1;
    }
    return 0;
}

/* ---- settings -------------------------------------------------------------------------------- */

static int read_stop(linn_api_request *r, linn_api_error *err)
{
    const json_t *v = member(r->root, "stop");
    if (!v)
        return 0;
    if (!json_is_string(v) && !json_is_array(v))
        return wrong_type(err, "stop", "a string or an array of strings", v);
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n > LINN_API_STOPS)
        return linn_api_fail(err, 400, NULL, "stop", "stop: %zu strings: at most %d are allowed", n,
                             LINN_API_STOPS);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_is_array(v) ? json_array_get(v, i) : v;
        if (read_string(s, "stop", &r->stop[i], err))
            return -1;
        if (!*r->stop[i])
            return linn_api_fail(err, 400, NULL, "stop", "stop: string %zu is empty", i);
    }
    r->n_stop = n;
    return 0;
}

/* The id that a member's name is, or -1. */
static json_int_t id_of(const char *name)
{
    size_t n = strspn(name, "0123456789");
    bool plain = n > 0 && n <= 9 && !name[n] && (name[0] != '0' || n == 1);
    return plain ? atoll(name) : -1;
}

static int read_biases(linn_api_request *r, linn_api_error *err)
{
    json_t *v = member(r->root, "logit_bias");
    if (!v)
        return 0;
    if (!json_is_object(v))
        return wrong_type(err, "logit_bias", "an object", v);
    size_t n = json_object_size(v);
    if (n > LINN_API_BIASES)
        return linn_api_fail(err, 400, NULL, "logit_bias",
                             "logit_bias: %zu tokens: at most %d are allowed", n, LINN_API_BIASES);
    r->biases = calloc(n + 1, sizeof *r->biases);
    if (!r->biases)
        return no_memory(err);
    const char *name;
    json_t *bias;
    json_object_foreach(v, name, bias)
    {
        json_int_t id = id_of(name);
        if (id < 0)
            return linn_api_fail(err, 400, NULL, "logit_bias",
                                 "logit_bias: '%.32s' is not a token id", name);
        linn_logit_bias *b = &r->biases[r->sampling.n_biases++];
        b->token = (linn_token)id;
        char path[32];
        snprintf(path, sizeof path, "logit_bias.%d", b->token);
        if (json_is_null(bias))
            return wrong_type(err, path, "a number", bias);
        if (read_real(v, path, (range){.low = -100, .high = 100}, &b->bias, err))
            return -1;
    }
    r->sampling.biases = r->biases;
    return 0;
}

static int read_sampling(linn_api_request *r, linn_api_error *err)
{
    const json_t *o = r->root;
    linn_sampling *s = &r->sampling;
    const range penalty = {.low = -2, .high = 2};
    json_int_t seed = -1;
    *s = linn_sampling_default();
    if (read_real(o, "temperature", (range){.high = 2}, &s->temperature, err) ||
        read_real(o, "top_p", (range){.high = 1, .above_low = true}, &s->top_p, err) ||
        read_real(o, "min_p", (range){.high = 1, .below_high = true}, &s->min_p, err) ||
        read_int32(o, "top_k", 0, INT32_MAX, &s->top_k, err) ||
        read_real(o, "repeat_penalty", (range){.high = 1000, .above_low = true}, &s->repeat_penalty,
                  err) ||
        read_real(o, "presence_penalty", penalty, &s->presence_penalty, err) ||
        read_real(o, "frequency_penalty", penalty, &s->frequency_penalty, err) ||
        read_integer(o, "seed", 0, INT64_MAX, &seed, err))
        return -1;
    r->seeded = seed >= 0;
    s->seed = r->seeded ? (uint64_t)seed : 0;
    return read_biases(r, err);
}

/* Of a chat: logprobs true, and how many of the likeliest; of a completion: logprobs says how many.
 */
static int read_logprobs(linn_api_request *r, linn_api_error *err)
{
    enum { MOST = 20 };
    bool wanted = false;
    int32_t top = r->chat ? 0 : -1;
    if (!r->chat) {
        if (read_int32(r->root, "logprobs", 0, MOST, &top, err))
            return -1;
        r->top_logprobs = top;
        return 0;
    }
    if (read_bool(r->root, "logprobs", &wanted, err) ||
        read_int32(r->root, "top_logprobs", 0, MOST, &top, err))
        return -1;
    if (!wanted && member(r->root, "top_logprobs"))
        return linn_api_fail(err, 400, NULL, "top_logprobs",
                             "top_logprobs: only together with \"logprobs\": true");
    r->top_logprobs = wanted ? top : -1;
    return 0;
}

static int read_streaming(linn_api_request *r, linn_api_error *err)
{
    const json_t *options = member(r->root, "stream_options");
    if (read_bool(r->root, "stream", &r->stream, err))
        return -1;
    if (!options)
        return 0;
    if (!json_is_object(options))
        return wrong_type(err, "stream_options", "an object", options);
    if (!r->stream)
        return linn_api_fail(err, 400, NULL, "stream_options",
                             "stream_options: only together with \"stream\": true");
    return read_bool(options, "stream_options.include_usage", &r->include_usage, err);
}

static int read_own(linn_api_request *r, linn_api_error *err)
{
    const json_t *own = member(r->root, "linn"), *v;
    const char *cascade = "auto";
    if (!own)
        return 0;
    if (!json_is_object(own))
        return wrong_type(err, "linn", "an object", own);
    if (read_bool(own, "linn.levels", &r->levels, err))
        return -1;
    if ((v = member(own, "linn.cascade")) && read_string(v, "linn.cascade", &cascade, err))
        return -1;
    r->plain = strcmp(cascade, "off") == 0;
    if (!r->plain && strcmp(cascade, "auto") != 0)
        return linn_api_fail(err, 400, NULL, "linn.cascade",
                             "linn.cascade: '%.32s': must be auto or off; the server was started "
                             "with the rest",
                             cascade);
    int32_t deadline = 0;
    if (read_int32(own, "linn.deadline_ms", 1, INT32_MAX, &deadline, err))
        return -1;
    r->deadline_ms = deadline;
    return 0;
}

/* What would change the answer and is not there: better refused than passed over. */
static int refuse_unsupported(const linn_api_request *r, linn_api_error *err)
{
    const json_t *format = member(r->root, "response_format");
    const char *type = json_string_value(json_object_get(format, "type"));
    if (format && (!type || strcmp(type, "text") != 0))
        return linn_api_fail(err, 400, NULL, "response_format",
                             "response_format: %.32s is not there: this server has no grammars, so "
                             "it cannot promise JSON; leave it out, or give {\"type\": \"text\"}",
                             type ? type : "one without a type");
    static const char *const lists[] = {"tools", "functions"};
    for (size_t i = 0; i < 2; i++)
        if (json_array_size(member(r->root, lists[i])) > 0)
            return linn_api_fail(err, 400, NULL, lists[i],
                                 "%s: this server calls no tools; leave it out", lists[i]);
    const json_t *suffix = member(r->root, "suffix");
    if (!r->chat && suffix && json_string_length(suffix) > 0)
        return linn_api_fail(err, 400, NULL, "suffix",
                             "suffix: this server cannot fill in the middle; leave it out");
    if (r->echo && r->top_logprobs >= 0)
        return linn_api_fail(err, 400, NULL, "echo",
                             "echo: not together with logprobs: those of the prompt are not kept");
    return 0;
}

static int read_limits(linn_api_request *r, linn_api_error *err)
{
    const json_t *o = r->root;
    int32_t best = 1;
    r->max_tokens = r->chat ? -1 : 16; /* as OpenAI's defaults */
    if (read_int32(o, "max_tokens", 0, INT32_MAX, &r->max_tokens, err) ||
        read_int32(o, "max_completion_tokens", 0, INT32_MAX, &r->max_tokens, err) ||
        read_int32(o, "n", 1, LINN_API_CHOICES, &r->n, err))
        return -1;
    if (!r->chat &&
        (read_bool(o, "echo", &r->echo, err) || read_int32(o, "best_of", 1, INT32_MAX, &best, err)))
        return -1;
    if (best > r->n)
        return linn_api_fail(err, 400, NULL, "best_of",
                             "best_of: must not be more than n (%d): all texts are returned", r->n);
    if (r->n_prompts * (size_t)r->n > LINN_API_CHOICES)
        return linn_api_fail(err, 400, NULL, "n",
                             "n: %d for each of %zu prompts: at most %d texts can be asked for "
                             "at once",
                             r->n, r->n_prompts, LINN_API_CHOICES);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

json_t *linn_api_json(const char *body, size_t length, linn_api_error *err)
{
    json_error_t at;
    json_t *root = json_loadb(body, length, JSON_ALLOW_NUL, &at);
    if (json_is_object(root))
        return root;
    if (json_is_array(root))
        linn_api_fail(err, 400, NULL, NULL, "the body must be a JSON object, not an array");
    else
        linn_api_fail(err, 400, NULL, NULL, "the body is not JSON: line %d, byte %d: %.160s",
                      at.line, at.position, at.text);
    json_decref(root);
    return NULL;
}

int linn_api_request_parse(linn_api_request *r, bool chat, const char *body, size_t length,
                           linn_api_error *err)
{
    *err = (linn_api_error){0};
    *r = (linn_api_request){.chat = chat, .n = 1, .root = linn_api_json(body, length, err)};
    if (!r->root)
        return -1;
    const json_t *model = member(r->root, "model");
    if (model && read_string(model, "model", &r->model, err))
        return -1;
    if ((chat ? read_messages : read_prompts)(r, err))
        return -1;
    if (read_limits(r, err) || read_sampling(r, err) || read_stop(r, err) ||
        read_logprobs(r, err) || read_streaming(r, err) || read_own(r, err))
        return -1;
    return refuse_unsupported(r, err);
}

void linn_api_request_free(linn_api_request *r)
{
    for (size_t i = 0; i < r->n_messages; i++)
        free(r->joined[i]);
    for (size_t i = 0; i < r->n_prompts; i++)
        free(r->prompts[i].tokens);
    free(r->messages);
    free(r->joined);
    free(r->prompts);
    free(r->biases);
    json_decref(r->root);
    *r = (linn_api_request){0};
}
