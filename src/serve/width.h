/* width.h - what a pass of n rows costs, and how many draft tokens are worth their rows.
 *
 * T(n) is kept on a grid and learned from real passes, so it holds for this machine, these
 * models and this load. The choice is a simple form of the marginal rule: draft tokens of
 * all sequences, the likeliest to be accepted first, join the target's next pass up to
 * the number at which most tokens are expected per second. With many sequences the pass
 * is wide already, a further row costs more, and drafting fades by itself; none at all is
 * among the choices.
 */
#ifndef LINN_SERVE_WIDTH_H
#define LINN_SERVE_WIDTH_H

#include "linn.h"

enum { LINN_WIDTH_GRID = 17 };

typedef struct linn_widths {
    double ns[LINN_WIDTH_GRID]; /* of a pass of 1, 2, 3, 4, 6, 8, 12, 16, ... 256 rows */
    int n_measured;             /* grid points, from the first on; beyond: a straight line */
} linn_widths;

/* Rows of grid point i. */
int32_t linn_widths_rows(int i);
double linn_widths_ns(const linn_widths *w, int32_t rows);
/* A pass of that many rows took so long. All points move a little with it: when the machine is
 * slower, it is so at every width. */
void linn_widths_learn(linn_widths *w, int32_t rows, double ns);

/* A sequence that will be in the target's next pass with one row of its own. */
typedef struct linn_contender {
    double acceptance;  /* of a draft token, given that all before it were accepted */
    double catch_up_ns; /* once, before it can draft at all */
    int32_t most;       /* draft tokens it may have */
    int32_t chosen;     /* the answer */
    double value;       /* scratch: the chance that one token more is accepted */
} linn_contender;

/* draft_ns: time that drafters take per token of the longest draft; they draft for all sequences
 * at once. */
void linn_widths_choose(const linn_widths *w, double draft_ns, linn_contender *c, int32_t n);

#endif
