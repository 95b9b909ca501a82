/* Tokens per pass of the target, on drafters whose acceptance is independent by construction,
 * against the planner's exact recursion fed with the acceptance rates that were measured. */
#include "test.h"
#include "cascade/plan.h"
#include "fake_drafter.h"

#include <math.h>

enum { N_CTX = 20000, VOCAB = 50, MOST = LINN_MAX_DRAFT + 2 };

/* A chain: each agrees with the one before it. lean[0] is not used. */
typedef struct chain {
    int n; /* levels, the last one statistical if `statistical` */
    bool statistical;
    double lean[4];
} chain;

/* A cascade of the levels of a chain from `first` on with the given matrix; the levels above
 * `first` exist only as laws. */
typedef struct simulation {
    fake_level *law[4];
    linn_cascade *cascade;
} simulation;

static void simulate_create(simulation *s, const chain *ch, const linn_kmatrix *k, const int *use)
{
    linn_cascade_settings settings = linn_cascade_settings_default();
    linn_level *list[LINN_MAX_LEVELS];
    linn_drafter *statistical = NULL;
    int models = ch->n - ch->statistical, used = k->n_models + k->statistical;
    settings.session.n_ctx = N_CTX;
    for (int i = 0; i < models; i++) {
        s->law[i] = fake_level_create(VOCAB, N_CTX, MOST);
        s->law[i]->seed = fake_hash(99, (uint64_t)i);
        s->law[i]->lean = ch->lean[i];
        s->law[i]->law = fake_agreeing_law;
        s->law[i]->other = i ? s->law[i - 1] : NULL;
    }
    for (int i = 0; i < used; i++) {
        if (use[i] == models)
            statistical = fake_drafter_create(s->law[models - 1], ch->lean[models], N_CTX);
        else
            list[i] = &s->law[use[i]]->level;
    }
    assert_int_equal(linn_cascade_assemble(&s->cascade, k, list, &statistical, k->statistical, NULL,
                                           &settings, NULL),
                     LINN_OK);
    for (int i = 0; i < models; i++) { /* the cascade owns those it uses */
        bool owned = false;
        for (int j = 0; j < used; j++)
            owned |= use[j] == i;
        if (owned)
            s->law[i] = NULL;
    }
}

static void simulate_free(simulation *s)
{
    linn_cascade_free(s->cascade);
    for (int i = 0; i < 4; i++)
        if (s->law[i])
            s->law[i]->level.free(&s->law[i]->level);
}

static void run(const chain *ch, const linn_cascade_settings *settings, const int *use, int n_used,
                linn_stats *stats)
{
    simulation s = {0};
    linn_kmatrix k;
    int models = ch->n - ch->statistical;
    bool statistical = use[n_used - 1] == models;
    linn_error err;
    if (linn_kmatrix_make(&k, settings, (size_t)(n_used - 1 - statistical), &err) != LINN_OK)
        fail_msg("%s", err.message);
    simulate_create(&s, ch, &k, use);
    linn_token prompt[] = {7};
    linn_request r = {.prompt = prompt, .n_prompt = 1, .max_tokens = N_CTX - 2};
    r.sampling = linn_sampling_default();
    r.sampling.temperature = 0;
    assert_int_equal(linn_generate(s.cascade, &r, NULL, stats, NULL), LINN_OK);
    simulate_free(&s);
}

/* How often level `reviewer` agrees with level `drafter`, by a two-level run. */
static double measure_rate(const chain *ch, int reviewer, int drafter)
{
    linn_cascade_settings s = linn_cascade_settings_default();
    bool statistical = drafter == ch->n - ch->statistical;
    int use[] = {reviewer, drafter};
    linn_stats stats;
    s.shape = statistical ? LINN_CASCADE_MAXGRAM : LINN_CASCADE_SPEC;
    s.k = 4;
    run(ch, &s, use, 2, &stats);
    return (double)stats.levels[0].approved / (double)stats.levels[0].reviewed;
}

/* ---- the comparison -------------------------------------------------------------------------- */

/* Tokens of a pass of the target, by the planner. */
static double expect(const chain *ch, const linn_cascade_settings *s,
                     double rate[LINN_MAX_LEVELS][LINN_MAX_LEVELS])
{
    linn_plan p = {.n_levels = ch->n, .statistical = ch->statistical, .hit = 1};
    linn_plan_cascade c = {.block = s->block};
    linn_forecast f;
    linn_error err;
    memcpy(c.k_matrix, s->k_matrix, (size_t)((ch->n - 1) * (ch->n - 1)) * sizeof *c.k_matrix);
    memcpy(p.alpha, rate, sizeof p.alpha);
    for (int i = 0; i < ch->n; i++)
        p.cost[i] = (linn_pass_cost){1, {1}, {1}};
    if (linn_plan_evaluate(&p, &c, &f, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return f.tokens;
}

static void compare(const chain *ch, linn_cascade_settings *s, const char *name)
{
    int use[] = {0, 1, 2, 3};
    double rate[LINN_MAX_LEVELS][LINN_MAX_LEVELS] = {{0}};
    linn_stats stats;
    s->shape = LINN_CASCADE_K;
    s->maxgram = ch->statistical;
    s->k_order = ch->n - 1;
    for (int i = 0; i < ch->n - ch->statistical; i++)
        for (int j = i + 1; j < ch->n; j++)
            rate[i][j] = measure_rate(ch, i, j);
    run(ch, s, use, ch->n, &stats);
    double mean = expect(ch, s, rate), seen = stats.tokens / (double)stats.levels[0].passes;
    print_message("%s: %.3f tokens a pass, the recursion says %.3f\n", name, seen, mean);
    assert_true(fabs(seen / mean - 1) < 0.05);
}

static void two_models(void **state)
{
    (void)state;
    for (int32_t k = 1; k <= 16; k *= 4) {
        chain ch = {2, false, {0, 0.8}};
        linn_cascade_settings s = linn_cascade_settings_default();
        s.k_matrix = &k;
        compare(&ch, &s, "speculative decoding");
    }
}

static void vertical(void **state)
{
    (void)state;
    chain ch = {3, true, {0, 0.85, 0.6}};
    int32_t matrix[] = {13, 0, 0, 10}; /* the paper's LLaMA setting has another 10 for the target */
    linn_cascade_settings s = linn_cascade_settings_default();
    s.k_matrix = matrix;
    compare(&ch, &s, "vertical, Max-Gram below");
    matrix[1] = 10;
    compare(&ch, &s, "the same, Max-Gram beside");
}

static void horizontal(void **state)
{
    (void)state;
    chain ch = {4, true, {0, 0.9, 0.8, 0.6}};
    int32_t matrix[] = {5, 14, 10, 0, 1, 10, 0, 0, 10};
    linn_cascade_settings s = linn_cascade_settings_default();
    s.k_matrix = matrix;
    compare(&ch, &s, "horizontal, two drafters and Max-Gram");
    s.block = 4;
    compare(&ch, &s, "the same, proposing four at once");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_models),
        cmocka_unit_test(vertical),
        cmocka_unit_test(horizontal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
