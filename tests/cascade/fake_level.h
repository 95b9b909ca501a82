/* fake_level.h - levels whose logits are a known function of the prefix.
 *
 * A fake level keeps its own copy of the tokens it was given and checks the cascade by
 * it: what the cascade thinks it knows is what it has, nothing that it has is computed
 * again, and rows and outputs are as promised.
 */
#ifndef LINN_TESTS_FAKE_LEVEL_H
#define LINN_TESTS_FAKE_LEVEL_H

#include "cascade/cascade.h"

typedef struct fake_level fake_level;
struct fake_level {
    linn_level level;
    /* Writes n_vocab logits of the token after text[0..length); hash stands for that prefix. */
    void (*law)(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                float *out);
    const fake_level *other; /* for laws that lean on another level's ... */
    double lean;             /* ... and how much */
    uint64_t seed;
    int32_t n_text, max_outputs;
    linn_token *text; /* [n_ctx] */
    uint64_t *hash;   /* [n_ctx + 1] of the prefix of each length */
    float *logits;    /* [max_outputs, n_vocab] */
    int32_t n_prompt; /* set by the test: the last token of a prompt may be read again */
    int fail_at;      /* forward number from which on it fails; 0: never */
    bool broken;      /* its logits are NaN */
    int n_forwards;
};

fake_level *fake_level_create(int32_t n_vocab, int32_t n_ctx, int32_t max_outputs);

/* Independent logits, spread evenly over +-spread. */
void fake_random_law(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                     float *out);
/* lean * the other's + (1 - lean) * own */
void fake_leaning_law(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                      float *out);
/* Puts all on one token: the other's with probability `lean`, independently for every prefix, else
 * one that the other does not say. With no other, a token drawn evenly. */
void fake_agreeing_law(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                       float *out);

linn_token fake_said(const fake_level *f, uint64_t hash); /* the token of fake_agreeing_law */

uint64_t fake_hash(uint64_t a, uint64_t b);
double fake_uniform(uint64_t hash); /* [0, 1) */

#endif
