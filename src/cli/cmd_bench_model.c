/* cmd_bench_model.c - linn bench width and linn bench speed: how long forward passes of a
 * model take, beside the least time that they can take (roofline.h).
 *
 * Whatever is compared is measured in the same rounds: each round measures every width or
 * context once, and memory and kernels too. A measurement is the mean over passes that
 * fill some milliseconds, after one that brings things into the caches.
 */
#include "bench.h"
#include "json.h"
#include "model_path.h"
#include "numbers.h"
#include "options.h"
#include "roofline.h"
#include "pass_rows.h"
#include "samples.h"

#include <stdlib.h>
#include <string.h>

enum {
    WIDTH_MOST = 1024,
    CHUNK = 512, /* tokens of a prompt in a pass */
    SLICE_MS = 10,
    LOADS = 5, /* at most: a model may be large */
};

#define CONTEXTS "128"

typedef struct settings {
    const char *widths, *contexts;
    int64_t context, prompt, rounds, threads;
    int kv;
    bool json;
} settings;

static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL};

#define COMMON_OPTIONS                                                                      \
    LINN_CHOICE(0, "kv", settings, kv, kv_names, "Numbers in the KV cache"),                \
        LINN_INTEGER(0, "rounds", "N", settings, rounds, 1, 10000, "Measurements of each"), \
        LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads",            \
                     .otherwise = "as many as processors"),                                 \
        LINN_FLAG(0, "json", settings, json, "Print one JSON object"), LINN_OPTIONS_END

static const linn_option width_options[] = {
    LINN_TEXT(0, "widths", "LIST", settings, widths, "Tokens of a pass, all with logits",
              .otherwise = LINN_BENCH_WIDTHS),
    LINN_INTEGER(0, "context", "N", settings, context, 0, 1 << 20,
                 "Positions in the cache before the pass"),
    COMMON_OPTIONS,
};

static const linn_option speed_options[] = {
    LINN_INTEGER(0, "prompt", "N", settings, prompt, 1, 1 << 20, "Tokens of the prompt to read"),
    LINN_TEXT(0, "contexts", "LIST", settings, contexts,
              "Positions in the cache at which to decode", .otherwise = CONTEXTS),
    COMMON_OPTIONS,
};

/* What the passes of a bench need. */
typedef struct bench {
    const linn_command *self;
    const settings *s;
    char *path;
    linn_engine *engine;
    linn_model *model;
    linn_model_info info;
    linn_batch *batch;
    linn_cli_roof roof;
    linn_row *rows;          /* [WIDTH_MOST] */
    linn_token *tokens;      /* [WIDTH_MOST] */
    linn_session **sessions; /* [n_sessions] */
    int32_t *at;             /* [n_sessions] positions that they come back to */
    size_t n_sessions;
    double *samples;   /* [3, lines, rounds], of width or speed */
    double *bandwidth; /* [rounds] bytes a second */
    linn_cli_output out;
    linn_error err;
} bench;

/* Quantities measured of each line of the result. */
enum { TIME, ROOF, SHARE, QUANTITIES };

static double *samples_of(const bench *b, int what, size_t line, size_t lines)
{
    return b->samples + ((size_t)what * lines + line) * (size_t)b->s->rounds;
}

/* ---- passes ------------------------------------------------------------------------------- */

static int pass(bench *b, linn_session *session, int32_t n, unsigned outputs, unsigned last)
{
    linn_cli_pass_rows(b->rows, session, b->tokens, n, outputs, last);
    return linn_forward(b->batch, b->rows, n, &b->err);
}

static int read_prompt(bench *b, linn_session *session, int32_t n)
{
    for (int32_t left = n, now; left > 0; left -= now) {
        now = left < CHUNK ? left : CHUNK;
        int rc = pass(b, session, now, 0, now == left ? LINN_OUT_LOGITS : 0);
        if (rc != LINN_OK)
            return rc;
    }
    return LINN_OK;
}

/* Milliseconds of passes of n tokens at the positions of session i. */
static int time_passes(bench *b, size_t i, int32_t n, double *ms)
{
    int rc = LINN_OK, passes = -1; /* the first is not counted */
    double start = 0, took = 0;
    for (; rc == LINN_OK && took < SLICE_MS; passes++) {
        if (passes <= 0)
            start = linn_cli_now_ms();
        rc = pass(b, b->sessions[i], n, LINN_OUT_LOGITS, LINN_OUT_LOGITS);
        took = passes < 0 ? 0 : linn_cli_now_ms() - start;
        if (rc == LINN_OK)
            rc = linn_session_truncate(b->sessions[i], b->at[i], &b->err);
    }
    *ms = took / passes;
    return rc;
}

static int time_prompt(bench *b, size_t i, double *ms)
{
    double start = linn_cli_now_ms();
    int rc = read_prompt(b, b->sessions[i], (int32_t)b->s->prompt);
    *ms = linn_cli_now_ms() - start;
    return rc == LINN_OK ? linn_session_truncate(b->sessions[i], 0, &b->err) : rc;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Opens the model `loads` times; load_ms[loads]. */
static int open_model(bench *b, int loads, double *load_ms)
{
    linn_engine_settings engine = linn_engine_settings_default();
    engine.threads = (int)b->s->threads;
    int rc = linn_engine_create(&b->engine, &engine, &b->err);
    for (int i = 0; rc == LINN_OK && i < loads; i++) {
        linn_model_free(b->model);
        double start = linn_cli_now_ms();
        rc = linn_model_open(&b->model, b->engine, b->path, &b->err);
        load_ms[i] = linn_cli_now_ms() - start;
    }
    if (rc == LINN_OK)
        rc = linn_batch_create(&b->batch, b->model, WIDTH_MOST, &b->err);
    if (rc != LINN_OK)
        return rc;
    b->info = linn_model_describe(b->model);
    for (uint32_t i = 0; i < WIDTH_MOST; i++)
        b->tokens[i] = (linn_token)(i * 7919u % (uint32_t)b->info.n_vocab);
    return linn_cli_roof_survey(&b->roof, b->model, b->path, &b->err);
}

/* A session that holds `at` positions and has room for `more`. */
static int open_session(bench *b, int32_t at, int32_t more)
{
    linn_session_settings s = {.n_ctx = at + more, .kv = (linn_kv_type)b->s->kv};
    int rc = linn_session_create(&b->sessions[b->n_sessions], b->model, &s, &b->err);
    if (rc != LINN_OK)
        return rc;
    b->at[b->n_sessions++] = at;
    return read_prompt(b, b->sessions[b->n_sessions - 1], at);
}

static bool make_room(bench *b, size_t lines)
{
    size_t rounds = (size_t)b->s->rounds;
    b->rows = calloc(WIDTH_MOST, sizeof *b->rows);
    b->tokens = calloc(WIDTH_MOST, sizeof *b->tokens);
    b->sessions = calloc(lines, sizeof(linn_session *));
    b->at = calloc(lines, sizeof *b->at);
    b->samples = calloc(QUANTITIES * lines * rounds, sizeof *b->samples);
    b->bandwidth = calloc(rounds, sizeof *b->bandwidth);
    return b->rows && b->tokens && b->sessions && b->at && b->samples && b->bandwidth;
}

static void free_bench(bench *b)
{
    free(b->samples);
    free(b->bandwidth);
    for (size_t i = 0; i < b->n_sessions; i++)
        linn_session_free(b->sessions[i]);
    free(b->sessions);
    free(b->at);
    free(b->rows);
    free(b->tokens);
    linn_batch_free(b->batch);
    linn_model_free(b->model);
    linn_engine_free(b->engine);
    free(b->path);
}

/* ---- printing ------------------------------------------------------------------------------- */

static linn_cli_samples line_samples(const bench *b, int what, size_t line, size_t lines)
{
    return linn_cli_summarise(samples_of(b, what, line, lines), (size_t)b->s->rounds);
}

static void print_head(bench *b)
{
    const linn_model_info *m = &b->info;
    const char *kv = kv_names[b->s->kv];
    linn_cli_samples x = linn_cli_summarise(b->bandwidth, (size_t)b->s->rounds);
    int threads = linn_engine_threads(b->engine);
    if (b->s->json) {
        linn_cli_print(&b->out, "{\"model\": ");
        linn_cli_json_string(&b->out, m->name, strlen(m->name));
        linn_cli_print(&b->out,
                       ", \"cpu\": \"%s\", \"threads\": %d, \"kv\": \"%s\", \"rounds\": %d, "
                       "\"weight_bytes\": %llu, ",
                       linn_engine_cpu(b->engine), threads, kv, (int)b->s->rounds,
                       (unsigned long long)m->weight_bytes);
        linn_cli_print_samples(&b->out, "bytes_per_second", &x, 1);
        return;
    }
    char bytes[32];
    linn_cli_print(&b->out,
                   "%s: %s a pass, %s, %d thread%s, %s cache\nmemory: %.1f GB/s, spread %.0f%%; "
                   "median of %d rounds\n\n",
                   m->name, linn_cli_rounded(m->weight_bytes, "B", bytes),
                   linn_engine_cpu(b->engine), threads, threads == 1 ? "" : "s", kv,
                   x.median * 1e-9, 100 * x.spread, (int)b->s->rounds);
}

/* One line of either table, after its name; `tokens`: what the pass makes or reads. */
static void print_line(bench *b, size_t line, size_t lines, double tokens, double ratio)
{
    linn_cli_samples ms = line_samples(b, TIME, line, lines);
    linn_cli_samples share = line_samples(b, SHARE, line, lines);
    double per_second = tokens * 1e3 / ms.median;
    if (b->s->json) {
        linn_cli_print_samples(&b->out, "ms", &ms, 1);
        linn_cli_print(&b->out, ", \"tokens_per_second\": %.6g, \"roofline\": %.3f}", per_second,
                       share.median);
        return;
    }
    linn_cli_print(&b->out, " %9.2f %9.2f %6.0f%%", ms.median, ms.least, 100 * ms.spread);
    if (ratio > 0)
        linn_cli_print(&b->out, " %9.2f", ratio);
    linn_cli_print(&b->out, " %9.1f %6.0f%%\n", per_second, 100 * share.median);
}

/* ---- width ---------------------------------------------------------------------------------- */

static double kv_bytes(const bench *b, int32_t positions)
{
    static const double of[] = {2, 4, 34.0 / 32};
    const linn_model_info *m = &b->info;
    return 2.0 * m->n_layers * m->n_kv_heads * m->head_dim * positions * of[b->s->kv];
}

/* Sample r of a line, and how near the roof it is. */
static int measure(bench *b, size_t line, size_t lines, int r, int32_t n, double more, double ms)
{
    double seconds;
    int rc = linn_cli_roof_seconds(&b->roof, b->engine, n, more, &seconds, &b->err);
    if (rc != LINN_OK)
        return rc;
    samples_of(b, TIME, line, lines)[r] = ms;
    samples_of(b, ROOF, line, lines)[r] = seconds * 1e3;
    samples_of(b, SHARE, line, lines)[r] = seconds * 1e3 / ms;
    return LINN_OK;
}

static int measure_widths(bench *b, const int32_t *widths, size_t lines)
{
    double load;
    int32_t at = (int32_t)b->s->context;
    int rc = open_model(b, 1, &load);
    if (rc == LINN_OK)
        rc = open_session(b, at, WIDTH_MOST);
    for (int r = 0; rc == LINN_OK && r < b->s->rounds; r++) {
        rc = linn_cli_roof_bandwidth(&b->roof, b->engine, &b->err);
        b->bandwidth[r] = b->roof.bandwidth;
        for (size_t i = 0; rc == LINN_OK && i < lines; i++) {
            double ms;
            rc = time_passes(b, 0, widths[i], &ms);
            if (rc == LINN_OK)
                rc = measure(b, i, lines, r, widths[i], kv_bytes(b, at), ms);
        }
    }
    return rc;
}

static void print_widths(bench *b, const int32_t *widths, size_t lines)
{
    double first = line_samples(b, TIME, 0, lines).median;
    print_head(b);
    if (b->s->json)
        linn_cli_print(&b->out, ", \"context\": %d, \"widths\": [", (int)b->s->context);
    else
        linn_cli_print(&b->out, "%6s %9s %9s %7s %8s%d) %9s %7s\n", "tokens", "ms", "least",
                       "spread", "T(n)/T(", widths[0], "tokens/s", "of roof");
    for (size_t i = 0; i < lines; i++) {
        double ratio = line_samples(b, TIME, i, lines).median / first;
        if (b->s->json)
            linn_cli_print(&b->out, "%s\n  {\"tokens\": %d, \"ratio\": %.4f, ", i ? "," : "",
                           widths[i], ratio);
        else
            linn_cli_print(&b->out, "%6d", widths[i]);
        print_line(b, i, lines, widths[i], ratio);
    }
    if (b->s->json)
        linn_cli_print(&b->out, "]}\n");
}

static int run_width(bench *b)
{
    int32_t *widths = NULL;
    size_t n = 0;
    int status = linn_bench_widths(b->self, b->s->widths, &widths, &n);
    if (status != LINN_PARSED)
        return status;
    if (!make_room(b, n)) {
        free(widths);
        return linn_cli_fail(b->self, "out of memory");
    }
    status = LINN_EXIT_DONE;
    if (measure_widths(b, widths, n) == LINN_OK)
        print_widths(b, widths, n);
    else
        status = linn_cli_fail(b->self, "%s", b->err.message);
    free(widths);
    return status;
}

/* ---- speed ---------------------------------------------------------------------------------- */

/* Line 0 is the prompt, line 1 + i decoding at contexts[i]. */
static int measure_speed(bench *b, const int32_t *contexts, size_t n, int loads, double *load_ms)
{
    int32_t prompt = (int32_t)b->s->prompt;
    int rc = open_model(b, loads, load_ms);
    if (rc == LINN_OK)
        rc = open_session(b, 0, prompt);
    for (size_t i = 0; rc == LINN_OK && i < n; i++)
        rc = open_session(b, contexts[i], 1);
    for (int r = 0; rc == LINN_OK && r < b->s->rounds; r++) {
        double ms;
        rc = linn_cli_roof_bandwidth(&b->roof, b->engine, &b->err);
        b->bandwidth[r] = b->roof.bandwidth;
        if (rc == LINN_OK)
            rc = time_prompt(b, 0, &ms);
        if (rc == LINN_OK)
            rc = measure(b, 0, n + 1, r, prompt, 0, ms);
        for (size_t i = 0; rc == LINN_OK && i < n; i++) {
            rc = time_passes(b, i + 1, 1, &ms);
            if (rc == LINN_OK)
                rc = measure(b, i + 1, n + 1, r, 1, kv_bytes(b, contexts[i]), ms);
        }
    }
    return rc;
}

static void print_speed(bench *b, const int32_t *contexts, size_t n, int loads, double *load_ms)
{
    linn_cli_samples load = linn_cli_summarise(load_ms, (size_t)loads);
    print_head(b);
    if (b->s->json) {
        linn_cli_print(&b->out, ",\n  ");
        linn_cli_print_samples(&b->out, "load_ms", &load, 1);
        linn_cli_print(&b->out, ",\n  \"prompt\": {\"tokens\": %d, ", (int)b->s->prompt);
        print_line(b, 0, n + 1, (double)b->s->prompt, 0);
        linn_cli_print(&b->out, ",\n  \"decode\": [");
    } else {
        linn_cli_print(&b->out, "%20s %9s %9s %7s %9s %7s\n", "", "ms", "least", "spread",
                       "tokens/s", "of roof");
        linn_cli_print(&b->out, "%-20s %9.2f %9.2f %6.0f%%\n", "load", load.median, load.least,
                       100 * load.spread);
        linn_cli_print(&b->out, "prompt of %-10d", (int)b->s->prompt);
        print_line(b, 0, n + 1, (double)b->s->prompt, 0);
    }
    for (size_t i = 0; i < n; i++) {
        if (b->s->json)
            linn_cli_print(&b->out, "%s\n    {\"context\": %d, ", i ? "," : "", contexts[i]);
        else
            linn_cli_print(&b->out, "decode after %-7d", contexts[i]);
        print_line(b, i + 1, n + 1, 1, 0);
    }
    if (b->s->json)
        linn_cli_print(&b->out, "]}\n");
}

static int run_speed(bench *b)
{
    int32_t *contexts = NULL;
    size_t n = 0;
    int loads = b->s->rounds < LOADS ? (int)b->s->rounds : LOADS;
    double load_ms[LOADS];
    int status = linn_cli_read_list(b->self, "--contexts", "a number of positions", 0,
                                    b->s->contexts, &contexts, &n);
    if (status != LINN_PARSED)
        return status;
    if (!make_room(b, n + 1)) {
        free(contexts);
        return linn_cli_fail(b->self, "out of memory");
    }
    status = LINN_EXIT_DONE;
    if (measure_speed(b, contexts, n, loads, load_ms) == LINN_OK)
        print_speed(b, contexts, n, loads, load_ms);
    else
        status = linn_cli_fail(b->self, "%s", b->err.message);
    free(contexts);
    return status;
}

/* ---- commands ------------------------------------------------------------------------------- */

static int main_model(const linn_command *self, int argc, char **argv)
{
    bool speed = self == &linn_command_bench_speed;
    settings s = {.widths = LINN_BENCH_WIDTHS,
                  .contexts = CONTEXTS,
                  .context = 128,
                  .prompt = 512,
                  .rounds = 10};
    int n_operands, status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n_operands);
    if (status != LINN_PARSED)
        return status;
    bench b = {.self = self, .s = &s};
    status = linn_cli_model_path(self, argv[1], &b.path);
    if (status == LINN_PARSED)
        status = speed ? run_speed(&b) : run_width(&b);
    free_bench(&b);
    return linn_cli_output_finish(&b.out, self, status);
}

const linn_command linn_command_bench_width = {
    .name = "bench width",
    .usage = "MODEL [options]",
    .summary = "Time of a forward pass by its tokens",
    .description =
        "Times forward passes of 1 to 32 tokens, all with logits, after the same context. What "
        "drafting can gain is decided here: a draft of n tokens is reviewed in T(n+1). Beside each "
        "stands its share of the roofline: the least time in which this machine can read the "
        "weights and do the multiply-adds, measured in the same rounds, over the time taken.",
    .options = width_options,
    .examples = "  linn bench width river\n"
                "  linn bench width model.gguf --widths 1,2,3,4,5,6,7,8 -t 1\n",
    .run = main_model,
};

const linn_command linn_command_bench_speed = {
    .name = "bench speed",
    .usage = "MODEL [options]",
    .summary = "Time to load, to read a prompt, to decode",
    .description =
        "Times loading a model, reading a prompt and decoding single tokens after contexts of "
        "given "
        "lengths, without sampling or drafts. Beside each stands its share of the roofline (see "
        "linn bench width). The file should be in the system's cache: run it twice.",
    .options = speed_options,
    .examples = "  linn bench speed river\n"
                "  linn bench speed model.gguf --contexts 128,8192,16384 --json\n",
    .run = main_model,
};
