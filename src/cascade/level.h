/* level.h - a level that reviews: something that gives logits after any prefix.
 *
 * Usually a model with a session and a batch (linn_level_model); tests put functions
 * here whose laws are known exactly.
 *
 * Invariant: the level's cache holds the first `known` tokens of the timeline. The cascade
 * rolls it back by lowering `known`; what lies beyond is forgotten by the next pass.
 */
#ifndef LINN_CASCADE_LEVEL_H
#define LINN_CASCADE_LEVEL_H

#include "linn.h"

enum { LINN_PASS_ROWS = 64 }; /* tokens read in one pass while only reading */

typedef struct linn_level linn_level;
struct linn_level {
    const char *name;      /* borrowed */
    uint64_t n_parameters; /* 0: not a model */
    int32_t n_vocab;       /* logits in a row that mean tokens of the target */
    int32_t n_ctx;         /* positions that it has room for */
    int32_t known;
    /* Takes in text[known .. length) in one pass, at most LINN_PASS_ROWS and the tokens with
     * outputs; the last n_outputs of them get logits. Must not move `known`: the caller does. */
    int (*forward)(linn_level *l, const linn_token *text, int32_t length, int32_t n_outputs,
                   linn_error *err);
    const float *(*logits)(const linn_level *l, int32_t i); /* of output i, from 0 */
    void (*free)(linn_level *l);
};

/* n_vocab: as above. max_outputs: rows with logits in a pass. */
int linn_level_model(linn_level **out, const linn_model *m, int32_t n_vocab, int32_t max_outputs,
                     const linn_session_settings *s, linn_error *err);

#endif
