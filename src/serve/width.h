/* width.h - how many draft tokens of several sequences are worth their rows.
 *
 * T(n), what a pass costs (cascade/widths.h), is learned from real ones, so it holds for this
 * machine, these models and this load. The choice is a simple form of the marginal rule: draft
 * tokens of all sequences, the likeliest to be accepted first, join the target's next pass up to
 * the number at which most tokens are expected per second. With many sequences the pass
 * is wide already, a further row costs more, and drafting fades by itself; none at all is
 * among the choices.
 */
#ifndef LINN_SERVE_WIDTH_H
#define LINN_SERVE_WIDTH_H

#include "cascade/widths.h"

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
