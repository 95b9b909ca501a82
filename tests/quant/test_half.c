/* Conversions of binary16 and bfloat16 against arithmetic that shares nothing with
 * them: powers of two by ldexp, rounding by search among the neighbours. */
#include "test.h"
#include "quant/quant.h"

#include <fenv.h>
#include <math.h>

/* What 16 bits mean: sign, exponent and mantissa of the given widths; for finite values. */
static double meaning(unsigned h, int exponent_bits, int mantissa_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1;
    int e = (int)(h >> mantissa_bits) & ((1 << exponent_bits) - 1);
    int m = (int)h & ((1 << mantissa_bits) - 1);
    double v = e == 0 ? ldexp(m, 1 - bias - mantissa_bits)
                      : ldexp(1 << mantissa_bits | m, e - bias - mantissa_bits);
    return h & 0x8000 ? -v : v;
}

static void f16_widens_exactly(void **state)
{
    (void)state;
    for (unsigned h = 0; h <= 0xffff; h++) {
        float f = linn_f16_to_f32((uint16_t)h);
        if ((h & 0x7c00) == 0x7c00) {
            assert_true(h & 0x3ff ? isnan(f) : isinf(f));
            assert_int_equal(linn_f32_bits(f) >> 31, h >> 15);
            continue;
        }
        assert_true((double)f == meaning(h, 5, 10));
        assert_int_equal(linn_f32_bits(f) >> 31, h >> 15); /* -0 too */
    }
}

static void bf16_widens_exactly(void **state)
{
    (void)state;
    for (unsigned h = 0; h <= 0xffff; h++) {
        float f = linn_bf16_to_f32((uint16_t)h);
        if ((h & 0x7f80) == 0x7f80)
            assert_true(h & 0x7f ? isnan(f) : isinf(f));
        else
            assert_true((double)f == meaning(h, 8, 7));
        assert_int_equal(linn_f32_bits(f) >> 31, h >> 15);
    }
}

typedef uint16_t (*narrow)(float f);

/* Rounds |v| to nearest even by its neighbours lo and lo + 1 (bit patterns of positive values). */
static void check_between(narrow to16, unsigned lo, int eb, int mb)
{
    unsigned infinity = ((1u << eb) - 1) << mb;
    double a = meaning(lo, eb, mb);
    /* the value past the largest, if there were one, decides what becomes infinity */
    double b = lo + 1 == infinity ? ldexp(1, 1 << (eb - 1)) : meaning(lo + 1, eb, mb);
    float mid = (float)((a + b) / 2);
    assert_true((double)mid == (a + b) / 2); /* a tie is a float32 */
    unsigned even = lo & 1 ? lo + 1 : lo;
    for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
        float s = sign ? -1.f : 1.f;
        assert_int_equal(to16(s * (float)a), sign | lo);
        assert_int_equal(to16(s * mid), sign | even);
        assert_int_equal(to16(s * nextafterf(mid, 0)), sign | lo);
        assert_int_equal(to16(s * nextafterf(mid, INFINITY)), sign | (lo + 1));
        if (lo + 1 < infinity)
            assert_int_equal(to16(s * nextafterf((float)b, 0)), sign | (lo + 1));
        if (lo > 0)
            assert_int_equal(to16(s * nextafterf((float)a, INFINITY)), sign | lo);
    }
}

static void rounds_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7c00; h++)
        check_between(linn_f32_to_f16, h, 5, 10);
    for (unsigned h = 0; h < 0x7f80 - 1; h++)
        check_between(linn_f32_to_bf16, h, 8, 7);
    /* bfloat16's last step is above FLT_MAX in part: ties at 0x7f7f8000 go to infinity */
    assert_int_equal(linn_f32_to_bf16(linn_f32_from_bits(0x7f7f7fff)), 0x7f7f);
    assert_int_equal(linn_f32_to_bf16(linn_f32_from_bits(0x7f7f8000)), 0x7f80);
    assert_int_equal(linn_f32_to_bf16(linn_f32_from_bits(0xff7fffff)), 0xff80);
}

static void round_trips(void **state)
{
    (void)state;
    for (unsigned h = 0; h <= 0xffff; h++) {
        uint16_t f16 = linn_f32_to_f16(linn_f16_to_f32((uint16_t)h));
        uint16_t bf16 = linn_f32_to_bf16(linn_bf16_to_f32((uint16_t)h));
        /* a NaN comes back quiet, with its payload */
        bool f16_nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff);
        bool bf16_nan = (h & 0x7f80) == 0x7f80 && (h & 0x7f);
        assert_int_equal(f16, f16_nan ? h | 0x200 : h);
        assert_int_equal(bf16, bf16_nan ? h | 0x40 : h);
    }
}

static void nans_stay_nans(void **state)
{
    (void)state;
    /* payloads whose upper bits are all zero must not turn into infinity */
    for (uint32_t payload = 1; payload < 0x800000; payload = payload * 2 + 1)
        for (uint32_t sign = 0; sign <= 1; sign++) {
            float f = linn_f32_from_bits(sign << 31 | 0x7f800000 | payload);
            assert_true(isnan(linn_f16_to_f32(linn_f32_to_f16(f))));
            assert_true(isnan(linn_bf16_to_f32(linn_f32_to_bf16(f))));
            assert_int_equal(linn_f32_to_f16(f) >> 15, sign);
        }
}

static void ignores_the_rounding_mode(void **state)
{
    (void)state;
    int saved = fegetround();
    fesetround(FE_UPWARD);
    uint16_t a = linn_f32_to_f16(1.0001f), b = linn_f32_to_bf16(1.0001f);
    fesetround(saved);
    assert_int_equal(a, 0x3c00);
    assert_int_equal(b, 0x3f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_widens_exactly),     cmocka_unit_test(bf16_widens_exactly),
        cmocka_unit_test(rounds_to_nearest_even), cmocka_unit_test(round_trips),
        cmocka_unit_test(nans_stay_nans),         cmocka_unit_test(ignores_the_rounding_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
