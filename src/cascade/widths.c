/* widths.c - see widths.h. */
#include "cascade/widths.h"

static const double STEP = 0.04, FIRST_STEP = 0.25;
static const double SLOPE = 0.25; /* of T(1): a row more, where nothing is known */
enum { SEEN_FEW = 5, SEEN_SOME = 24, SEEN_ENOUGH = 1000 }; /* passes */

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

/* Small steps of bounded size find the median: a pass that was interrupted counts as one. A point
 * that few passes told of moves more, and falls more than it rises: nothing makes a pass faster
 * than it is. */
static double step(int32_t seen, double off)
{
    double down = STEP, up = STEP;
    if (seen > 0 && seen < SEEN_FEW) {
        down = 1;
        up = FIRST_STEP;
    } else if (seen > 0 && seen < SEEN_SOME) {
        down = 4 * STEP;
        up = 2 * STEP;
    }
    return off < -down ? -down : off > up ? up : off;
}

void linn_widths_learn(linn_widths *w, int32_t rows, double ns)
{
    double expected = linn_widths_ns(w, rows);
    if (expected <= 0 || !(ns > 0))
        return;
    double off = ns / expected - 1;
    int at = point_below(w, rows);
    for (int i = 0; i < w->n_measured; i++) {
        bool near = i == at || (i == at + 1 && rows > grid[at]);
        w->ns[i] *= 1 + (near ? step(w->seen[i], off) : step(0, off) / 8);
        w->seen[i] += near && w->seen[i] > 0 && w->seen[i] < SEEN_ENOUGH;
    }
}

/* Guesses for points that no pass told of: on the line between those around, or further along. */
static void guess(linn_widths *w, double row_ns)
{
    int below = 0;
    for (int i = 1; i < LINN_WIDTH_GRID; i++) {
        if (w->seen[i]) {
            below = i;
            continue;
        }
        int above = i + 1;
        while (above < LINN_WIDTH_GRID && !w->seen[above])
            above++;
        double slope = row_ns;
        if (above < LINN_WIDTH_GRID)
            slope = (w->ns[above] - w->ns[below]) / (grid[above] - grid[below]);
        else if (below > 0)
            slope = (w->ns[below] - w->ns[0]) / (grid[below] - grid[0]);
        w->ns[i] = w->ns[below] + (slope > 0 ? slope : 0) * (grid[i] - grid[below]);
    }
}

void linn_widths_guess(linn_widths *w, const linn_widths *like, double scale)
{
    if (w->n_measured > 0)
        return;
    *w = (linn_widths){.n_measured = like->n_measured};
    for (int i = 0; i < LINN_WIDTH_GRID; i++)
        w->ns[i] = like->ns[i] * scale;
}

void linn_widths_discover(linn_widths *w, int32_t rows, double ns, double row_ns)
{
    if (!(ns > 0))
        return;
    if (w->n_measured == 0) {
        w->n_measured = LINN_WIDTH_GRID;
        w->ns[0] = ns / (1 + SLOPE * (rows - 1));
        guess(w, row_ns > 0 ? row_ns : SLOPE * w->ns[0]);
    }
    int at = point_below(w, rows);
    at += at + 1 < LINN_WIDTH_GRID && rows - grid[at] > grid[at + 1] - rows;
    if (w->seen[at] == 0)
        w->seen[at] = 1; /* it moves by large steps */
    linn_widths_learn(w, rows, ns);
    if (w->seen[at] <= SEEN_FEW)
        guess(w, row_ns > 0 ? row_ns : SLOPE * w->ns[0]);
    for (int i = 0; i < at; i++) /* fewer rows cost no more */
        w->ns[i] = w->ns[i] < w->ns[at] ? w->ns[i] : w->ns[at];
    for (int i = 1; i < LINN_WIDTH_GRID; i++) /* one row after the other is possible, too */
        w->ns[i] = w->ns[i] < grid[i] * w->ns[0] ? w->ns[i] : grid[i] * w->ns[0];
}
