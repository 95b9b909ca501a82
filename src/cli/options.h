/* options.h - the options of a command as one constant table.
 *
 * A row names the option, says where its value goes in the command's own struct
 * (by offset; the macros check the field's type) and what is allowed. Parsing,
 * --help, the defaults printed there, the manual page and the completion all come from
 * the table.
 *
 * Numbers are read strictly: all of the word, in decimal, in range; "nan", "inf",
 * "0x10", " 1" and "1k" are refused by one line that names option, value and
 * what is allowed.
 */
#ifndef LINN_CLI_OPTIONS_H
#define LINN_CLI_OPTIONS_H

#include "cli.h"

typedef enum linn_option_kind {
    LINN_OPTION_END,
    LINN_OPTION_GROUP,   /* a heading of --help */
    LINN_OPTION_FLAG,    /* bool */
    LINN_OPTION_TEXT,    /* const char * */
    LINN_OPTION_TEXTS,   /* linn_texts: may be given several times */
    LINN_OPTION_INTEGER, /* int64_t */
    LINN_OPTION_REAL,    /* double */
    LINN_OPTION_CHOICE,  /* int: index into choices */
} linn_option_kind;

typedef struct linn_texts {
    const char **items; /* [n], borrowed from argv; free(items) */
    size_t n;
} linn_texts;

struct linn_option {
    linn_option_kind kind;
    char letter;                /* 0: none */
    const char *name;           /* without the dashes; of a group: its heading */
    const char *argument;       /* its name in --help; NULL for flags and choices */
    size_t offset;              /* of the field in the command's struct */
    const char *help;           /* one or more sentences without the default */
    const char *otherwise;      /* the default in words; NULL: the field's value */
    int64_t low, high;          /* of integers, inclusive */
    double min, max;            /* of reals, inclusive */
    bool above_min, below_max;  /* reals: min or max itself is not allowed */
    const char *const *choices; /* ends with NULL */
};

/* offsetof that compiles only if the field has the type. */
#define LINN_FIELD(struct_type, field, field_type)                                            \
    (offsetof(struct_type, field) + 0 * sizeof(_Generic(((struct_type *)0)->field, field_type \
                                                        : (char)0)))

#define LINN_GROUP(heading)                          \
    {                                                \
        .kind = LINN_OPTION_GROUP, .name = (heading) \
    }
#define LINN_FLAG(l, n, type, field, text)                      \
    {                                                           \
        .kind = LINN_OPTION_FLAG, .letter = (l), .name = (n),   \
        .offset = LINN_FIELD(type, field, bool), .help = (text) \
    }
#define LINN_TEXT(l, n, arg, type, field, text, ...)                                 \
    {                                                                                \
        .kind = LINN_OPTION_TEXT, .letter = (l), .name = (n), .argument = (arg),     \
        .offset = LINN_FIELD(type, field, const char *), .help = (text), __VA_ARGS__ \
    }
#define LINN_TEXTS(l, n, arg, type, field, text, ...)                              \
    {                                                                              \
        .kind = LINN_OPTION_TEXTS, .letter = (l), .name = (n), .argument = (arg),  \
        .offset = LINN_FIELD(type, field, linn_texts), .help = (text), __VA_ARGS__ \
    }
#define LINN_INTEGER(l, n, arg, type, field, least, most, text, ...)                \
    {                                                                               \
        .kind = LINN_OPTION_INTEGER, .letter = (l), .name = (n), .argument = (arg), \
        .offset = LINN_FIELD(type, field, int64_t), .low = (least), .high = (most), \
        .help = (text), __VA_ARGS__                                                 \
    }
#define LINN_REAL(l, n, arg, type, field, least, most, text, ...)                                 \
    {                                                                                             \
        .kind = LINN_OPTION_REAL, .letter = (l), .name = (n), .argument = (arg),                  \
        .offset = LINN_FIELD(type, field, double), .min = (least), .max = (most), .help = (text), \
        __VA_ARGS__                                                                               \
    }
#define LINN_CHOICE(l, n, type, field, words, text, ...)                                        \
    {                                                                                           \
        .kind = LINN_OPTION_CHOICE, .letter = (l), .name = (n),                                 \
        .offset = LINN_FIELD(type, field, int), .choices = (words), .help = (text), __VA_ARGS__ \
    }
#define LINN_OPTIONS_END        \
    {                           \
        .kind = LINN_OPTION_END \
    }

enum { LINN_PARSED = -1 }; /* not an exit status: go on */

/* Reads the options of argv into *values (holding the defaults) and moves what is no option
 * to the front of argv from 1 on: *n_operands words, of which min to max are allowed.
 * Returns LINN_PARSED, or the exit status to end with (0 after --help). */
int linn_cli_parse(const linn_command *self, int argc, char **argv, void *values, int min_operands,
                   int max_operands, int *n_operands);

/* Prints --help of a command; `values` holds the defaults. Returns an exit status. */
int linn_cli_help(const linn_command *self, const void *values);

/* Strict reading of a whole word. */
bool linn_cli_read_integer(const char *word, int64_t *out);
bool linn_cli_read_real(const char *word, double *out);
/* "1,2,3" (blanks around numbers allowed), each from `low` to INT32_MAX; *out is for free(). `what`
 * is one of them, for the message: "a token id". LINN_PARSED or an exit status. */
int linn_cli_read_list(const linn_command *self, const char *option, const char *what, int32_t low,
                       const char *word, int32_t **out, size_t *n);

#endif
