/* rows.c - see rows.h. */
#include "rows.h"

#include "options.h"

#include <stdio.h>
#include <string.h>

static int read_number(const linn_command *self, const char *option, const char *at, size_t n,
                       linn_rows *out)
{
    char word[32];
    int *columns = &out->columns[out->n];
    snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : (int)sizeof word - 1, at);
    if (out->n == LINN_MAX_LEVELS || *columns == LINN_MAX_LEVELS)
        return linn_cli_misuse(self, "%s: more than %d rows or columns", option, LINN_MAX_LEVELS);
    if (n >= sizeof word || !linn_cli_read_real(word, &out->value[out->n][*columns]))
        return linn_cli_misuse(self, "%s: '%s' in row %d: must be a number", option, word,
                               out->n + 1);
    ++*columns;
    return LINN_PARSED;
}

int linn_cli_read_rows(const linn_command *self, const char *option, const char *text,
                       linn_rows *out)
{
    memset(out, 0, sizeof *out);
    for (const char *at = text;;) {
        at += strspn(at, " \t\n,");
        if (*at == ';' || !*at) {
            out->n += out->n < LINN_MAX_LEVELS && out->columns[out->n] > 0;
            if (!*at++)
                return LINN_PARSED;
            continue;
        }
        size_t n = strcspn(at, " \t\n,;");
        int status = read_number(self, option, at, n, out);
        if (status != LINN_PARSED)
            return status;
        at += n;
    }
}

int linn_cli_read_matrix(const linn_command *self, const char *option, const char *text,
                         int32_t *matrix, int32_t *order)
{
    linn_rows rows;
    int status = linn_cli_read_rows(self, option, text, &rows);
    if (status != LINN_PARSED)
        return status;
    for (int r = 0; r < rows.n; r++) {
        if (rows.columns[r] != rows.columns[0])
            return linn_cli_misuse(self, "%s: row %d has %d numbers, row 1 has %d", option, r + 1,
                                   rows.columns[r], rows.columns[0]);
        for (int j = 0; j < rows.columns[0]; j++) {
            double value = rows.value[r][j];
            if (!(value >= 0 && value <= 255) || value != (int32_t)value)
                return linn_cli_misuse(self,
                                       "%s: '%g' in row %d: must be a whole number from 0 to 255",
                                       option, value, r + 1);
        }
    }
    if (rows.n != rows.columns[0])
        return linn_cli_misuse(self, "%s: %d rows of %d numbers: must be square", option, rows.n,
                               rows.columns[0]);
    *order = rows.n;
    for (int i = 0; i < rows.n * rows.n; i++)
        matrix[i] = (int32_t)rows.value[i / rows.n][i % rows.n];
    return LINN_PARSED;
}
