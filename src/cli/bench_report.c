/* bench_report.c - the page of linn bench cascade: tables, and pictures drawn by gnuplot, in one
 * file that needs nothing else.
 */
#include "bench_cascade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_DRAFTED = 20 }; /* tokens: a share of fewer says nothing */

static const char *const colors[] = {"#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9",
                                     "#cc79a7", "#7f3c8d", "#999933", "#444444", "#a5aa00"};

typedef struct page {
    linn_cascade_bench *b;
    linn_buffer html, script;
    int status;
} page;

/* ---- text
 * ----------------------------------------------------------------------------------------- */

static void add_text(linn_buffer *out, const char *text)
{
    for (; *text; text++) {
        const char *as = *text == '&'   ? "&amp;"
                         : *text == '<' ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
        if (as)
            linn_cli_add(out, "%s", as);
        else if ((unsigned char)*text >= 0x20)
            linn_cli_add_bytes(out, text, 1);
    }
}

/* A string of gnuplot's, between double quotes, with nothing special in it. */
static void add_quoted(linn_buffer *out, const char *text)
{
    linn_cli_add(out, "\"");
    for (; *text; text++)
        if ((unsigned char)*text >= 0x20 && *text != '"' && *text != '\\' && *text != '`')
            linn_cli_add_bytes(out, text, 1);
    linn_cli_add(out, "\"");
}

static void add_base64(linn_buffer *out, const char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t x = 0;
        char four[4];
        for (size_t j = 0; j < 3; j++)
            x = x << 8 | (i + j < n ? (unsigned char)bytes[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            four[j] = i + j > n ? '=' : digits[x >> (18 - 6 * j) & 63];
        linn_cli_add_bytes(out, four, 4);
    }
}

/* ---- pictures
 * -------------------------------------------------------------------------------------- */

static void begin_picture(page *p, const char *x, const char *y)
{
    p->script.n = 0;
    linn_cli_add(&p->script,
                 "set grid ytics lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
                 "set key outside right top reverse Left noenhanced\nset xtics noenhanced\n"
                 "set xlabel \"%s\"\nset ylabel \"%s\"\nset yrange [0:*]\n",
                 x, y);
}

/* Draws the script, and sets it into the page. */
static void end_picture(page *p, int width, int height, const char *caption)
{
    linn_buffer svg = {0};
    if (p->status == LINN_PARSED)
        p->status = linn_cli_gnuplot(p->b->self, "--report", &p->script, width, height, &svg);
    if (p->status == LINN_PARSED) {
        linn_cli_add(&p->html, "<figure><img width=\"%d\" height=\"%d\" alt=\"", width, height);
        add_text(&p->html, caption);
        linn_cli_add(&p->html, "\" src=\"data:image/svg+xml;base64,");
        add_base64(&p->html, svg.text, svg.n);
        linn_cli_add(&p->html, "\"><figcaption>");
        add_text(&p->html, caption);
        linn_cli_add(&p->html, "</figcaption></figure>\n");
    }
    free(svg.text);
}

/* Bars of every side for every kind, with their intervals. */
static void draw_gains(page *p, int t)
{
    linn_cascade_bench *b = p->b;
    char caption[160];
    int bars = 0, groups = b->n_kinds > 1 ? b->n_kinds + 1 : 1;
    double top = 1, end = 0; /* an interval that is very wide is cut off */
    begin_picture(p, "kind of prompt", "tokens a second (plain decoding = 1)");
    linn_cli_add(&p->script, "$d << END\n");
    for (int k = b->n_kinds > 1 ? 0 : -1; k <= b->n_kinds; k++) {
        if (k == b->n_kinds && b->n_kinds == 1)
            break;
        int kind = k == b->n_kinds ? -1 : k;
        add_quoted(&p->script, kind < 0 ? "all" : b->kinds[kind]);
        for (int i = 1; i < b->n_sides; i++)
            if (linn_bench_runs(b, t, i)) {
                linn_interval g = linn_bench_summarise(b, t, i, kind).gain;
                linn_cli_add(&p->script, " %.4f %.4f %.4f", g.value, g.low, g.high);
                top = g.value > top ? g.value : top;
                end = g.high > end ? g.high : end;
            }
        linn_cli_add(&p->script, "\n");
        if (kind < 0)
            break;
    }
    linn_cli_add(&p->script,
                 "END\nset style data histogram\nset style histogram errorbars gap 1.5 lw 1\n"
                 "set style fill solid 0.85 noborder\nset errorbars 0.5 front lc rgb "
                 "'#333333'\nset yrange [0:%.3f]\n%s"
                 "plot 1 with lines lc rgb '#666666' dt 2 title 'plain decoding'",
                 1.05 * (end < 1.5 * top && end > top ? end : 1.5 * top),
                 groups > 5 ? "set xtics rotate by -35\n" : "");
    for (int i = 1; i < b->n_sides; i++)
        if (linn_bench_runs(b, t, i)) {
            linn_cli_add(&p->script, ", $d using %d:%d:%d:xtic(1) lc rgb '%s' title ", 2 + 3 * bars,
                         3 + 3 * bars, 4 + 3 * bars, colors[bars % 10]);
            add_quoted(&p->script, b->sides[i].name);
            bars++;
        }
    linn_cli_add(&p->script, "\n");
    snprintf(caption, sizeof caption,
             "Speed at temperature %g, by kind of prompt: gain over plain decoding, with 95%% "
             "intervals over prompts.",
             b->temperatures[t]);
    int width = 420 + groups * (bars + 2) * 15;
    end_picture(p, width < 760 ? 760 : width > 1600 ? 1600 : width, 440, caption);
}

/* The levels of all sides, by name; the target is the first. */
static int collect_levels(linn_cascade_bench *b, int t, const char *names[2 * LINN_MAX_LEVELS])
{
    int n = 0;
    for (int side = 0; side < b->n_sides; side++) {
        if (!linn_bench_runs(b, t, side))
            continue;
        linn_stats s = linn_bench_total(b, t, side);
        for (int i = 0; i < s.n_levels; i++) {
            int at = 0;
            while (at < n && strcmp(names[at], s.levels[i].name) != 0)
                at++;
            if (at == n && n < 2 * LINN_MAX_LEVELS)
                names[n++] = s.levels[i].name;
        }
    }
    return n;
}

static int level_color(const char *const *names, int n, const char *name)
{
    int at = 0;
    while (at < n && strcmp(names[at], name) != 0)
        at++;
    return at % 10;
}

/* Positions of which enough was drafted to speak of a share. */
static int positions(const linn_level_stats *l)
{
    int n = 0;
    while (n < LINN_MAX_POSITIONS - 1 && l->drafted[n] >= LEAST_DRAFTED)
        n++;
    return n;
}

static void draw_acceptance(page *p, int t, int side)
{
    linn_cascade_bench *b = p->b;
    linn_stats s = linn_bench_total(b, t, side);
    const char *names[2 * LINN_MAX_LEVELS];
    char caption[200];
    int drawn = 0, most = 0, n_names = collect_levels(b, t, names);
    begin_picture(p, "position in the draft (tokens)", "accepted of the tokens judged there (%)");
    linn_cli_add(&p->script, "set yrange [0:100]\n");
    for (int i = 1; i < s.n_levels; i++) {
        int n = positions(&s.levels[i]);
        linn_cli_add(&p->script, "$l%d << END\n", i);
        for (int j = 0; j < n; j++)
            linn_cli_add(&p->script, "%d %.3f\n", j + 1,
                         100 * (double)s.levels[i].accepted[j] / (double)s.levels[i].drafted[j]);
        linn_cli_add(&p->script, "END\n");
        most = n > most ? n : most;
    }
    if (most == 0)
        return;
    linn_cli_add(&p->script, "set xrange [0.5:%d.5]\nset xtics %d\nplot ", most, most > 16 ? 2 : 1);
    for (int i = 1; i < s.n_levels; i++)
        if (positions(&s.levels[i]) > 0) {
            linn_cli_add(
                &p->script, "%s$l%d using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb '%s' title ",
                drawn++ ? ", " : "", i, colors[level_color(names, n_names, s.levels[i].name)]);
            add_quoted(&p->script, s.levels[i].name);
        }
    linn_cli_add(&p->script, "\n");
    snprintf(caption, sizeof caption,
             "Acceptance by the target at temperature %g with %s: by position in the draft and by "
             "the level that proposed the token.",
             b->temperatures[t], b->sides[side].name);
    end_picture(p, 640, 320, caption);
}

static double level_ms(const linn_stats *s, const char *name)
{
    for (int i = 0; i < s->n_levels; i++)
        if (strcmp(s->levels[i].name, name) == 0)
            return s->levels[i].ms;
    return 0;
}

static void draw_times(page *p, int t)
{
    linn_cascade_bench *b = p->b;
    const char *names[2 * LINN_MAX_LEVELS];
    char caption[160];
    int n = collect_levels(b, t, names), sides = 0;
    begin_picture(p, "", "milliseconds for a token");
    linn_cli_add(&p->script, "$d << END\n");
    for (int side = 0; side < b->n_sides; side++) {
        if (!linn_bench_runs(b, t, side))
            continue;
        linn_stats s = linn_bench_total(b, t, side);
        double rest = s.decode_ms;
        sides++;
        add_quoted(&p->script, b->sides[side].name);
        for (int i = 0; i < n; i++) {
            double ms = level_ms(&s, names[i]);
            rest -= ms;
            linn_cli_add(&p->script, " %.6f", s.tokens ? ms / s.tokens : 0);
        }
        linn_cli_add(&p->script, " %.6f\n", s.tokens && rest > 0 ? rest / s.tokens : 0);
    }
    linn_cli_add(&p->script, "END\nset style data histogram\nset style histogram rowstacked\n"
                             "set boxwidth 0.7\nset xtics rotate by -30\n"
                             "set style fill solid 0.85 border lc rgb '#ffffff'\nplot ");
    for (int i = 0; i <= n; i++) {
        linn_cli_add(&p->script, "%s$d using %d%s lc rgb '%s' title ", i ? ", " : "", i + 2,
                     i ? "" : ":xtic(1)", i < n ? colors[i % 10] : "#bbbbbb");
        add_quoted(&p->script, i < n ? names[i] : "all else");
    }
    linn_cli_add(&p->script, "\n");
    snprintf(caption, sizeof caption,
             "Time for a token at temperature %g, by level: forward passes of models, proposals of "
             "Max-Gram, and all else.",
             b->temperatures[t]);
    end_picture(p, 360 + sides * 70 < 700 ? 700 : 360 + sides * 70, 460, caption);
}

static void draw_widths(page *p)
{
    linn_cascade_bench *b = p->b;
    begin_picture(p, "tokens in a pass", "time of a pass (a pass of one token = 1)");
    linn_cli_add(&p->script, "set xrange [0:33]\nset xtics (1,4,8,12,16,20,24,28,32)\n");
    for (size_t i = 0; i < b->models.n; i++) {
        linn_cli_add(&p->script, "$w%zu << END\n", i);
        for (int j = 0; j < LINN_BENCH_WIDTH_POINTS; j++)
            linn_cli_add(&p->script, "%d %.5f\n", linn_bench_width_rows(j),
                         b->widths[i].ms[j] / b->widths[i].ms[0]);
        linn_cli_add(&p->script, "END\n");
    }
    linn_cli_add(&p->script, "plot ");
    for (size_t i = 0; i < b->models.n; i++) {
        char name[96];
        snprintf(name, sizeof name, "%.60s (%.3g ms)", linn_model_describe(b->models.items[i]).name,
                 b->widths[i].ms[0]);
        linn_cli_add(&p->script,
                     "%s$w%zu using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb '%s' title ",
                     i ? ", " : "", i, colors[i % 10]);
        add_quoted(&p->script, name);
    }
    linn_cli_add(&p->script, "\n");
    end_picture(p, 760, 360,
                "The width curve: what a pass of several tokens takes, over a pass of one (whose "
                "time is in the key).");
}

/* ---- tables
 * ---------------------------------------------------------------------------------------- */

static void add_row(page *p, int t, int side)
{
    linn_bench_figures f = linn_bench_summarise(p->b, t, side, -1);
    linn_cli_add(&p->html, "<tr><th>");
    add_text(&p->html, p->b->sides[side].name);
    linn_cli_add(&p->html,
                 "</th><td>%.0f <small>%.0f&ndash;%.0f</small></td>"
                 "<td>%.2f <small>%.2f&ndash;%.2f</small></td>"
                 "<td>%.2f <small>%.2f&ndash;%.2f</small></td>",
                 f.rate[0], f.rate[1], f.rate[2], f.gain.value, f.gain.low, f.gain.high,
                 f.passes.value, f.passes.low, f.passes.high);
    if (f.accepted >= 0)
        linn_cli_add(&p->html, "<td>%.0f %%</td>", 100 * f.accepted);
    else
        linn_cli_add(&p->html, "<td>&ndash;</td>");
    linn_cli_add(&p->html,
                 "<td>%.2f <small>%.2f&ndash;%.2f</small></td>"
                 "<td>%.2f <small>%.2f&ndash;%.2f</small></td><td>%s</td></tr>\n",
                 f.swi_ms.value, f.swi_ms.low, f.swi_ms.high, f.swi_pw.value, f.swi_pw.low,
                 f.swi_pw.high, f.same ? "yes" : "<b>NO</b>");
}

static void add_table(page *p, int t)
{
    linn_cascade_bench *b = p->b;
    linn_cli_add(
        &p->html,
        "<h2>Temperature %g</h2>\n<table><tr><th></th><th>tokens a second<br><small>median, "
        "10&ndash;90 %% of prompts</small></th><th>gain<br><small>95 %%</small></th>"
        "<th>tokens a pass<br><small>95 %%</small></th><th>accepted</th>"
        "<th>SWI (MS)<br><small>95 %%</small></th><th>SWI (PW)<br><small>95 %%</small></th>"
        "<th>same text</th></tr>\n",
        b->temperatures[t]);
    for (int i = 0; i < b->n_sides; i++)
        if (linn_bench_runs(b, t, i))
            add_row(p, t, i);
    linn_cli_add(&p->html, "</table>\n");
    int cascade = linn_bench_best(b, t, false), spec = linn_bench_best(b, t, true);
    if (cascade < 0 || spec < 0)
        return;
    linn_interval r = linn_bench_swi_ratio(b, t, cascade, spec);
    linn_cli_add(&p->html, "<p>SWI (MS) of the best cascade (");
    add_text(&p->html, b->sides[cascade].name);
    linn_cli_add(&p->html, ") over the best speculative decoding (");
    add_text(&p->html, b->sides[spec].name);
    linn_cli_add(&p->html, "): <b>%.2f</b> <small>%.2f&ndash;%.2f</small></p>\n", r.value, r.low,
                 r.high);
}

static void add_head(page *p)
{
    static const char style[] =
        "body{font:15px/1.45 sans-serif;color:#222;max-width:1640px;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse}th,td{padding:.25em .8em;text-align:right;"
        "border-bottom:1px solid #ddd}th:first-child{text-align:left}small{color:#666}"
        "figure{display:inline-block;margin:1em 1em 1em 0;vertical-align:top}"
        "figure img{max-width:100%;height:auto}figcaption{color:#444;max-width:45em}";
    linn_cascade_bench *b = p->b;
    linn_cli_add(&p->html,
                 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<title>linn bench cascade</title><style>%s</style></head><body>\n"
                 "<h1>linn bench cascade</h1>\n<p>",
                 style);
    for (size_t i = 0; i < b->models.n; i++) {
        linn_model_info info = linn_model_describe(b->models.items[i]);
        linn_cli_add(&p->html, "%s", i ? ", " : "");
        add_text(&p->html, info.name);
        linn_cli_add(&p->html, " (%.3g M parameters)", (double)info.n_parameters * 1e-6);
    }
    linn_cli_add(&p->html,
                 "; %zu prompts, %d tokens each at most, %d round%s; %d thread%s, %s; linn %s, "
                 "numeric version %d.",
                 b->n, (int)b->s->tokens, (int)b->s->rounds, b->s->rounds == 1 ? "" : "s",
                 linn_engine_threads(b->models.engine),
                 linn_engine_threads(b->models.engine) == 1 ? "" : "s",
                 linn_engine_cpu(b->models.engine), linn_version(), linn_numeric_version());
    if (b->prompts.n_broken > 0)
        linn_cli_add(&p->html, " %zu broken lines were skipped.", b->prompts.n_broken);
    if (b->n_cut > 0)
        linn_cli_add(&p->html, " Of %zu prompts only the end fits into the context.", b->n_cut);
    linn_cli_add(
        &p->html,
        "</p>\n<p>Gain: tokens a second over those of plain decoding. Tokens a pass: of the "
        "target. SWI: tokens for a cost over the same of plain decoding, where a pass costs "
        "its model's parameters (MS) or what a pass of one token takes here (PW). "
        "Intervals: bootstrap over prompts.</p>\n");
}

int linn_bench_report(linn_cascade_bench *b, const char *path)
{
    page p = {.b = b, .status = LINN_PARSED};
    add_head(&p);
    draw_widths(&p);
    for (int t = 0; t < b->n_temperatures; t++) {
        add_table(&p, t);
        draw_gains(&p, t);
        draw_times(&p, t);
        for (int i = 1; i < b->n_sides; i++)
            if (linn_bench_runs(b, t, i))
                draw_acceptance(&p, t, i);
    }
    linn_cli_add(&p.html, "</body></html>\n");
    if (p.status == LINN_PARSED)
        p.status = linn_cli_save(b->self, path, &p.html);
    free(p.html.text);
    free(p.script.text);
    return p.status;
}
