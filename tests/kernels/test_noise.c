/* Philox against its authors' known answers, and Gumbel noise at its limits and in law. */
#include "test.h"
#include "kernels/noise.h"

#include <math.h>

typedef struct answer {
    uint32_t counter[4], key[2], out[4];
} answer;

/* kat_vectors of the Random123 distribution: philox4x32, 10 rounds */
static const answer answers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        uint32_t out[4];
        linn_philox(answers[i].counter, answers[i].key, out);
        assert_memory_equal(out, answers[i].out, sizeof out);
    }
}

static void counters(void **state)
{
    (void)state;
    uint32_t got[4], want[4];
    const uint32_t counter[4] = {7, 3, LINN_STREAM_LEVELS, 0}, key[2] = {0x89abcdef, 0x01234567};
    linn_philox(counter, key, want);
    linn_noise_words(0x0123456789abcdef, LINN_STREAM_LEVELS, 7, 3, got);
    assert_memory_equal(got, want, sizeof got);
    for (linn_token v = 0; v < 9; v++) {
        linn_noise_words(5, LINN_STREAM_GUMBEL, 11, (uint32_t)v >> 2, got);
        assert_true(linn_gumbel(5, 11, v) == linn_gumbel_of(got[v & 3]));
    }
    assert_true(linn_choice_seed(99, 0) == 99);
    assert_true(linn_choice_seed(99, 1) != linn_choice_seed(99, 2));
    assert_true(linn_choice_seed(99, 1) == linn_choice_seed(99, 1));
}

/* What would go wrong in plain float32: u == 1 gives an infinite E, and u == 0 an infinite g. */
static void extreme_words(void **state)
{
    (void)state;
    static const uint32_t words[] = {0,          1,          2,          0x7fffffff, 0x80000000,
                                     0xfffffeff, 0xffffff00, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        double u = linn_uniform(words[i]);
        float g = linn_gumbel_of(words[i]);
        assert_true(u > 0 && u <= 1 - 0x1p-24);
        assert_true(isfinite(g));
        long double want = -logl(-log1pl(-(long double)u));
        assert_true(fabsl((long double)g - want) <= 1e-6L * fmaxl(fabsl(want), 1));
    }
    assert_true(linn_uniform(0) == 0x1p-33);
    assert_true(linn_uniform(0xffffffff) == 1 - 0x1p-24);
    assert_true(linn_gumbel_of(0) <= LINN_GUMBEL_MAX && linn_gumbel_of(0) > 22.87f);
    assert_true(linn_gumbel_of(0xffffffff) >= LINN_GUMBEL_MIN &&
                linn_gumbel_of(0xffffffff) < -2.81f);
}

/* Larger words give no larger noise: sampling skips tokens by a bound on the word. */
static void decreasing(void **state)
{
    (void)state;
    float last = linn_gumbel_of(0);
    for (uint64_t word = 1; word <= UINT32_MAX; word += 1 + (word >> 12)) {
        float g = linn_gumbel_of((uint32_t)word);
        assert_true(g <= last);
        assert_true(g >= LINN_GUMBEL_MIN && g <= LINN_GUMBEL_MAX);
        last = g;
    }
}

/* 2^20 draws in 64 cells of equal probability under P(g <= x) = exp(-exp(-x)). */
static void law(void **state)
{
    (void)state;
    enum { CELLS = 64, DRAWS = 1 << 20 };
    int count[CELLS] = {0};
    for (int32_t t = 0; t < DRAWS / 1024; t++)
        for (linn_token v = 0; v < 1024; v++) {
            double p = exp(-exp(-(double)linn_gumbel(20260114, t, v)));
            int cell = (int)(p * CELLS);
            count[cell < CELLS ? cell : CELLS - 1]++;
        }
    double chi2 = 0, want = (double)DRAWS / CELLS;
    for (int i = 0; i < CELLS; i++)
        chi2 += (count[i] - want) * (count[i] - want) / want;
    print_message("chi-square with 63 degrees of freedom: %.1f\n", chi2);
    assert_true(chi2 < 103.4); /* p > 1e-3 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(counters),
        cmocka_unit_test(extreme_words), cmocka_unit_test(decreasing),
        cmocka_unit_test(law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
