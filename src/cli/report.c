/* report.c - what a run of the cascade did (report.h). */
#include "report.h"

#include "color.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

enum { MOST_WORDS = 2000 };

const char *linn_cli_finish_name(linn_finish finish)
{
    static const char *const names[] = {
        [LINN_FINISH_LENGTH] = "length",       [LINN_FINISH_END] = "end",
        [LINN_FINISH_STOP] = "stop",           [LINN_FINISH_CONTEXT] = "context",
        [LINN_FINISH_CANCELLED] = "cancelled",
    };
    return names[finish];
}

static double per_second(const linn_stats *s)
{
    return s->decode_ms > 0 ? 1000 * s->tokens / s->decode_ms : 0;
}

/* Positions that anything was drafted at. */
static int used_positions(const linn_level_stats *l)
{
    int n = LINN_MAX_POSITIONS;
    while (n > 0 && l->drafted[n - 1] == 0)
        n--;
    return n;
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void print_counts(linn_cli_output *out, const char *name, const uint64_t *counts, int n)
{
    linn_cli_print(out, ", \"%s\": [", name);
    for (int i = 0; i < n; i++)
        linn_cli_print(out, "%s%" PRIu64, i ? ", " : "", counts[i]);
    linn_cli_print(out, "]");
}

static void print_level(linn_cli_output *out, const linn_level_stats *l)
{
    int n = used_positions(l);
    linn_cli_print(out, "{\"name\": ");
    linn_cli_json_string(out, l->name, strlen(l->name));
    linn_cli_print(out,
                   ", \"parameters\": %" PRIu64 ", \"tokens\": %" PRIu64 ", \"passes\": %" PRIu64
                   ", \"rows\": %" PRIu64 ", \"reviewed\": %" PRIu64 ", \"approved\": %" PRIu64,
                   l->n_parameters, l->tokens, l->passes, l->rows, l->reviewed, l->approved);
    print_counts(out, "drafted", l->drafted, n);
    print_counts(out, "accepted", l->accepted, n);
    linn_cli_print(out, ", \"ms\": %.3f}", l->ms);
}

void linn_cli_report_json(linn_cli_output *out, const linn_report *r)
{
    const linn_stats *s = r->stats;
    linn_cli_print(out,
                   "{\"tokens\": %d, \"wall_ms\": %.3f, \"tokens_per_second\": %.3f, "
                   "\"prompt_tokens\": %d, \"prompt_reused\": %d, \"prompt_ms\": %.3f, "
                   "\"decode_ms\": %.3f, \"levels\": [",
                   s->tokens, s->prompt_ms + s->decode_ms, per_second(s), s->prompt_tokens,
                   s->prompt_reused, s->prompt_ms, s->decode_ms);
    for (int i = 0; i < s->n_levels; i++) {
        linn_cli_print(out, i ? ", " : "");
        print_level(out, &s->levels[i]);
    }
    linn_cli_print(out, "], \"auto\": ");
    char words[MOST_WORDS];
    if (linn_cascade_explain(r->cascade, words, sizeof words) > 0)
        linn_cli_json_string(out, words, strlen(words));
    else
        linn_cli_print(out, "null");
    linn_cli_print(out,
                   ", \"swi_ms\": %.4f, \"swi_pw\": %.4f, \"threads\": %d, \"cpu\": \"%s\", "
                   "\"version\": \"%s\", \"numeric_version\": %d}",
                   s->swi_ms, s->swi_pw, linn_engine_threads(r->engine), linn_engine_cpu(r->engine),
                   linn_version(), linn_numeric_version());
}

/* ---- the table ------------------------------------------------------------------------------- */

/* "3.1M" */
static void short_number(uint64_t n, char out[16])
{
    static const char units[] = "kMGT";
    double x = (double)n;
    int unit = -1;
    while (x >= 999.5 && unit < 3) {
        x /= 1000;
        unit++;
    }
    if (n == 0)
        snprintf(out, 16, "-");
    else if (unit < 0)
        snprintf(out, 16, "%.0f", x);
    else
        snprintf(out, 16, "%.*f%c", x < 9.95 ? 1 : 0, x, units[unit]);
}

static void print_row(const linn_level_stats *l, int32_t tokens)
{
    uint64_t drafted = 0, accepted = 0;
    char size[16], share[16] = "-";
    for (int i = 0; i < LINN_MAX_POSITIONS; i++) {
        drafted += l->drafted[i];
        accepted += l->accepted[i];
    }
    short_number(l->n_parameters, size);
    if (drafted > 0)
        snprintf(share, sizeof share, "%.0f%%", 100 * (double)accepted / (double)drafted);
    fprintf(stderr,
            "%-16.16s %8s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
            " %8s %6" PRIu64 " %4.0f%% %9.1f\n",
            l->name, size, l->passes, l->rows, l->reviewed, l->approved, drafted, share, l->tokens,
            tokens > 0 ? 100 * (double)l->tokens / tokens : 0, l->ms);
}

/* How often a level's tokens pass, by their position in the draft. */
static void print_positions(const linn_level_stats *l)
{
    int n = used_positions(l);
    if (n == 0)
        return;
    fprintf(stderr, "%-16.16s", l->name);
    for (int i = 0; i < n && i < 12; i++) {
        if (l->drafted[i] > 0)
            fprintf(stderr, " %4.0f%%", 100 * (double)l->accepted[i] / (double)l->drafted[i]);
        else
            fprintf(stderr, "     -");
    }
    fprintf(stderr, "%s\n", n > 12 ? " ..." : "");
}

void linn_cli_report_table(const linn_report *r)
{
    const linn_stats *s = r->stats;
    fprintf(stderr, "\n%-16s %8s %8s %8s %8s %8s %8s %8s %6s %5s %9s\n", "level", "size", "passes",
            "rows", "reviewed", "let pass", "drafted", "accepted", "tokens", "", "ms");
    for (int i = 0; i < s->n_levels; i++)
        print_row(&s->levels[i], s->tokens);
    if (s->levels[0].reviewed > 0) {
        fprintf(stderr, "\naccepted, by position in the draft\n");
        for (int i = 0; i < s->n_levels; i++)
            print_positions(&s->levels[i]);
    }
    const linn_level_stats *target = &s->levels[0];
    fprintf(stderr, "\n%d tokens in %.2f s, %.1f a second", s->tokens, s->decode_ms * 1e-3,
            per_second(s));
    if (target->passes > 0)
        fprintf(stderr, ", %.2f a pass of %s", s->tokens / (double)target->passes, target->name);
    fprintf(stderr, "\nprompt: %d tokens", s->prompt_tokens);
    if (s->prompt_reused > 0)
        fprintf(stderr, ", %d known before", s->prompt_reused);
    fprintf(stderr,
            ", %.2f s; SWI %.2f by size, %.2f by time; seed %" PRIu64
            "; ended by %s; %d threads, %s; numeric version %d\n",
            s->prompt_ms * 1e-3, s->swi_ms, s->swi_pw, r->seed, linn_cli_finish_name(r->finish),
            linn_engine_threads(r->engine), linn_engine_cpu(r->engine), linn_numeric_version());
    char words[MOST_WORDS];
    if (linn_cascade_explain(r->cascade, words, sizeof words) > 0)
        fprintf(stderr, "%s\n", words);
}

void linn_cli_report_legend(const linn_stats *s)
{
    fprintf(stderr, "first proposed by:");
    for (int i = 0; i < s->n_levels; i++)
        fprintf(stderr, "  %s%s %" PRIu64 "%s", linn_cli_level_color(i), s->levels[i].name,
                s->levels[i].tokens, linn_cli_level_color(0));
    fprintf(stderr, "\n");
}
