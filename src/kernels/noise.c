/* noise.c - random numbers by position (noise.h).
 *
 * Philox 4x32-10: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. Ten rounds of two 32 x 32 -> 64 bit products; the key grows by Weyl
 * constants between rounds.
 */
#include "kernels/noise.h"

#include "kernels/math.h"

void linn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xd2511f53 * c0;
        uint64_t b = (uint64_t)0xcd9e8d57 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9e3779b9; /* the golden ratio */
        k1 += 0xbb67ae85; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void linn_noise_words(uint64_t seed, uint32_t stream, int32_t position, uint32_t v4,
                      uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)position, v4, stream, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    linn_philox(counter, key, out);
}

double linn_uniform(uint32_t word)
{
    double u = ((double)word + 0.5) * 0x1p-32;
    return u < 1.0 - 0x1p-24 ? u : 1.0 - 0x1p-24;
}

/* 1 - u is exact (u has at most 33 bits after the point), so its log is log1p(-u). */
float linn_gumbel_of(uint32_t word)
{
    double e = -linn_log64(1.0 - linn_uniform(word));
    return (float)-linn_log64(e);
}

float linn_gumbel(uint64_t seed, int32_t position, linn_token token)
{
    uint32_t words[4], v = (uint32_t)token;
    linn_noise_words(seed, LINN_STREAM_GUMBEL, position, v >> 2, words);
    return linn_gumbel_of(words[v & 3]);
}

/* The last counter word is 1 here and 0 in all noise, so no seed repeats noise. */
uint64_t linn_choice_seed(uint64_t seed, uint32_t i)
{
    if (i == 0)
        return seed;
    const uint32_t counter[4] = {i, 0, 0, 1};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    linn_philox(counter, key, out);
    return out[0] | (uint64_t)out[1] << 32;
}
