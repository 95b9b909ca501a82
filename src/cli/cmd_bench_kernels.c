/* cmd_bench_kernels.c - linn bench kernels: multiply-adds a second, by format, table of
 * kernels and width. */
#include "bench.h"
#include "linn_tools.h"
#include "options.h"
#include "samples.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct settings {
    const char *types, *cpus, *widths;
    int64_t rows, columns, rounds, threads;
    bool json;
} settings;

static const linn_option options[] = {
    LINN_TEXT(0, "types", "LIST", settings, types, "Formats, with commas between",
              .otherwise = "all"),
    LINN_TEXT(0, "widths", "LIST", settings, widths, "Tokens of a pass",
              .otherwise = LINN_BENCH_WIDTHS),
    LINN_TEXT(0, "cpus", "LIST", settings, cpus,
              "Instruction sets to compare, with commas between: c, avx2, avx512, neon",
              .otherwise = "the best one"),
    LINN_INTEGER(0, "rows", "N", settings, rows, 1, 1 << 20, "Rows of the matrix: outputs",
                 .otherwise = "128 a thread, which stay in the cache"),
    LINN_INTEGER(0, "columns", "N", settings, columns, 256, 1 << 20,
                 "Columns of the matrix, a multiple of 256"),
    LINN_INTEGER(0, "rounds", "N", settings, rounds, 1, 10000, "Measurements of each"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads",
                 .otherwise = "as many as processors"),
    LINN_FLAG(0, "json", settings, json, "Print one JSON object"),
    LINN_OPTIONS_END,
};

enum { MAX_TABLES = 4, ROWS_A_THREAD = 128 };

static const struct {
    const char *name;
    unsigned mask;
} cpu_names[] = {
    {"c", LINN_CPU_C},
    {"avx2", LINN_CPU_AVX2},
    {"avx512", LINN_CPU_AVX2 | LINN_CPU_AVX512},
    {"neon", LINN_CPU_NEON},
};

typedef struct bench {
    const linn_command *self;
    const settings *s;
    linn_engine *engines[MAX_TABLES]; /* [n_engines], one a table */
    size_t n_engines;
    int32_t *widths; /* [n_widths] */
    size_t n_widths;
    double *samples; /* [n_engines, n_widths, rounds] multiply-adds a second, of one type */
    linn_cli_output out;
    bool first; /* of the JSON list */
} bench;

/* The word of `list` at *at, without its comma, and moves on; false at the end. */
static bool next_word(const char **at, const char **word, size_t *length)
{
    if (!*at)
        return false;
    *word = *at;
    *length = strcspn(*at, ",");
    *at = (*at)[*length] ? *at + *length + 1 : NULL;
    return true;
}

static bool is_word(const char *name, const char *word, size_t length)
{
    return strlen(name) == length && strncasecmp(name, word, length) == 0;
}

static int open_engine(bench *b, unsigned mask)
{
    linn_error err;
    linn_engine_settings engine = linn_engine_settings_default();
    engine.threads = (int)b->s->threads;
    if (mask != LINN_CPU_ANY)
        engine.cpu = mask;
    if (linn_engine_create(&b->engines[b->n_engines], &engine, &err) != LINN_OK)
        return linn_cli_fail(b->self, "%s", err.message);
    b->n_engines++;
    return LINN_PARSED;
}

static int open_engines(bench *b)
{
    if (!b->s->cpus)
        return open_engine(b, LINN_CPU_ANY);
    const char *at = b->s->cpus, *word;
    size_t length;
    while (next_word(&at, &word, &length)) {
        size_t i = 0;
        while (i < MAX_TABLES && !is_word(cpu_names[i].name, word, length))
            i++;
        if (i == MAX_TABLES || b->n_engines == MAX_TABLES)
            return linn_cli_misuse(b->self, "--cpus: '%.*s': must be some of c, avx2, avx512, neon",
                                   (int)length, word);
        int status = open_engine(b, cpu_names[i].mask);
        if (status != LINN_PARSED)
            return status;
        if (strcmp(linn_engine_cpu(b->engines[b->n_engines - 1]), cpu_names[i].name) != 0)
            return linn_cli_fail(b->self, "--cpus: this processor has no %s", cpu_names[i].name);
    }
    return LINN_PARSED;
}

/* All rounds of a type, in which tables and widths take turns. */
static int measure(bench *b, const char *type, int32_t rows, linn_error *err)
{
    size_t rounds = (size_t)b->s->rounds;
    for (size_t r = 0; r < rounds; r++)
        for (size_t w = 0; w < b->n_widths; w++)
            for (size_t e = 0; e < b->n_engines; e++) {
                linn_product_case c = {type, rows, (int32_t)b->s->columns, b->widths[w]};
                double seconds;
                int rc = linn_measure_product(b->engines[e], &c, 1, &seconds, err);
                if (rc != LINN_OK)
                    return rc;
                b->samples[(e * b->n_widths + w) * rounds + r] =
                    (double)rows * (double)c.n_cols * (double)c.width / seconds;
            }
    return LINN_OK;
}

static void print_type(bench *b, const char *type)
{
    size_t rounds = (size_t)b->s->rounds;
    for (size_t e = 0; e < b->n_engines; e++) {
        const char *cpu = linn_engine_cpu(b->engines[e]);
        double worst = 0;
        if (!b->s->json)
            linn_cli_print(&b->out, "%-7s %-6s", type, cpu);
        for (size_t w = 0; w < b->n_widths; w++) {
            linn_cli_samples x =
                linn_cli_summarise(b->samples + (e * b->n_widths + w) * rounds, rounds);
            worst = x.spread > worst ? x.spread : worst;
            if (b->s->json) {
                linn_cli_print(&b->out, "%s\n  {\"type\": \"%s\", \"cpu\": \"%s\", \"width\": %d, ",
                               b->first ? "" : ",", type, cpu, b->widths[w]);
                linn_cli_print_samples(&b->out, "gmacs", &x, 1e-9);
                linn_cli_print(&b->out, "}");
                b->first = false;
            } else {
                linn_cli_print(&b->out, " %7.1f", x.median * 1e-9);
            }
        }
        if (!b->s->json)
            linn_cli_print(&b->out, "   %3.0f%%\n", 100 * worst);
    }
}

static void print_head(bench *b, int32_t rows)
{
    int threads = linn_engine_threads(b->engines[0]);
    if (b->s->json) {
        linn_cli_print(&b->out,
                       "{\"threads\": %d, \"rows\": %d, \"columns\": %d, \"rounds\": %d, "
                       "\"products\": [",
                       threads, rows, (int)b->s->columns, (int)b->s->rounds);
        return;
    }
    linn_cli_print(&b->out,
                   "10^9 multiply-adds a second by tokens of a pass, %d x %d weights, %d "
                   "thread%s, median of %d\n%-14s",
                   rows, (int)b->s->columns, threads, threads == 1 ? "" : "s", (int)b->s->rounds,
                   "");
    for (size_t w = 0; w < b->n_widths; w++)
        linn_cli_print(&b->out, " %7d", b->widths[w]);
    linn_cli_print(&b->out, "   spread at most\n");
}

static bool wanted(const char *types, const char *type)
{
    const char *word;
    size_t length;
    if (!types)
        return true;
    while (next_word(&types, &word, &length))
        if (is_word(type, word, length))
            return true;
    return false;
}

static int check_types(const bench *b)
{
    const char *at = b->s->types, *word, *name;
    size_t length;
    while (next_word(&at, &word, &length)) {
        size_t i = 0;
        while ((name = linn_product_type(i)) && !is_word(name, word, length))
            i++;
        if (!name)
            return linn_cli_misuse(b->self, "--types: '%.*s' is no format that linn multiplies",
                                   (int)length, word);
    }
    return LINN_PARSED;
}

static int run_bench(bench *b)
{
    const settings *s = b->s;
    linn_error err;
    if (s->columns % 256)
        return linn_cli_misuse(b->self, "--columns %d: must be a multiple of 256", (int)s->columns);
    int status = check_types(b);
    if (status == LINN_PARSED)
        status = linn_bench_widths(b->self, s->widths, &b->widths, &b->n_widths);
    if (status == LINN_PARSED)
        status = open_engines(b);
    if (status != LINN_PARSED)
        return status;
    int32_t rows = s->rows ? (int32_t)s->rows : ROWS_A_THREAD * linn_engine_threads(b->engines[0]);
    b->samples = malloc(b->n_engines * b->n_widths * (size_t)s->rounds * sizeof *b->samples);
    if (!b->samples)
        return linn_cli_fail(b->self, "out of memory");
    print_head(b, rows);
    const char *type;
    for (size_t i = 0; (type = linn_product_type(i)); i++) {
        if (!wanted(s->types, type))
            continue;
        if (measure(b, type, rows, &err) != LINN_OK)
            return linn_cli_fail(b->self, "%s", err.message);
        print_type(b, type);
        linn_cli_flush(&b->out);
    }
    if (s->json)
        linn_cli_print(&b->out, "]}\n");
    return LINN_EXIT_DONE;
}

static int main_kernels(const linn_command *self, int argc, char **argv)
{
    settings s = {.widths = LINN_BENCH_WIDTHS, .columns = 2048, .rounds = 10};
    int n_operands, status = linn_cli_parse(self, argc, argv, &s, 0, 0, &n_operands);
    if (status != LINN_PARSED)
        return status;
    bench b = {.self = self, .s = &s, .first = true};
    status = run_bench(&b);
    for (size_t i = 0; i < b.n_engines; i++)
        linn_engine_free(b.engines[i]);
    free(b.widths);
    free(b.samples);
    return linn_cli_output_finish(&b.out, self, status);
}

const linn_command linn_command_bench_kernels = {
    .name = "bench kernels",
    .usage = "[options]",
    .summary = "Multiply-adds a second of each format's product",
    .description = "Multiplies a matrix of weights of each format with 1 to 32 columns of "
                   "activations, as a forward pass of so many tokens does. By default the weights "
                   "stay in the cache: what is measured is arithmetic, the other roof over a pass "
                   "besides memory. Instruction sets take turns.",
    .options = options,
    .examples = "  linn bench kernels\n"
                "  linn bench kernels --types q8_0,q4_k --cpus avx2,avx512 -t 1\n",
    .run = main_kernels,
};
