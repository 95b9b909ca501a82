/* cmd_plan.c - linn plan: which cascade would be fastest, and why. */
#include "figures.h"
#include "gnuplot.h"
#include "json.h"
#include "model_path.h"
#include "models.h"
#include "output.h"
#include "profiles.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = LINN_MAX_LEVELS + 5, MAX_MOST = 32 };

static const double PAYS = 1.002; /* less than that is no gain worth a level */

typedef struct settings {
    const char *alpha, *cost, *figures, *ngram, *matrix, *plot;
    linn_texts drafters;
    double hit, temperature;
    int64_t block, most, rounds, seed, threads;
    bool maxgram, json;
} settings;

static const linn_option options[] = {
    LINN_GROUP("Figures of models that are here"),
    LINN_TEXTS('d', "draft", "DRAFT", settings, drafters,
               "The drafters with which MODEL was run, repeatable, largest first",
               .otherwise = "brook and rill, when MODEL is river"),
    LINN_REAL(0, "temp", "T", settings, temperature, 0, 1000,
              "What was learned at that temperature"),
    LINN_TEXT(0, "ngram", "FILE", settings, ngram, "The table of n-grams with which it was run"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024,
                 "The threads with which it was run", .otherwise = "as many as processors"),
    LINN_GROUP("Stated figures"),
    LINN_TEXT(0, "alpha", "ROWS", settings, alpha,
              "Acceptance rates. A row for each level that reviews, the target's first, with the "
              "share of tokens of each level after it that it accepts: \"0.8 0.6; 0.7\" for two "
              "drafters"),
    LINN_TEXT(0, "cost", "ROW", settings, cost,
              "Costs of a pass of each drafter, the target's being 1: \"0.2 0.05\""),
    LINN_FLAG(0, "maxgram", settings, maxgram,
              "The last level is Max-Gram, which drafts without a pass and costs nothing unless "
              "--cost has a number for it"),
    LINN_REAL(0, "hit", "SHARE", settings, hit, 0, 1, "How often Max-Gram has something to propose",
              .otherwise = "always, or what was learned"),
    LINN_TEXT(0, "figures", "FILE", settings, figures,
              "All of these from a JSON file, with costs by the number of rows in a pass"),
    LINN_GROUP("Cascades"),
    LINN_TEXT(0, "k-matrix", "ROWS", settings, matrix, "One cascade more to plan, as for linn run"),
    LINN_INTEGER(0, "block", "N", settings, block, 1, 255,
                 "--k-matrix: tokens that Max-Gram proposes at once"),
    LINN_INTEGER(0, "most", "N", settings, most, 1, MAX_MOST,
                 "Largest entry of a K matrix, and largest block, that is tried"),
    LINN_GROUP("Output"),
    LINN_INTEGER(0, "simulate", "ROUNDS", settings, rounds, 0, 1000000000,
                 "Check each speed by drawing so many rounds at random", .otherwise = "no check"),
    LINN_INTEGER(0, "seed", "S", settings, seed, 0, INT64_MAX, "--simulate: seed"),
    LINN_TEXT(0, "plot", "FILE", settings, plot,
              "A picture (SVG) of the best speed of each shape by tokens drafted; drawn by "
              "gnuplot"),
    LINN_FLAG(0, "json", settings, json, "Print one JSON object"),
    LINN_OPTIONS_END,
};

typedef struct planned {
    char name[64];
    const char *shape;
    linn_plan_cascade cascade;
    linn_forecast exact, drawn;
} planned;

typedef struct work {
    const linn_command *self;
    const settings *s;
    linn_figures f;
    planned rows[MAX_ROWS];
    int n_rows;
    int fastest;                     /* of what was searched */
    double without[LINN_MAX_LEVELS]; /* [level] the best speed that is left without it */
    linn_cli_output out;
} work;

static int order_of(const work *w)
{
    return w->f.plan.n_levels - 1;
}

/* ---- planning -------------------------------------------------------------------------------- */

static planned *add_row(work *w, const char *shape, const char *name)
{
    planned *row = &w->rows[w->n_rows++];
    row->shape = shape;
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static void search(work *w, linn_plan_shape shape, unsigned levels, const char *word,
                   const char *name)
{
    linn_plan_search s = {shape, levels, 0, (int32_t)w->s->most};
    planned *row = add_row(w, word, name);
    if (linn_plan_best(&w->f.plan, &s, &row->cascade, &row->exact, NULL) != LINN_OK)
        w->n_rows--; /* not enough levels */
}

static int plan_given(work *w)
{
    linn_error err;
    int32_t order;
    planned *row = add_row(w, "given", "as given");
    int32_t matrix[LINN_MAX_LEVELS * LINN_MAX_LEVELS];
    int status = linn_cli_read_matrix(w->self, "--k-matrix", w->s->matrix, matrix, &order);
    if (status != LINN_PARSED)
        return status;
    if (order != order_of(w))
        return linn_cli_misuse(w->self, "--k-matrix: %d rows: with %d levels it must have %d",
                               order, order_of(w) + 1, order_of(w));
    memcpy(row->cascade.k_matrix, matrix, (size_t)(order * order) * sizeof *matrix);
    row->cascade.block = (int32_t)w->s->block;
    if (linn_plan_evaluate(&w->f.plan, &row->cascade, &row->exact, &err) != LINN_OK)
        return linn_cli_misuse(w->self, "%s", err.message);
    return LINN_PARSED;
}

static int plan_all(work *w)
{
    const linn_plan *p = &w->f.plan;
    unsigned all = (1u << p->n_levels) - 2;
    linn_error err;
    planned *plain = add_row(w, "plain", "plain decoding");
    plain->cascade.block = 1;
    if (linn_plan_evaluate(p, &plain->cascade, &plain->exact, &err) != LINN_OK)
        return linn_cli_fail(w->self, "%s", err.message);
    for (int j = 1; j < p->n_levels; j++)
        search(w, LINN_PLAN_TWO, 1u << j, "two", w->f.names[j]);
    search(w, LINN_PLAN_VERTICAL, all, "vertical", "vertical");
    search(w, LINN_PLAN_HORIZONTAL, all, "horizontal", "horizontal");
    if (p->n_levels > 2)
        search(w, LINN_PLAN_COMBINED, all, "combined", "combined");
    for (int i = 1; i < w->n_rows; i++)
        if (w->rows[i].exact.speed > w->rows[w->fastest].exact.speed * PAYS)
            w->fastest = i; /* the simplest of those that are alike */
    for (int j = 1; j < p->n_levels; j++) {
        linn_plan_search s = {LINN_PLAN_COMBINED, all & ~(1u << j), 0, (int32_t)w->s->most};
        linn_plan_cascade unwanted;
        linn_forecast f = {.speed = 1};
        if (linn_plan_best(p, &s, &unwanted, &f, &err) != LINN_OK)
            return linn_cli_fail(w->self, "%s", err.message);
        w->without[j] = f.speed;
    }
    return w->s->matrix ? plan_given(w) : LINN_PARSED;
}

static int simulate(work *w)
{
    linn_error err;
    for (int i = 0; i < w->n_rows && w->s->rounds > 0; i++) {
        planned *row = &w->rows[i];
        if (linn_plan_simulate(&w->f.plan, &row->cascade, w->s->rounds, (uint64_t)w->s->seed,
                               &row->drawn, &err) != LINN_OK)
            return linn_cli_fail(w->self, "%s", err.message);
    }
    return LINN_PARSED;
}

/* In standard errors; where there is nothing to draw the two are equal. */
static double distance(const planned *row)
{
    double off = fabs(row->drawn.speed - row->exact.speed);
    return off > 1e-9 ? off / row->drawn.error : 0;
}

/* ---- the table ---------------------------------------------------------------------------------
 */

static void write_matrix(const work *w, const planned *row, char *out, size_t capacity)
{
    size_t used = 0;
    int n = order_of(w);
    out[0] = '\0';
    for (int i = 0; i < n * n && used < capacity; i++) {
        const char *before = i == 0 ? "" : i % n == 0 ? "; " : " ";
        int more = snprintf(out + used, capacity - used, "%s%d", before, row->cascade.k_matrix[i]);
        used += more > 0 ? (size_t)more : 0;
    }
}

static void print_rows(work *w)
{
    bool drawn = w->s->rounds > 0;
    linn_cli_print(&w->out, "%-24s %8s %s%13s   %s\n", "", "speed",
                   drawn ? "       drawn     " : "", "tokens a pass",
                   w->f.plan.statistical ? "K matrix, block" : "K matrix");
    for (int i = 0; i < w->n_rows; i++) {
        const planned *row = &w->rows[i];
        char matrix[256] = "", block[24] = "", check[32] = "";
        if (row->exact.tokens > 1)
            write_matrix(w, row, matrix, sizeof matrix);
        if (row->exact.tokens > 1 && row->exact.passes[order_of(w)] > 0 && w->f.plan.statistical)
            snprintf(block, sizeof block, ", %d", row->cascade.block);
        if (drawn)
            snprintf(check, sizeof check, "%7.3f +-%5.3f ", row->drawn.speed, row->drawn.error);
        linn_cli_print(&w->out, "%-24s %7.2fx %s%13.2f   %s%s\n", row->name, row->exact.speed,
                       check, row->exact.tokens, matrix, block);
    }
}

static void print_levels(work *w)
{
    double best = w->rows[w->fastest].exact.speed;
    linn_cli_print(&w->out, "\nwhat a level adds to the fastest\n");
    for (int j = 1; j < w->f.plan.n_levels; j++) {
        double gain = best / w->without[j];
        linn_cli_print(&w->out, "  %-22s %7.2fx   %s (%.2fx without it)\n", w->f.names[j],
                       gain > 1 ? gain : 1, gain > PAYS ? "pays" : "does not pay", w->without[j]);
    }
}

static void print_advice(work *w)
{
    const planned *row = &w->rows[w->fastest];
    char matrix[256];
    write_matrix(w, row, matrix, sizeof matrix);
    if (row->exact.tokens <= 1)
        linn_cli_print(&w->out, "\nfastest: plain decoding; no drafter pays\n");
    else if (w->f.plan.statistical)
        linn_cli_print(&w->out, "\nfastest: --k-matrix \"%s\" --block %d\n", matrix,
                       row->cascade.block);
    else
        linn_cli_print(&w->out, "\nfastest: --k-matrix \"%s\" --no-maxgram\n", matrix);
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static void print_numbers(work *w, const char *name, const double *x, int n)
{
    linn_cli_print(&w->out, ", \"%s\": [", name);
    for (int i = 0; i < n; i++)
        linn_cli_print(&w->out, "%s%.9g", i ? ", " : "", x[i]);
    linn_cli_print(&w->out, "]");
}

static void print_json_row(work *w, const planned *row)
{
    int n = order_of(w);
    linn_cli_print(&w->out, "{\"shape\": \"%s\", \"name\": ", row->shape);
    linn_cli_json_string(&w->out, row->name, strlen(row->name));
    linn_cli_print(&w->out, ", \"k_matrix\": [");
    for (int i = 0; i < n * n; i++)
        linn_cli_print(&w->out, "%s%d%s",
                       i % n ? ", "
                       : i   ? ", ["
                             : "[",
                       row->cascade.k_matrix[i], i % n == n - 1 ? "]" : "");
    linn_cli_print(&w->out,
                   "], \"block\": %d, \"speed\": %.12g, \"tokens\": %.12g, \"cost\": %.12g",
                   row->cascade.block, row->exact.speed, row->exact.tokens, row->exact.cost);
    print_numbers(w, "passes", row->exact.passes, n + 1);
    print_numbers(w, "rows", row->exact.rows, n + 1);
    if (w->s->rounds > 0)
        linn_cli_print(&w->out, ", \"drawn\": {\"speed\": %.9g, \"error\": %.9g}", row->drawn.speed,
                       row->drawn.error);
    linn_cli_print(&w->out, "}");
}

static void print_json(work *w)
{
    linn_cli_print(&w->out, "{\"cascades\": [");
    for (int i = 0; i < w->n_rows; i++) {
        linn_cli_print(&w->out, i ? ",\n  " : "\n  ");
        print_json_row(w, &w->rows[i]);
    }
    linn_cli_print(&w->out, "],\n \"fastest\": %d, \"levels\": [", w->fastest);
    for (int j = 0; j < w->f.plan.n_levels; j++) {
        linn_cli_print(&w->out, "%s{\"name\": ", j ? ", " : "");
        linn_cli_json_string(&w->out, w->f.names[j], strlen(w->f.names[j]));
        if (j > 0)
            linn_cli_print(&w->out, ", \"speed_without\": %.9g, \"pays\": %s", w->without[j],
                           w->rows[w->fastest].exact.speed > w->without[j] * PAYS ? "true"
                                                                                  : "false");
        linn_cli_print(&w->out, "}");
    }
    linn_cli_print(&w->out, "]}\n");
}

/* ---- the picture -------------------------------------------------------------------------------
 */

typedef struct curve {
    const char *name;
    linn_plan_shape shape;
    unsigned levels;
} curve;

static int choose_curves(const work *w, curve *out)
{
    unsigned all = (1u << w->f.plan.n_levels) - 2;
    int n = 0;
    for (int j = 1; j < w->f.plan.n_levels; j++)
        out[n++] = (curve){w->f.names[j], LINN_PLAN_TWO, 1u << j};
    if (w->f.plan.n_levels > 2) {
        out[n++] = (curve){"vertical", LINN_PLAN_VERTICAL, all};
        out[n++] = (curve){"horizontal", LINN_PLAN_HORIZONTAL, all};
        out[n++] = (curve){"combined", LINN_PLAN_COMBINED, all};
    }
    return n;
}

static void add_curve(const work *w, const curve *c, int index, linn_buffer *script)
{
    linn_cli_add(script, "$c%d << END\n", index);
    for (int32_t total = 1; total <= w->s->most; total++) {
        linn_plan_search s = {c->shape, c->levels, total, (int32_t)w->s->most};
        linn_plan_cascade unwanted;
        linn_forecast f;
        if (linn_plan_best(&w->f.plan, &s, &unwanted, &f, NULL) == LINN_OK)
            linn_cli_add(script, "%d %.6g\n", total, f.speed);
    }
    linn_cli_add(script, "END\n");
}

static int plot(work *w)
{
    curve curves[LINN_MAX_LEVELS + 3];
    int n = choose_curves(w, curves);
    linn_buffer script = {0}, svg = {0};
    linn_cli_add(&script,
                 "set xlabel 'tokens drafted for %s before its pass (sum of row 1 of K)'\n"
                 "set ylabel 'expected speed (plain decoding = 1)'\n"
                 "set grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
                 "set key outside right top reverse Left noenhanced\n"
                 "set xrange [0:%d]\nset yrange [0:*]\n",
                 "the target", (int)w->s->most + 1);
    for (int i = 0; i < n; i++)
        add_curve(w, &curves[i], i, &script);
    linn_cli_add(&script, "plot 1 with lines lc rgb '#999999' dt 2 title 'plain decoding'");
    for (int i = 0; i < n; i++) {
        static const char *const colors[] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
                                             "#d55e00", "#7f3c8d", "#333333", "#a5aa00"};
        char name[sizeof w->f.names[0]];
        snprintf(name, sizeof name, "%s", curves[i].name);
        for (char *c = name; *c; c++)
            *c = *c == '\'' || *c == '\\' ? ' ' : *c; /* quotes of the script */
        linn_cli_add(&script,
                     ", $c%d using 1:2 with linespoints lw 2 pt 7 ps 0.4 lc rgb '%s'%s "
                     "title '%s'",
                     i, colors[i % 9], curves[i].shape == LINN_PLAN_TWO ? " dt '-'" : "", name);
    }
    linn_cli_add(&script, "\n");
    int status = linn_cli_gnuplot(w->self, "--plot", &script, 860, 480, &svg);
    if (status == LINN_PARSED)
        status = linn_cli_save(w->self, w->s->plot, &svg);
    free(script.text);
    free(svg.text);
    return status;
}

/* ---- the command --------------------------------------------------------------------------------
 */

/* Names of the levels; Max-Gram and a table are one. */
static void name_models(work *w, const linn_models *m)
{
    for (size_t i = 0; i < m->n; i++)
        snprintf(w->f.names[i], sizeof w->f.names[i], "%s", linn_model_describe(m->items[i]).name);
    if (w->f.plan.statistical)
        snprintf(w->f.names[m->n], sizeof w->f.names[m->n], "%s",
                 w->s->ngram ? "Max-Gram, n-grams" : "Max-Gram");
}

/* From the profile of MODEL and its drafters, by way of a cascade that would go on learning. */
static int learn_figures(work *w, linn_models *m)
{
    char folder[PATH_MAX];
    linn_cascade_settings c = linn_cascade_settings_default();
    linn_cascade *cascade = NULL;
    linn_error err;
    c.profiles = linn_cli_profiles(folder);
    int status = linn_cli_open_table(w->self, w->s->ngram, m);
    if (status != LINN_PARSED)
        return status;
    c.ngram = m->ngram;
    int rc = linn_cascade_create(&cascade, m->items[0], (const linn_model *const *)(m->items + 1),
                                 m->n - 1, &c, &err);
    if (rc == LINN_OK) {
        linn_cli_profile_found(w->self, cascade);
        rc = linn_plan_learned(cascade, (float)w->s->temperature, &w->f.plan, &err);
    }
    if (rc != LINN_OK)
        status = linn_cli_fail(w->self, "%s%s", err.message,
                               rc == LINN_EINVAL ? " (linn tune learns)" : "");
    name_models(w, m);
    linn_cascade_free(cascade);
    return status;
}

static int read_learned(work *w, const char *target)
{
    linn_models m;
    int status = linn_cli_open_models(w->self, target, linn_cli_family(target, w->s->drafters),
                                      w->s->threads, &m);
    if (status == LINN_PARSED)
        status = learn_figures(w, &m);
    linn_cli_close_models(&m);
    return status;
}

static int read_figures(work *w, const char *target)
{
    const settings *s = w->s;
    const char *stated = s->alpha ? "alpha" : s->cost ? "cost" : s->maxgram ? "maxgram" : NULL;
    if (target && (stated || s->figures))
        return linn_cli_misuse(w->self, "%s and --%s: the figures can only come from one", target,
                               stated ? stated : "figures");
    if (s->figures && stated)
        return linn_cli_misuse(w->self, "--figures and --%s: the figures can only come from one",
                               stated);
    int status = LINN_PARSED;
    if (target)
        status = read_learned(w, target);
    else if (s->figures)
        return linn_cli_figures_read(w->self, s->figures, &w->f);
    else if (s->alpha)
        status = linn_cli_figures_stated(w->self, s->alpha, s->cost, s->maxgram, &w->f);
    else
        return linn_cli_misuse(w->self, "nothing to plan from: give MODEL, --alpha and --cost, or "
                                        "--figures");
    if (s->hit >= 0)
        w->f.plan.hit = s->hit;
    return status;
}

static int check_drawn(work *w)
{
    for (int i = 0; i < w->n_rows && w->s->rounds > 0; i++)
        if (distance(&w->rows[i]) > 5)
            return linn_cli_fail(w->self,
                                 "%s: %.4g expected and %.4g drawn are %.1f standard errors apart: "
                                 "please report this",
                                 w->rows[i].name, w->rows[i].exact.speed, w->rows[i].drawn.speed,
                                 distance(&w->rows[i]));
    return LINN_EXIT_DONE;
}

static int plan_command(const linn_command *self, int argc, char **argv)
{
    settings s = {.hit = -1, .temperature = 0.8, .block = 10, .most = 16, .seed = 1};
    work w = {.self = self, .s = &s};
    int n, status = linn_cli_parse(self, argc, argv, &s, 0, 1, &n);
    if (status == LINN_PARSED)
        status = read_figures(&w, n ? argv[1] : NULL);
    if (status == LINN_PARSED)
        status = plan_all(&w);
    if (status == LINN_PARSED)
        status = simulate(&w);
    if (status == LINN_PARSED && s.plot)
        status = plot(&w);
    free(s.drafters.items);
    if (status != LINN_PARSED)
        return status;
    if (s.json) {
        print_json(&w);
    } else {
        print_rows(&w);
        if (order_of(&w) > 0)
            print_levels(&w);
        print_advice(&w);
    }
    return linn_cli_output_finish(&w.out, self, check_drawn(&w));
}

const linn_command linn_command_plan = {
    .name = "plan",
    .usage = "[MODEL] [options]",
    .summary = "Find the fastest cascade from acceptance rates and costs",
    .description =
        "Computes how fast cascades would be, exactly, if tokens were accepted independently: "
        "plain "
        "decoding, the target with one drafter, vertical cascades (each drafter drafts for the one "
        "above it), horizontal ones (several draft for the target, one after the other) and "
        "combinations. Of each shape the best numbers are searched. Says which levels pay, so it "
        "answers how many drafters to use before any is at hand. The figures are stated, or those "
        "that "
        "--cascade auto has learned of MODEL and its drafters (linn tune).\n\n"
        "Speed is text made in a time, over that of the target alone. Tokens a pass are those that "
        "one pass of the target settles. A pass of a level is counted with the rows of its draft "
        "and one more; what it catches up on after others wrote is not counted.",
    .options = options,
    .examples = "  linn plan --alpha \"0.8\" --cost \"0.05\"\n"
                "  linn plan --alpha \"0.8 0.6 0.4; 0.7 0.45; 0.5\" --cost \"0.2 0.05\" --maxgram\n"
                "  linn plan --figures h100.json --simulate 100000 --plot h100.svg\n",
    .run = plan_command,
};
