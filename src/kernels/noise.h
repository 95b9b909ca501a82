/* noise.h - random numbers by position: Philox 4x32-10 (Salmon et al., SC 2011) and
 * Gumbel noise from it.
 *
 * There is no generator state: a number is a function of (seed, stream, position,
 * token), so it is the same whoever asks, in whatever order, however often. That is
 * what lets every level of a cascade guess with the target's own noise
 * (docs/numerics.md).
 */
#ifndef LINN_KERNELS_NOISE_H
#define LINN_KERNELS_NOISE_H

#include "linn.h"

/* What the numbers of a stream are for; streams of one seed are independent. */
enum {
    LINN_STREAM_GUMBEL = 0, /* the noise of sampled tokens: coupled verification */
    LINN_STREAM_LEVELS = 1, /* from here on: rejection sampling, by level and try */
};

void linn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Words r of tokens 4 v4 .. 4 v4 + 3 at a position: counter (position, v4, stream, 0), key = seed
 * (low word first). */
void linn_noise_words(uint64_t seed, uint32_t stream, int32_t position, uint32_t v4,
                      uint32_t out[4]);

/* u = min((r + 1/2) 2^-32, 1 - 2^-24), in (0, 1); exact in double. */
double linn_uniform(uint32_t word);

/* g = -log(-log1p(-u)), in double, rounded to float; within [LINN_GUMBEL_MIN, LINN_GUMBEL_MAX]. */
float linn_gumbel_of(uint32_t word);
#define LINN_GUMBEL_MIN (-2.82f)
#define LINN_GUMBEL_MAX 22.88f

/* g(seed, position, token) */
float linn_gumbel(uint64_t seed, int32_t position, linn_token token);

/* The seed of choice i of several answers to one request: Philox(seed, i); choice 0 has the seed
 * itself. */
uint64_t linn_choice_seed(uint64_t seed, uint32_t i);

#endif
