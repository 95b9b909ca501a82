/* sample.h - the token that a row of logits stands for: next(M, x, seed).
 *
 * A sampler holds the settings of one request, and what they need to know of the
 * timeline: how often each token was seen, and the state of the constraint. `push`
 * and `roll_back` move along the timeline, drafts included, so a row is always
 * judged by the tokens before it, whoever asks and however often.
 *
 * Use: move to the position; `read` a row of logits; then ask for the token, for
 * scores or for the law. All levels of a cascade share one sampler.
 *
 * Numerics (docs/numerics.md): in order
 *     z = logit, + bias (in the order given)
 *     token seen in prompt or output:      z > 0 ? z / repeat : z * repeat
 *     token seen n > 0 times in the output: z = z - n * frequency, z = z - presence
 *     token not allowed by the constraint: z = -inf
 *     z_max = the largest z; temperature 0: the token is its lowest id
 *     s = (z - z_max) / temperature
 *     top-k: the first k in the order (z falling, id rising)
 *     top-p: of those, the shortest prefix with  sum w >= p * sum of all w,
 *            w = floor(exp32(s) 2^31), integers, so their sums have no order
 *     min-p: of those, the ones with s >= log(min_p), rounded to float
 *     score = s + gumbel(seed, position, token); the largest wins, ties the lowest id
 * All in float32 but for the sums. A logit of -inf is a token that cannot come; NaN,
 * +inf, or nothing possible is an error.
 */
#ifndef LINN_CASCADE_SAMPLE_H
#define LINN_CASCADE_SAMPLE_H

#include "linn.h"

typedef struct linn_sampler linn_sampler;

/* A probability law over tokens: those of probability above 0, ids rising. */
typedef struct linn_law {
    int32_t n;
    linn_token *ids; /* [n_vocab] */
    float *p;        /* [n_vocab] */
} linn_law;

/* LINN_EINVAL with the name of the setting that is out of range. */
int linn_sampling_check(const linn_sampling *s, int32_t n_vocab, linn_error *err);

/* n_vocab: tokens that may come; n_ctx: the longest timeline. */
int linn_sampler_create(linn_sampler **out, int32_t n_vocab, int32_t n_ctx, linn_error *err);
void linn_sampler_free(linn_sampler *s);

/* Starts a timeline with a prompt. The settings' arrays and constraint are borrowed until the next
 * `begin`. The constraint must be in the state after the prompt. */
int linn_sampler_begin(linn_sampler *s, const linn_sampling *settings, const linn_token *prompt,
                       int32_t n_prompt, linn_error *err);
int32_t linn_sampler_length(const linn_sampler *s); /* of the timeline */
void linn_sampler_push(linn_sampler *s, linn_token token);
void linn_sampler_roll_back(linn_sampler *s, int32_t length); /* prompt <= length <= now */

/* Takes in the logits of the token at the timeline's length. n: logits in the row, of which those
 * from n_vocab on are ignored. `who` is named in errors. The row is borrowed until the next
 * read. */
int linn_sampler_read(linn_sampler *s, const char *who, const float *logits, int32_t n,
                      linn_error *err);

/* Of the row read last. */
linn_token linn_sampler_pick(linn_sampler *s); /* the token at the timeline's length */
/* The same, and by how much its score exceeds the next best (at temperature 0: its z). */
linn_token linn_sampler_pick_surely(linn_sampler *s, float *margin);
float linn_sampler_score(linn_sampler *s, linn_token token); /* -inf: it cannot come */
/* How likely: after the filters, or, at temperature 0, by the plain softmax. */
double linn_sampler_probability(linn_sampler *s, linn_token token);
void linn_sampler_law(linn_sampler *s, linn_law *out); /* at temperature 0: all on one token */

#endif
