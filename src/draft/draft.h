/* draft.h - what every drafter is: something that guesses the next tokens.
 *
 * A drafter follows one timeline: first tokens that are *committed* (part of the
 * text for good), then tokens that are *drafted* (they may be taken back).
 * Nothing here allocates after the drafter is made.
 *
 * Invariant: committed <= length. `push` and `roll_back` move length,
 * `commit` moves committed; drafting and rolling back leave no trace, so what is
 * proposed is a function of the timeline and of what was committed when.
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

/* How a drafter that has a distribution chooses from it: as the target does, with the target's
 * noise (kernels/noise.h), so that the two often agree. Temperature 0: the most likely. */
typedef struct linn_choice {
    float temperature;
    uint64_t seed;
} linn_choice;

typedef struct linn_drafter linn_drafter;
struct linn_drafter {
    const char *name;
    /* Writes up to n guesses of the tokens that follow the timeline, which does not change;
     * returns how many, 0 when there is nothing to go by. */
    int32_t (*propose)(linn_drafter *d, int32_t n, linn_proposal *out);
    void (*push)(linn_drafter *d, linn_token token);      /* one more drafted token */
    void (*roll_back)(linn_drafter *d, int32_t length);   /* committed <= length <= now */
    void (*commit)(linn_drafter *d, int32_t committed);   /* old committed <= it <= length */
    void (*restart)(linn_drafter *d, linn_choice choice); /* an empty timeline */
    void (*free)(linn_drafter *d);
};

#endif
