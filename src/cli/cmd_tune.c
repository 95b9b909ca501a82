/* cmd_tune.c - linn tune: learn on a file of prompts what pays, and say what that gives.
 *
 * First a cascade that decides by itself writes after every prompt, and tries everything, much more
 * than it does in use, so that acceptance and costs are known of what does not pay as well. That
 * fills the profile. From it the planner finds the best fixed K matrix; then plain decoding, that
 * matrix and auto, as it is in use, write after the same prompts in turns.
 */
#include "linn_tools.h"

#include "interrupt.h"
#include "model_path.h"
#include "models.h"
#include "options.h"
#include "output.h"
#include "profiles.h"
#include "progress.h"
#include "prompt.h"
#include "prompts.h"
#include "samples.h"

#include <stdlib.h>
#include <string.h>

enum { PLAIN, FIXED, AUTO, N_SIDES, MAX_ROUNDS = 99, MOST_WORDS = 2000 };

static const double TRY = 0.5; /* of the time, while learning */
static const double PAYS = 1.01;
static const char *const side_names[N_SIDES] = {"plain", "best fixed K", "auto"};

typedef struct settings {
    linn_texts drafters;
    const char *prompts, *ngram;
    int64_t limit, tokens, rounds, threads, ctx;
    double temperature;
    bool no_maxgram;
} settings;

static const linn_option options[] = {
    LINN_TEXTS('d', "draft", "MODEL", settings, drafters, "A drafter, repeatable, largest first",
               .otherwise = "brook and rill, when MODEL is river"),
    LINN_TEXT(0, "prompts", "FILE", settings, prompts,
              "Prompts like those of later use: JSON Lines with a `prompt`, `question` or `turns` "
              "in each; -: standard input",
              .otherwise = "none; it must be given"),
    LINN_INTEGER(0, "limit", "N", settings, limit, 0, INT32_MAX,
                 "Prompts to use, evenly spaced; 0: all"),
    LINN_INTEGER('n', "tokens", "N", settings, tokens, 1, 100000, "Tokens of each text, at most"),
    LINN_REAL(0, "temp", "T", settings, temperature, 0, 1000,
              "Temperature; what is learned holds for others, too, but is kept apart for 0"),
    LINN_TEXT(0, "ngram", "FILE", settings, ngram,
              "A table of n-grams behind Max-Gram; river: that of the default family"),
    LINN_FLAG(0, "no-maxgram", settings, no_maxgram, "No Max-Gram below the smallest drafter"),
    LINN_INTEGER(0, "rounds", "N", settings, rounds, 1, MAX_ROUNDS,
                 "Runs of each side on each prompt, to compare them; the median counts"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads",
                 .otherwise = "as many as processors"),
    LINN_INTEGER(0, "ctx", "N", settings, ctx, 2, INT32_MAX,
                 "Tokens of prompt and text together, at most", .otherwise = "the model's"),
    LINN_OPTIONS_END,
};

typedef struct tokens {
    linn_token *ids;
    size_t n;
} tokens;

typedef struct tuning {
    const linn_command *self;
    const settings *s;
    linn_models models;
    linn_cli_prompts prompts;
    tokens *texts; /* [n_texts] of prompts */
    size_t n_texts;
    char folder[PATH_MAX];
    linn_cascade *sides[N_SIDES];
    double ms[N_SIDES];
    uint64_t n_tokens[N_SIDES], n_passes[N_SIDES];
    linn_cli_output out;
} tuning;

/* ---- prompts -----------------------------------------------------------------------------------
 */

static int read_prompts(tuning *t)
{
    int status = linn_cli_read_prompts(t->self, t->s->prompts, &t->prompts);
    if (status != LINN_PARSED)
        return status;
    size_t n = t->prompts.n, limit = (size_t)t->s->limit;
    n = limit > 0 && limit < n ? limit : n;
    t->texts = calloc(n, sizeof *t->texts);
    if (!t->texts)
        return linn_cli_fail(t->self, "no memory for the prompts");
    size_t most = (size_t)(linn_model_describe(t->models.items[0]).n_ctx - t->s->tokens);
    if (t->s->ctx > 0)
        most = (size_t)(t->s->ctx > t->s->tokens ? t->s->ctx - t->s->tokens : 1);
    for (size_t i = 0; i < n && status == LINN_PARSED; i++) {
        const char *text = t->prompts.items[i * t->prompts.n / n].text;
        tokens *to = &t->texts[t->n_texts++];
        status = linn_cli_prompt_tokens(t->self, linn_model_tokenizer(t->models.items[0]), text,
                                        strlen(text), false, &to->ids, &to->n);
        if (status == LINN_PARSED && to->n > most) { /* the end of it */
            memmove(to->ids, to->ids + to->n - most, most * sizeof *to->ids);
            to->n = most;
        }
    }
    return status;
}

/* ---- runs
 * ----------------------------------------------------------------------------------------
 */

static bool go_on(void *user)
{
    (void)user;
    return !linn_cli_interrupted();
}

static int write_one(tuning *t, linn_cascade *c, size_t i, linn_stats *stats)
{
    linn_error err;
    linn_request r = {.prompt = t->texts[i].ids,
                      .n_prompt = t->texts[i].n,
                      .max_tokens = (int32_t)t->s->tokens,
                      .sampling = linn_sampling_default(),
                      .go_on = go_on};
    r.sampling.temperature = (float)t->s->temperature;
    r.sampling.seed = i;
    if (linn_generate(c, &r, NULL, stats, &err) != LINN_OK)
        return linn_cli_fail(t->self, "%s", err.message);
    return linn_cli_interrupted() ? LINN_EXIT_INTERRUPTED : LINN_PARSED;
}

static int create(tuning *t, const linn_cascade_settings *s, linn_cascade **out)
{
    linn_error err;
    size_t n = s->shape == LINN_CASCADE_OFF ? 0 : t->models.n - 1;
    if (linn_cascade_create(out, t->models.items[0],
                            (const linn_model *const *)(t->models.items + 1), n, s,
                            &err) != LINN_OK)
        return linn_cli_fail(t->self, "%s", err.message);
    return LINN_PARSED;
}

static linn_cascade_settings common_settings(const tuning *t)
{
    linn_cascade_settings c = linn_cascade_settings_default();
    c.maxgram = !t->s->no_maxgram;
    c.ngram = t->models.ngram;
    c.session.n_ctx = (int32_t)t->s->ctx;
    return c;
}

/* Fills the profile, and *plan with what it says. */
static int learn(tuning *t, linn_plan *plan)
{
    linn_cascade_settings c = common_settings(t);
    linn_cascade *learner;
    linn_progress progress;
    linn_stats stats;
    linn_error err;
    c.profiles = linn_cli_profiles(t->folder);
    c.explore = (float)TRY;
    int status = create(t, &c, &learner);
    if (status != LINN_PARSED)
        return status;
    linn_cli_profile_found(t->self, learner);
    linn_cli_progress_begin(&progress, "learning");
    for (size_t i = 0; i < t->n_texts && status == LINN_PARSED; i++) {
        status = write_one(t, learner, i, &stats);
        linn_cli_progress(&progress, i + 1, t->n_texts);
    }
    linn_cli_progress_end(&progress);
    if (status == LINN_PARSED && !c.profiles)
        linn_cli_note(t->self, "no place for a profile: set HOME or XDG_CACHE_HOME");
    if (status == LINN_PARSED)
        linn_cli_profile_keep(t->self, learner);
    if (status == LINN_PARSED &&
        linn_plan_learned(learner, (float)t->s->temperature, plan, &err) != LINN_OK)
        status = linn_cli_fail(t->self, "%s", err.message);
    linn_cascade_free(learner);
    return status;
}

static int open_sides(tuning *t, const linn_plan *plan, const linn_plan_cascade *best, bool fixed)
{
    linn_cascade_settings c = common_settings(t);
    c.shape = LINN_CASCADE_OFF;
    int status = create(t, &c, &t->sides[PLAIN]);
    c.shape = LINN_CASCADE_AUTO;
    c.profiles = linn_cli_profiles(t->folder);
    if (status == LINN_PARSED)
        status = create(t, &c, &t->sides[AUTO]);
    if (!fixed)
        return status;
    c.shape = LINN_CASCADE_K;
    c.k_matrix = best->k_matrix;
    c.k_order = plan->n_levels - 1;
    c.block = best->block;
    return status == LINN_PARSED ? create(t, &c, &t->sides[FIXED]) : status;
}

/* All rounds of a prompt, the sides in turns; the median of a side counts. */
static int compare_on(tuning *t, size_t prompt)
{
    double ms[N_SIDES][MAX_ROUNDS];
    linn_stats stats;
    for (size_t round = 0; round < (size_t)t->s->rounds; round++)
        for (size_t j = 0; j < N_SIDES; j++) {
            size_t side = (prompt + round + j) % N_SIDES;
            if (!t->sides[side])
                continue;
            int status = write_one(t, t->sides[side], prompt, &stats);
            if (status != LINN_PARSED)
                return status;
            ms[side][round] = stats.decode_ms;
            t->n_tokens[side] += round == 0 ? (uint64_t)stats.tokens : 0;
            t->n_passes[side] += round == 0 ? stats.levels[0].passes : 0;
        }
    for (size_t side = 0; side < N_SIDES; side++)
        if (t->sides[side])
            t->ms[side] += linn_cli_summarise(ms[side], (size_t)t->s->rounds).median;
    return LINN_PARSED;
}

static int compare(tuning *t)
{
    linn_progress progress;
    int status = LINN_PARSED;
    linn_cli_progress_begin(&progress, "comparing");
    for (size_t i = 0; i < t->n_texts && status == LINN_PARSED; i++) {
        status = compare_on(t, i);
        linn_cli_progress(&progress, i + 1, t->n_texts);
    }
    linn_cli_progress_end(&progress);
    if (status == LINN_PARSED)
        linn_cli_profile_keep(t->self, t->sides[AUTO]);
    return status;
}

/* ---- the result
 * ----------------------------------------------------------------------------------
 */

static void print_matrix(tuning *t, const linn_plan_cascade *best, int order)
{
    linn_cli_print(&t->out, "best fixed K: --k-matrix \"");
    for (int i = 0; i < order * order; i++)
        linn_cli_print(&t->out, "%s%d",
                       i == 0           ? ""
                       : i % order == 0 ? "; "
                                        : " ",
                       best->k_matrix[i]);
    linn_cli_print(&t->out, "\" --block %d\n", best->block);
}

static void print_result(tuning *t)
{
    char words[MOST_WORDS];
    double plain = t->ms[PLAIN] > 0 ? (double)t->n_tokens[PLAIN] / t->ms[PLAIN] : 0;
    linn_cli_print(&t->out, "\n%-14s%16s%8s%16s\n", "", "tokens a second", "gain", "tokens a pass");
    for (int i = 0; i < N_SIDES; i++) {
        if (!t->sides[i] || !(t->ms[i] > 0))
            continue;
        double rate = (double)t->n_tokens[i] / t->ms[i];
        linn_cli_print(&t->out, "%-14s%16.1f%7.2fx%16.2f\n", side_names[i], 1000 * rate,
                       plain > 0 ? rate / plain : 0,
                       t->n_passes[i] ? (double)t->n_tokens[i] / (double)t->n_passes[i] : 0);
    }
    if (linn_cascade_explain(t->sides[AUTO], words, sizeof words) > 0)
        linn_cli_print(&t->out, "\n%s\n", words);
}

static int tune(tuning *t)
{
    linn_plan plan;
    linn_plan_cascade best;
    linn_forecast forecast = {.speed = 1};
    int status = learn(t, &plan);
    if (status != LINN_PARSED)
        return status;
    linn_plan_search search = {LINN_PLAN_COMBINED, (1u << plan.n_levels) - 2, 0, 16};
    bool fixed = plan.n_levels > 1 &&
                 linn_plan_best(&plan, &search, &best, &forecast, NULL) == LINN_OK &&
                 forecast.speed > PAYS;
    status = open_sides(t, &plan, &best, fixed);
    if (status == LINN_PARSED)
        status = compare(t);
    if (status != LINN_PARSED)
        return status;
    linn_cli_print(&t->out, "%zu prompts, up to %d tokens each, temperature %g\n", t->n_texts,
                   (int)t->s->tokens, t->s->temperature);
    if (fixed)
        print_matrix(t, &best, plan.n_levels - 1);
    else
        linn_cli_print(&t->out, "best fixed K: none, no cascade is expected to be faster than "
                                "plain decoding\n");
    print_result(t);
    return LINN_EXIT_DONE;
}

static void close_tuning(tuning *t)
{
    for (int i = 0; i < N_SIDES; i++)
        linn_cascade_free(t->sides[i]);
    for (size_t i = 0; i < t->n_texts; i++)
        free(t->texts[i].ids);
    free(t->texts);
    linn_cli_free_prompts(&t->prompts);
    linn_cli_close_models(&t->models);
}

static int main_tune(const linn_command *self, int argc, char **argv)
{
    settings s = {.limit = 32, .tokens = 128, .rounds = 3, .temperature = 0.8};
    tuning t = {.self = self, .s = &s};
    int n, status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n);
    if (status == LINN_PARSED && !s.prompts)
        status = linn_cli_misuse(self, "--prompts FILE is needed");
    if (status == LINN_PARSED)
        status = linn_cli_open_models(self, argv[1], linn_cli_family(argv[1], s.drafters),
                                      s.threads, &t.models);
    if (status == LINN_PARSED)
        status = linn_cli_open_table(self, s.ngram, &t.models);
    if (status == LINN_PARSED)
        status = read_prompts(&t);
    if (status == LINN_PARSED) {
        linn_cli_interrupt_watch();
        status = tune(&t);
        status = linn_cli_output_finish(&t.out, self, status);
    }
    close_tuning(&t);
    free(s.drafters.items);
    return status;
}

const linn_command linn_command_tune = {
    .name = "tune",
    .usage = "MODEL --prompts FILE [options]",
    .summary = "Learn on a file of prompts what speeds MODEL up",
    .description =
        "Writes text after the prompts, trying all drafters, and keeps what it learns: what passes "
        "cost on this machine, and how likely each drafter's tokens are to be accepted. linn run "
        "begins with that. Then plain decoding, the best fixed cascade by the learned figures "
        "(linn plan says more about such) and --cascade auto are compared on the same prompts.",
    .options = options,
    .examples = "  linn tune river --prompts bench/prompts/prompts.jsonl\n"
                "  linn tune big.gguf -d small.gguf --prompts questions.jsonl --temp 0\n",
    .run = main_tune,
};
