/* prompts.h - files of prompts, for measuring.
 *
 * JSON Lines: an object a line, with the text in `prompt`, `question` (put as
 * "Question: ...\nAnswer:", the form that the family was trained on) or `turns` (a list of
 * texts, of which the first is the prompt), and what kind of prompt it is in `kind` or
 * `category`, if it says so. Other fields are passed over, so the project's own prompts,
 * GSM8K, HumanEval and Spec-Bench are read as they are.
 */
#ifndef LINN_CLI_PROMPTS_H
#define LINN_CLI_PROMPTS_H

#include "cli.h"

typedef struct linn_cli_prompt {
    char *text;  /* UTF-8, not empty, without zero bytes */
    char *kind;  /* "maths"; without one, the name of the file less its suffix */
    size_t line; /* in the file, from 1 */
} linn_cli_prompt;

typedef struct linn_cli_prompts {
    linn_cli_prompt *items; /* [n] */
    size_t n;
    size_t n_broken; /* lines that hold no prompt */
} linn_cli_prompts;

/* Reads a file; "-" is standard input. Lines that hold no prompt are named on stderr (the first
 * few of them), counted and left out; blank ones are nothing. A file without any prompt fails.
 * LINN_PARSED (options.h) or an exit status; free in either case. */
int linn_cli_read_prompts(const linn_command *self, const char *path, linn_cli_prompts *out);
void linn_cli_free_prompts(linn_cli_prompts *p);

#endif
