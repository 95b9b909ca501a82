/* width.c - see width.h. */
#include "serve/width.h"

static const double STEP = 0.04;

static const int32_t grid[LINN_WIDTH_GRID] = {1,  2,  3,  4,  6,   8,   12,  16, 24,
                                              32, 48, 64, 96, 128, 160, 192, 256};

int32_t linn_widths_rows(int i)
{
    return grid[i];
}

/* The grid point at or below `rows`, of those from which a line to the next can be drawn. */
static int point_below(const linn_widths *w, int32_t rows)
{
    int i = 0;
    while (i + 2 < w->n_measured && grid[i + 1] <= rows)
        i++;
    return i;
}

double linn_widths_ns(const linn_widths *w, int32_t rows)
{
    if (w->n_measured < 2)
        return w->n_measured ? w->ns[0] * rows : 0;
    int i = point_below(w, rows);
    double slope = (w->ns[i + 1] - w->ns[i]) / (grid[i + 1] - grid[i]);
    double ns = w->ns[i] + slope * (rows - grid[i]);
    return ns > w->ns[0] ? ns : w->ns[0];
}

void linn_widths_learn(linn_widths *w, int32_t rows, double ns)
{
    double expected = linn_widths_ns(w, rows);
    if (expected <= 0)
        return;
    /* Small steps of bounded size find the median: a pass that was interrupted counts as one. */
    double by = ns / expected - 1;
    by = by < -STEP ? -STEP : by > STEP ? STEP : by;
    int at = point_below(w, rows);
    for (int i = 0; i < w->n_measured; i++) {
        bool near = i == at || (i == at + 1 && rows > grid[at]);
        w->ns[i] *= 1 + (near ? by : by / 8);
    }
}

/* One draft token more, for whom it is likeliest to be accepted; NULL: nobody may have more. */
static linn_contender *give_one(linn_contender *c, int32_t n)
{
    linn_contender *best = NULL;
    for (int32_t i = 0; i < n; i++)
        if (c[i].chosen < c[i].most && (!best || c[i].value > best->value))
            best = &c[i];
    if (best)
        best->chosen++;
    return best;
}

static void begin(linn_contender *c, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        c[i].chosen = 0;
        c[i].value = c[i].acceptance;
    }
}

void linn_widths_choose(const linn_widths *w, double draft_ns, linn_contender *c, int32_t n)
{
    double gain = n, once = 0, best = n > 0 ? gain / linn_widths_ns(w, n) : 0;
    int32_t longest = 0, best_extra = 0;
    begin(c, n);
    for (int32_t extra = 1;; extra++) {
        linn_contender *to = give_one(c, n);
        if (!to)
            break;
        gain += to->value;
        to->value *= to->acceptance;
        once += to->chosen == 1 ? to->catch_up_ns : 0;
        longest = to->chosen > longest ? to->chosen : longest;
        double rate = gain / (linn_widths_ns(w, n + extra) + longest * draft_ns + once);
        if (rate > best) {
            best = rate;
            best_extra = extra;
        }
    }
    begin(c, n);
    for (int32_t extra = 0; extra < best_extra; extra++) {
        linn_contender *to = give_one(c, n);
        to->value *= to->acceptance;
    }
}
