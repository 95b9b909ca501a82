/* cli.h - what a command is, how it is found, and how it fails.
 *
 * One file a command: cmd_NAME.c defines `const linn_command linn_command_NAME`,
 * and main.c lists it. Nothing here includes anything of linn but linn.h.
 *
 * Exit status: 0 done, 1 failed (one line on stderr: what, where, what to do),
 * 2 bad usage (one line too), 130 stopped by Ctrl-C. Text goes to stdout,
 * everything else to stderr.
 */
#ifndef LINN_CLI_CLI_H
#define LINN_CLI_CLI_H

#include "linn.h"

enum {
    LINN_EXIT_DONE = 0,
    LINN_EXIT_FAILED = 1,
    LINN_EXIT_USAGE = 2,
    LINN_EXIT_INTERRUPTED = 130, /* 128 + SIGINT, as shells have it */
};

typedef struct linn_option linn_option; /* options.h */

typedef struct linn_command linn_command;
struct linn_command {
    const char *name;           /* all of it: "run", "bench memory" */
    const char *usage;          /* what follows the name: "MODEL [options]" */
    const char *summary;        /* a line without a full stop, for the list of commands */
    const char *description;    /* paragraphs for --help, wrapped there; may be NULL */
    const linn_option *options; /* ends with LINN_OPTIONS_END; NULL: none but --help */
    const char *examples;       /* lines printed as they are; may be NULL */
    /* Either a function (argv[0] is the last word of the name) or subcommands (ends with NULL). */
    int (*run)(const linn_command *self, int argc, char **argv);
    const linn_command *const *subcommands;
};

/* Writes one line "linn NAME: ..." to stderr and returns LINN_EXIT_FAILED, so that a
 * failing command ends with `return linn_cli_fail(self, ...)`. Control bytes become '?':
 * a name with a newline in it is still one line. */
int linn_cli_fail(const linn_command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for bad usage: adds where to look, returns LINN_EXIT_USAGE. */
int linn_cli_misuse(const linn_command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line on stderr that is not an error. */
void linn_cli_note(const linn_command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of n words, the one that `word` is most likely a slip of; NULL when none is near. */
const char *linn_cli_nearest(const char *word, const char *const *words, size_t n);

#endif
