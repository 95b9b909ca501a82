/* bench_cascade.h - what linn bench cascade ran, shared by its parts: bench_cascade.c has the
 * options and runs, bench_sides.c makes the sides, bench_search.c finds the best fixed cascade,
 * bench_summary.c figures of what they did, bench_report.c a page.
 */
#ifndef LINN_CLI_BENCH_CASCADE_H
#define LINN_CLI_BENCH_CASCADE_H

#include "gnuplot.h"
#include "models.h"
#include "output.h"
#include "prompts.h"

enum {
    LINN_BENCH_SIDES = 24,
    LINN_BENCH_TEMPERATURES = 4,
    LINN_BENCH_ROUNDS = 99,
    LINN_BENCH_WIDTH_POINTS = 12,
};

/* One way to decode. */
typedef struct linn_bench_side {
    char name[48];
    linn_cascade_settings settings;
    int32_t matrix[LINN_MAX_LEVELS * LINN_MAX_LEVELS];
    size_t first, n; /* drafters models.items[first .. first + n) */
    int temperature; /* runs at this one only; -1: at all */
    bool two;        /* a target and one drafter, which is a model */
    bool searched;   /* the best of a grid */
    bool is_auto;
    linn_cascade *cascade;
} linn_bench_side;

/* Methods that --methods may name. */
enum {
    LINN_BENCH_PLAIN,
    LINN_BENCH_MAXGRAM,
    LINN_BENCH_SPEC,
    LINN_BENCH_PAPER,
    LINN_BENCH_GIVEN,
    LINN_BENCH_AUTO,
    LINN_BENCH_METHODS,
};

typedef struct linn_bench_settings {
    linn_texts drafters, prompts, matrices;
    const char *temperatures, *methods, *ngram, *report;
    int64_t limit, tokens, rounds, k, block, threads, ctx, seed;
    double lenience;
    int by, rule; /* by: 0 time, 1 SWI */
    bool profile, search, json;
} linn_bench_settings;

/* One side on one prompt at one temperature. */
typedef struct linn_outcome {
    double ms;     /* of decoding, the median over rounds */
    uint64_t hash; /* of the token ids */
    bool same;     /* all rounds gave the same ids */
    linn_stats stats;
} linn_outcome;

typedef struct linn_width_curve {
    double ms[LINN_BENCH_WIDTH_POINTS]; /* 0: not measured */
} linn_width_curve;

typedef struct linn_cascade_bench {
    const linn_command *self;
    const linn_bench_settings *s;
    bool methods[LINN_BENCH_METHODS];
    linn_models models;
    linn_cli_prompts prompts; /* with --search the last of them are for the search only */
    size_t n;                 /* those that the sides are compared on, the first */
    linn_token **ids;         /* [prompts.n] */
    size_t *n_ids;            /* [prompts.n] */
    size_t n_cut;             /* prompts of which only the end fits into the context */
    int *kind;                /* [prompts.n] index into kinds */
    const char **kinds;
    int n_kinds;
    double temperatures[LINN_BENCH_TEMPERATURES];
    int n_temperatures;
    linn_bench_side sides[LINN_BENCH_SIDES];
    int n_sides;
    linn_outcome *outcomes; /* [n_temperatures, n_sides, n] */
    linn_width_curve widths[1 + LINN_CLI_DRAFTERS];
    linn_cli_output out;
} linn_cascade_bench;

static inline bool linn_bench_runs(const linn_cascade_bench *b, int temperature, int side)
{
    int only = b->sides[side].temperature;
    return only < 0 || only == temperature;
}
static inline linn_outcome *linn_bench_outcome(const linn_cascade_bench *b, int temperature,
                                               int side, size_t prompt)
{
    size_t sides = (size_t)b->n_sides;
    return &b->outcomes[((size_t)temperature * sides + (size_t)side) * b->n + prompt];
}
int32_t linn_bench_width_rows(int point); /* of a point of the width curve */

/* Runs a side once. LINN_PARSED or an exit status. */
int linn_bench_run(linn_cascade_bench *b, linn_bench_side *side, int temperature, size_t prompt,
                   linn_outcome *out);
/* Makes the sides, plain decoding first; finds the best k by runs on a few prompts. */
int linn_bench_make_sides(linn_cascade_bench *b);
void linn_bench_free_sides(linn_cascade_bench *b);
/* A new last side of drafters models.items[first .. first + n), to be opened; one that cannot be
 * is no side. */
linn_bench_side *linn_bench_add_side(linn_cascade_bench *b, const char *name, linn_shape shape,
                                     size_t first, size_t n);
int linn_bench_open_side(linn_cascade_bench *b);
/* Tokens for a cost (--by) of a side, on at most n prompts of those that may be searched. */
int linn_bench_try(linn_cascade_bench *b, linn_bench_side *side, int temperature, size_t n,
                   double *worth);
/* Adds the fixed cascade that is best on the prompts of the search. */
int linn_bench_search(linn_cascade_bench *b, int temperature);

/* ---- figures -----------------------------------------------------------------------------------
 */

typedef struct linn_interval {
    double value, low, high; /* of 95% */
} linn_interval;

/* A side at a temperature over the prompts of a kind, or of all (-1). Intervals are those of a
 * bootstrap over prompts. */
typedef struct linn_bench_figures {
    size_t prompts, n_short; /* those that count, and those whose text is too short to */
    double rate[3];          /* tokens a second of a prompt: its median, 10th and 90th percentile */
    linn_interval gain;      /* tokens a second of all, over the same of plain decoding */
    linn_interval passes;    /* tokens for a pass of the target */
    linn_interval swi_ms, swi_pw;
    double accepted; /* of the tokens drafted for the target; -1: none were */
    bool same;       /* as plain decoding */
} linn_bench_figures;

linn_bench_figures linn_bench_summarise(const linn_cascade_bench *b, int temperature, int side,
                                        int kind);
/* The statistics of a side over all prompts, added up. */
linn_stats linn_bench_total(const linn_cascade_bench *b, int temperature, int side);
/* The best in SWI (MS): of sides with one drafter that is a model, or of cascades with Max-Gram.
 * -1: there is none. */
int linn_bench_best(const linn_cascade_bench *b, int temperature, bool two);
linn_interval linn_bench_swi_ratio(const linn_cascade_bench *b, int temperature, int side,
                                   int base);
linn_interval linn_bench_speed_ratio(const linn_cascade_bench *b, int temperature, int side,
                                     int base);

void linn_bench_print_table(linn_cascade_bench *b);
void linn_bench_print_json(linn_cascade_bench *b);

/* Writes a page that needs nothing else. LINN_PARSED or an exit status. */
int linn_bench_report(linn_cascade_bench *b, const char *path);

#endif
