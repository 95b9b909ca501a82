/* maxgram.h - Max-Gram: the longest suffix of the timeline that occurs earlier in
 * the committed text proposes what followed it there (Chen et al., NeurIPS 2024,
 * section 3.3).
 *
 * The match, exactly: for text T of committed tokens and draft D, the longest suffix
 * of TD that ends somewhere in T before the end of TD. Its length is found exactly and
 * is the proposal's confidence; the i-th token of a proposal (from 0) has that length + i,
 * as it would have after a push of those before, while these follow committed text. Of several
 * occurrences the most recent proposes, or the most recent that was recorded (maxgram.c). What
 * followed may run into the draft and then into the proposal itself, so a repetition
 * is carried on.
 */
#ifndef LINN_DRAFT_MAXGRAM_H
#define LINN_DRAFT_MAXGRAM_H

#include "draft/draft.h"

/* Memory for n_positions, all of it taken when the drafter is made: 92 bytes a position. */
int linn_maxgram_create(linn_drafter **out, int32_t n_positions, linn_error *err);

#endif
