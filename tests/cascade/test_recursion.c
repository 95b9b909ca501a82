/* Tokens per pass of the target, on drafters whose acceptance is independent by construction,
 * against the exact recursion fed with the acceptance rates that were measured.
 *
 * The recursion carries whole distributions: of how many tokens a step adds. A reviewer that is
 * given a draft of pieces, the tokens of a piece accepted with probability a each, keeps i of
 * them with a probability that follows from walking through the loops of Algorithm 1 with the
 * weight of "all accepted so far" at each length of the draft. */
#include "test.h"
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

/* ---- the recursion -------------------------------------------------------------------------- */

typedef struct law {
    double p[MOST + 1]; /* of a number of tokens */
} law;

static void exact_step(const chain *ch, const linn_cascade_settings *s, double rate[4][4], int r,
                       law *out)
{
    memset(out, 0, sizeof *out);
    if (r == ch->n - ch->statistical) {
        out->p[s->block] = 1;
        return;
    }
    double alive[MOST + 1] = {1};
    int32_t total = 0;
    for (int j = r + 1; j < ch->n; j++) {
        law step;
        double a = rate[r][j];
        exact_step(ch, s, rate, j, &step);
        total += s->k_matrix[r * s->k_order + j - 1];
        for (int32_t at = 0; at < total; at++) { /* lengths only grow */
            double w = alive[at];
            alive[at] = 0;
            for (int32_t m = 1; m <= MOST - at && w > 0; m++) {
                for (int32_t d = 0; d < m; d++)
                    out->p[at + d + 1] += w * step.p[m] * pow(a, d) * (1 - a);
                alive[at + m] += w * step.p[m] * pow(a, m);
            }
        }
    }
    for (int32_t at = 0; at < MOST; at++)
        out->p[at + 1] += alive[at];
}

static void compare(const chain *ch, linn_cascade_settings *s, const char *name)
{
    int use[] = {0, 1, 2, 3};
    double rate[4][4] = {{0}};
    linn_stats stats;
    law exact;
    s->shape = LINN_CASCADE_K;
    s->maxgram = ch->statistical;
    s->k_order = ch->n - 1;
    for (int i = 0; i < ch->n - ch->statistical; i++)
        for (int j = i + 1; j < ch->n; j++)
            rate[i][j] = measure_rate(ch, i, j);
    run(ch, s, use, ch->n, &stats);
    exact_step(ch, s, rate, 0, &exact);
    double mean = 0, all = 0;
    for (int i = 0; i <= MOST; i++) {
        mean += i * exact.p[i];
        all += exact.p[i];
    }
    assert_true(fabs(all - 1) < 1e-9);
    double seen = stats.tokens / (double)stats.levels[0].passes;
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
        double closed = (1 - pow(0.8, k + 1)) / 0.2; /* its closed form */
        law exact;
        double rate[4][4] = {{0, 0.8}}, mean = 0;
        exact_step(&ch, &s, rate, 0, &exact);
        for (int i = 0; i <= MOST; i++)
            mean += i * exact.p[i];
        assert_true(fabs(mean - closed) < 1e-9);
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
