/* calibration.h - how likely a token is to pass a review, by who vouches for it and how surely.
 *
 * A *source* is a level or a statistical drafter, by its line in linn_stats: who proposed the
 * token, or the level that let it pass last. How sure that one is gives a *bin*: for Max-Gram
 * the match length, for an n-gram table the probability, for a model the margin of its score.
 * For each reviewer, source and bin counts are kept of tokens that passed and failed, all tokens
 * before them having passed. Two layers: what was seen in all texts, which profiles keep, apart
 * for temperatures (at a high one less passes); and what was seen in this text, to which
 * the first is a prior. Both fade.
 */
#ifndef LINN_CASCADE_CALIBRATION_H
#define LINN_CASCADE_CALIBRATION_H

#include "cascade/kmatrix.h"
#include "draft/draft.h"

enum {
    LINN_BINS = 12,
    LINN_ALL_BINS = LINN_BINS, /* all of a source's tokens together */
    LINN_HEATS = 3,            /* temperature 0, up to 0.5, above */
};

typedef struct linn_tally {
    float passed, failed;
} linn_tally;

/* Of reviewer, source and bin. */
typedef linn_tally linn_tallies[LINN_MAX_MODELS][LINN_MAX_LEVELS][LINN_BINS + 1];

typedef struct linn_calibration {
    linn_tallies all[LINN_HEATS], text;
    float chance[LINN_MAX_MODELS][LINN_MAX_LEVELS][LINN_BINS + 1]; /* the estimate, up to date */
    linn_source kind[LINN_MAX_LEVELS];                             /* of each source */
    int n_models, n_sources, heat;
} linn_calibration;

int linn_bin(linn_source kind, float confidence);
int linn_heat(float temperature); /* which of the layers of all texts counts at it */

/* A text begins. */
void linn_calibration_begin(linn_calibration *c, float temperature);
/* A token of the bin passed, or failed. */
void linn_calibration_count(linn_calibration *c, int reviewer, int source, int bin, bool passed);

#endif
