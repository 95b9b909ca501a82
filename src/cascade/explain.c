/* explain.c - what the marginal rule decided, in words. */
#include "cascade/auto.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct words {
    char *out;
    size_t capacity, n;
} words;

static void say(words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(words *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = w->n < w->capacity ? w->capacity - w->n : 0;
    int n = vsnprintf(room ? w->out + w->n : NULL, room, format, args);
    w->n += n > 0 ? (size_t)n : 0;
    va_end(args);
}

static const char *name_of(const linn_cascade *c, const linn_auto *a, int source)
{
    return source < a->n_models ? c->levels[source]->name
                                : c->statistical[source - a->n_models]->name;
}

/* "brook: 81% of its tokens pass, each costs 0.55 passes" */
static void say_source(words *w, const linn_cascade *c, const linn_auto *a, int source)
{
    double pass = linn_auto_pass_ns(a, 0, 1);
    linn_tally t = a->calibration.all[a->calibration.heat][0][source][LINN_ALL_BINS];
    double n = (double)t.passed + (double)t.failed;
    say(w, "\n  %s: ", name_of(c, a, source));
    if (n > 0)
        say(w, "%.0f%% of its tokens pass", 100 * (double)t.passed / n);
    else
        say(w, "not tried yet, %.0f%% of its tokens are taken to pass",
            100 * (double)a->calibration.chance[0][source][LINN_ALL_BINS]);
    if (source < a->n_models)
        say(w, ", one of them costs %.2f passes of %s", linn_auto_token_ns(a, source) / pass,
            c->levels[0]->name);
}

size_t linn_cascade_explain(const linn_cascade *c, char *out, size_t capacity)
{
    const linn_auto *a = linn_auto_of(c);
    words w = {out, capacity, 0};
    if (capacity > 0)
        *out = '\0';
    if (!a || a->n_sources < 2 || a->n_rounds == 0)
        return 0;
    double pass = linn_auto_pass_ns(a, 0, 1);
    double share = (double)a->n_drafted_rounds / (double)a->n_rounds;
    const char *target = c->levels[0]->name;
    if (share < 0.02)
        say(&w, "auto: drafting does not pay here");
    else
        say(&w, "auto: drafts before %.0f%% of the passes of %s", 100 * share, target);
    if (pass > 0)
        say(&w, "; a pass of 2, 4, 8 tokens costs %s %.1f, %.1f, %.1f passes of one", target,
            linn_auto_pass_ns(a, 0, 2) / pass, linn_auto_pass_ns(a, 0, 4) / pass,
            linn_auto_pass_ns(a, 0, 8) / pass);
    for (int s = 1; s < a->n_sources; s++)
        say_source(&w, c, a, s);
    return w.n;
}
