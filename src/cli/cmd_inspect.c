/* cmd_inspect.c - linn inspect: what a GGUF file says of itself.
 *
 * Works on any GGUF file, whether linn can run the model or not. Values come from the library as
 * JSON; the summary takes the quotes off and leaves other escapes as they are, so that nothing
 * in a file can upset a terminal.
 */
#include "cli.h"
#include "json.h"
#include "linn_tools.h"
#include "model_path.h"
#include "numbers.h"
#include "options.h"
#include "output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LABEL_WIDTH = 16,
    TEXT_WIDTH = 80,
    SHOWN_ITEMS = 8,   /* of an array, without --full */
    SHOWN_BYTES = 200, /* of a value in the list of keys, without --full */
    MAX_TYPES = 64,
};

typedef struct settings {
    bool keys, full, tensors, json;
} settings;

/* One file on its way to the screen. */
typedef struct report {
    const linn_command *self;
    const char *path;
    linn_file *file;
    linn_cli_output out;
    settings s;
    bool no_memory;
} report;

/* What the tensors of one type come to. */
typedef struct type_total {
    const char *type;
    size_t n_tensors;
    uint64_t parameters, bytes;
    bool known; /* linn has code for it */
} type_total;

typedef struct totals {
    type_total types[MAX_TYPES]; /* largest first */
    size_t n_types;
    uint64_t parameters, bytes;
} totals;

/* ---- values ------------------------------------------------------------------------------- */

/* Key i as JSON, for free(). NULL: out of memory (noted in the report). */
static char *value(report *r, size_t i, size_t max_items)
{
    size_t n = linn_file_value(r->file, i, max_items, NULL, 0) + 1;
    char *text = malloc(n);
    if (text)
        linn_file_value(r->file, i, max_items, text, n);
    r->no_memory |= !text;
    return text;
}

/* The value of a key as a person wants it, for free(); NULL: no such key, or out of memory. */
static char *text_of(report *r, const char *key)
{
    size_t i = 0, n = linn_file_keys(r->file);
    while (i < n && strcmp(linn_file_key(r->file, i), key) != 0)
        i++;
    char *text = i < n ? value(r, i, SHOWN_ITEMS) : NULL;
    if (!text || text[0] != '"')
        return text;
    char *to = text;
    for (const char *from = text + 1; *from && *from != '"'; from++) {
        if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
            from++;
        else if (*from == '\\')
            *to++ = *from++; /* another escape stays */
        *to++ = *from;
    }
    *to = '\0';
    return text;
}

static char *text_of_architecture(report *r, const char *architecture, const char *name)
{
    char key[256];
    snprintf(key, sizeof key, "%s.%s", architecture, name);
    return text_of(r, key);
}

/* Elements of the array under a key; false if there is none. */
static bool count_of(report *r, const char *key, uint64_t *count)
{
    for (size_t i = 0; i < linn_file_keys(r->file); i++) {
        char text[64] = "";
        if (strcmp(linn_file_key(r->file, i), key) != 0)
            continue;
        linn_file_value(r->file, i, 0, text, sizeof text);
        *count = 0;
        return strcmp(text, "[]") == 0 || sscanf(text, "[\"... %" SCNu64, count) == 1;
    }
    return false;
}

static uint64_t elements(const linn_tensor_info *t)
{
    return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
}

static int compare_totals(const void *a, const void *b)
{
    const type_total *x = a, *y = b;
    return x->parameters > y->parameters ? -1 : x->parameters < y->parameters;
}

static totals add_up(const linn_file *f)
{
    totals sum = {.n_types = 0};
    linn_tensor_info t;
    for (size_t i = 0; linn_file_tensor(f, i, &t) == LINN_OK; i++) {
        size_t k = 0;
        while (k < sum.n_types && strcmp(sum.types[k].type, t.type) != 0)
            k++;
        if (k == MAX_TYPES)
            continue; /* more types than GGUF has */
        sum.n_types += k == sum.n_types;
        sum.types[k].type = t.type;
        sum.types[k].known = t.size > 0;
        sum.types[k].n_tensors++;
        sum.types[k].parameters += elements(&t);
        sum.types[k].bytes += t.size;
        sum.parameters += elements(&t);
        sum.bytes += t.size;
    }
    qsort(sum.types, sum.n_types, sizeof sum.types[0], compare_totals);
    return sum;
}

static uint64_t file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* ---- for people ----------------------------------------------------------------------------- */

/* "1,234,567" */
static const char *grouped(uint64_t n, char out[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* Prints text that starts at LABEL_WIDTH, in lines of TEXT_WIDTH where blanks allow. */
static void print_wrapped(linn_cli_output *out, const char *text)
{
    size_t column = LABEL_WIDTH;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > LABEL_WIDTH && column + 1 + n > TEXT_WIDTH) {
            linn_cli_print(out, "\n%*s", LABEL_WIDTH, "");
            column = LABEL_WIDTH;
        } else if (column > LABEL_WIDTH) {
            linn_cli_print(out, " ");
            column++;
        }
        linn_cli_write(out, text, n);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    linn_cli_print(out, "\n");
}

static void row(report *r, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void row(report *r, const char *label, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    linn_cli_print(&r->out, "%-*s", LABEL_WIDTH, label);
    print_wrapped(&r->out, text);
}

/* A row for a key, if it is there. */
static void key_row(report *r, const char *label, const char *key)
{
    char *text = text_of(r, key);
    if (text)
        row(r, label, "%s", text);
    free(text);
}

static void print_weights(report *r)
{
    char exact[32], about[32], bytes[32];
    totals sum = add_up(r->file);
    if (sum.n_types == 0) {
        row(r, "Parameters", "none: the file has no tensors");
        return;
    }
    bool known = true;
    size_t width = 0;
    for (size_t k = 0; k < sum.n_types; k++) {
        size_t n = strlen(grouped(sum.types[k].parameters, exact));
        width = n > width ? n : width;
        known &= sum.types[k].known;
    }
    linn_cli_rounded(sum.parameters, "", about);
    if (known)
        row(r, "Parameters", "%s (%s), %.2f bits each", grouped(sum.parameters, exact), about,
            8 * (double)sum.bytes / (double)sum.parameters);
    else
        row(r, "Parameters", "%s (%s)", grouped(sum.parameters, exact), about);
    for (size_t k = 0; k < sum.n_types; k++) {
        const type_total *t = &sum.types[k];
        linn_cli_print(&r->out, "%*s%-8s %*s in %zu tensor%s, %.1f%%", LABEL_WIDTH, "", t->type,
                       (int)width, grouped(t->parameters, exact), t->n_tensors,
                       t->n_tensors == 1 ? "" : "s",
                       100 * (double)t->parameters / (double)sum.parameters);
        linn_cli_print(&r->out, t->known ? ", %s\n" : ": linn has no code for this type%s\n",
                       t->known ? linn_cli_rounded(t->bytes, "B", bytes) : "");
    }
}

/* Width of a head: stated, or the width of the model shared out among the heads. */
static uint64_t head_width(const char *stated, const char *width, const char *heads)
{
    uint64_t n = heads ? strtoull(heads, NULL, 10) : 0, all = width ? strtoull(width, NULL, 10) : 0;
    if (stated)
        return strtoull(stated, NULL, 10);
    return n > 0 && all % n == 0 ? all / n : 0;
}

static void print_shape(report *r, const char *architecture)
{
    char *layers = text_of_architecture(r, architecture, "block_count");
    char *width = text_of_architecture(r, architecture, "embedding_length");
    char *inner = text_of_architecture(r, architecture, "feed_forward_length");
    char *heads = text_of_architecture(r, architecture, "attention.head_count");
    char *shared = text_of_architecture(r, architecture, "attention.head_count_kv");
    char *stated = text_of_architecture(r, architecture, "attention.key_length");
    char *context = text_of_architecture(r, architecture, "context_length");
    uint64_t each = head_width(stated, width, heads);
    if (layers)
        row(r, "Layers", "%s%s%s%s%s", layers, width ? ", width " : "", width ? width : "",
            inner ? ", feed-forward " : "", inner ? inner : "");
    if (heads && each > 0)
        row(r, "Heads", "%s (%s for keys and values), width %" PRIu64, heads,
            shared ? shared : heads, each);
    else if (heads)
        row(r, "Heads", "%s (%s for keys and values)", heads, shared ? shared : heads);
    if (context)
        row(r, "Context", "%s tokens", context);
    free(layers);
    free(width);
    free(inner);
    free(heads);
    free(shared);
    free(stated);
    free(context);
}

/* "Begin   1 "<s>"", if the file names such a token. */
static void print_token(report *r, const linn_tokenizer *t, const char *label, const char *key)
{
    char *id = text_of(r, key);
    if (id) {
        size_t length = 0;
        long long n = strtoll(id, NULL, 10);
        const char *bytes = NULL;
        if (t && n >= 0 && n < linn_tokenizer_size(t))
            bytes = linn_token_bytes(t, (linn_token)n, true, &length);
        linn_cli_print(&r->out, "%-*s%s", LABEL_WIDTH, label, id);
        if (bytes) {
            linn_cli_print(&r->out, " ");
            linn_cli_json_string(&r->out, bytes, length);
        }
        linn_cli_print(&r->out, "\n");
    }
    free(id);
}

static void print_chat_template(report *r, const linn_tokenizer *t)
{
    const char *name = t ? linn_chat_template_name(t) : NULL;
    char *text = text_of(r, "tokenizer.chat_template");
    row(r, "Chat template", "%s", name ? name : text ? "one that linn does not know" : "none");
    free(text);
}

static void print_vocabulary(report *r)
{
    uint64_t n;
    char exact[32];
    char *model = text_of(r, "tokenizer.ggml.model");
    char *pre = text_of(r, "tokenizer.ggml.pre");
    bool counted = count_of(r, "tokenizer.ggml.tokens", &n);
    if (counted)
        row(r, "Vocabulary", "%s token%s, %s%s%s%s", grouped(n, exact), n == 1 ? "" : "s",
            model ? model : "of no stated kind", pre ? " (" : "", pre ? pre : "", pre ? ")" : "");
    else
        row(r, "Vocabulary", "none");
    linn_error err;
    linn_tokenizer *t = NULL;
    if (counted && linn_tokenizer_open(&t, r->path, &err) != LINN_OK)
        row(r, "", "linn cannot use it: %s", err.message);
    print_token(r, t, "Begin of text", "tokenizer.ggml.bos_token_id");
    print_token(r, t, "End of text", "tokenizer.ggml.eos_token_id");
    print_token(r, t, "End of turn", "tokenizer.ggml.eot_token_id");
    print_chat_template(r, t);
    linn_tokenizer_free(t);
    free(model);
    free(pre);
}

static void print_summary(report *r)
{
    char bytes[32];
    char *architecture = text_of(r, "general.architecture");
    linn_cli_print(&r->out, "%-*s", LABEL_WIDTH, "File"); /* not wrapped: it may have blanks */
    for (const char *c = r->path; *c; c++)
        linn_cli_print(&r->out, "%c", (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
    linn_cli_print(&r->out, "\n");
    row(r, "", "%s, GGUF version %d, %zu keys, %zu tensors",
        linn_cli_rounded(file_bytes(r->path), "B", bytes), linn_file_version(r->file),
        linn_file_keys(r->file), linn_file_tensors(r->file));
    key_row(r, "Name", "general.name");
    key_row(r, "Description", "general.description");
    key_row(r, "Author", "general.author");
    key_row(r, "Licence", "general.license");
    row(r, "Architecture", "%s", architecture ? architecture : "not stated");
    print_weights(r);
    if (architecture)
        print_shape(r, architecture);
    print_vocabulary(r);
    free(architecture);
}

static void print_keys(report *r)
{
    for (size_t i = 0; i < linn_file_keys(r->file); i++) {
        char *text = value(r, i, r->s.full ? SIZE_MAX : SHOWN_ITEMS);
        size_t n = text ? strlen(text) : 0, cut = n;
        if (n > SHOWN_BYTES && !r->s.full)
            for (cut = SHOWN_BYTES; cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80;)
                cut--; /* not within a character */
        linn_cli_print(&r->out, "%s = ", linn_file_key(r->file, i));
        if (text)
            linn_cli_write(&r->out, text, cut);
        if (cut < n)
            linn_cli_print(&r->out, " ... (%zu bytes more)", n - cut);
        linn_cli_print(&r->out, "\n");
        free(text);
    }
}

static void shape_text(const linn_tensor_info *t, char out[96])
{
    int at = 0;
    for (int i = 0; i < t->n_dims; i++)
        at += snprintf(out + at, 96 - (size_t)at, "%s%" PRIu64, i ? " x " : "", t->shape[i]);
}

static void print_tensors(report *r)
{
    linn_tensor_info t;
    char shape[96], bytes[32];
    int width = 4;
    for (size_t i = 0; linn_file_tensor(r->file, i, &t) == LINN_OK; i++)
        if ((int)strlen(t.name) > width && strlen(t.name) < 60)
            width = (int)strlen(t.name);
    for (size_t i = 0; linn_file_tensor(r->file, i, &t) == LINN_OK; i++) {
        shape_text(&t, shape);
        linn_cli_print(&r->out, "%-*s  %-8s %-20s %10s  at %" PRIu64 "\n", width, t.name, t.type,
                       shape, t.size ? linn_cli_rounded(t.size, "B", bytes) : "?", t.offset);
    }
}

/* ---- for programs ------------------------------------------------------------------------- */

static void json_text(report *r, const char *text)
{
    linn_cli_json_string(&r->out, text, strlen(text));
}

static void print_json_types(report *r)
{
    totals sum = add_up(r->file);
    linn_cli_print(
        &r->out, "  \"parameters\": %" PRIu64 ",\n  \"weight_bytes\": %" PRIu64 ",\n  \"types\": {",
        sum.parameters, sum.bytes);
    for (size_t k = 0; k < sum.n_types; k++)
        linn_cli_print(&r->out,
                       "%s\n    \"%s\": {\"tensors\": %zu, \"parameters\": %" PRIu64
                       ", \"bytes\": %" PRIu64 ", \"supported\": %s}",
                       k ? "," : "", sum.types[k].type, sum.types[k].n_tensors,
                       sum.types[k].parameters, sum.types[k].bytes,
                       sum.types[k].known ? "true" : "false");
    linn_cli_print(&r->out, "%s},\n", sum.n_types ? "\n  " : "");
}

static void print_json_keys(report *r)
{
    linn_cli_print(&r->out, "  \"keys\": {");
    for (size_t i = 0; i < linn_file_keys(r->file) && !r->no_memory; i++) {
        char *text = value(r, i, SIZE_MAX);
        linn_cli_print(&r->out, "%s\n    ", i ? "," : "");
        json_text(r, linn_file_key(r->file, i));
        linn_cli_print(&r->out, ": ");
        if (text)
            linn_cli_write(&r->out, text, strlen(text));
        free(text);
    }
    linn_cli_print(&r->out, "%s},\n", linn_file_keys(r->file) ? "\n  " : "");
}

static void print_json_tensors(report *r)
{
    linn_tensor_info t;
    linn_cli_print(&r->out, "  \"tensors\": [");
    for (size_t i = 0; linn_file_tensor(r->file, i, &t) == LINN_OK; i++) {
        linn_cli_print(&r->out, "%s\n    {\"name\": ", i ? "," : "");
        json_text(r, t.name);
        linn_cli_print(&r->out, ", \"type\": \"%s\", \"shape\": [", t.type);
        for (int k = 0; k < t.n_dims; k++)
            linn_cli_print(&r->out, "%s%" PRIu64, k ? ", " : "", t.shape[k]);
        linn_cli_print(&r->out, "], \"offset\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", t.offset,
                       t.size);
    }
    linn_cli_print(&r->out, "%s]\n", linn_file_tensors(r->file) ? "\n  " : "");
}

static void print_json(report *r)
{
    linn_cli_print(&r->out, "{\n  \"path\": ");
    json_text(r, r->path);
    linn_cli_print(&r->out, ",\n  \"bytes\": %" PRIu64 ",\n  \"version\": %d,\n",
                   file_bytes(r->path), linn_file_version(r->file));
    print_json_types(r);
    print_json_keys(r);
    print_json_tensors(r);
    linn_cli_print(&r->out, "}\n");
}

/* ---- the command -------------------------------------------------------------------------- */

static int inspect(const linn_command *self, const char *path, const settings *s)
{
    linn_error err;
    report r = {.self = self, .path = path, .s = *s};
    if (linn_file_open(&r.file, path, &err) != LINN_OK)
        return linn_cli_fail(self, "%s", err.message);
    if (s->json) {
        print_json(&r);
    } else {
        bool keys = s->keys || s->full;
        if (!keys && !s->tensors)
            print_summary(&r);
        if (keys)
            print_keys(&r);
        if (keys && s->tensors)
            linn_cli_print(&r.out, "\n");
        if (s->tensors)
            print_tensors(&r);
    }
    linn_file_close(r.file);
    int status = r.no_memory ? linn_cli_fail(self, "%s: out of memory", path) : LINN_EXIT_DONE;
    return linn_cli_output_finish(&r.out, self, status);
}

static int run(const linn_command *self, int argc, char **argv)
{
    settings s = {0};
    int n;
    char *path;
    int status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n);
    if (status == LINN_PARSED)
        status = linn_cli_model_path(self, argv[1], &path);
    if (status != LINN_PARSED)
        return status;
    status = inspect(self, path, &s);
    free(path);
    return status;
}

static const linn_option options[] = {
    LINN_FLAG('k', "keys", settings, keys, "List all keys; long values are cut"),
    LINN_FLAG(0, "full", settings, full, "List all keys with their whole values"),
    LINN_FLAG('t', "tensors", settings, tensors, "List all tensors: type, shape, size, place"),
    LINN_FLAG(0, "json", settings, json, "Print one JSON object with everything in it"),
    LINN_OPTIONS_END,
};

const linn_command linn_command_inspect = {
    .name = "inspect",
    .usage = "MODEL [options]",
    .summary = "Say what a GGUF file holds",
    .description = "Prints what a GGUF file says of itself: name and licence, architecture and "
                   "sizes, number formats, context and vocabulary. The file need not be a model "
                   "that linn can run. MODEL is a file, or river, brook or rill of the default "
                   "family.",
    .options = options,
    .examples = "  linn inspect river\n"
                "  linn inspect --tensors model.gguf\n"
                "  linn inspect --json model.gguf | jq '.keys[\"general.architecture\"]'\n",
    .run = run,
};
