/* mixture.h - which number format each tensor of a quantised file gets.
 *
 * A quantised model is a mixture: most matrices in one format, and those whose errors
 * do the most harm (the output, values of attention, the way down from the
 * feed-forward block, early and late layers) in a better one. The names ("Q4_K_M") and
 * the rules are llama.cpp's, so that a file has the size and quality that its name
 * promises anywhere; mixture.c has them in words.
 */
#ifndef LINN_MODEL_MIXTURE_H
#define LINN_MODEL_MIXTURE_H

#include "gguf/gguf.h"

typedef struct linn_mixture {
    const char *name; /* "Q4_K_M" */
    uint32_t type;    /* LINN_TYPE_* of most matrices */
    uint32_t number;  /* as general.file_type has it */
} linn_mixture;

/* All names; NULL past the end. */
const char *linn_mixture_name(size_t i);
/* Letter case ignored; NULL when there is none. */
const linn_mixture *linn_mixture_find(const char *name);

/* What the rules ask of a model. */
typedef struct linn_mixture_model {
    long n_layers;
    uint32_t n_shared;  /* heads that share a key and a value; 1 when not stated */
    uint32_t n_experts; /* 0: dense */
    bool tied;          /* the output is the token embedding */
} linn_mixture_model;

linn_mixture_model linn_mixture_survey(const linn_file *f);

/* The format of a tensor: its own if it is none to be quantised. `pure`: the mixture's first
 * format for all matrices. *wanted is what the rules ask for; the result differs from it where
 * the rows are no multiple of its blocks. */
uint32_t linn_mixture_choose(const linn_mixture *m, const linn_mixture_model *model, bool pure,
                             const linn_tensor *t, uint32_t *wanted);

#endif
