/* pass_rows.h - the rows of a forward pass, for commands that make passes of their own. */
#ifndef LINN_CLI_PASS_ROWS_H
#define LINN_CLI_PASS_ROWS_H

#include "linn.h"

/* rows[n]: n tokens that follow what the session holds. The last one has outputs `last`, the
 * others `outputs`. */
void linn_cli_pass_rows(linn_row *rows, linn_session *session, const linn_token *tokens, int32_t n,
                        unsigned outputs, unsigned last);

#endif
