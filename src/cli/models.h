/* models.h - an engine, a target and what drafts for it, opened together. */
#ifndef LINN_CLI_MODELS_H
#define LINN_CLI_MODELS_H

#include "options.h"

enum { LINN_CLI_DRAFTERS = LINN_MAX_LEVELS - 3 }; /* at most */

typedef struct linn_models {
    linn_engine *engine;
    linn_model *items[1 + LINN_CLI_DRAFTERS]; /* [n], the target first */
    size_t n;
    linn_ngram *ngram; /* NULL: none */
} linn_models;

/* threads 0: as many as processors. A drafter larger than the target gets a line on stderr.
 * LINN_PARSED or an exit status; close in either case. */
int linn_cli_open_models(const linn_command *self, const char *target, linn_texts drafters,
                         int64_t threads, linn_models *out);
/* Adds the n-gram table of a file, or river's by that name; none if name is NULL. */
int linn_cli_open_table(const linn_command *self, const char *name, linn_models *m);
void linn_cli_close_models(linn_models *m);

/* The drafters of the default family, for who names no other: none unless the target is river. */
linn_texts linn_cli_family(const char *target, linn_texts drafters);

#endif
