/* cmd_tokenize.c - linn tokenize: text to token ids and back, a line at a time. */
#include "cli.h"
#include "json.h"
#include "lines.h"
#include "model_path.h"
#include "options.h"
#include "output.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    bool jsonl, no_special, decode;
} settings;

static const linn_option options[] = {
    LINN_FLAG(0, "jsonl", settings, jsonl,
              "Each line of text is a JSON string, so that texts may hold newlines; with --decode "
              "the texts are printed so"),
    LINN_FLAG(0, "no-special", settings, no_special,
              "Add no begin and end tokens, and take special tokens written out in the text for "
              "ordinary text; with --decode, leave control tokens out"),
    LINN_FLAG(0, "decode", settings, decode,
              "Go the other way: read JSON lists of ids and print the texts"),
    LINN_OPTIONS_END,
};

typedef struct job {
    const linn_command *self;
    settings s;
    linn_tokenizer *tokenizer;
    linn_cli_lines in;
    linn_cli_output out;
    linn_token begin, end; /* what is added around texts; -1: nothing */
    linn_token *ids;       /* [capacity] */
    size_t capacity;
} job;

/* One line on stderr that names the line of the input; returns false. */
static bool fail_at(const job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail_at(const job *j, const char *format, ...)
{
    char what[600];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    linn_cli_fail(j->self, "standard input, line %" PRIu64 ": %s", j->in.number, what);
    return false;
}

static bool reserve_ids(job *j, size_t n)
{
    if (n <= j->capacity)
        return true;
    linn_token *ids = n <= SIZE_MAX / sizeof *ids ? realloc(j->ids, n * sizeof *ids) : NULL;
    if (!ids)
        return fail_at(j, "out of memory for %zu tokens", n);
    j->ids = ids;
    j->capacity = n;
    return true;
}

/* The line as JSON; NULL: it is none. */
static json_t *parse(const job *j, const char *line, size_t length)
{
    json_error_t error;
    json_t *value = json_loadb(line, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value)
        fail_at(j, "column %d is not JSON: %s", error.column, error.text);
    return value;
}

/* ---- text to ids ---------------------------------------------------------------------------- */

static bool encode_text(job *j, const char *text, size_t length)
{
    unsigned flags = j->s.no_special ? 0 : LINN_TOKENIZE_BOS | LINN_TOKENIZE_SPECIAL;
    size_t n, room = length < SIZE_MAX / 2 ? length / 2 + 16 : length;
    linn_error err = {0};
    if (!reserve_ids(j, room))
        return false;
    int code = linn_tokenize(j->tokenizer, text, length, flags, j->ids, j->capacity, &n, &err);
    if (code == LINN_OK && n > j->capacity) {
        if (!reserve_ids(j, n))
            return false;
        code = linn_tokenize(j->tokenizer, text, length, flags, j->ids, j->capacity, &n, &err);
    }
    if (code != LINN_OK)
        return fail_at(j, "%s", err.message);
    linn_cli_print(&j->out, "[");
    for (size_t i = 0; i < n; i++)
        linn_cli_print(&j->out, i == 0 ? "%" PRId32 : ", %" PRId32, j->ids[i]);
    return linn_cli_print(&j->out, "]\n");
}

static bool encode_line(job *j, const char *line, size_t length)
{
    if (!j->s.jsonl)
        return encode_text(j, line, length);
    json_t *value = parse(j, line, length);
    bool good = value != NULL;
    if (good && !json_is_string(value))
        good = fail_at(j, "must be a JSON string");
    good = good && encode_text(j, json_string_value(value), json_string_length(value));
    json_decref(value);
    return good;
}

/* ---- ids to text ---------------------------------------------------------------------------- */

static bool read_ids(job *j, const json_t *list, size_t *n)
{
    if (!json_is_array(list))
        return fail_at(j, "must be a JSON list of token ids");
    *n = json_array_size(list);
    if (!reserve_ids(j, *n))
        return false;
    int32_t size = linn_tokenizer_size(j->tokenizer);
    for (size_t i = 0; i < *n; i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id >= size)
            return fail_at(j, "item %zu of the list must be a token id, 0 to %" PRId32, i + 1,
                           size - 1);
        j->ids[i] = (linn_token)id;
    }
    return true;
}

/* Finds out what is added around texts: the tokens of a text with and without it. */
static void find_added(job *j)
{
    linn_token with[16], without[16];
    size_t n_with, n_without;
    j->begin = j->end = -1;
    if (linn_tokenize(j->tokenizer, "a", 1, LINN_TOKENIZE_BOS, with, 16, &n_with, NULL) != 0 ||
        linn_tokenize(j->tokenizer, "a", 1, 0, without, 16, &n_without, NULL) != 0 || n_with > 16 ||
        n_with <= n_without)
        return;
    bool before = memcmp(with, without, n_without * sizeof *with) != 0;
    if (before)
        j->begin = with[0];
    if (n_with > n_without + before)
        j->end = with[n_with - 1];
}

/* A growing text. */
typedef struct buffer {
    char *data;
    size_t n, capacity;
} buffer;

static bool append(buffer *b, const char *text, size_t length)
{
    if (length == 0)
        return true; /* there may be no text to point at */
    if (b->capacity - b->n < length) {
        size_t capacity = 2 * (b->n + length) + 256;
        char *data = realloc(b->data, capacity);
        if (!data)
            return false;
        b->data = data;
        b->capacity = capacity;
    }
    memcpy(b->data + b->n, text, length);
    b->n += length;
    return true;
}

static bool decode_ids(job *j, size_t n)
{
    linn_text_stream stream = {.special = !j->s.no_special};
    buffer text = {0};
    size_t i = 0, length;
    if (n > 0 && j->begin >= 0 && j->ids[0] == j->begin)
        i++;
    if (n > i && j->end >= 0 && j->ids[n - 1] == j->end)
        n--;
    bool good = true;
    for (; good && i < n; i++) {
        const char *piece = linn_text_next(&stream, j->tokenizer, j->ids[i], &length);
        good = append(&text, piece, length);
    }
    const char *rest = linn_text_finish(&stream, &length);
    good = good && append(&text, rest, length);
    if (!good)
        fail_at(j, "out of memory");
    else if (j->s.jsonl)
        linn_cli_json_string(&j->out, text.data ? text.data : "", text.n);
    else
        linn_cli_write(&j->out, text.data ? text.data : "", text.n);
    free(text.data);
    return good && linn_cli_print(&j->out, "\n");
}

static bool decode_line(job *j, const char *line, size_t length)
{
    size_t n = 0;
    json_t *list = parse(j, line, length);
    bool good = list && read_ids(j, list, &n);
    json_decref(list);
    return good && decode_ids(j, n);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int work(job *j)
{
    const char *line;
    size_t length;
    bool good = true;
    find_added(j);
    while (good && linn_cli_next_line(&j->in, &j->out, &line, &length))
        good = j->s.decode ? decode_line(j, line, length) : encode_line(j, line, length);
    int status = good ? LINN_EXIT_DONE : LINN_EXIT_FAILED;
    if (good && j->in.error)
        status = linn_cli_fail(j->self, "standard input: %s", strerror(j->in.error));
    if (!good && j->out.error) /* nothing was said yet: the output itself failed */
        status = LINN_EXIT_DONE;
    return linn_cli_output_finish(&j->out, j->self, status);
}

static int main_tokenize(const linn_command *self, int argc, char **argv)
{
    job j = {.self = self};
    int n_operands;
    char *path;
    linn_error err;
    int status = linn_cli_parse(self, argc, argv, &j.s, 1, 1, &n_operands);
    if (status == LINN_PARSED)
        status = linn_cli_model_path(self, argv[1], &path);
    if (status != LINN_PARSED)
        return status;
    if (linn_tokenizer_open(&j.tokenizer, path, &err) == LINN_OK)
        status = work(&j);
    else
        status = linn_cli_fail(self, "%s", err.message);
    linn_tokenizer_free(j.tokenizer);
    free(path);
    free(j.ids);
    free(j.in.data);
    return status;
}

const linn_command linn_command_tokenize = {
    .name = "tokenize",
    .usage = "MODEL [options]",
    .summary = "Turn text into token ids, or back",
    .description =
        "Reads lines of text from standard input and prints, for each, the ids of its tokens as a "
        "JSON list: with the begin and end tokens that the model asks for, and with special "
        "tokens recognised where the text has them. MODEL is a GGUF file, of which the vocabulary "
        "is enough, or river, brook or rill.\n"
        "--decode takes away one begin and end token of those that would be added; bytes that are "
        "no UTF-8 become U+FFFD.",
    .options = options,
    .examples = "  echo \"Once upon a time\" | linn tokenize river\n"
                "  echo \"[1, 2, 3]\" | linn tokenize river --decode --jsonl\n",
    .run = main_tokenize,
};
