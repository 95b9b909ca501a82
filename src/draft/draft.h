/* draft.h - what every drafter is: something that guesses the next tokens.
 *
 * A drafter follows one timeline: first tokens that are *committed* (part of the
 * text for good), then tokens that are *drafted* (they may be taken back).
 * The first token has position 0, and a drafter is made for a number of positions:
 * pushing more is the caller's error. Nothing here allocates after that.
 *
 * Invariant: committed <= length <= positions. `push` and `roll_back` move length,
 * `commit` moves committed; drafting and rolling back leave no trace, so what is
 * proposed is a function of the timeline and of what was committed when.
 */
#ifndef LINN_DRAFT_DRAFT_H
#define LINN_DRAFT_DRAFT_H

#include "linn.h"

typedef enum linn_source { LINN_SOURCE_MODEL, LINN_SOURCE_MAXGRAM, LINN_SOURCE_NGRAM } linn_source;

/* A proposed token, who proposes it, and how sure that one is of it: for Max-Gram the match
 * length, for an n-gram table the probability that it gives the token, for a model the margin of
 * its coupled score. Those of different sources do not compare. */
typedef struct linn_proposal {
    linn_token token;
    linn_source source;
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
    const char *name;   /* of the level, as linn_stats shows it */
    linn_source source; /* of its proposals */
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
