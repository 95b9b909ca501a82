/* options.c - parsing and --help from one table (getopt_long underneath). */
#include "options.h"

#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_OPTIONS = 64,
    LONG = 256, /* getopt_long's value of row i of the table, given by its long name */
    HELP = 255, /* that of --help */
    HELP_WIDTH = 80,
    HELP_COLUMN = 30, /* where the text of an option starts */
};

static size_t count_rows(const linn_option *options)
{
    size_t n = 0;
    while (options && options[n].kind != LINN_OPTION_END)
        n++;
    return n;
}

static void *field(const linn_option *o, void *values)
{
    return (char *)values + o->offset;
}

/* ---- reading values ------------------------------------------------------------------ */

bool linn_cli_read_integer(const char *word, int64_t *out)
{
    const char *digits = word + (*word == '-' || *word == '+');
    if (!isdigit((unsigned char)*digits))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, 10);
    if (*end || errno)
        return false;
    *out = value;
    return true;
}

bool linn_cli_read_real(const char *word, double *out)
{
    /* strtod would also take blanks in front, hexadecimal, "inf" and "nan". */
    if (!*word || word[strspn(word, "0123456789+-.eE")])
        return false;
    char *end;
    errno = 0;
    double value = strtod(word, &end);
    bool overflow = errno == ERANGE && (value > 1 || value < -1); /* underflow to 0 is no harm */
    if (end == word || *end || overflow)
        return false;
    *out = value;
    return true;
}

/* "a number above 0 and at most 1" */
static void describe_allowed(const linn_option *o, char *out, size_t capacity)
{
    switch (o->kind) {
    case LINN_OPTION_INTEGER:
        snprintf(out, capacity, "a whole number from %" PRId64 " to %" PRId64, o->low, o->high);
        break;
    case LINN_OPTION_REAL:
        snprintf(out, capacity, "a number %s %g and %s %g", o->above_min ? "above" : "of at least",
                 o->min, o->below_max ? "below" : "at most", o->max);
        break;
    case LINN_OPTION_CHOICE: {
        size_t used = 0;
        out[0] = '\0';
        for (size_t i = 0; o->choices[i] && used < capacity; i++) {
            const char *join = i == 0 ? "" : o->choices[i + 1] ? ", " : " or ";
            int n = snprintf(out + used, capacity - used, "%s%s", join, o->choices[i]);
            used += n > 0 ? (size_t)n : 0;
        }
        break;
    }
    default:
        snprintf(out, capacity, "something else");
    }
}

/* What stands for the value in --help: "N", or "f16|f32". */
static void describe_argument(const linn_option *o, char *out, size_t capacity)
{
    size_t used = 0;
    if (o->kind != LINN_OPTION_CHOICE) {
        snprintf(out, capacity, "%s", o->argument ? o->argument : "");
        return;
    }
    out[0] = '\0';
    for (size_t i = 0; o->choices[i] && used < capacity; i++) {
        int n = snprintf(out + used, capacity - used, "%s%s", i ? "|" : "", o->choices[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

static bool store_integer(const linn_option *o, const char *word, int64_t *out)
{
    int64_t value;
    if (!linn_cli_read_integer(word, &value) || value < o->low || value > o->high)
        return false;
    *out = value;
    return true;
}

static bool store_real(const linn_option *o, const char *word, double *out)
{
    double value;
    if (!linn_cli_read_real(word, &value) || value < o->min || value > o->max ||
        (o->above_min && value <= o->min) || (o->below_max && value >= o->max))
        return false;
    *out = value;
    return true;
}

static bool store_choice(const linn_option *o, const char *word, int *out)
{
    for (int i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], word) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool append_text(linn_texts *list, const char *word)
{
    const char **items = realloc(list->items, (list->n + 1) * sizeof *items);
    if (!items)
        return false;
    list->items = items;
    list->items[list->n++] = word;
    return true;
}

static int store(const linn_command *self, const linn_option *o, const char *given,
                 const char *word, void *values)
{
    void *at = field(o, values);
    bool good = true;
    switch (o->kind) {
    case LINN_OPTION_FLAG:
        *(bool *)at = true;
        break;
    case LINN_OPTION_TEXT:
        *(const char **)at = word;
        break;
    case LINN_OPTION_TEXTS:
        if (!append_text(at, word))
            return linn_cli_fail(self, "%s: out of memory", given);
        break;
    case LINN_OPTION_INTEGER:
        good = store_integer(o, word, at);
        break;
    case LINN_OPTION_REAL:
        good = store_real(o, word, at);
        break;
    case LINN_OPTION_CHOICE:
        good = store_choice(o, word, at);
        break;
    case LINN_OPTION_END:
    case LINN_OPTION_GROUP:
        break;
    }
    if (good)
        return LINN_PARSED;
    char allowed[256];
    describe_allowed(o, allowed, sizeof allowed);
    return linn_cli_misuse(self, "%s %s: must be %s", given, word, allowed);
}

/* ---- parsing -------------------------------------------------------------------------- */

static int unknown_option(const linn_command *self, int argc, char **argv)
{
    const char *near = NULL, *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
    char letter[] = {'-', (char)optopt, '\0'};
    if (optopt >= LONG || optopt == HELP)
        return linn_cli_misuse(self, "%s: takes no value", word);
    if (optopt != 0)
        return linn_cli_misuse(self, "unknown option %s", letter);
    const char *names[MAX_OPTIONS + 1];
    size_t n = 0, ambiguous = 0;
    for (const linn_option *o = self->options; o && o->kind != LINN_OPTION_END; o++)
        if (o->kind != LINN_OPTION_GROUP) {
            ambiguous += strncmp(o->name, word + 2, strcspn(word + 2, "=")) == 0;
            names[n++] = o->name;
        }
    if (ambiguous > 1)
        return linn_cli_misuse(self, "%s: more than one option starts so", word);
    near = linn_cli_nearest(word + 2, names, n);
    if (near)
        return linn_cli_misuse(self, "unknown option %s; is it --%s", word, near);
    return linn_cli_misuse(self, "unknown option %s", word);
}

/* Fills getopt_long's own tables from ours. */
static void prepare(const linn_command *self, char *letters, struct option *longs)
{
    size_t n = count_rows(self->options), used = 0;
    *letters++ = ':'; /* tell a missing value from an unknown option */
    *letters++ = 'h';
    longs[used++] = (struct option){"help", no_argument, NULL, HELP};
    for (size_t i = 0; i < n; i++) {
        const linn_option *o = &self->options[i];
        if (o->kind == LINN_OPTION_GROUP)
            continue;
        bool flag = o->kind == LINN_OPTION_FLAG;
        longs[used++] =
            (struct option){o->name, flag ? no_argument : required_argument, NULL, LONG + (int)i};
        if (o->letter) {
            *letters++ = o->letter;
            if (!flag)
                *letters++ = ':';
        }
    }
    longs[used] = (struct option){0};
    *letters = '\0';
}

static const linn_option *find_row(const linn_command *self, int value)
{
    if (value >= LONG)
        return &self->options[value - LONG];
    for (const linn_option *o = self->options; o && o->kind != LINN_OPTION_END; o++)
        if (o->letter == value)
            return o;
    return NULL;
}

int linn_cli_parse(const linn_command *self, int argc, char **argv, void *values, int min_operands,
                   int max_operands, int *n_operands)
{
    char letters[2 * MAX_OPTIONS + 3];
    struct option longs[MAX_OPTIONS + 2];
    prepare(self, letters, longs);
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    for (;;) {
        int value = getopt_long(argc, argv, letters, longs, NULL);
        if (value == -1)
            break;
        if (value == 'h' || value == HELP)
            return linn_cli_help(self, values);
        if (value == '?')
            return unknown_option(self, argc, argv);
        const linn_option *o = find_row(self, value == ':' ? optopt : value);
        char given[64];
        if (value >= LONG || (value == ':' && optopt >= LONG))
            snprintf(given, sizeof given, "--%s", o->name);
        else
            snprintf(given, sizeof given, "-%c", o->letter);
        if (value == ':') {
            char argument[64];
            describe_argument(o, argument, sizeof argument);
            return linn_cli_misuse(self, "%s: needs a value, %s", given, argument);
        }
        int status = store(self, o, given, optarg, values);
        if (status != LINN_PARSED)
            return status;
    }
    int n = argc - optind;
    if (n < min_operands)
        return linn_cli_misuse(self, "missing operand; usage: linn %s %s", self->name, self->usage);
    if (n > max_operands)
        return linn_cli_misuse(self, "%s: one operand too many", argv[optind + max_operands]);
    for (int i = 0; i < n; i++)
        argv[1 + i] = argv[optind + i];
    *n_operands = n;
    return LINN_PARSED;
}

int linn_cli_read_list(const linn_command *self, const char *option, const char *what, int32_t low,
                       const char *word, int32_t **out, size_t *n)
{
    size_t capacity = 1;
    for (const char *c = word; *c; c++)
        capacity += *c == ',';
    *n = 0;
    *out = malloc(capacity * sizeof **out);
    if (!*out)
        return linn_cli_fail(self, "%s: out of memory", option);
    const char *at = word;
    for (;;) {
        at += strspn(at, " \t\n");
        size_t digits = strspn(at, "0123456789");
        char number[16] = "";
        if (digits > 0 && digits < sizeof number)
            memcpy(number, at, digits);
        const char *after = at + digits + strspn(at + digits, " \t\n");
        int64_t x;
        if (!linn_cli_read_integer(number, &x) || x < low || x > INT32_MAX ||
            (*after && *after != ',')) {
            int length = (int)strcspn(at, ", \t\n");
            free(*out);
            *out = NULL;
            return linn_cli_misuse(self,
                                   "%s: '%.*s' at character %td is not %s: "
                                   "must be whole numbers from %d, with commas between",
                                   option, length < 40 ? length : 40, at, at - word + 1, what, low);
        }
        (*out)[(*n)++] = (int32_t)x;
        if (!*after)
            return LINN_PARSED;
        at = after + 1;
    }
}

/* ---- help ------------------------------------------------------------------------------ */

/* Prints words from column `column` on, wrapped; a newline in the text starts a new line. */
static void wrap(linn_cli_output *out, const char *text, int indent, int column)
{
    while (*text) {
        int length = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + length > HELP_WIDTH - 1) {
            linn_cli_print(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            linn_cli_print(out, " ");
            column++;
        }
        linn_cli_print(out, "%.*s", length, text);
        column += length;
        text += length;
        if (*text == '\n') {
            linn_cli_print(out, "\n%*s", indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    linn_cli_print(out, "\n");
}

/* "(default 0.8)", or nothing */
static void describe_default(const linn_option *o, const void *values, char *out, size_t capacity)
{
    const void *at = values ? (const char *)values + o->offset : NULL; /* flags have none */
    out[0] = '\0';
    if (o->otherwise)
        snprintf(out, capacity, " (default: %s)", o->otherwise);
    else if (o->kind == LINN_OPTION_INTEGER)
        snprintf(out, capacity, " (default: %" PRId64 ")", *(const int64_t *)at);
    else if (o->kind == LINN_OPTION_REAL)
        snprintf(out, capacity, " (default: %g)", *(const double *)at);
    else if (o->kind == LINN_OPTION_CHOICE)
        snprintf(out, capacity, " (default: %s)", o->choices[*(const int *)at]);
}

static void print_option(linn_cli_output *out, const linn_option *o, const void *values)
{
    char left[128], argument[64], standard[128], text[1024];
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    describe_argument(o, argument, sizeof argument);
    int n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, *argument ? " " : "",
                     argument);
    describe_default(o, values, standard, sizeof standard);
    snprintf(text, sizeof text, "%s%s", o->help, standard);
    if (n >= HELP_COLUMN - 1) {
        linn_cli_print(out, "%s\n%*s", left, HELP_COLUMN, "");
        n = HELP_COLUMN;
    } else {
        linn_cli_print(out, "%-*s", HELP_COLUMN, left);
    }
    wrap(out, text, HELP_COLUMN, HELP_COLUMN);
}

int linn_cli_help(const linn_command *self, const void *values)
{
    static const linn_option help = {
        .kind = LINN_OPTION_FLAG, .letter = 'h', .name = "help", .help = "Print this and stop"};
    linn_cli_output out = {0};
    linn_cli_print(&out, "Usage: linn %s %s\n\n", self->name, self->usage);
    wrap(&out, self->description ? self->description : self->summary, 0, 0);
    bool grouped = false;
    for (const linn_option *o = self->options; o && o->kind != LINN_OPTION_END; o++) {
        if (o->kind == LINN_OPTION_GROUP)
            linn_cli_print(&out, "\n%s:\n", o->name);
        else if (!grouped)
            linn_cli_print(&out, "\nOptions:\n");
        grouped = true;
        if (o->kind != LINN_OPTION_GROUP)
            print_option(&out, o, values);
    }
    if (!grouped)
        linn_cli_print(&out, "\nOptions:\n");
    print_option(&out, &help, values);
    if (self->subcommands) {
        linn_cli_print(&out, "\nCommands:\n");
        for (const linn_command *const *c = self->subcommands; *c; c++)
            linn_cli_print(&out, "  %-*s%s\n", HELP_COLUMN - 2, (*c)->name, (*c)->summary);
    }
    if (self->examples)
        linn_cli_print(&out, "\nExamples:\n%s", self->examples);
    return linn_cli_output_finish(&out, self, LINN_EXIT_DONE);
}
