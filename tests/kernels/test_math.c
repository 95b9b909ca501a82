/* exp, log, pow, sin and cos against long double libm, over their whole ranges. */
#include "test.h"
#include "kernels/math.h"
#include "quant/half.h"

#include <float.h>
#include <math.h>

static uint64_t rng_state = 1;

static uint64_t rng(void) /* splitmix64 */
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Where long double is done in software, fewer will do. */
enum { ROUNDS = LDBL_MANT_DIG == 64 ? 1000000 : 20000 };

static double uniform(double a, double b)
{
    return a + (b - a) * ((double)(rng() >> 11) * 0x1p-53);
}

static double ulps32(float got, long double want)
{
    float w = (float)want;
    float ulp = nextafterf(fabsf(w), INFINITY) - fabsf(w);
    return (double)(fabsl((long double)got - want) / (long double)ulp);
}

static double ulps64(double got, long double want)
{
    double w = (double)want;
    double ulp = nextafter(fabs(w), INFINITY) - fabs(w);
    return (double)(fabsl((long double)got - want) / (long double)ulp);
}

/* every 61st float between the limits */
static void exp32(void **state)
{
    (void)state;
    double worst = 0;
    for (uint32_t u = 0; u < 0x7f800000; u += 61)
        for (int sign = 0; sign < 2; sign++) {
            float x = linn_f32_from_bits(u | (uint32_t)sign << 31);
            float y = linn_exp32(x);
            if (x < -87.3f)
                assert_true(y == 0);
            else if (x > 88.7228f)
                assert_true(isinf(y));
            else
                worst = fmax(worst, ulps32(y, expl((long double)x)));
        }
    print_message("exp32: %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    assert_true(linn_exp32(0) == 1 && linn_exp32(-INFINITY) == 0 && isinf(linn_exp32(INFINITY)));
    assert_true(isnan(linn_exp32(NAN)));
    assert_true(linn_exp32(-87.3f) >= FLT_MIN && isfinite(linn_exp32(0x1.62e42ep+6f)));
}

static void exp64(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double x = i % 2 ? uniform(-708, 709.7) : uniform(-1, 1);
        worst = fmax(worst, ulps64(linn_exp64(x), expl((long double)x)));
    }
    print_message("exp64: %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    assert_true(linn_exp64(0) == 1 && linn_exp64(-800) == 0 && isinf(linn_exp64(710)));
    assert_true(linn_exp64(-745) == 0x1p-1074 && isnan(linn_exp64(NAN)));
    assert_true(linn_exp64(-INFINITY) == 0 && isinf(linn_exp64(INFINITY)));
}

static void log64(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double x;
        uint64_t u = rng() >> 1;
        memcpy(&x, &u, sizeof x);
        if (i % 3 == 0)
            x = uniform(0.5, 2);
        else if (i % 3 == 1)
            x = 1 + ldexp(uniform(-1, 1), -(int)(rng() % 52)) / 2;
        if (!(x > 0 && isfinite(x)) || x == 1)
            continue;
        worst = fmax(worst, ulps64(linn_log64(x), logl((long double)x)));
    }
    print_message("log64: %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    assert_true(linn_log64(1) == 0);
    assert_true(ulps64(linn_log64(0x1p-1074), logl(0x1p-1074L)) <= 1);
}

static void pow64(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double x = exp(uniform(-30, 30)), y = uniform(-1, 1) * 20;
        if (i % 2) { /* RoPE frequencies */
            x = i % 4 == 1 ? 10000 : uniform(10000, 5e6);
            y = -(double)(rng() % 128) / 128;
        }
        worst = fmax(worst, ulps64(linn_pow64(x, y), powl((long double)x, (long double)y)));
    }
    print_message("pow64: %.3f ulp\n", worst);
    assert_true(worst <= 1.0); /* promised: 4 */
    assert_true(linn_pow64(2, 10) == 1024 && linn_pow64(3.5, 0) == 1);
    assert_true(isinf(linn_pow64(10, 400)) && linn_pow64(10, -400) == 0);
}

static void sincos64(void **state)
{
    (void)state;
    double worst = 0, s, c;
    for (int i = 0; i < ROUNDS; i++) {
        double x;
        switch (i % 4) {
        case 0:
            x = uniform(-10, 10);
            break;
        case 1:
            x = uniform(-0x1p30, 0x1p30);
            break;
        case 2: /* next to multiples of pi/2 */
            x = (double)(rng() % 683565275) * 1.5707963267948966;
            break;
        default:
            x = ldexp(uniform(-1, 1), -(int)(rng() % 60));
        }
        linn_sincos64(x, &s, &c);
        worst = fmax(worst, ulps64(s, sinl((long double)x)));
        worst = fmax(worst, ulps64(c, cosl((long double)x)));
    }
    print_message("sincos64: %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    linn_sincos64(0, &s, &c);
    assert_true(s == 0 && c == 1);
}

/* The same bits everywhere and for ever: a hash of many results. If this changes, the numeric
 * version must. */
static void known_bits(void **state)
{
    (void)state;
    uint64_t hash = 0xcbf29ce484222325;
    rng_state = 7;
    for (int i = 0; i < 20000; i++) {
        double v[6] = {0};
        v[0] = (double)linn_exp32((float)uniform(-90, 90));
        v[1] = linn_exp64(uniform(-750, 715));
        v[2] = linn_log64(uniform(0, 10));
        double power = uniform(-3, 3), base = uniform(0.01, 1e6);
        v[3] = linn_pow64(base, power);
        linn_sincos64(uniform(-1e6, 1e6), &v[4], &v[5]);
        for (int j = 0; j < 6; j++) {
            uint64_t u;
            memcpy(&u, &v[j], sizeof u);
            hash = (hash ^ u) * 0x100000001b3;
            hash ^= hash >> 29;
        }
    }
    assert_true(hash == 0x19eb055d8953d9cb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp32), cmocka_unit_test(exp64),    cmocka_unit_test(log64),
        cmocka_unit_test(pow64), cmocka_unit_test(sincos64), cmocka_unit_test(known_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
