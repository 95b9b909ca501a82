/* model_path.h - what the user calls a model, as the path of a file.
 *
 * A MODEL operand is a path, or the name of a model of the default family that linn comes
 * with: river, brook or rill.
 */
#ifndef LINN_CLI_MODEL_PATH_H
#define LINN_CLI_MODEL_PATH_H

#include "cli.h"

/* Sets *path (for free(); NULL unless LINN_PARSED) to the file that `model` means. A word that
 * is no name of the family is taken as a path as it is, whether there is such a file or not:
 * opening it says what is wrong. A name of the family means a file of that very name if there
 * is one, else NAME.gguf where the family is installed (model_path.c has the list). When it
 * is in none of these places, prints a line that lists them.
 * Returns LINN_PARSED (options.h), or the exit status to end with. */
int linn_cli_model_path(const linn_command *self, const char *model, char **path);

/* The same for a table of n-grams, of which the family has one: river, for all three. */
int linn_cli_table_path(const linn_command *self, const char *table, char **path);

#endif
