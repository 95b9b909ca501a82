/* pass_rows.c - see pass_rows.h. */
#include "pass_rows.h"

void linn_cli_pass_rows(linn_row *rows, linn_session *session, const linn_token *tokens, int32_t n,
                        unsigned outputs, unsigned last)
{
    int32_t first = linn_session_length(session);
    for (int32_t i = 0; i < n; i++)
        rows[i] = (linn_row){
            .token = tokens[i],
            .position = first + i,
            .slot = first + i,
            .parent = i == 0 ? LINN_ROW_NONE : i - 1,
            .session = session,
            .outputs = i == n - 1 ? last : outputs,
        };
}
