/* bench_cascade.c - linn bench cascade: ways to decode the same prompts, side by side.
 *
 * Sides alternate within each round of each prompt, and each prompt begins with another side, so
 * that a machine that slows down slows all. Every side's tokens are compared with those of plain
 * decoding.
 */
#include "bench_cascade.h"
#include "bench.h"
#include "interrupt.h"
#include "model_path.h"
#include "pass_rows.h"
#include "progress.h"
#include "rows.h"
#include "samples.h"

#include <stdlib.h>
#include <string.h>

static const char *const by_names[] = {"time", "swi", NULL};
static const char *const rule_names[] = {"score", "paper", NULL};
static const char *const method_names[LINN_BENCH_METHODS + 1] = {
    "plain", "maxgram", "spec", "paper", "given", "auto", NULL};

static const linn_option options[] = {
    LINN_GROUP("What is run"),
    LINN_TEXTS('d', "draft", "MODEL", linn_bench_settings, drafters,
               "A drafter, repeatable, largest first",
               .otherwise = "brook and rill, when MODEL is river"),
    LINN_TEXTS(0, "prompts", "FILE", linn_bench_settings, prompts,
               "JSON Lines with a `prompt`, `question` or `turns` in each. May be given several "
               "times"),
    LINN_INTEGER(0, "limit", "N", linn_bench_settings, limit, 0, INT32_MAX,
                 "Prompts of each file, evenly spaced; 0: all"),
    LINN_INTEGER('n', "tokens", "N", linn_bench_settings, tokens, 1, 100000,
                 "Tokens of each text, at most"),
    LINN_TEXT(0, "temp", "LIST", linn_bench_settings, temperatures, "Temperatures",
              .otherwise = "0,0.7"),
    LINN_INTEGER(0, "rounds", "N", linn_bench_settings, rounds, 1, LINN_BENCH_ROUNDS,
                 "Runs of each side on each prompt; the median counts"),
    LINN_INTEGER(0, "seed", "S", linn_bench_settings, seed, 0, INT64_MAX,
                 "Seed of the first prompt; each has its own"),
    LINN_GROUP("Ways to decode"),
    LINN_TEXT(0, "methods", "LIST", linn_bench_settings, methods,
              "plain (always), maxgram, spec (speculative decoding with each drafter), paper (the "
              "fixed cascades of the paper's authors), given (--k-matrix), auto",
              .otherwise = "all"),
    LINN_INTEGER(
        0, "k", "N", linn_bench_settings, k, 0, 64,
        "maxgram, spec: tokens drafted for each pass of MODEL; 0: what is best on eight of "
        "the prompts"),
    LINN_CHOICE(0, "by", linn_bench_settings, by, by_names,
                "What makes a k the best: tokens a second, or SWI (MS)"),
    LINN_TEXTS(0, "k-matrix", "ROWS", linn_bench_settings, matrices,
               "A fixed cascade of all drafters, as for linn run. May be given several times"),
    LINN_INTEGER(0, "block", "N", linn_bench_settings, block, 1, 255,
                 "Fixed cascades: tokens that Max-Gram proposes at once"),
    LINN_REAL(0, "lenience", "L", linn_bench_settings, lenience, 1, 1e9,
              "--k-matrix: lenience of inner reviews; the paper's have the paper's own"),
    LINN_CHOICE(0, "lenience-rule", linn_bench_settings, rule, rule_names,
                "What lenience compares, as for linn run"),
    LINN_FLAG(0, "profile", linn_bench_settings, profile,
              "auto: begin with what linn tune and linn run have learned, instead of nothing"),
    LINN_TEXT(0, "ngram", "FILE", linn_bench_settings, ngram,
              "A table of n-grams behind Max-Gram; river: that of the default family"),
    LINN_FLAG(
        0, "search", linn_bench_settings, search,
        "Also the best of many fixed cascades, at each temperature. Half of the prompts, every "
        "other one, are for the search and nothing else. For small models: it runs hundreds"),
    LINN_GROUP("Running"),
    LINN_INTEGER('t', "threads", "N", linn_bench_settings, threads, 1, 1024, "Threads",
                 .otherwise = "as many as processors"),
    LINN_INTEGER(0, "ctx", "N", linn_bench_settings, ctx, 1, INT32_MAX,
                 "Tokens of prompt and text together, at most; of longer prompts the end is used",
                 .otherwise = "the model's"),
    LINN_GROUP("Output"),
    LINN_FLAG(0, "json", linn_bench_settings, json, "Print one JSON object"),
    LINN_TEXT(0, "report", "FILE", linn_bench_settings, report,
              "A page (HTML) with the tables and with pictures drawn by gnuplot"),
    LINN_OPTIONS_END,
};

/* ---- a run
 * ---------------------------------------------------------------------------------------- */

static bool on_piece(void *user, const linn_piece *piece)
{
    uint64_t *hash = user; /* FNV-1a over the ids */
    if (piece->token >= 0)
        *hash = (*hash ^ (uint64_t)piece->token) * 0x100000001b3u;
    return !linn_cli_interrupted();
}

static bool go_on(void *user)
{
    (void)user;
    return !linn_cli_interrupted();
}

int linn_bench_run(linn_cascade_bench *b, linn_bench_side *side, int temperature, size_t prompt,
                   linn_outcome *out)
{
    linn_error err;
    linn_request r = {
        .prompt = b->ids[prompt],
        .n_prompt = b->n_ids[prompt],
        .max_tokens = (int32_t)b->s->tokens,
        .sampling = linn_sampling_default(),
        .user = &out->hash,
        .on_piece = on_piece,
        .go_on = go_on,
    };
    r.sampling.temperature = (float)b->temperatures[temperature];
    r.sampling.seed = (uint64_t)b->s->seed + prompt;
    out->hash = 0xcbf29ce484222325u;
    if (linn_generate(side->cascade, &r, NULL, &out->stats, &err) != LINN_OK)
        return linn_cli_fail(b->self, "%s: %s", side->name, err.message);
    out->ms = out->stats.decode_ms;
    return linn_cli_interrupted() ? LINN_EXIT_INTERRUPTED : LINN_PARSED;
}

/* All rounds of a prompt; ms is scratch. */
static int run_prompt(linn_cascade_bench *b, int temperature, size_t prompt,
                      double ms[LINN_BENCH_SIDES][LINN_BENCH_ROUNDS])
{
    for (int round = 0; round < b->s->rounds; round++)
        for (int i = 0; i < b->n_sides; i++) {
            int side = (i + (int)(prompt % 1000)) % b->n_sides;
            if (!linn_bench_runs(b, temperature, side))
                continue;
            linn_outcome *o = linn_bench_outcome(b, temperature, side, prompt);
            uint64_t before = o->hash;
            int status = linn_bench_run(b, &b->sides[side], temperature, prompt, o);
            if (status != LINN_PARSED)
                return status;
            o->same = round == 0 || (o->same && o->hash == before);
            ms[side][round] = o->ms;
        }
    for (int side = 0; side < b->n_sides; side++)
        if (linn_bench_runs(b, temperature, side))
            linn_bench_outcome(b, temperature, side, prompt)->ms =
                linn_cli_summarise(ms[side], (size_t)b->s->rounds).median;
    return LINN_PARSED;
}

static int run_all(linn_cascade_bench *b)
{
    static const char what[] = "running";
    double(*ms)[LINN_BENCH_ROUNDS] = calloc(LINN_BENCH_SIDES, sizeof *ms);
    size_t cells = (size_t)b->n_temperatures * (size_t)b->n_sides;
    b->outcomes = calloc(b->n, cells * sizeof *b->outcomes);
    if (!ms || !b->outcomes) {
        free(ms);
        return linn_cli_fail(b->self, "no memory for the results of %zu prompts", b->n);
    }
    linn_progress progress;
    int status = LINN_PARSED;
    linn_cli_progress_begin(&progress, what);
    size_t done = 0, total = b->n * (size_t)b->n_temperatures;
    for (size_t i = 0; i < b->n && status == LINN_PARSED; i++)
        for (int t = 0; t < b->n_temperatures && status == LINN_PARSED; t++) {
            status = run_prompt(b, t, i, ms);
            linn_cli_progress(&progress, ++done, total);
        }
    linn_cli_progress_end(&progress);
    free(ms);
    return status;
}

/* ---- the width curve ----------------------------------------------------------------------------
 */

int32_t linn_bench_width_rows(int point)
{
    static const int32_t rows[LINN_BENCH_WIDTH_POINTS] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32};
    return rows[point];
}

/* Median times of passes after the first prompt's first tokens; widths alternate. */
static int measure_model(linn_cascade_bench *b, const linn_model *m, linn_width_curve *out,
                         linn_error *err)
{
    enum { BEFORE = 32, MOST = 32, TIMES = 9 };
    linn_session_settings settings = {.n_ctx = BEFORE + MOST};
    linn_token tokens[MOST];
    linn_row rows[MOST];
    double ms[LINN_BENCH_WIDTH_POINTS][TIMES];
    linn_session *session = NULL;
    linn_batch *batch = NULL;
    int rc = linn_session_create(&session, m, &settings, err);
    if (rc == LINN_OK)
        rc = linn_batch_create(&batch, m, MOST, err);
    for (size_t i = 0; i < MOST; i++)
        tokens[i] = b->ids[0][i % b->n_ids[0]];
    if (rc == LINN_OK) {
        linn_cli_pass_rows(rows, session, tokens, BEFORE, 0, LINN_OUT_LOGITS);
        rc = linn_forward(batch, rows, BEFORE, err);
    }
    for (int t = -1; t < TIMES && rc == LINN_OK; t++)
        for (int i = 0; i < LINN_BENCH_WIDTH_POINTS && rc == LINN_OK; i++) {
            int32_t n = linn_bench_width_rows(i);
            linn_cli_pass_rows(rows, session, tokens, n, LINN_OUT_LOGITS, LINN_OUT_LOGITS);
            double start = linn_cli_now_ms();
            rc = linn_forward(batch, rows, n, err);
            if (t >= 0)
                ms[i][t] = linn_cli_now_ms() - start;
            if (rc == LINN_OK)
                rc = linn_session_truncate(session, BEFORE, err);
        }
    for (int i = 0; i < LINN_BENCH_WIDTH_POINTS && rc == LINN_OK; i++)
        out->ms[i] = linn_cli_summarise(ms[i], TIMES).median;
    linn_batch_free(batch);
    linn_session_free(session);
    return rc;
}

static int measure_widths(linn_cascade_bench *b)
{
    linn_error err;
    for (size_t i = 0; i < b->models.n; i++)
        if (measure_model(b, b->models.items[i], &b->widths[i], &err) != LINN_OK)
            return linn_cli_fail(b->self, "%s", err.message);
    return LINN_PARSED;
}

/* ---- prompts
 * ------------------------------------------------------------------------------------- */

static void take_prompt(linn_cascade_bench *b, linn_cli_prompt *p)
{
    b->prompts.items[b->prompts.n++] = *p;
    *p = (linn_cli_prompt){0};
}

/* Adds a file's prompts, or some of them. */
static int read_file(linn_cascade_bench *b, const char *path)
{
    linn_cli_prompts file;
    int status = linn_cli_read_prompts(b->self, path, &file);
    size_t n = file.n, limit = (size_t)b->s->limit;
    if (limit > 0 && n > limit)
        n = limit;
    if (status == LINN_PARSED) {
        void *larger = realloc(b->prompts.items, (b->prompts.n + n) * sizeof *b->prompts.items);
        if (larger)
            b->prompts.items = larger;
        else
            status = linn_cli_fail(b->self, "%s: no memory for the prompts", path);
    }
    for (size_t i = 0; i < n && status == LINN_PARSED; i++)
        take_prompt(b, &file.items[i * file.n / n]);
    b->prompts.n_broken += file.n_broken;
    linn_cli_free_prompts(&file);
    return status;
}

static void number_kinds(linn_cascade_bench *b)
{
    for (size_t i = 0; i < b->prompts.n; i++) {
        int k = 0;
        while (k < b->n_kinds && strcmp(b->kinds[k], b->prompts.items[i].kind) != 0)
            k++;
        b->kinds[k] = b->prompts.items[i].kind;
        b->n_kinds += k == b->n_kinds;
        b->kind[i] = k;
    }
}

static int tokenize(linn_cascade_bench *b, size_t i)
{
    const linn_tokenizer *t = linn_model_tokenizer(b->models.items[0]);
    const char *text = b->prompts.items[i].text;
    linn_error err;
    size_t room = strlen(text) + 8, n, most = (size_t)(b->s->ctx - b->s->tokens);
    b->ids[i] = malloc(room * sizeof **b->ids);
    if (!b->ids[i])
        return linn_cli_fail(b->self, "no memory for the prompts");
    if (linn_tokenize(t, text, strlen(text), LINN_TOKENIZE_BOS, b->ids[i], room, &n, &err) !=
        LINN_OK)
        return linn_cli_fail(b->self, "prompt of line %zu: %s", b->prompts.items[i].line,
                             err.message);
    if (n > room)
        return linn_cli_fail(b->self, "prompt of line %zu: more tokens than bytes",
                             b->prompts.items[i].line);
    if (n > most) { /* the end of it */
        memmove(b->ids[i], b->ids[i] + n - most, most * sizeof **b->ids);
        n = most;
        b->n_cut++;
    }
    b->n_ids[i] = n;
    return n > 0 ? LINN_PARSED
                 : linn_cli_fail(b->self, "prompt of line %zu: has no tokens",
                                 b->prompts.items[i].line);
}

/* For --search: every other prompt goes behind the rest, which the sides are compared on. */
static int split(linn_cascade_bench *b)
{
    size_t n = b->prompts.n, kept = (n + 1) / 2;
    if (n < 2)
        return linn_cli_misuse(b->self, "--search: one prompt cannot be split");
    linn_cli_prompt *items = malloc(n * sizeof *items);
    if (!items)
        return linn_cli_fail(b->self, "no memory for the prompts");
    for (size_t i = 0; i < n; i++)
        items[i / 2 + (i % 2) * kept] = b->prompts.items[i];
    free(b->prompts.items);
    b->prompts.items = items;
    b->n = kept;
    return LINN_PARSED;
}

static int read_prompts(linn_cascade_bench *b)
{
    int status = LINN_PARSED;
    for (size_t i = 0; i < b->s->prompts.n && status == LINN_PARSED; i++)
        status = read_file(b, b->s->prompts.items[i]);
    if (status != LINN_PARSED)
        return status;
    size_t n = b->n = b->prompts.n;
    status = b->s->search ? split(b) : LINN_PARSED;
    b->ids = calloc(n, sizeof *b->ids);
    b->n_ids = calloc(n, sizeof *b->n_ids);
    b->kind = calloc(n, sizeof *b->kind);
    b->kinds = calloc(n, sizeof *b->kinds);
    if (!b->ids || !b->n_ids || !b->kind || !b->kinds)
        return linn_cli_fail(b->self, "no memory for the prompts");
    number_kinds(b);
    for (size_t i = 0; i < n && status == LINN_PARSED; i++)
        status = tokenize(b, i);
    return status;
}

/* ---- options
 * -------------------------------------------------------------------------------------- */

static int read_methods(linn_cascade_bench *b, const char *list)
{
    b->methods[LINN_BENCH_PLAIN] = true;
    for (int i = 0; i < LINN_BENCH_METHODS && !list; i++)
        b->methods[i] = true;
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        int i = 0;
        while (method_names[i] && (strlen(method_names[i]) != n || strncmp(method_names[i], at, n)))
            i++;
        if (!method_names[i])
            return linn_cli_misuse(b->self,
                                   "--methods: '%.*s': must be plain, maxgram, spec, paper, given "
                                   "or auto",
                                   (int)n, at);
        b->methods[i] = true;
        at += n + (at[n] == ',');
    }
    return LINN_PARSED;
}

static int read_temperatures(linn_cascade_bench *b, const char *list)
{
    linn_rows rows;
    int status = linn_cli_read_rows(b->self, "--temp", list, &rows);
    if (status != LINN_PARSED)
        return status;
    if (rows.n != 1 || rows.columns[0] > LINN_BENCH_TEMPERATURES)
        return linn_cli_misuse(b->self, "--temp %s: must be 1 to %d numbers", list,
                               LINN_BENCH_TEMPERATURES);
    for (int i = 0; i < rows.columns[0]; i++) {
        if (!(rows.value[0][i] >= 0 && rows.value[0][i] <= 1000))
            return linn_cli_misuse(b->self, "--temp %g: must be from 0 to 1000", rows.value[0][i]);
        b->temperatures[b->n_temperatures++] = rows.value[0][i];
    }
    return LINN_PARSED;
}

static int prepare(linn_cascade_bench *b, linn_bench_settings *s, const char *target)
{
    int status = read_methods(b, s->methods);
    if (status == LINN_PARSED)
        status = read_temperatures(b, s->temperatures ? s->temperatures : "0,0.7");
    if (status == LINN_PARSED && s->prompts.n == 0)
        status = linn_cli_misuse(b->self, "no prompts: give a file with --prompts");
    if (status == LINN_PARSED)
        status = linn_cli_open_models(b->self, target, linn_cli_family(target, s->drafters),
                                      s->threads, &b->models);
    if (status == LINN_PARSED)
        status = linn_cli_open_table(b->self, s->ngram, &b->models);
    if (status != LINN_PARSED)
        return status;
    if (s->ctx == 0)
        s->ctx = linn_model_describe(b->models.items[0]).n_ctx;
    if (s->ctx <= s->tokens)
        return linn_cli_misuse(b->self, "-n %d: with a context of %d there is no room for a prompt",
                               (int)s->tokens, (int)s->ctx);
    return read_prompts(b);
}

/* ---- the command
 * ------------------------------------------------------------------------------------ */

static int check_same(linn_cascade_bench *b)
{
    for (int t = 0; t < b->n_temperatures; t++)
        for (int i = 0; i < b->n_sides; i++)
            if (linn_bench_runs(b, t, i) && !linn_bench_summarise(b, t, i, -1).same)
                return linn_cli_fail(b->self, "%s changed the text: please report this",
                                     b->sides[i].name);
    return LINN_EXIT_DONE;
}

static void free_bench(linn_cascade_bench *b)
{
    linn_bench_free_sides(b);
    for (size_t i = 0; i < b->prompts.n && b->ids; i++)
        free(b->ids[i]);
    free(b->ids);
    free(b->n_ids);
    free(b->kind);
    free(b->kinds);
    linn_cli_free_prompts(&b->prompts);
    free(b->outcomes);
    linn_cli_close_models(&b->models);
}

static int bench_cascade(const linn_command *self, int argc, char **argv)
{
    linn_bench_settings s = {.tokens = 96, .rounds = 3, .seed = 1, .block = 10, .lenience = 1};
    linn_cascade_bench b = {.self = self, .s = &s};
    int n, status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n);
    if (status == LINN_PARSED)
        status = prepare(&b, &s, argv[1]);
    if (status == LINN_PARSED) {
        linn_cli_interrupt_watch();
        status = linn_bench_make_sides(&b);
    }
    if (status == LINN_PARSED)
        status = measure_widths(&b);
    if (status == LINN_PARSED)
        status = run_all(&b);
    if (status == LINN_PARSED && s.report)
        status = linn_bench_report(&b, s.report);
    if (status == LINN_PARSED) {
        if (s.json)
            linn_bench_print_json(&b);
        else
            linn_bench_print_table(&b);
        status = linn_cli_output_finish(&b.out, self, check_same(&b));
    }
    free_bench(&b);
    free(s.drafters.items);
    free(s.prompts.items);
    free(s.matrices.items);
    return status;
}

const linn_command linn_command_bench_cascade = {
    .name = "bench cascade",
    .usage = "MODEL [options]",
    .summary = "Cascades, speculative and plain decoding, side by side on files of prompts",
    .description =
        "Decodes prompts plainly, by prompt lookup (maxgram), by speculative decoding with each "
        "drafter, and by cascades, in turns, and prints for each the tokens a second, the gain "
        "over "
        "plain decoding with its 95% interval (bootstrap over prompts), tokens for a pass of "
        "MODEL, "
        "the share of drafted tokens that MODEL accepted, and the paper's standardised walltime "
        "improvement (SWI): tokens for a cost, where a pass costs as much as its model has "
        "parameters (MS), or as a pass of one token takes here (PW). The text of every side is "
        "compared with that of plain decoding.",
    .options = options,
    .examples = "  linn bench cascade river --prompts bench/prompts/prompts.jsonl\n"
                "  linn bench cascade big.gguf -d small.gguf --prompts gsm8k.jsonl \\\n"
                "      --limit 100 --report out.html\n",
    .run = bench_cascade,
};
