/* main.c - the list of commands and the way to them.
 *
 * To add a command: write cmd_NAME.c, name it in the list below and in meson.build.
 * The manual page and the completion take it from --help.
 */
#include "cli.h"
#include "options.h"
#include "output.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

extern const linn_command linn_command_bench;
extern const linn_command linn_command_demo;
extern const linn_command linn_command_inspect;
extern const linn_command linn_command_logits;
extern const linn_command linn_command_ngram;
extern const linn_command linn_command_plan;
extern const linn_command linn_command_quantize;
extern const linn_command linn_command_run;
extern const linn_command linn_command_serve;
extern const linn_command linn_command_tokenize;
extern const linn_command linn_command_tune;

/* In the order in which --help lists them, one a line. */
/* clang-format off */
static const linn_command *const commands[] = {
    &linn_command_run,
    &linn_command_serve,
    &linn_command_demo,
    &linn_command_inspect,
    &linn_command_logits,
    &linn_command_bench,
    &linn_command_plan,
    &linn_command_tune,
    &linn_command_ngram,
    &linn_command_quantize,
    &linn_command_tokenize,
    NULL,
};
/* clang-format on */

static int print_version(void)
{
    linn_cli_output out = {0};
    linn_cli_print(&out, "linn %s (numeric version %d)\n", linn_version(), linn_numeric_version());
    return linn_cli_output_finish(&out, NULL, LINN_EXIT_DONE);
}

static int print_help(void)
{
    linn_cli_output out = {0};
    linn_cli_print(&out,
                   "Usage: linn COMMAND [options]\n"
                   "       linn COMMAND --help\n\n"
                   "Runs language models from GGUF files. A model, a prompt, the settings and "
                   "a seed\ndetermine the text; threads and hardware only change how soon it "
                   "arrives.\n\nCommands:\n");
    for (const linn_command *const *c = commands; *c; c++)
        linn_cli_print(&out, "  %-12s%s\n", (*c)->name, (*c)->summary);
    linn_cli_print(&out, "\nOptions:\n"
                         "  -h, --help      Print this and stop\n"
                         "  -V, --version   Print the version and the numeric version: programs of "
                         "equal\n                  numeric versions give equal text\n"
                         "\nExample:\n  linn run river -p \"Once upon a time\"\n"
                         "\nMore: man linn\n");
    return linn_cli_output_finish(&out, NULL, LINN_EXIT_DONE);
}

static int unknown_command(const linn_command *parent, const linn_command *const *list,
                           const char *word)
{
    const char *names[64], *near;
    size_t n = 0;
    for (; n < sizeof names / sizeof names[0] && list[n]; n++) {
        const char *blank = strrchr(list[n]->name, ' ');
        names[n] = blank ? blank + 1 : list[n]->name;
    }
    near = linn_cli_nearest(word, names, n);
    const char *what = word[0] == '-' ? "option" : "command";
    if (near)
        return linn_cli_misuse(parent, "unknown %s '%s'; is it '%s'", what, word, near);
    return linn_cli_misuse(parent, "unknown %s '%s'", what, word);
}

/* argv[0] is the word to look up in `list`. */
static int dispatch(const linn_command *parent, const linn_command *const *list, int argc,
                    char **argv)
{
    if (argc == 0)
        return linn_cli_misuse(parent, "missing command");
    for (const linn_command *const *c = list; *c; c++) {
        const char *blank = strrchr((*c)->name, ' ');
        if (strcmp(argv[0], blank ? blank + 1 : (*c)->name) != 0)
            continue;
        if ((*c)->run)
            return (*c)->run(*c, argc, argv);
        if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
            return linn_cli_help(*c, NULL);
        return dispatch(*c, (*c)->subcommands, argc - 1, argv + 1);
    }
    return unknown_command(parent, list, argv[0]);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write (output.h) */
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return print_help();
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return print_version();
    return dispatch(NULL, commands, argc - 1, argv + 1);
}
