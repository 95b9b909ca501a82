/* law.h - probability laws of draft tokens, for rejection sampling.
 *
 * A draft token x must be judged by the very law q it was drawn from. A reviewer with
 * law p and lenience l lets it pass with probability
 *     a(x) = 1 where p(x) > q(x) / l, else p(x) / q(x)
 * and else draws from r = norm(max(0, p - q)), or from p where that is empty. With l = 1
 * the outcome has law p (Leviathan et al. 2023, Theorem 1); else it has the law
 *     q_eff = q a + (1 - sum(q a)) r,
 * which is what the level above judges it by.
 */
#ifndef LINN_CASCADE_LAW_H
#define LINN_CASCADE_LAW_H

#include "cascade/sample.h"

double linn_law_of(const linn_law *law, linn_token token); /* 0: not in it */
void linn_law_one(linn_law *out, linn_token token);        /* all on one token */
void linn_law_copy(linn_law *out, const linn_law *law);
double linn_law_pass(const linn_law *p, const linn_law *q, double lenience, linn_token token);
void linn_law_rest(const linn_law *p, const linn_law *q, linn_law *out); /* r */
/* Replaces q by q_eff; scratch is overwritten. */
void linn_law_effective(const linn_law *p, linn_law *q, double lenience, const linn_law *rest,
                        linn_law *scratch);
/* The token at u, in (0, 1), of the law's distribution function. */
linn_token linn_law_draw(const linn_law *law, double u);

#endif
