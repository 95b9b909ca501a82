/* widths.h - what a forward pass of n rows costs, learned from real passes: T(n).
 *
 * Kept on a grid, with straight lines between. A point that passes told of follows their median:
 * small steps of bounded size, so that a pass which the machine interrupted, or a clock that
 * jumped, counts as one. When the machine is slower it is so at every width, so all points
 * move a little with each.
 */
#ifndef LINN_CASCADE_WIDTHS_H
#define LINN_CASCADE_WIDTHS_H

#include "linn.h"

enum { LINN_WIDTH_GRID = 17 };

typedef struct linn_widths {
    double ns[LINN_WIDTH_GRID];    /* of a pass of 1, 2, 3, 4, 6, 8, 12, 16, ... 256 rows */
    int n_measured;                /* grid points, from the first on; beyond: a straight line */
    int32_t seen[LINN_WIDTH_GRID]; /* of linn_widths_discover: passes that told; 0: a guess */
} linn_widths;

/* Rows of grid point i. */
int32_t linn_widths_rows(int i);
/* 0: nothing is known. */
double linn_widths_ns(const linn_widths *w, int32_t rows);
/* A pass of that many rows took so long. */
void linn_widths_learn(linn_widths *w, int32_t rows, double ns);
/* The same where no point was measured before. Until a wider pass comes, each row more is taken to
 * cost row_ns (0: unknown). One slow pass never says that a width is slow: it may be the machine.
 */
/* Where nothing is known: as that of another model. */
void linn_widths_guess(linn_widths *w, const linn_widths *like, double scale);
void linn_widths_discover(linn_widths *w, int32_t rows, double ns, double row_ns);

#endif
