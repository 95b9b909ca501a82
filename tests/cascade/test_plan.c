/* The planner against closed forms, against drawing, and its search against trying everything. */
#include "test.h"
#include "cascade/plan.h"
#include "kernels/noise.h"

#include <math.h>

static const double NEAR = 1e-9;

static void assert_near(double is, double should)
{
    if (!(fabs(is - should) <= NEAR * fabs(should)))
        fail_msg("%.15g, should be %.15g", is, should);
}

/* In (0, 1); the same in every run. */
static double draw(uint32_t *at)
{
    uint32_t words[4];
    linn_noise_words(4711, 0, (int32_t)(*at)++, 0, words);
    return linn_uniform(words[0]);
}

static int32_t draw_int(uint32_t *at, int32_t low, int32_t high)
{
    return low + (int32_t)(draw(at) * (high - low + 1));
}

static linn_plan plan_of(int n_levels, bool statistical)
{
    linn_plan p = {.n_levels = n_levels, .statistical = statistical, .hit = 1};
    for (int i = 0; i < n_levels; i++)
        p.cost[i] = (linn_pass_cost){1, {1}, {1}};
    return p;
}

static linn_forecast evaluate(const linn_plan *p, const linn_plan_cascade *c)
{
    linn_forecast f;
    linn_error err;
    if (linn_plan_evaluate(p, c, &f, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return f;
}

/* ---- closed forms -----------------------------------------------------------------------------
 */

static void plain_decoding(void **state)
{
    (void)state;
    linn_plan p = plan_of(1, false);
    linn_plan_cascade none = {.block = 1};
    linn_forecast f = evaluate(&p, &none);
    assert_true(f.speed == 1 && f.tokens == 1 && f.cost == 1);
    p = plan_of(4, true); /* with drafters that are not used */
    f = evaluate(&p, &none);
    assert_true(f.speed == 1 && f.tokens == 1 && f.cost == 1 && f.passes[1] == 0);
}

/* Leviathan et al. 2023. */
static void speculative_decoding(void **state)
{
    (void)state;
    uint32_t at = 0;
    for (int32_t k = 1; k <= 60; k++) {
        linn_plan p = plan_of(2, k % 2);
        linn_plan_cascade c = {{k}, 1};
        double a = p.alpha[0][1] = draw(&at), x = p.cost[1].cost[0] = draw(&at);
        assert_near(evaluate(&p, &c).speed, (1 - pow(a, k + 1)) / ((1 - a) * (k * x + 1)));
    }
}

static double phi(double x, double b, int32_t k)
{
    return 1 + (x - 1) * (1 - pow(b * x, k + 1)) / (1 - b * x);
}

/* The paper's vertical cascade: n steps of the first drafter, each over k tokens of the second. */
static void vertical(void **state)
{
    (void)state;
    uint32_t at = 1000;
    for (int32_t k = 1; k <= 12; k++)
        for (int32_t n = 1; n <= 6; n++) {
            double a = draw(&at), b = draw(&at), c1 = draw(&at), c2 = draw(&at);
            double form = (1 - a * pow(phi(a, b, k), n)) / ((1 - a) * (1 + n * c1 + n * k * c2));
            /* the step of the first drafter, as the planner has it */
            linn_lengths one = {1, {0, 1}}, adds, out;
            linn_sweep s;
            linn_sweep_begin(&s);
            for (int32_t i = 0; i < k; i++)
                linn_sweep_step(&s, i, &one, b);
            linn_sweep_review(&s, &adds);
            /* downward over the lengths, every draft takes one step */
            linn_sweep_begin(&s);
            for (int32_t i = 0; i < n; i++)
                for (int32_t length = s.longest; length >= 0; length--)
                    linn_sweep_step(&s, length, &adds, a);
            linn_sweep_review(&s, &out);
            double tokens = 0;
            for (int32_t i = 0; i <= out.longest; i++)
                tokens += i * out.p[i];
            assert_near(tokens / (1 + n * c1 + n * k * c2), form);
            if (n > 1)
                continue;
            linn_plan p = plan_of(3, k % 2);
            linn_plan_cascade c = {{1, 0, 0, k}, 1};
            p.alpha[0][1] = a;
            p.alpha[1][2] = b;
            p.cost[1].cost[0] = c1;
            p.cost[2].cost[0] = c2;
            assert_near(evaluate(&p, &c).speed, form);
        }
}

/* The paper's horizontal cascade: k1 tokens of one drafter, then k2 of another. */
static void horizontal(void **state)
{
    (void)state;
    uint32_t at = 2000;
    for (int32_t k1 = 1; k1 <= 12; k1++)
        for (int32_t k2 = 1; k2 <= 12; k2++) {
            linn_plan p = plan_of(3, k1 % 2);
            linn_plan_cascade c = {{k1, k2, 0, 0}, 1};
            double a = p.alpha[0][1] = draw(&at), b = p.alpha[0][2] = draw(&at);
            double c1 = p.cost[1].cost[0] = draw(&at), c2 = p.cost[2].cost[0] = draw(&at);
            double tokens = 0;
            for (int j = 0; j <= k1; j++)
                tokens += pow(a, j);
            for (int j = 1; j <= k2; j++)
                tokens += pow(a, k1) * pow(b, j);
            assert_near(evaluate(&p, &c).speed, tokens / (1 + k1 * c1 + k2 * c2));
        }
}

/* A curve of costs, a block, and a drafter that is silent at times: by hand. */
static void by_hand(void **state)
{
    (void)state;
    linn_plan p = plan_of(2, true);
    p.cost[0] = (linn_pass_cost){3, {1, 3, 5}, {10, 12, 20}};
    p.cost[1].cost[0] = 0;
    p.alpha[0][1] = 0.5;
    p.hit = 0.25;
    /* 4 tokens in blocks of 3: two proposals of 3 with 1/16, one with 3/16, none with 3/4 */
    linn_forecast f = evaluate(&p, &(linn_plan_cascade){{4}, 3});
    double none = 1, three = 1 + 0.5 + 0.25 + 0.125, six = three + 0.0625 + 0.03125 + 0.015625;
    double cost_three = 12 + 4, cost_six = 20 + 2 * 4;
    assert_near(f.tokens, 0.75 * none + 3 / 16.0 * three + six / 16);
    assert_near(f.cost, 0.75 * 10 + 3 / 16.0 * cost_three + cost_six / 16);
    assert_near(f.speed, f.tokens / f.cost * 10);
    assert_near(f.passes[1], 1.25);
    assert_near(f.rows[1], 1.25 * 0.25 * 3);
    assert_near(f.rows[0], 0.75 * 1 + 3 / 16.0 * 4 + 7 / 16.0);
    /* within the curve, and beyond it: the last line goes on */
    assert_near(linn_plan_cost(&p.cost[0], 2), 11);
    assert_near(linn_plan_cost(&p.cost[0], 9), 36);
}

/* ---- drawing ------------------------------------------------------------------------------------
 */

static linn_plan random_plan(uint32_t *at, int n_levels)
{
    linn_plan p = plan_of(n_levels, draw(at) < 0.5);
    p.hit = draw(at) < 0.5 ? 1 : draw(at);
    for (int i = 0; i < n_levels; i++) {
        linn_pass_cost *c = &p.cost[i];
        c->cost[0] = i == 0 ? 1 : draw(at) * p.cost[i - 1].cost[0];
        for (c->n = 1; c->n < 4; c->n++) {
            c->rows[c->n] = c->rows[c->n - 1] + draw_int(at, 1, 4);
            c->cost[c->n] = c->cost[c->n - 1] * (1 + draw(at));
        }
        for (int j = i + 1; j < n_levels; j++)
            p.alpha[i][j] = 0.3 + 0.7 * draw(at);
    }
    return p;
}

/* 200 cascades of two to four levels. With independent draws one in 370 lies beyond three standard
 * errors, so the sum of squares says more: it must be near its expectation too. */
static void drawing(void **state)
{
    (void)state;
    uint32_t at = 3000;
    double squares = 0, largest = 0;
    for (int i = 0; i < 200; i++) {
        int n_levels = draw_int(&at, 2, 4), order = n_levels - 1;
        linn_plan p = random_plan(&at, n_levels);
        linn_plan_cascade c = {.block = draw_int(&at, 1, 10)};
        for (int r = 0; r < order; r++)
            for (int j = r; j < order; j++)
                c.k_matrix[r * order + j] = draw_int(&at, r == j, 6);
        linn_forecast exact = evaluate(&p, &c), drawn;
        assert_int_equal(linn_plan_simulate(&p, &c, 4000, (uint64_t)i, &drawn, NULL), LINN_OK);
        assert_true(drawn.error > 0 || exact.speed == drawn.speed);
        double off = (drawn.speed - exact.speed) / (drawn.error > 0 ? drawn.error : 1);
        squares += off * off;
        largest = fabs(off) > largest ? fabs(off) : largest;
        for (int j = 0; j < n_levels; j++)
            assert_true(fabs(drawn.passes[j] - exact.passes[j]) <= 0.2 * exact.passes[j] + 1e-9);
    }
    print_message("largest distance %.2f standard errors, mean square %.3f\n", largest,
                  squares / 200);
    assert_true(largest < 3);
    assert_true(squares / 200 > 0.7 && squares / 200 < 1.35); /* 1 +- 3 sqrt(2 / 200) */
}

/* ---- searching ----------------------------------------------------------------------------------
 */

static double best_of(const linn_plan *p, linn_plan_shape shape, unsigned levels, int32_t total,
                      linn_plan_cascade *out)
{
    linn_plan_search s = {shape, levels, total, 4};
    linn_plan_cascade unwanted;
    linn_forecast f;
    linn_error err;
    if (linn_plan_best(p, &s, out ? out : &unwanted, &f, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return f.speed;
}

/* All matrices of three levels with entries and blocks up to 4. */
static void search_is_exhaustive(void **state)
{
    (void)state;
    uint32_t at = 5000;
    for (int i = 0; i < 40; i++) {
        linn_plan p = random_plan(&at, 3);
        double best[4] = {0, 0, 0, 1};
        for (int32_t m = 1; m < 500; m++) {
            linn_plan_cascade c = {{m % 5, m / 5 % 5, 0, m / 25 % 5}, 1 + m / 125};
            double speed = evaluate(&p, &c).speed;
            bool first = c.k_matrix[0], second = c.k_matrix[1], inner = c.k_matrix[3];
            if ((!first && second) || (first && !second && !inner))
                best[0] = speed > best[0] ? speed : best[0];
            if (first && !second && inner)
                best[1] = speed > best[1] ? speed : best[1];
            if (first && second && !inner)
                best[2] = speed > best[2] ? speed : best[2];
            best[3] = speed > best[3] ? speed : best[3];
        }
        for (int shape = LINN_PLAN_TWO; shape <= LINN_PLAN_COMBINED; shape++) {
            /* a shape's search may find that less is more, so never worse */
            double found = best_of(&p, (linn_plan_shape)shape, 6, 0, NULL);
            if (found < best[shape] * (1 - 3e-4)) /* what is alike is trimmed */
                fail_msg("plan %d, shape %d: %.6f, there is %.6f", i, shape, found, best[shape]);
        }
    }
}

static void search_is_ordered(void **state)
{
    (void)state;
    uint32_t at = 6000;
    for (int i = 0; i < 20; i++) {
        linn_plan p = random_plan(&at, 4);
        double all = best_of(&p, LINN_PLAN_COMBINED, 14, 0, NULL);
        assert_true(all >= 1);
        for (int shape = LINN_PLAN_TWO; shape < LINN_PLAN_COMBINED; shape++)
            assert_true(all >= best_of(&p, (linn_plan_shape)shape, 14, 0, NULL) * 0.999);
        for (unsigned without = 2; without < 16; without *= 2)
            assert_true(all >= best_of(&p, LINN_PLAN_COMBINED, 14 & ~without, 0, NULL) * 0.999);
        linn_plan_cascade c;
        for (int32_t total = 1; total <= 8; total++) {
            best_of(&p, LINN_PLAN_COMBINED, 14, total, &c);
            assert_int_equal(c.k_matrix[0] + c.k_matrix[1] + c.k_matrix[2], total);
        }
    }
}

/* ---- what cannot be ------------------------------------------------------------------------- */

static void refused(void **state)
{
    (void)state;
    const linn_plan good = plan_of(3, true);
    const linn_plan_cascade c = {{2, 2, 0, 2}, 4};
    linn_plan_cascade too_long = {{200, 0, 0, 200}, 4};
    linn_forecast f;
    linn_error err;
    linn_plan p = good;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_OK);
    assert_int_equal(linn_plan_evaluate(&p, &too_long, &f, &err), LINN_EINVAL);
    p.alpha[0][2] = 1.25;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_EINVAL);
    assert_string_equal(err.message, "acceptance 1.25 of level 3 by level 1: must be from 0 to 1");
    p = good;
    p.alpha[0][1] = NAN;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_EINVAL);
    p = good;
    p.cost[1].cost[0] = 0;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_EINVAL);
    p = good;
    p.cost[0].n = 2;
    p.cost[0].rows[1] = 1;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_EINVAL);
    p = good;
    p.n_levels = LINN_MAX_LEVELS + 1;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_EINVAL);
    p = good;
    p.hit = -0.5;
    assert_int_equal(linn_plan_evaluate(&p, &c, &f, &err), LINN_EINVAL);
    assert_int_equal(linn_plan_simulate(&p, &c, 10, 1, &f, &err), LINN_EINVAL);
    linn_plan_search s = {LINN_PLAN_HORIZONTAL, 2, 0, 16};
    linn_plan_cascade out;
    assert_int_equal(linn_plan_best(&good, &s, &out, &f, &err), LINN_EINVAL);
    s = (linn_plan_search){LINN_PLAN_TWO, 6, 17, 16};
    assert_int_equal(linn_plan_best(&good, &s, &out, &f, &err), LINN_EINVAL);
    assert_string_equal(err.message, "no such cascade with 2 drafters and drafts of 17");
    s.most = 65;
    assert_int_equal(linn_plan_best(&good, &s, &out, &f, &err), LINN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_decoding),
        cmocka_unit_test(speculative_decoding),
        cmocka_unit_test(vertical),
        cmocka_unit_test(horizontal),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(drawing),
        cmocka_unit_test(search_is_exhaustive),
        cmocka_unit_test(search_is_ordered),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
