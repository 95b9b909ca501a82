/* cmd_bench.c - linn bench, and linn bench memory. */
#include "bench.h"
#include "linn_tools.h"
#include "options.h"
#include "output.h"

#include <stdlib.h>

typedef struct settings {
    int64_t mebibytes, rounds, threads;
    bool json;
} settings;

static const linn_option memory_options[] = {
    LINN_INTEGER(0, "size", "MIB", settings, mebibytes, 1, 1 << 20,
                 "Mebibytes to read: several times the processor's cache for memory, less than it "
                 "for the cache"),
    LINN_INTEGER(0, "rounds", "N", settings, rounds, 1, 10000, "Times; the best one counts"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads that read",
                 .otherwise = "as many as processors"),
    LINN_FLAG(0, "json", settings, json, "Print one JSON object"),
    LINN_OPTIONS_END,
};

static int bench_memory(const linn_command *self, int argc, char **argv)
{
    settings s = {.mebibytes = 512, .rounds = 10};
    int n_operands, status = linn_cli_parse(self, argc, argv, &s, 0, 0, &n_operands);
    if (status != LINN_PARSED)
        return status;
    linn_error err;
    linn_engine *e = NULL;
    linn_engine_settings engine = linn_engine_settings_default();
    engine.threads = (int)s.threads;
    double rate = 0;
    int rc = linn_engine_create(&e, &engine, &err);
    if (rc == LINN_OK)
        rc = linn_measure_memory(e, (size_t)s.mebibytes << 20, (int)s.rounds, &rate, &err);
    int threads = rc == LINN_OK ? linn_engine_threads(e) : 0;
    linn_engine_free(e);
    if (rc != LINN_OK)
        return linn_cli_fail(self, "%s", err.message);
    linn_cli_output out = {0};
    if (s.json)
        linn_cli_print(&out,
                       "{\"bytes\": %lld, \"threads\": %d, \"rounds\": %lld, "
                       "\"bytes_per_second\": %.0f}\n",
                       (long long)s.mebibytes << 20, threads, (long long)s.rounds, rate);
    else
        linn_cli_print(&out, "%.1f GB/s from %lld MiB, %d thread%s, best of %lld rounds\n",
                       rate * 1e-9, (long long)s.mebibytes, threads, threads == 1 ? "" : "s",
                       (long long)s.rounds);
    return linn_cli_output_finish(&out, self, LINN_EXIT_DONE);
}

static const linn_command memory = {
    .name = "bench memory",
    .usage = "[options]",
    .summary = "Bytes a second read from memory",
    .description = "Reads a buffer with all threads. A forward pass of one token reads every "
                   "weight once: the bytes of a model's weights over this rate are the least time "
                   "that it can take.",
    .options = memory_options,
    .examples = "  linn bench memory\n"
                "  linn bench memory --size 8        # from the cache\n",
    .run = bench_memory,
};

int linn_bench_widths(const linn_command *self, const char *word, int32_t **out, size_t *n)
{
    enum { MOST = 1024 };
    int status = linn_cli_read_list(self, "--widths", "a number of tokens", 1, word, out, n);
    for (size_t i = 0; status == LINN_PARSED && i < *n; i++)
        if ((*out)[i] > MOST)
            status = linn_cli_misuse(self, "--widths: %d: must be 1 to %d", (*out)[i], MOST);
    if (status != LINN_PARSED) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static const linn_command *const subcommands[] = {
    &linn_command_bench_speed,   &linn_command_bench_width,
    &linn_command_bench_kernels, &memory,
    &linn_command_bench_cascade, NULL};

const linn_command linn_command_bench = {
    .name = "bench",
    .usage = "COMMAND [options]",
    .summary = "Measure models and this machine",
    .description = "Measures how fast models run here, and what the machine can do at best.",
    .subcommands = subcommands,
};
