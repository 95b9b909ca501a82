/* figures.c - see figures.h. What the figures say together is checked by the library. */
#include "figures.h"

#include "options.h"
#include "rows.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- stated -----------------------------------------------------------------------------------
 */

/* Row r has what comes after level r. */
static int check_rows(const linn_command *self, const linn_rows *rows, int n_levels)
{
    if (rows->n != n_levels - 1)
        return linn_cli_misuse(self, "--alpha: %d rows: with %d in row 1 it must have %d", rows->n,
                               n_levels - 1, n_levels - 1);
    for (int r = 0; r < rows->n; r++)
        if (rows->columns[r] != n_levels - 1 - r)
            return linn_cli_misuse(self, "--alpha: row %d has %d numbers: must have %d", r + 1,
                                   rows->columns[r], n_levels - 1 - r);
    return LINN_PARSED;
}

int linn_cli_figures_stated(const linn_command *self, const char *alpha, const char *cost,
                            bool maxgram, linn_figures *out)
{
    linn_rows rates, costs;
    memset(out, 0, sizeof *out);
    int status = linn_cli_read_rows(self, "--alpha", alpha, &rates);
    if (status == LINN_PARSED)
        status = linn_cli_read_rows(self, "--cost", cost ? cost : "", &costs);
    if (status != LINN_PARSED)
        return status;
    int n = rates.columns[0] + 1;
    if (n == 1)
        return linn_cli_misuse(self, "--alpha: there are no numbers");
    if (n > LINN_MAX_LEVELS - 1)
        return linn_cli_misuse(self, "--alpha: %d levels after the target: at most %d", n - 1,
                               LINN_MAX_LEVELS - 2);
    status = check_rows(self, &rates, n);
    if (status != LINN_PARSED)
        return status;
    int stated = costs.columns[0];
    if (costs.n > 1 || (stated != n - 1 && !(maxgram && stated == n - 2)))
        return linn_cli_misuse(self, "--cost: %d numbers in %d rows: must be one row of %d%s",
                               stated, costs.n, n - 1, maxgram ? ", or all but Max-Gram's" : "");
    out->plan = (linn_plan){.n_levels = n, .statistical = maxgram, .hit = 1};
    for (int i = 0; i < n; i++) {
        double c = i == 0 ? 1 : i - 1 < stated ? costs.value[0][i - 1] : 0;
        out->plan.cost[i] = (linn_pass_cost){1, {1}, {c}};
        for (int j = i + 1; j < n && i < rates.n; j++)
            out->plan.alpha[i][j] = rates.value[i][j - i - 1];
        snprintf(out->names[i], sizeof out->names[i], i == 0 ? "target" : "drafter %d", i);
    }
    if (maxgram)
        snprintf(out->names[n - 1], sizeof out->names[n - 1], "Max-Gram");
    return LINN_PARSED;
}

/* ---- from a file -------------------------------------------------------------------------------
 */

typedef struct reader {
    const linn_command *self;
    const char *path;
    linn_figures *out;
} reader;

static int wrong(const reader *r, int level, const char *what)
{
    return linn_cli_fail(r->self, "%s: level %d: %s", r->path, level + 1, what);
}

/* False: there is a key that is none of the words. */
static bool only_keys(const json_t *object, const char *const *words, const char **unknown)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        bool known = false;
        for (int i = 0; words[i]; i++)
            known |= strcmp(words[i], key) == 0;
        *unknown = key;
        if (!known)
            return false;
    }
    return true;
}

static int read_cost(const reader *r, int level, const json_t *cost)
{
    linn_pass_cost *out = &r->out->plan.cost[level];
    const char *key;
    json_t *value;
    *out = (linn_pass_cost){1, {1}, {json_number_value(cost)}}; /* 0 if it is none */
    if (json_is_number(cost) || (!cost && level == r->out->plan.n_levels - 1))
        return LINN_PARSED;
    if (!json_is_object(cost))
        return wrong(r, level, "cost: must be a number, or {\"rows\": number, ...}");
    out->n = 0;
    json_object_foreach((json_t *)cost, key, value)
    {
        int64_t rows;
        if (!linn_cli_read_integer(key, &rows) || rows < 1 || rows > 4096)
            return wrong(r, level, "cost: rows must be whole numbers from 1 to 4096");
        if (!json_is_number(value))
            return wrong(r, level, "cost: must be a number for each number of rows");
        if (out->n == LINN_MAX_WIDTHS)
            return wrong(r, level, "cost: too many widths: at most 32");
        int at = out->n++;
        for (; at > 0 && out->rows[at - 1] > rows; at--) { /* JSON has no order */
            out->rows[at] = out->rows[at - 1];
            out->cost[at] = out->cost[at - 1];
        }
        out->rows[at] = (int32_t)rows;
        out->cost[at] = json_number_value(value);
    }
    return out->n > 0 ? LINN_PARSED : wrong(r, level, "cost: there is none");
}

static int read_level(const reader *r, int level, const json_t *o)
{
    static const char *const words[] = {"name", "cost", "statistical", "hit", NULL};
    linn_plan *p = &r->out->plan;
    const char *unknown;
    const json_t *name = json_object_get(o, "name"), *hit = json_object_get(o, "hit");
    const json_t *statistical = json_object_get(o, "statistical");
    if (!json_is_object(o))
        return wrong(r, level, "must be an object with name and cost");
    if (!only_keys(o, words, &unknown))
        return linn_cli_fail(r->self, "%s: level %d: unknown key '%s'", r->path, level + 1,
                             unknown);
    if (!json_is_string(name) || json_string_length(name) == 0)
        return wrong(r, level, "name: must be a string");
    char *c = r->out->names[level];
    snprintf(c, sizeof r->out->names[level], "%s", json_string_value(name));
    for (; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    bool last = level == p->n_levels - 1 && level > 0;
    if (statistical && (!json_is_boolean(statistical) || (json_is_true(statistical) && !last)))
        return wrong(r, level, "statistical: true or false, and true of the last level only");
    if (hit && (!json_is_number(hit) || !json_is_true(statistical)))
        return wrong(r, level, "hit: must be a number, and is of a statistical level only");
    if (json_is_true(statistical)) {
        p->statistical = true;
        p->hit = hit ? json_number_value(hit) : 1;
    }
    const json_t *cost = json_object_get(o, "cost");
    if (!cost && !json_is_true(statistical))
        return wrong(r, level, "cost: there is none");
    return read_cost(r, level, cost);
}

static int read_acceptance(const reader *r, const json_t *rows)
{
    linn_plan *p = &r->out->plan;
    size_t wanted = (size_t)(p->n_levels - 1);
    if (!json_is_array(rows) || json_array_size(rows) != wanted)
        return linn_cli_fail(r->self, "%s: acceptance: must be an array of %zu rows", r->path,
                             wanted);
    for (size_t i = 0; i < wanted; i++) {
        const json_t *row = json_array_get(rows, i);
        if (!json_is_array(row) || json_array_size(row) != wanted - i)
            return linn_cli_fail(r->self, "%s: acceptance: row %zu must have %zu numbers", r->path,
                                 i + 1, wanted - i);
        for (size_t j = 0; j < wanted - i; j++) {
            const json_t *value = json_array_get(row, j);
            if (!json_is_number(value))
                return linn_cli_fail(r->self, "%s: acceptance: row %zu must have %zu numbers",
                                     r->path, i + 1, wanted - i);
            p->alpha[i][i + 1 + j] = json_number_value(value);
        }
    }
    return LINN_PARSED;
}

static int read_all(const reader *r, const json_t *root)
{
    static const char *const words[] = {"about", "levels", "acceptance", NULL};
    const char *unknown;
    const json_t *levels = json_object_get(root, "levels");
    size_t n = json_array_size(levels);
    if (!json_is_object(root) || n < 1 || n > LINN_MAX_LEVELS - 1)
        return linn_cli_fail(r->self,
                             "%s: must be an object with levels, an array of 1 to %d, and "
                             "acceptance",
                             r->path, LINN_MAX_LEVELS - 1);
    if (!only_keys(root, words, &unknown))
        return linn_cli_fail(r->self, "%s: unknown key '%s'", r->path, unknown);
    r->out->plan = (linn_plan){.n_levels = (int)n, .hit = 1};
    for (size_t i = 0; i < n; i++) {
        int status = read_level(r, (int)i, json_array_get(levels, i));
        if (status != LINN_PARSED)
            return status;
    }
    return read_acceptance(r, json_object_get(root, "acceptance"));
}

int linn_cli_figures_read(const linn_command *self, const char *path, linn_figures *out)
{
    memset(out, 0, sizeof *out);
    reader r = {self, path, out};
    json_error_t error;
    FILE *f = fopen(path, "rb");
    if (!f)
        return linn_cli_fail(self, "cannot open %s: %s", path, strerror(errno));
    json_t *root = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    fclose(f);
    if (!root)
        return linn_cli_fail(self, "%s: line %d, column %d: %s", path, error.line, error.column,
                             error.text);
    int status = read_all(&r, root);
    json_decref(root);
    return status;
}
