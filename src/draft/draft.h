/* draft.h - what every drafter is: something that guesses the next tokens.
 *
 * A drafter follows one timeline. Tokens are *committed* (they are part of the
 * text for good) or *drafted* (they may be taken back). Drafting never allocates.
 *
 * Invariant: length == committed + drafted tokens that the drafter has been
 * told of; roll_back(n) returns it to n committed-or-drafted tokens.
 */
#ifndef LINN_DRAFT_DRAFT_H
#define LINN_DRAFT_DRAFT_H

#include "linn.h"

/* A proposed token, and how sure the drafter is of it: for Max-Gram the match length, for an
 * n-gram table the count behind it, for a model the margin of its coupled score. */
typedef struct linn_proposal {
    linn_token token;
    float confidence;
} linn_proposal;

#endif
