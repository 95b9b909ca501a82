/* The marginal rule: what it decides where costs and acceptance are known, what it learns of both,
 * and what it keeps. */
#include "test.h"
#include "fake_drafter.h"
#include "cascade/auto.h"
#include "cascade/profile.h"

#include <math.h>

enum { N_CTX = 2000, VOCAB = 40 };

/* A target, two drafters that agree with it as often as `lean` says, and a statistical drafter. */
typedef struct family {
    double lean[3], statistical; /* of the target: nothing */
    int n_models;
} family;

typedef struct bench {
    linn_cascade *cascade;
    linn_auto *policy;
    fake_level *levels[3];
} bench;

static void open_bench(bench *b, const family *f)
{
    linn_cascade_settings s = linn_cascade_settings_default();
    linn_kmatrix k;
    linn_level *list[3];
    s.session.n_ctx = N_CTX;
    assert_int_equal(linn_kmatrix_make(&k, &s, (size_t)f->n_models - 1, NULL), LINN_OK);
    linn_kmatrix_open(&k);
    for (int i = 0; i < f->n_models; i++) {
        fake_level *l = fake_level_create(VOCAB, N_CTX, LINN_OPEN_DRAFT + 1);
        l->seed = (uint64_t)i + 7;
        l->law = fake_agreeing_law;
        l->other = i ? b->levels[0] : NULL;
        l->lean = f->lean[i];
        l->level.n_parameters = i ? 10 : 1000;
        b->levels[i] = l;
        list[i] = &l->level;
    }
    linn_drafter *d = fake_drafter_create(b->levels[0], f->statistical, N_CTX);
    assert_int_equal(linn_cascade_assemble(&b->cascade, &k, list, &d, 1, NULL, &s, NULL), LINN_OK);
    b->policy = linn_auto_of(b->cascade);
    assert_non_null(b->policy);
}

/* A pass of n rows costs base + slope * (n - 1), and stays so. */
static void set_cost(bench *b, int level, double base, double slope)
{
    linn_widths *w = &b->policy->levels[level].widths;
    *w = (linn_widths){.n_measured = LINN_WIDTH_GRID};
    for (int i = 0; i < LINN_WIDTH_GRID; i++) {
        w->ns[i] = base + slope * (linn_widths_rows(i) - 1);
        w->seen[i] = 1000;
    }
    b->policy->policy.passed = NULL;
    b->policy->policy.reviewed = NULL;
}

static void run(bench *b, size_t n_prompt, int32_t n, linn_stats *stats)
{
    static linn_token prompt[N_CTX];
    linn_error err = {0};
    for (size_t i = 0; i < n_prompt; i++)
        prompt[i] = (linn_token)(i * i % VOCAB);
    linn_request r = {.prompt = prompt, .n_prompt = n_prompt, .max_tokens = n};
    r.sampling = linn_sampling_default();
    r.sampling.temperature = 0;
    if (linn_generate(b->cascade, &r, NULL, stats, &err) != LINN_OK)
        fail_msg("%s", err.message);
    assert_int_equal(stats->tokens, n);
}

/* ---- decisions --------------------------------------------------------------------------------
 */

static void good_drafters_are_used(void **state)
{
    (void)state;
    family f = {{0, 0.95, 0.5}, 0, 3};
    bench b;
    linn_stats stats;
    open_bench(&b, &f);
    set_cost(&b, 0, 1e6, 1e4);
    set_cost(&b, 1, 5e4, 0);
    set_cost(&b, 2, 5e4, 0);
    run(&b, 3, 600, &stats);
    print_message("%.2f tokens a pass; of drafters %d and %d passes\n",
                  stats.tokens / (double)stats.levels[0].passes, (int)stats.levels[1].passes,
                  (int)stats.levels[2].passes);
    assert_true(stats.tokens > 5 * (int)stats.levels[0].passes);
    assert_true(stats.levels[2].tokens < 30); /* as dear as the better one */
    linn_cascade_free(b.cascade);
}

/* Where a row more costs what a pass does, nothing is drafted, however good, and no drafter reads
 * the prompt. */
static void nothing_pays(void **state)
{
    (void)state;
    family f = {{0, 0.99, 0.99}, 0.9, 3};
    bench b;
    linn_stats stats;
    char words[1000];
    open_bench(&b, &f);
    set_cost(&b, 0, 1e6, 1e6);
    set_cost(&b, 1, 1e5, 0);
    set_cost(&b, 2, 1e4, 0);
    run(&b, 100, 300, &stats);
    assert_int_equal(stats.levels[0].passes, 300);
    assert_int_equal(b.levels[1]->n_forwards + b.levels[2]->n_forwards, 0);
    assert_int_equal(linn_cascade_explain(b.cascade, words, sizeof words), 0); /* no rounds */
    linn_cascade_free(b.cascade);
}

/* A bad drafter is found out after a few tokens; a bad statistical one without a single one, from
 * what it would have said. */
static void bad_drafters_are_found_out(void **state)
{
    (void)state;
    family f = {{0, 0, 0}, 0, 3};
    bench b;
    linn_stats stats;
    uint64_t drafted = 0;
    open_bench(&b, &f);
    set_cost(&b, 0, 1e6, 1e5);
    set_cost(&b, 1, 1e5, 0);
    set_cost(&b, 2, 1e5, 0);
    run(&b, 3, 600, &stats);
    for (int i = 1; i < stats.n_levels; i++)
        for (int p = 0; p < LINN_MAX_POSITIONS; p++)
            drafted += stats.levels[i].drafted[p];
    print_message("%d tokens drafted in vain\n", (int)drafted);
    assert_true(drafted < 60);
    linn_tally t = b.policy->calibration.all[0][0][3][LINN_ALL_BINS];
    assert_true(t.passed == 0 && t.failed > 100); /* scored in the shadow */
    /* the next text begins with what this one taught */
    run(&b, 3, 600, &stats);
    assert_true(stats.levels[0].reviewed <= drafted);
    linn_cascade_free(b.cascade);
}

/* A drafter that must read a long prompt first is not worth it for a few tokens; for many it is. */
static void catching_up_is_a_cost(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        family f = {{0, 0.9, 0}, 0, 2};
        bench b;
        linn_stats stats;
        open_bench(&b, &f);
        set_cost(&b, 0, 1e6, 1e4);
        set_cost(&b, 1, 1e5, 1e4);
        b.policy->levels[1].read_ns = many ? 1e3 : 1e5;
        run(&b, 1500, many ? 400 : 8, &stats);
        assert_int_equal(b.levels[1]->n_forwards > 0, many);
        linn_cascade_free(b.cascade);
    }
}

/* A look costs 1,000 ns: much beside a token of 10,000 ns, nothing beside one of a million. Rounds
 * are not counted here, so the state in which a text begins remains. */
static void looks_are_few_where_they_do_not_pay(void **state)
{
    (void)state;
    struct {
        double pass_ns, gain;
        uint64_t n_rounds; /* one in four looks in any case */
        size_t n_prompt;
        int least, most; /* looks, in 400 tokens */
    } cases[] = {
        {1e4, 0, 1, 3, 0, 0},     {1e4, 1e9, 1, 3, 300, 400},  {1e6, 0, 1, 3, 300, 400},
        {1e4, 0, 4, 3, 300, 385}, /* but not before the prompt's share of the time is over */
        {1e4, 0, 4, 1500, 0, 0},  {1e6, 0, 4, 1500, 300, 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        family f = {{0}, 0, 1};
        bench b;
        linn_stats stats;
        open_bench(&b, &f);
        set_cost(&b, 0, cases[i].pass_ns, cases[i].pass_ns);
        b.policy->look_ns = 1000;
        b.policy->look_gain[0] = cases[i].gain;
        b.policy->n_rounds = cases[i].n_rounds;
        run(&b, cases[i].n_prompt, 400, &stats);
        int looks = (int)b.policy->n_asked;
        print_message("a token of %.0f ns: %d looks\n", cases[i].pass_ns, looks);
        assert_true(looks >= cases[i].least && looks <= cases[i].most);
        linn_cascade_free(b.cascade);
    }
}

/* A cheap level below lets a drafter write in fewer passes: the vertical cascade. */
static void a_cascade_where_it_pays(void **state)
{
    (void)state;
    family f = {{0, 0.95, 0}, 0.9, 2};
    bench b;
    linn_stats stats;
    open_bench(&b, &f);
    set_cost(&b, 0, 1e6, 3e5); /* dear rows: what goes up to it had better be right */
    set_cost(&b, 1, 1e5, 0);
    run(&b, 3, 600, &stats);
    const linn_level_stats *drafter = &stats.levels[1];
    print_message("the drafter: %d passes, %d rows\n", (int)drafter->passes, (int)drafter->rows);
    assert_true(stats.levels[0].passes < 500);
    linn_cascade_free(b.cascade);
}

/* ---- learning ----------------------------------------------------------------------------------
 */

/* Passes shared with others: rows are free up to 8 of all together, and then cost what passes do; a
 * drafter's pass is too dear to be made for one text, but not when it is made anyway. */
static void company(void **state)
{
    (void)state;
    family f = {{0, 0.9}, 0.9, 2};
    linn_widths target = {.n_measured = LINN_WIDTH_GRID}, drafter = target;
    for (int i = 0; i < LINN_WIDTH_GRID; i++) {
        int32_t n = linn_widths_rows(i);
        target.ns[i] = 1e6 + 1e6 * (n > 8 ? n - 8 : 0);
        drafter.ns[i] = 3e6 + 1e3 * n;
    }
    struct {
        int32_t others[2];
        double least, most; /* tokens for a pass */
        bool drafter;
    } cases[] = {{{0, 0}, 2.5, 9, false},
                 {{6, 0}, 1.3, 3, false},
                 {{16, 0}, 1, 1.1, false},
                 {{0, 4}, 2.5, 9, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        linn_company of = {.widths = {&target, &drafter},
                           .others = {cases[i].others[0], cases[i].others[1]},
                           .token_ns = 1e6 / (1 + cases[i].others[0])};
        bench b;
        linn_stats stats;
        open_bench(&b, &f);
        b.policy->company = &of;
        run(&b, 3, 600, &stats);
        double tokens = stats.tokens / (double)stats.levels[0].passes;
        print_message("beside %d rows: %.2f tokens a pass, %d of the drafter's\n",
                      cases[i].others[0], tokens, (int)stats.levels[1].tokens);
        assert_true(tokens >= cases[i].least && tokens <= cases[i].most);
        assert_int_equal(stats.levels[1].tokens > 60, cases[i].drafter);
        linn_cascade_free(b.cascade);
    }
}

static void widths_are_discovered(void **state)
{
    (void)state;
    linn_widths w = {0};
    assert_true(linn_widths_ns(&w, 1) <= 0);
    for (int i = 0; i < 40; i++)
        linn_widths_discover(&w, 1, i % 7 == 3 ? 1e9 : 1000, 0); /* some interrupted */
    assert_true(fabs(linn_widths_ns(&w, 1) - 1000) < 100);
    assert_true(linn_widths_ns(&w, 8) > 1500 && linn_widths_ns(&w, 8) < 8000); /* a guess */
    linn_widths_discover(&w, 4, 1e9, 0); /* once interrupted is not slow */
    assert_true(linn_widths_ns(&w, 4) <= 4000);
    for (int i = 0; i < 30; i++) {
        linn_widths_discover(&w, 4, i % 7 == 3 ? 1e9 : 1300, 0);
        linn_widths_discover(&w, 1, 1000, 0);
    }
    assert_true(fabs(linn_widths_ns(&w, 4) - 1300) < 150);
    assert_true(linn_widths_ns(&w, 2) < 1300 && linn_widths_ns(&w, 16) > 1500);
    linn_widths_discover(&w, 4, -5, 0); /* clocks may jump */
    linn_widths_discover(&w, 4, 0, 0);
    linn_widths_discover(&w, 4, NAN, 0);
    assert_true(fabs(linn_widths_ns(&w, 4) - 1300) < 150);
}

static void chances_are_learned(void **state)
{
    (void)state;
    linn_calibration c = {.n_models = 1, .n_sources = 2, .kind = {[1] = LINN_SOURCE_MAXGRAM}};
    linn_calibration_begin(&c, 0);
    int weak = linn_bin(LINN_SOURCE_MAXGRAM, 1), strong = linn_bin(LINN_SOURCE_MAXGRAM, 1000);
    assert_true(weak == 0 && strong == LINN_BINS - 1);
    assert_true(c.chance[0][1][strong] > c.chance[0][1][weak]);
    for (int i = 0; i < 400; i++) {
        linn_calibration_count(&c, 0, 1, weak, i % 10 == 0);
        linn_calibration_count(&c, 0, 1, strong, i % 10 != 0);
    }
    assert_true(fabs((double)c.chance[0][1][weak] - 0.1) < 0.05);
    assert_true(fabs((double)c.chance[0][1][strong] - 0.9) < 0.05);
    linn_calibration_begin(&c, 0); /* known from the text before ... */
    assert_true(fabs((double)c.chance[0][1][weak] - 0.1) < 0.05);
    for (int i = 0; i < 40; i++)
        linn_calibration_count(&c, 0, 1, weak, true);
    assert_true(c.chance[0][1][weak] > 0.6f); /* ... but this one is another */
    linn_calibration_begin(&c, 1);
    assert_true(c.chance[0][1][weak] < 0.3f); /* as are high temperatures */
}

/* ---- profiles ----------------------------------------------------------------------------------
 */

static linn_profile some_profile(void)
{
    linn_profile p = {.n_models = 2, .n_sources = 3};
    for (int i = 0; i < 40; i++)
        linn_widths_discover(&p.levels[0].widths, 1 + i % 5, 1000 + 100 * (i % 5), 0);
    p.tallies[0][0][1][3] = (linn_tally){10, 4};
    return p;
}

static void profiles(void **state)
{
    (void)state;
    char path[] = "/tmp/linn-profile-XXXXXX";
    linn_profile p = some_profile(), q;
    linn_error err;
    static uint8_t image[1 << 16];
    assert_true(mkstemp(path) >= 0);
    assert_int_equal(linn_profile_write(&p, path, 99, &err), LINN_OK);
    assert_int_equal(linn_profile_read(&q, path, 99, &err), LINN_OK);
    assert_memory_equal(&p, &q, sizeof p);
    assert_int_equal(linn_profile_read(&q, path, 98, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "of other models or settings"));
    FILE *f = fopen(path, "rb");
    size_t n = fread(image, 1, sizeof image, f);
    fclose(f);
    unlink(path);
    assert_int_equal(n, sizeof(linn_profile_header) + sizeof p);
    for (size_t size = 0; size < n; size += size < 64 ? 1 : 97)
        assert_int_equal(linn_profile_parse(&q, image, size, 99, "x", &err), LINN_EFORMAT);
    for (size_t i = 0; i < n; i += i < 64 ? 1 : 61) {
        image[i] ^= 0x10;
        assert_int_equal(linn_profile_parse(&q, image, n, 99, "x", &err), LINN_EFORMAT);
        image[i] ^= 0x10;
    }
    assert_int_equal(linn_profile_parse(&q, image, n, 99, "x", &err), LINN_OK);
    double *ns = &p.levels[0].widths.ns[3]; /* figures that cannot be, with a right checksum */
    for (int i = 0; i < 3; i++) {
        *ns = (double[]){NAN, -1, 1e300}[i];
        linn_profile_header *h = (linn_profile_header *)(void *)image;
        h->checksum = linn_profile_checksum(&p, 99);
        memcpy(image + sizeof *h, &p, sizeof p);
        assert_int_equal(linn_profile_parse(&q, image, n, 99, "x", &err), LINN_EFORMAT);
        assert_non_null(strstr(err.message, "cannot be"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_drafters_are_used),
        cmocka_unit_test(nothing_pays),
        cmocka_unit_test(bad_drafters_are_found_out),
        cmocka_unit_test(catching_up_is_a_cost),
        cmocka_unit_test(a_cascade_where_it_pays),
        cmocka_unit_test(looks_are_few_where_they_do_not_pay),

        cmocka_unit_test(company),
        cmocka_unit_test(widths_are_discovered),
        cmocka_unit_test(chances_are_learned),
        cmocka_unit_test(profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
