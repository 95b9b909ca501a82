/* prompt.h - the prompt: where it comes from, and its tokens. */
#ifndef LINN_CLI_PROMPT_H
#define LINN_CLI_PROMPT_H

#include "cli.h"

/* The text given with -p, else that of a file ("-" and NULL: standard input), of which one newline
 * at the end is left off. *out is for free(). LINN_PARSED (options.h) or an exit status. */
int linn_cli_read_prompt(const linn_command *self, const char *given, const char *path, char **out,
                         size_t *length);

/* Its tokens; chat: as a user's message, in the form of the model's chat template. *out is for
 * free(). LINN_PARSED or an exit status. */
int linn_cli_prompt_tokens(const linn_command *self, const linn_tokenizer *t, const char *text,
                           size_t length, bool chat, linn_token **out, size_t *n);

#endif
