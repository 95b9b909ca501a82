/* cascade.h - the cascade's own state, which its files share.
 *
 * One timeline for all levels: text[0 .. committed) is said, text[committed .. length)
 * is drafted. Everything that follows it is rolled back by counters:
 *   - the sampler and the statistical drafters stand at `length`;
 *   - a level knows the first levels[i]->known <= length tokens. Its cache may hold more,
 *     cached[i][0 .. n_cached[i]): where the timeline comes back to those, after a detour
 *     that other levels took, they are known again (linn_timeline_recognise).
 * What belongs to a draft token (origin, q, law, stop states) is stored by its
 * position, or by its distance from `committed`.
 */
#ifndef LINN_CASCADE_CASCADE_H
#define LINN_CASCADE_CASCADE_H

#include "cascade/kmatrix.h"
#include "cascade/law.h"
#include "cascade/level.h"
#include "cascade/policy.h"
#include "cascade/sample.h"
#include "cascade/text.h"
#include "draft/draft.h"

enum { LINN_STOPPED = 1 }; /* of inner functions: cancelled, which is no error */

struct linn_cascade {
    linn_kmatrix k;
    linn_level *levels[LINN_MAX_LEVELS]; /* [k.n_models], owned */
    linn_token *cached[LINN_MAX_LEVELS]; /* [n_ctx] */
    int32_t n_cached[LINN_MAX_LEVELS];
    linn_drafter
        *statistical[2]; /* [n_statistical], owned: the first that knows something speaks */
    int n_statistical;
    linn_proposal *proposals; /* [k.block] what one of them was asked for last */
    int32_t n_proposed;
    int proposer;                    /* which of them */
    linn_policy fixed, *policy;      /* policy: `fixed`, or owned */
    const linn_tokenizer *tokenizer; /* of the target; NULL: no token ends a text */
    linn_sampler *sampler;
    double lenience;
    float log_lenience;
    linn_lenience_rule lenience_rule;
    linn_verify verify;
    int32_t n_vocab, n_ctx;
    int32_t draft_limit; /* tokens that the next draft for the target may have; whoever shares
                            passes between cascades may change it between rounds */

    linn_token *text; /* [n_ctx] */
    int32_t committed, length;
    uint8_t *origin; /* [n_ctx] who proposed the token first, as in the statistics */
    float *q;        /* [n_ctx] the paper's lenience rule: how likely the drafter held it */
    bool ended;      /* the last token ends the text: nothing may follow */

    /* rejection sampling */
    linn_law *laws;                  /* [k.longest[0] + 1] of draft tokens, from `committed` on */
    linn_law p, rest, scratch;       /* of the row under review */
    float *law_p;                    /* the memory of all these */
    linn_token *law_ids;             /* "" */
    uint32_t tries[LINN_MAX_LEVELS]; /* draws of a level so far, so that none is like another */

    /* the request at work */
    const linn_request *request;
    int32_t n_prompt;
    linn_stops stops;
    int32_t *stop_states; /* [k.longest[0] + 2, stops.n] before the text from `committed` on */
    linn_stats *stats;
    int64_t prompt_ns;
};

/* What linn_cascade_create ends with; tests begin here. Takes over levels[k->n_models] (largest
 * first, the target at 0) and statistical[n_statistical], at most 2, also when it fails. s: as in
 * linn.h, the session's n_ctx set. */
int linn_cascade_assemble(linn_cascade **out, const linn_kmatrix *k, linn_level *const *levels,
                          linn_drafter *const *statistical, int n_statistical,
                          const linn_tokenizer *tokenizer, const linn_cascade_settings *s,
                          linn_error *err);

/* Where levels come from. `make` gives level `index`, of model m, the other
 * arguments being those of linn_level_model. */
typedef struct linn_level_source {
    void *user;
    int (*make)(void *user, linn_level **out, int index, const linn_model *m, int32_t n_vocab,
                int32_t max_outputs, const linn_session_settings *s, linn_error *err);
} linn_level_source;

/* linn_cascade_create with levels from elsewhere. */
int linn_cascade_create_on(linn_cascade **out, const linn_level_source *source,
                           const linn_model *target, const linn_model *const *drafters,
                           size_t n_drafters, const linn_cascade_settings *s, linn_error *err);

/* timeline.c */
int linn_timeline_begin(linn_cascade *c, const linn_request *r, linn_error *err);
void linn_timeline_end(linn_cascade *c);
void linn_timeline_append(linn_cascade *c, linn_token token, int origin);
/* Takes back all tokens from `length` on. */
void linn_timeline_roll_back(linn_cascade *c, int32_t length);
/* The first `length` tokens are said. */
void linn_timeline_commit(linn_cascade *c, int32_t length);
/* Raises what level r knows as far as its cache agrees with the timeline, at most to `limit`. */
void linn_timeline_recognise(linn_cascade *c, int r, int32_t limit);
/* Level r has taken in text[0 .. length). */
void linn_timeline_known(linn_cascade *c, int r, int32_t length);
linn_law *linn_timeline_law(linn_cascade *c, int32_t position); /* of a draft token */

/* review.c: one forward pass of level r over the draft text[base ..), for level `above` (-1: the
 * text itself). Keeps what passes, then adds r's own token, unless the text ends. */
int linn_review(linn_cascade *c, int r, int above, int32_t base, linn_error *err);

/* recursion.c */
/* Brings what the target has of the prompt within one pass of its end. */
int linn_read_prompt(linn_cascade *c, linn_error *err);
/* Drafts and reviews once: adds from 1 to `room` tokens of the target's own. */
int linn_round(linn_cascade *c, int32_t room, linn_error *err);
/* A pass of level r over what it does not know of text[0 .. length). */
int linn_level_pass(linn_cascade *c, int r, int32_t length, int32_t n_outputs, linn_error *err);

#endif
