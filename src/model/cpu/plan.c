/* plan.c - sorts the rows of a chunk: which belong to the same session, and which
 * have outputs.
 *
 * Rows of a session need not be neighbours. Each names the row before it in the
 * pass as its parent, so a row belongs to the run of its parent, or opens one if
 * that is in the cache or in an earlier chunk.
 */
#include "model/cpu/cpu.h"

/* The n rows `list` of the chunk (NULL: rows 0 to n - 1), stably sorted by run. */
static void sort_by_run(linn_cpu_plan *plan, const int32_t *run_of, int32_t n_runs,
                        const int32_t *list, int32_t n)
{
    plan->n = n;
    plan->n_runs = n_runs;
    for (int32_t r = 0; r <= n_runs; r++)
        plan->begin[r] = 0;
    for (int32_t i = 0; i < n; i++)
        plan->begin[run_of[list ? list[i] : i] + 1]++;
    for (int32_t r = 0; r < n_runs; r++)
        plan->begin[r + 1] += plan->begin[r];
    for (int32_t i = 0; i < n; i++) { /* begin[r] moves to the end of run r ... */
        int32_t row = list ? list[i] : i, at = plan->begin[run_of[row]]++;
        plan->row[at] = row;
        plan->place[at] = i;
    }
    for (int32_t r = n_runs; r > 0; r--) /* ... where run r + 1 begins */
        plan->begin[r] = plan->begin[r - 1];
    plan->begin[0] = 0;
}

/* Position of the first of the n ascending numbers that is not below `least`. */
static int32_t lower_bound(const int32_t *numbers, int32_t n, int32_t least)
{
    int32_t low = 0;
    while (low < n) {
        int32_t middle = low + (n - low) / 2;
        if (numbers[middle] < least)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* Merges the rows of the chunk that have logits and those that have hidden states. */
static void list_outputs(linn_workspace *s, const linn_pass *pass, int32_t begin, int32_t end)
{
    int32_t l = lower_bound(pass->logit_rows, pass->n_logits, begin), l0 = l;
    int32_t h = lower_bound(pass->hidden_rows, pass->n_hidden, begin), h0 = h;
    s->logits = pass->logits + (size_t)l * (size_t)s->params->n_vocab;
    s->hidden = pass->hidden + (size_t)h * (size_t)s->params->n_embd;
    s->n_out = 0;
    for (;;) {
        int32_t row = end;
        if (l < pass->n_logits && pass->logit_rows[l] < row)
            row = pass->logit_rows[l];
        if (h < pass->n_hidden && pass->hidden_rows[h] < row)
            row = pass->hidden_rows[h];
        if (row == end)
            break;
        if (l < pass->n_logits && pass->logit_rows[l] == row)
            s->logit_place[l++ - l0] = s->n_out;
        if (h < pass->n_hidden && pass->hidden_rows[h] == row)
            s->hidden_place[h++ - h0] = s->n_out;
        s->out_row[s->n_out++] = row - begin;
    }
    s->n_logits = l - l0;
    s->n_hidden = h - h0;
}

void linn_cpu_plan_chunk(linn_workspace *s, const linn_pass *pass, int32_t begin, int32_t end)
{
    s->rows = pass->rows + begin;
    s->n_rows = end - begin;
    int32_t n_runs = 0;
    for (int32_t i = 0; i < s->n_rows; i++) {
        int32_t parent = s->rows[i].parent;
        s->run_of[i] = parent >= begin ? s->run_of[parent - begin] : n_runs++;
    }
    sort_by_run(&s->all, s->run_of, n_runs, NULL, s->n_rows);
    list_outputs(s, pass, begin, end);
    sort_by_run(&s->outputs, s->run_of, n_runs, s->out_row, s->n_out);
}
