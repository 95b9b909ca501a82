/* bench_summary.c - figures of what linn bench cascade ran, with intervals by resampling prompts
 * (the bootstrap: Efron 1979), and the table and JSON of them.
 */
#include "bench_cascade.h"
#include "json.h"
#include "samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESAMPLES = 1000,
    SHORT = 8, /* tokens: a text of fewer has no speed to speak of */
};

/* ---- sums over prompts -------------------------------------------------------------------------
 */

enum { TOKENS, MS, PASSES, COST, PW, BASE_TOKENS, BASE_MS, BASE_COST, SUMS };
enum { GAIN, PER_PASS, SWI_MS, SWI_PW, SWI_RATIO, RESULTS };

typedef struct sums {
    double of[SUMS];
} sums;

/* In passes of the target of one token. */
static double cost_by_size(const linn_stats *s)
{
    double cost = 0;
    for (int i = 0; i < s->n_levels; i++)
        cost += (double)s->levels[i].passes * (double)s->levels[i].n_parameters;
    return s->levels[0].n_parameters ? cost / (double)s->levels[0].n_parameters : 0;
}

static double cost_by_time(const linn_cascade_bench *b, const linn_bench_side *side,
                           const linn_stats *s)
{
    double ms = 0;
    for (int i = 0; i < s->n_levels; i++) {
        size_t model = i == 0 ? 0 : side->first + (size_t)i - 1;
        bool is_model = s->levels[i].n_parameters > 0 && model < b->models.n;
        ms += is_model ? (double)s->levels[i].passes * b->widths[model].ms[0] : s->levels[i].ms;
    }
    return b->widths[0].ms[0] > 0 ? ms / b->widths[0].ms[0] : 0;
}

static void measure(const linn_cascade_bench *b, int t, int side, int base, size_t prompt,
                    sums *out)
{
    const linn_outcome *o = linn_bench_outcome(b, t, side, prompt);
    const linn_outcome *other = linn_bench_outcome(b, t, base, prompt);
    out->of[TOKENS] = o->stats.tokens;
    out->of[MS] = o->ms;
    out->of[PASSES] = (double)o->stats.levels[0].passes;
    out->of[COST] = cost_by_size(&o->stats);
    out->of[PW] = cost_by_time(b, &b->sides[side], &o->stats);
    out->of[BASE_TOKENS] = other->stats.tokens;
    out->of[BASE_MS] = other->ms;
    out->of[BASE_COST] = cost_by_size(&other->stats);
}

static double over(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void results(const sums *s, double out[RESULTS])
{
    const double *x = s->of;
    out[GAIN] = over(over(x[TOKENS], x[MS]), over(x[BASE_TOKENS], x[BASE_MS]));
    out[PER_PASS] = over(x[TOKENS], x[PASSES]);
    out[SWI_MS] = over(x[TOKENS], x[COST]);
    out[SWI_PW] = over(x[TOKENS], x[PW]);
    out[SWI_RATIO] = over(out[SWI_MS], over(x[BASE_TOKENS], x[BASE_COST]));
}

static uint64_t next_random(uint64_t *state) /* SplitMix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void resample(const sums *of, size_t n, linn_interval out[RESULTS])
{
    static const size_t low = RESAMPLES * 25 / 1000, high = RESAMPLES * 975 / 1000;
    double values[RESULTS][RESAMPLES], now[RESULTS];
    uint64_t state = n;
    sums all = {{0}};
    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < SUMS; j++)
            all.of[j] += of[i].of[j];
    results(&all, now);
    for (int r = 0; r < RESULTS; r++)
        out[r] = (linn_interval){now[r], now[r], now[r]};
    if (n < 2)
        return;
    for (int k = 0; k < RESAMPLES; k++) {
        sums some = {{0}};
        for (size_t i = 0; i < n; i++) {
            const sums *one = &of[next_random(&state) % n];
            for (int j = 0; j < SUMS; j++)
                some.of[j] += one->of[j];
        }
        results(&some, now);
        for (int r = 0; r < RESULTS; r++)
            values[r][k] = now[r];
    }
    for (int r = 0; r < RESULTS; r++) {
        linn_cli_summarise(values[r], RESAMPLES); /* sorts */
        out[r].low = values[r][low];
        out[r].high = values[r][high];
    }
}

/* ---- figures
 * ------------------------------------------------------------------------------------- */

static double accepted_share(const linn_stats *s)
{
    return s->levels[0].reviewed ? (double)s->levels[0].approved / (double)s->levels[0].reviewed
                                 : -1;
}

static bool same_text(const linn_cascade_bench *b, int t, int side, size_t prompt)
{
    const linn_outcome *o = linn_bench_outcome(b, t, side, prompt);
    const linn_outcome *plain = linn_bench_outcome(b, t, 0, prompt);
    return o->same && plain->same && o->hash == plain->hash;
}

static linn_bench_figures summarise(const linn_cascade_bench *b, int t, int side, int kind,
                                    int base, linn_interval of[RESULTS])
{
    linn_bench_figures f = {.accepted = -1, .same = true};
    sums *all = calloc(b->n, sizeof *all);
    double *rates = calloc(b->n, sizeof *rates);
    int32_t least = b->s->tokens < SHORT ? (int32_t)b->s->tokens : SHORT;
    memset(of, 0, RESULTS * sizeof *of);
    if (all && rates) {
        for (size_t i = 0; i < b->n; i++) {
            if (kind >= 0 && b->kind[i] != kind)
                continue;
            f.same = f.same && same_text(b, t, side, i);
            if (linn_bench_outcome(b, t, 0, i)->stats.tokens < least) {
                f.n_short++;
                continue;
            }
            measure(b, t, side, base, i, &all[f.prompts]);
            rates[f.prompts] = over(all[f.prompts].of[TOKENS] * 1e3, all[f.prompts].of[MS]);
            f.prompts++;
        }
        resample(all, f.prompts, of);
        if (f.prompts > 0) {
            f.rate[0] = linn_cli_summarise(rates, f.prompts).median;
            f.rate[1] = rates[f.prompts / 10];
            f.rate[2] = rates[f.prompts - 1 - f.prompts / 10];
        }
    }
    free(all);
    free(rates);
    return f;
}

/* Reviewed and accepted, over the prompts of a kind. */
static double accepted_of(const linn_cascade_bench *b, int t, int side, int kind)
{
    linn_stats s = {0};
    for (size_t i = 0; i < b->n; i++)
        if (kind < 0 || b->kind[i] == kind) {
            const linn_stats *one = &linn_bench_outcome(b, t, side, i)->stats;
            s.levels[0].reviewed += one->levels[0].reviewed;
            s.levels[0].approved += one->levels[0].approved;
        }
    return accepted_share(&s);
}

linn_bench_figures linn_bench_summarise(const linn_cascade_bench *b, int temperature, int side,
                                        int kind)
{
    linn_interval of[RESULTS];
    linn_bench_figures f = summarise(b, temperature, side, kind, 0, of);
    f.gain = of[GAIN];
    f.passes = of[PER_PASS];
    f.swi_ms = of[SWI_MS];
    f.swi_pw = of[SWI_PW];
    f.accepted = accepted_of(b, temperature, side, kind);
    return f;
}

linn_interval linn_bench_swi_ratio(const linn_cascade_bench *b, int temperature, int side, int base)
{
    linn_interval of[RESULTS];
    summarise(b, temperature, side, -1, base, of);
    return of[SWI_RATIO];
}

linn_interval linn_bench_speed_ratio(const linn_cascade_bench *b, int temperature, int side,
                                     int base)
{
    linn_interval of[RESULTS];
    summarise(b, temperature, side, -1, base, of);
    return of[GAIN];
}

linn_stats linn_bench_total(const linn_cascade_bench *b, int temperature, int side)
{
    linn_stats all = {0};
    for (size_t i = 0; i < b->n; i++) {
        const linn_outcome *o = linn_bench_outcome(b, temperature, side, i);
        const linn_stats *s = &o->stats;
        all.n_levels = s->n_levels;
        all.tokens += s->tokens;
        all.decode_ms += s->decode_ms;
        for (int j = 0; j < s->n_levels; j++) {
            linn_level_stats *to = &all.levels[j];
            const linn_level_stats *from = &s->levels[j];
            to->name = from->name;
            to->n_parameters = from->n_parameters;
            to->tokens += from->tokens;
            to->passes += from->passes;
            to->rows += from->rows;
            to->reviewed += from->reviewed;
            to->approved += from->approved;
            to->ms += from->ms;
            for (int p = 0; p < LINN_MAX_POSITIONS; p++) {
                to->drafted[p] += from->drafted[p];
                to->accepted[p] += from->accepted[p];
            }
        }
    }
    return all;
}

int linn_bench_best(const linn_cascade_bench *b, int temperature, bool two)
{
    int best = -1;
    double most = 0;
    for (int i = 1; i < b->n_sides; i++) {
        const linn_bench_side *side = &b->sides[i];
        bool cascade = side->n > 0 && !side->two;
        if (!linn_bench_runs(b, temperature, i) || (two ? !side->two : !cascade))
            continue;
        linn_stats s = linn_bench_total(b, temperature, i);
        double swi = over(s.tokens, cost_by_size(&s));
        if (swi > most) {
            most = swi;
            best = i;
        }
    }
    return best;
}

/* ---- the table
 * ------------------------------------------------------------------------------------ */

static void print_side(linn_cascade_bench *b, int t, int side)
{
    linn_bench_figures f = linn_bench_summarise(b, t, side, -1);
    char accepted[16] = "-";
    if (f.accepted >= 0)
        snprintf(accepted, sizeof accepted, "%.0f%%", 100 * f.accepted);
    linn_cli_print(&b->out,
                   "%-30s %7.0f (%4.0f-%4.0f)  %5.2f (%.2f-%.2f)  %6.2f %8s  %5.2f (%.2f-%.2f) "
                   "%6.2f%s\n",
                   b->sides[side].name, f.rate[0], f.rate[1], f.rate[2], f.gain.value, f.gain.low,
                   f.gain.high, f.passes.value, accepted, f.swi_ms.value, f.swi_ms.low,
                   f.swi_ms.high, f.swi_pw.value, f.same ? "" : "  OTHER TEXT");
}

static void print_kinds(linn_cascade_bench *b, int t)
{
    linn_cli_print(&b->out, "\ngain by kind of prompt\n%-30s", "");
    for (int k = 0; k < b->n_kinds; k++)
        linn_cli_print(&b->out, " %10.10s", b->kinds[k]);
    linn_cli_print(&b->out, "\n");
    for (int i = 1; i < b->n_sides; i++) {
        if (!linn_bench_runs(b, t, i))
            continue;
        linn_cli_print(&b->out, "%-30s", b->sides[i].name);
        for (int k = 0; k < b->n_kinds; k++)
            linn_cli_print(&b->out, " %10.2f", linn_bench_summarise(b, t, i, k).gain.value);
        linn_cli_print(&b->out, "\n");
    }
}

/* The sides that --search compares, auto and the best fixed cascade; false: there are none. */
static bool searched(const linn_cascade_bench *b, int t, int *adapting, int *fixed)
{
    *adapting = *fixed = -1;
    for (int i = 0; i < b->n_sides; i++) {
        if (!linn_bench_runs(b, t, i))
            continue;
        *adapting = b->sides[i].is_auto ? i : *adapting;
        *fixed = b->sides[i].searched ? i : *fixed;
    }
    return *adapting >= 0 && *fixed >= 0;
}

static void print_search(linn_cascade_bench *b, int t)
{
    int adapting, fixed;
    if (!searched(b, t, &adapting, &fixed))
        return;
    linn_interval r = linn_bench_speed_ratio(b, t, adapting, fixed);
    linn_cli_print(&b->out, "speed of auto over the best fixed cascade (%s): %.2f (%.2f-%.2f)\n",
                   b->sides[fixed].name, r.value, r.low, r.high);
}

void linn_bench_print_table(linn_cascade_bench *b)
{
    linn_cli_print(&b->out, "%zu prompts", b->n);
    if (b->prompts.n_broken > 0)
        linn_cli_print(&b->out, " (%zu broken lines skipped)", b->prompts.n_broken);
    if (b->n_cut > 0)
        linn_cli_print(&b->out, " (of %zu only the end fits)", b->n_cut);
    if (b->s->search)
        linn_cli_print(&b->out, ", after a search on %zu others", b->prompts.n - b->n);
    linn_cli_print(&b->out, ", %d tokens each at most, %d rounds, %d threads, %s\n",
                   (int)b->s->tokens, (int)b->s->rounds, linn_engine_threads(b->models.engine),
                   linn_engine_cpu(b->models.engine));
    for (int t = 0; t < b->n_temperatures; t++) {
        linn_cli_print(&b->out, "\ntemperature %g\n%-30s %19s  %17s  %6s %8s  %19s %6s\n",
                       b->temperatures[t], "", "tokens/s (10%-90%)", "gain (95%)", "a pass",
                       "accepted", "SWI MS (95%)", "SWI PW");
        for (int i = 0; i < b->n_sides; i++)
            if (linn_bench_runs(b, t, i))
                print_side(b, t, i);
        int cascade = linn_bench_best(b, t, false), spec = linn_bench_best(b, t, true);
        if (cascade >= 0 && spec >= 0) {
            linn_interval r = linn_bench_swi_ratio(b, t, cascade, spec);
            linn_cli_print(&b->out,
                           "SWI (MS) of the best cascade (%s) over the best speculative decoding "
                           "(%s): %.2f (%.2f-%.2f)\n",
                           b->sides[cascade].name, b->sides[spec].name, r.value, r.low, r.high);
        }
        print_search(b, t);
        if (b->n_kinds > 1)
            print_kinds(b, t);
    }
}

/* ---- JSON
 * ----------------------------------------------------------------------------------------- */

static void print_interval(linn_cli_output *out, const char *name, const linn_interval *x)
{
    linn_cli_print(out, ", \"%s\": {\"value\": %.6g, \"low\": %.6g, \"high\": %.6g}", name,
                   x->value, x->low, x->high);
}

static void print_figures(linn_cascade_bench *b, int t, int side, int kind)
{
    linn_bench_figures f = linn_bench_summarise(b, t, side, kind);
    const char *name = kind < 0 ? "all" : b->kinds[kind];
    linn_cli_print(&b->out, "{\"kind\": ");
    linn_cli_json_string(&b->out, name, strlen(name));
    linn_cli_print(&b->out,
                   ", \"prompts\": %zu, \"short\": %zu, \"tokens_per_second\": {\"median\": %.6g, "
                   "\"p10\": %.6g, "
                   "\"p90\": %.6g}",
                   f.prompts, f.n_short, f.rate[0], f.rate[1], f.rate[2]);
    print_interval(&b->out, "gain", &f.gain);
    print_interval(&b->out, "tokens_per_pass", &f.passes);
    print_interval(&b->out, "swi_ms", &f.swi_ms);
    print_interval(&b->out, "swi_pw", &f.swi_pw);
    if (f.accepted >= 0)
        linn_cli_print(&b->out, ", \"accepted\": %.6g", f.accepted);
    linn_cli_print(&b->out, ", \"same_text\": %s}", f.same ? "true" : "false");
}

static void print_levels(linn_cascade_bench *b, int t, int side)
{
    linn_stats s = linn_bench_total(b, t, side);
    linn_cli_print(&b->out, ", \"decode_ms\": %.3f, \"levels\": [", s.decode_ms);
    for (int i = 0; i < s.n_levels; i++) {
        const linn_level_stats *l = &s.levels[i];
        int n = LINN_MAX_POSITIONS;
        while (n > 0 && l->drafted[n - 1] == 0)
            n--;
        linn_cli_print(&b->out, "%s{\"name\": ", i ? ", " : "");
        linn_cli_json_string(&b->out, l->name, strlen(l->name));
        linn_cli_print(&b->out,
                       ", \"parameters\": %" PRIu64 ", \"tokens\": %" PRIu64
                       ", \"passes\": %" PRIu64 ", \"rows\": %" PRIu64 ", \"reviewed\": %" PRIu64
                       ", \"approved\": %" PRIu64 ", \"ms\": %.3f, \"drafted\": [",
                       l->n_parameters, l->tokens, l->passes, l->rows, l->reviewed, l->approved,
                       l->ms);
        for (int p = 0; p < n; p++)
            linn_cli_print(&b->out, "%s%" PRIu64, p ? ", " : "", l->drafted[p]);
        linn_cli_print(&b->out, "], \"accepted\": [");
        for (int p = 0; p < n; p++)
            linn_cli_print(&b->out, "%s%" PRIu64, p ? ", " : "", l->accepted[p]);
        linn_cli_print(&b->out, "]}");
    }
    linn_cli_print(&b->out, "]");
}

static void print_json_side(linn_cascade_bench *b, int t, int side)
{
    linn_cli_print(&b->out, "{\"temperature\": %g, \"name\": ", b->temperatures[t]);
    linn_cli_json_string(&b->out, b->sides[side].name, strlen(b->sides[side].name));
    linn_cli_print(&b->out, ", \"figures\": [");
    print_figures(b, t, side, -1);
    for (int k = 0; k < b->n_kinds && b->n_kinds > 1; k++) {
        linn_cli_print(&b->out, ",\n    ");
        print_figures(b, t, side, k);
    }
    linn_cli_print(&b->out, "]");
    print_levels(b, t, side);
    linn_cli_print(&b->out, ", \"prompts\": [");
    for (size_t i = 0; i < b->n; i++) {
        const linn_outcome *o = linn_bench_outcome(b, t, side, i);
        linn_cli_print(&b->out, "%s[%d, %.3f, %" PRIu64 "]", i ? ", " : "", o->stats.tokens, o->ms,
                       o->stats.levels[0].passes);
    }
    linn_cli_print(&b->out, "]}");
}

static void print_json_widths(linn_cascade_bench *b)
{
    linn_cli_print(&b->out, "\"widths\": [");
    for (size_t i = 0; i < b->models.n; i++) {
        linn_model_info info = linn_model_describe(b->models.items[i]);
        linn_cli_print(&b->out, "%s{\"name\": ", i ? ", " : "");
        linn_cli_json_string(&b->out, info.name, strlen(info.name));
        linn_cli_print(&b->out, ", \"ms\": {");
        for (int p = 0; p < LINN_BENCH_WIDTH_POINTS; p++)
            linn_cli_print(&b->out, "%s\"%d\": %.5g", p ? ", " : "", linn_bench_width_rows(p),
                           b->widths[i].ms[p]);
        linn_cli_print(&b->out, "}}");
    }
    linn_cli_print(&b->out, "]");
}

void linn_bench_print_json(linn_cascade_bench *b)
{
    linn_cli_print(&b->out,
                   "{\"prompts\": %zu, \"broken_lines\": %zu, \"cut\": %zu, \"tokens\": %d, "
                   "\"rounds\": %d, \"threads\": %d, \"cpu\": \"%s\", \"version\": \"%s\",\n ",
                   b->n, b->prompts.n_broken, b->n_cut, (int)b->s->tokens, (int)b->s->rounds,
                   linn_engine_threads(b->models.engine), linn_engine_cpu(b->models.engine),
                   linn_version());
    print_json_widths(b);
    linn_cli_print(&b->out, ",\n \"swi_ms_over_best_spec\": [");
    for (int t = 0; t < b->n_temperatures; t++) {
        int cascade = linn_bench_best(b, t, false), spec = linn_bench_best(b, t, true);
        linn_interval r = {0};
        if (cascade >= 0 && spec >= 0)
            r = linn_bench_swi_ratio(b, t, cascade, spec);
        linn_cli_print(&b->out, "%s{\"temperature\": %g", t ? ", " : "", b->temperatures[t]);
        print_interval(&b->out, "ratio", &r);
        linn_cli_print(&b->out, "}");
    }
    linn_cli_print(&b->out, "],\n \"auto_over_best_fixed\": [");
    const char *comma = "";
    for (int t = 0, adapting, fixed; t < b->n_temperatures; t++)
        if (searched(b, t, &adapting, &fixed)) {
            linn_interval r = linn_bench_speed_ratio(b, t, adapting, fixed);
            linn_cli_print(&b->out, "%s{\"temperature\": %g", comma, b->temperatures[t]);
            print_interval(&b->out, "ratio", &r);
            linn_cli_print(&b->out, "}");
            comma = ", ";
        }
    linn_cli_print(&b->out, "],\n \"sides\": [");
    bool first = true;
    for (int t = 0; t < b->n_temperatures; t++)
        for (int i = 0; i < b->n_sides; i++)
            if (linn_bench_runs(b, t, i)) {
                linn_cli_print(&b->out, first ? "\n  " : ",\n  ");
                print_json_side(b, t, i);
                first = false;
            }
    linn_cli_print(&b->out, "]}\n");
}
