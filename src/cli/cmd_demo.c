/* cmd_demo.c - linn demo: the same text, plainly and with a cascade, and what that saves.
 *
 * Each prompt is decoded by the target alone and then by the cascade, shown as it comes. After
 * that both are run again without printing, in turns, for the table: medians of the rounds, and
 * the token ids of all runs compared.
 */
#include "cli.h"
#include "color.h"
#include "flow.h"
#include "interrupt.h"
#include "models.h"
#include "options.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 78, GUTTER = 11, MAX_ROUNDS = 99, N_PROMPTS = 3, PROMPT_TOKENS = 512 };

typedef struct prompt {
    const char *name, *text;
    double temperature; /* where --temp says nothing: a story is drawn, an answer is not */
} prompt;

static const prompt prompts[N_PROMPTS] = {
    {"story",
     "Once upon a time, in a village at the foot of a waterfall, there lived a miller who "
     "could not sleep for the noise of the water. One night",
     0.8},
    {"maths",
     "Question: A farmer has 36 hens. Each hen lays 5 eggs a week, and he packs the eggs "
     "in boxes of 12. How many boxes does he fill in a week?\nAnswer:",
     0},
    {"talk",
     "“Who is at the door?” said the miller. “It is the wind,” said the boy. “Who is at the door?” "
     "said the miller again. “It is the wind,” said the boy. “Who is",
     0},
};

typedef struct settings {
    linn_texts drafters;
    const char *ngram;
    int64_t tokens, rounds, threads, seed;
    double temperature;
} settings;

static const linn_option options[] = {
    LINN_TEXTS('d', "draft", "DRAFT", settings, drafters,
               "A drafter, repeatable, largest first; a GGUF file, or brook or rill",
               .otherwise = "brook and rill, when MODEL is river"),
    LINN_TEXT(0, "ngram", "FILE", settings, ngram,
              "A table of n-grams that drafts where Max-Gram has little to go by",
              .otherwise = "river's, when MODEL is river"),
    LINN_INTEGER('n', "tokens", "N", settings, tokens, 1, 100000, "Tokens of each text"),
    LINN_REAL(0, "temp", "T", settings, temperature, 0, 100,
              "Temperature of all texts; 0: always the most likely token",
              .otherwise = "0.8 for the story, 0 for the others"),
    LINN_INTEGER(0, "seed", "N", settings, seed, 0, INT64_MAX, "Seed of the noise"),
    LINN_INTEGER(0, "rounds", "N", settings, rounds, 1, MAX_ROUNDS,
                 "Runs of each side that the table is made from"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads",
                 .otherwise = "as many as processors"),
    LINN_OPTIONS_END,
};

enum { PLAIN, CASCADE, SIDES };
static const char *const side_names[SIDES] = {"plain", "cascade"};

typedef struct demo {
    const linn_command *self;
    const settings *s;
    linn_cli_output out;
    bool color;
    linn_models models;
    linn_cascade *sides[SIDES];
    linn_token *ids; /* [tokens] of the run now */
    int32_t n_ids;
    linn_flow *flow; /* NULL: not shown */
} demo;

/* What is known of a prompt. */
typedef struct result {
    linn_token *ids; /* [tokens] of the first plain run */
    int32_t n_ids;
    bool same;
    double rate[SIDES][MAX_ROUNDS]; /* tokens a second */
    linn_stats stats;               /* of the cascade */
} result;

/* ---- opening ---------------------------------------------------------------------------- */

static int open_models(demo *d, const char *target)
{
    linn_texts names = linn_cli_family(target, d->s->drafters);
    if (names.n == 0)
        return linn_cli_misuse(d->self, "%s needs a drafter: -d DRAFT", target);
    int status = linn_cli_open_models(d->self, target, names, d->s->threads, &d->models);
    const char *table = d->s->ngram ? d->s->ngram : strcmp(target, "river") == 0 ? target : NULL;
    return status == LINN_PARSED ? linn_cli_open_table(d->self, table, &d->models) : status;
}

static int open_sides(demo *d, linn_error *err)
{
    const linn_model *const *drafters = (const linn_model *const *)&d->models.items[1];
    linn_cascade_settings s = linn_cascade_settings_default();
    s.ngram = d->models.ngram;
    s.session.n_ctx = PROMPT_TOKENS + (int32_t)d->s->tokens;
    int32_t limit = linn_model_describe(d->models.items[0]).n_ctx;
    if (s.session.n_ctx > limit)
        s.session.n_ctx = limit;
    int rc = linn_cascade_create(&d->sides[CASCADE], d->models.items[0], drafters, d->models.n - 1,
                                 &s, err);
    s.shape = LINN_CASCADE_OFF;
    s.ngram = NULL;
    if (rc == LINN_OK)
        rc = linn_cascade_create(&d->sides[PLAIN], d->models.items[0], NULL, 0, &s, err);
    return rc == LINN_OK ? LINN_PARSED : linn_cli_fail(d->self, "%s", err->message);
}

static void close_demo(demo *d)
{
    for (int i = 0; i < SIDES; i++)
        linn_cascade_free(d->sides[i]);
    linn_cli_close_models(&d->models);
    free(d->ids);
}

/* ---- a run -------------------------------------------------------------------------------- */

static bool on_piece(void *user, const linn_piece *p)
{
    demo *d = user;
    if (p->token >= 0 && d->n_ids < d->s->tokens)
        d->ids[d->n_ids++] = p->token;
    if (d->flow) {
        linn_flow_put(d->flow, p->text, p->length, p->level);
        linn_cli_flush(&d->out);
    }
    return !d->out.error;
}

static bool go_on(void *user)
{
    (void)user;
    return !linn_cli_interrupted();
}

static double temperature_of(const demo *d, const prompt *p)
{
    return d->s->temperature >= 0 ? d->s->temperature : p->temperature;
}

/* Status of the program; LINN_PARSED: the ids and *stats are there. */
static int run_side(demo *d, int side, const prompt *p, linn_stats *stats)
{
    const char *text = p->text;
    linn_error err = {0};
    linn_token tokens[PROMPT_TOKENS];
    size_t n;
    const linn_tokenizer *tokenizer = linn_model_tokenizer(d->models.items[0]);
    int rc = linn_tokenize(tokenizer, text, strlen(text), LINN_TOKENIZE_BOS, tokens, PROMPT_TOKENS,
                           &n, &err);
    linn_request r = {
        .prompt = tokens,
        .n_prompt = n < PROMPT_TOKENS ? n : PROMPT_TOKENS,
        .max_tokens = (int32_t)d->s->tokens,
        .sampling = linn_sampling_default(),
        .user = d,
        .on_piece = on_piece,
        .go_on = go_on,
    };
    r.sampling.temperature = (float)temperature_of(d, p);
    r.sampling.seed = (uint64_t)d->s->seed;
    linn_finish finish;
    d->n_ids = 0;
    if (rc == LINN_OK)
        rc = linn_generate(d->sides[side], &r, &finish, stats, &err);
    if (rc != LINN_OK)
        return linn_cli_fail(d->self, "%s", err.message);
    if (d->out.error)
        return LINN_EXIT_DONE; /* the output says so in the end */
    return linn_cli_interrupted() ? LINN_EXIT_INTERRUPTED : LINN_PARSED;
}

static double rate_of(const linn_stats *s)
{
    return s->decode_ms > 0 ? s->tokens * 1000.0 / s->decode_ms : 0;
}

/* Keeps the first run's ids, and compares all others with them. */
static void compare(const demo *d, result *r)
{
    size_t bytes = (size_t)d->n_ids * sizeof *d->ids;
    if (r->n_ids < 0) {
        r->n_ids = d->n_ids;
        memcpy(r->ids, d->ids, bytes);
    } else if (d->n_ids != r->n_ids || memcmp(d->ids, r->ids, bytes) != 0) {
        r->same = false;
    }
}

static int show_prompt(demo *d, const prompt *p, result *r)
{
    const char *bold = d->color ? "\033[1m" : "", *dim = d->color ? "\033[2m" : "";
    const char *off = d->color ? "\033[0m" : "";
    int status = LINN_PARSED;
    linn_cli_print(&d->out, "\n%s%-*s%s%s", bold, GUTTER, p->name, off, dim);
    linn_flow prompt_flow = {.out = &d->out, .indent = GUTTER, .width = WIDTH, .column = GUTTER};
    linn_flow_put(&prompt_flow, p->text, strlen(p->text), 0);
    linn_flow_end(&prompt_flow);
    linn_cli_print(&d->out, "%s", off);
    for (int side = 0; side < SIDES && status == LINN_PARSED; side++) {
        linn_flow flow = {
            .out = &d->out,
            .indent = GUTTER,
            .width = WIDTH,
            .color = d->color && side == CASCADE,
            .column = GUTTER,
        };
        linn_cli_print(&d->out, "%s%-*s%s", bold, GUTTER, side_names[side], off);
        d->flow = &flow;
        status = run_side(d, side, p, &r->stats);
        d->flow = NULL;
        linn_flow_end(&flow);
        if (status == LINN_PARSED)
            compare(d, r);
    }
    return status;
}

static int measure(demo *d, const prompt *p, result *r)
{
    for (int round = 0; round < d->s->rounds; round++)
        for (int side = 0; side < SIDES; side++) {
            int status = run_side(d, side, p, &r->stats);
            if (status != LINN_PARSED)
                return status;
            r->rate[side][round] = rate_of(&r->stats);
            compare(d, r);
        }
    return LINN_PARSED;
}

/* ---- the table ------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static void print_head(demo *d, const linn_stats *s)
{
    const char *bold = d->color ? "\033[1m" : "", *off = d->color ? "\033[0m" : "";
    linn_cli_print(&d->out, "\n%s%*s%-25s%-8s", bold, GUTTER, "", "tokens a second", "tokens");
    linn_cli_print(&d->out, "%s%s\n%*s%7s%9s%7s  a pass", "drafts accepted", off, GUTTER, "temp",
                   "plain", "cascade", "gain");
    for (int i = 1; i < s->n_levels; i++)
        linn_cli_print(&d->out, "%s%9.8s%s", d->color ? linn_cli_level_color(i) : "",
                       s->levels[i].name, off);
    linn_cli_print(&d->out, "\n");
}

static void print_row(demo *d, const prompt *p, result *r)
{
    int rounds = (int)d->s->rounds;
    double plain = median(r->rate[PLAIN], rounds), cascade = median(r->rate[CASCADE], rounds);
    const linn_stats *s = &r->stats;
    uint64_t passes = s->levels[0].passes;
    linn_cli_print(&d->out, "%-*s%4.1f%7.0f%9.0f%6.2fx%8.2f", GUTTER - 4, p->name,
                   temperature_of(d, p), plain, cascade, plain > 0 ? cascade / plain : 0,
                   passes ? (double)s->tokens / (double)passes : 0);
    for (int i = 1; i < s->n_levels; i++) {
        uint64_t drafted = 0, accepted = 0;
        for (int j = 0; j < LINN_MAX_POSITIONS; j++) {
            drafted += s->levels[i].drafted[j];
            accepted += s->levels[i].accepted[j];
        }
        if (drafted)
            linn_cli_print(&d->out, "%8.0f%%", 100.0 * (double)accepted / (double)drafted);
        else
            linn_cli_print(&d->out, "%9s", "-");
    }
    linn_cli_print(&d->out, "\n");
}

/* Returns whether all runs gave the same tokens. */
static bool print_table(demo *d, result *results)
{
    const char *bold = d->color ? "\033[1m" : "", *off = d->color ? "\033[0m" : "";
    bool same = true;
    int32_t n = 0;
    print_head(d, &results[0].stats);
    for (int i = 0; i < N_PROMPTS; i++) {
        print_row(d, &prompts[i], &results[i]);
        same = same && results[i].same;
        n += results[i].n_ids;
    }
    linn_cli_print(&d->out,
                   "\n%ssame text: %s%s (%d token ids compared, in %d runs of each side)\n", bold,
                   same ? "yes" : "NO", off, n, (int)d->s->rounds + 1);
    return same;
}

static void print_title(demo *d)
{
    const char *off = d->color ? "\033[0m" : "";
    int threads = linn_engine_threads(d->models.engine);
    int n = (int)d->models.n, n_levels = d->models.ngram ? n + 2 : n + 1;
    linn_cli_print(&d->out, "%s writes; ", linn_model_describe(d->models.items[0]).name);
    for (int i = 1; i < n_levels; i++) {
        const char *name = i < n    ? linn_model_describe(d->models.items[i]).name
                           : i == n ? "Max-Gram"
                                    : "n-grams";
        linn_cli_print(&d->out, "%s%s%s%s", d->color ? linn_cli_level_color(i) : "", name, off,
                       i + 2 < n_levels   ? ", "
                       : i + 1 < n_levels ? " and "
                                          : "");
    }
    linn_cli_print(&d->out, " draft (%s, %d thread%s)\n", linn_engine_cpu(d->models.engine),
                   threads, threads == 1 ? "" : "s");
}

static int demonstrate(demo *d, result *results)
{
    int status = LINN_PARSED;
    print_title(d);
    for (int i = 0; i < N_PROMPTS && status == LINN_PARSED; i++)
        status = show_prompt(d, &prompts[i], &results[i]);
    for (int i = 0; i < N_PROMPTS && status == LINN_PARSED; i++)
        status = measure(d, &prompts[i], &results[i]);
    if (status != LINN_PARSED)
        return status;
    if (!print_table(d, results))
        return linn_cli_fail(d->self, "the cascade changed the text: please report this");
    return LINN_EXIT_DONE;
}

static int main_demo(const linn_command *self, int argc, char **argv)
{
    settings s = {.tokens = 96, .rounds = 9, .seed = 1, .temperature = -1};
    int n_operands;
    int status = linn_cli_parse(self, argc, argv, &s, 0, 1, &n_operands);
    if (status != LINN_PARSED)
        return status;
    linn_error err = {0};
    demo d = {.self = self, .s = &s, .color = linn_cli_stdout_is_terminal()};
    size_t n = (size_t)s.tokens;
    result *results = calloc(N_PROMPTS, sizeof *results);
    d.ids = malloc(n * sizeof *d.ids);
    bool room = results && d.ids;
    for (int i = 0; i < N_PROMPTS && room; i++) {
        results[i].ids = malloc(n * sizeof *d.ids);
        results[i].n_ids = -1;
        results[i].same = true;
        room = results[i].ids != NULL;
    }
    if (!room)
        status = linn_cli_fail(self, "out of memory");
    else
        status = open_models(&d, n_operands ? argv[1] : "river");
    if (status == LINN_PARSED)
        status = open_sides(&d, &err);
    if (status == LINN_PARSED) {
        linn_cli_interrupt_watch();
        status = demonstrate(&d, results);
    }
    close_demo(&d);
    for (int i = 0; i < N_PROMPTS && results; i++)
        free(results[i].ids);
    free(results);
    free(s.drafters.items);
    return linn_cli_output_finish(&d.out, self, status);
}

const linn_command linn_command_demo = {
    .name = "demo",
    .usage = "[MODEL] [options]",
    .summary = "Show the same text with and without a cascade, and the gain",
    .description =
        "Decodes three prompts, each by MODEL alone and then with a cascade of drafters, in the "
        "colours of who proposed what, and prints a table: tokens a second (medians of runs in "
        "turns), tokens made in a forward pass of MODEL, the part of each drafter's tokens that "
        "MODEL accepted, and whether the token ids are the same. MODEL is river by default.",
    .options = options,
    .examples = "  linn demo\n  linn demo big.gguf -d small.gguf -n 200 --temp 0\n",
    .run = main_demo,
};
