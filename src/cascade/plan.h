/* plan.h - how fast a cascade would be: exact expectations under independent acceptance.
 *
 * A level r lets a token of level j pass with probability alpha[r][j] whenever it has let all
 * before it pass. Then what a step of Algorithm 1 adds is a random number of tokens with a law
 * that depends on the level alone, and a cascade's rounds are alike, so its speed is expected
 * tokens over expected cost of one round. No closed form is needed: the laws are carried up from
 * the lowest level as vectors.
 *
 * A level's draft is followed by two vectors over its length L: the chance that it is so long
 * (which gives the cost), and the chance that it is so long and the reviewer will accept all of
 * it. A step that adds m tokens with acceptance a moves the second from L on: a^t (1-a) of it
 * ends with L+t tokens kept, for t < m, and a^m of it lives on at L+m. Drafts only grow, so one
 * sweep upward over the lengths is the loop "while the draft is shorter than its share".
 *
 * Rows of a pass are those of the draft and one more. What a level catches up on, because another
 * wrote it, is not counted.
 */
#ifndef LINN_CASCADE_PLAN_H
#define LINN_CASCADE_PLAN_H

#include "cascade/kmatrix.h"
#include "linn_tools.h"

enum { LINN_LENGTHS = LINN_MAX_DRAFT + 2 }; /* 0 to the longest draft and the reviewer's token */

typedef struct linn_lengths {
    int32_t longest;
    double p[LINN_LENGTHS]; /* chance of so many tokens; 0 beyond `longest` */
} linn_lengths;

/* A draft, and what its reviewer will keep of it. */
typedef struct linn_sweep {
    int32_t longest;
    double drafted[LINN_LENGTHS]; /* chance that it has so many tokens by now */
    double alive[LINN_LENGTHS];   /* ... and that all are accepted */
    double kept[LINN_LENGTHS];    /* chance that the first refused token comes after so many */
} linn_sweep;

void linn_sweep_begin(linn_sweep *s);
/* Drafts that have `at` tokens take one step more, of tokens accepted with probability alpha; those
 * whose step adds nothing stay. No step may go beyond LINN_MAX_DRAFT. Returns how likely such
 * drafts were. */
double linn_sweep_step(linn_sweep *s, int32_t at, const linn_lengths *step, double alpha);
/* What the review adds to the text: the tokens kept, and one of the reviewer's own. */
void linn_sweep_review(const linn_sweep *s, linn_lengths *out);

double linn_plan_cost(const linn_pass_cost *c, int32_t rows);
/* LINN_EINVAL for figures that cannot be, else the K matrix that the cascade stands for. */
int linn_plan_check(const linn_plan *p, const linn_plan_cascade *c, linn_kmatrix *k,
                    linn_error *err);
/* linn_plan_evaluate of what was checked. */
void linn_plan_exact(const linn_plan *p, const linn_kmatrix *k, linn_forecast *out);

#endif
