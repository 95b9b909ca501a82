/* kmatrix.h - who drafts how much for whom.
 *
 * Levels count from 0, the target, over the drafters to the statistical one, if any.
 * share[r][j] is how many of the tokens that level r reviews come from level j > r;
 * the shares of a row are parts of one running total, as in the paper's Algorithm 1
 * (Chen et al., NeurIPS 2024): a step that oversteps its share takes from the next.
 */
#ifndef LINN_CASCADE_KMATRIX_H
#define LINN_CASCADE_KMATRIX_H

#include "linn.h"

enum {
    LINN_MAX_DRAFT = 255, /* tokens in one review */
    LINN_OPEN_DRAFT = 24, /* the same where no matrix says how many */
    /* Max-Gram and the n-gram table have lines of their own in the statistics. */
    LINN_MAX_MODELS = LINN_MAX_LEVELS - 2,
};

typedef struct linn_kmatrix {
    int n_models;     /* levels that are models, the target included */
    bool open;        /* the shares mean nothing */
    bool statistical; /* level n_models is Max-Gram, an n-gram table, or both */
    int32_t share[LINN_MAX_LEVELS][LINN_MAX_LEVELS];
    int32_t block; /* tokens that the statistical level proposes at once */
    int32_t
        longest[LINN_MAX_LEVELS]; /* draft that level r may have to review; 0: it reviews none */
} linn_kmatrix;

/* Leaves it to a policy how long drafts are (policy.h): at most LINN_OPEN_DRAFT. */
void linn_kmatrix_open(linn_kmatrix *k);

/* What the settings make of a target with n_drafters drafters; those that the shape has no use for
 * are left out. LINN_EINVAL when they cannot be. */
int linn_kmatrix_make(linn_kmatrix *out, const linn_cascade_settings *s, size_t n_drafters,
                      linn_error *err);

#endif
