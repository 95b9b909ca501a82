/* cmd_quantize.c - linn quantize: a model in other number formats. */
#include "cli.h"
#include "interrupt.h"
#include "linn_tools.h"
#include "model_path.h"
#include "numbers.h"
#include "options.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

enum { MAX_TYPES = 64, MAX_NOTES = 16, LINE = 79 };

typedef struct settings {
    bool pure, requantize;
    int64_t threads;
} settings;

static const linn_option options[] = {
    LINN_FLAG(0, "pure", settings, pure,
              "Put every matrix into the one type, with none in better ones"),
    LINN_FLAG(0, "allow-requantize", settings, requantize,
              "Take a file whose tensors are quantised already, and lose a little more"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024,
                 "Threads. The output never depends on it", .otherwise = "as many as processors"),
    LINN_OPTIONS_END,
};

/* ---- on the way ----------------------------------------------------------------------------- */

/* Notes that tensors have in common are told once. */
typedef struct note {
    char text[160];
    size_t n_tensors;
} note;

typedef struct progress {
    const linn_command *self;
    bool terminal;
    int shown;          /* per cent on the screen; -1: nothing */
    const char *tensor; /* the last */
    note notes[MAX_NOTES];
    size_t n_notes;
} progress;

static void keep_note(progress *p, const char *text)
{
    size_t i = 0;
    while (i < p->n_notes && strcmp(p->notes[i].text, text) != 0)
        i++;
    if (i == MAX_NOTES)
        return;
    snprintf(p->notes[i].text, sizeof p->notes[i].text, "%s", text);
    p->notes[i].n_tensors++;
    p->n_notes += i == p->n_notes;
}

static bool on_step(void *user, const linn_quantize_step *step)
{
    progress *p = user;
    if (step->note && p->tensor != step->tensor)
        keep_note(p, step->note);
    p->tensor = step->tensor;
    int percent = step->total ? (int)(100 * (double)step->done / (double)step->total) : 100;
    if (p->terminal && percent != p->shown) {
        char line[256];
        snprintf(line, sizeof line, "%3d%%  %s, %s to %s", percent, step->tensor, step->from,
                 step->to);
        fprintf(stderr, "\r%-*.*s", LINE, LINE, line);
        fflush(stderr);
        p->shown = percent;
    }
    return !linn_cli_interrupted();
}

static void end_progress(const progress *p)
{
    if (p->shown >= 0)
        fprintf(stderr, "\r%*s\r", LINE, "");
    for (size_t i = 0; i < p->n_notes; i++)
        linn_cli_note(p->self, "%zu tensor%s: %s", p->notes[i].n_tensors,
                      p->notes[i].n_tensors == 1 ? "" : "s", p->notes[i].text);
}

/* ---- what came of it ------------------------------------------------------------------------- */

typedef struct totals {
    size_t n_tensors;
    uint64_t values, bytes; /* of the tensors */
    uint64_t file_bytes;
} totals;

static int measure(const char *path, totals *sum, linn_error *err)
{
    linn_file *f;
    int rc = linn_file_open(&f, path, err);
    if (rc != LINN_OK)
        return rc;
    struct stat st;
    *sum = (totals){.n_tensors = linn_file_tensors(f)};
    sum->file_bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    linn_tensor_info t;
    for (size_t i = 0; linn_file_tensor(f, i, &t) == LINN_OK; i++) {
        sum->values += t.shape[0] * t.shape[1] * t.shape[2] * t.shape[3];
        sum->bytes += t.size;
    }
    linn_file_close(f);
    return LINN_OK;
}

static double seconds_since(struct timespec start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) * 1e-9;
}

static int summarise(const linn_command *self, const char *in, const char *out, double seconds)
{
    totals before, after;
    linn_error err;
    if (measure(in, &before, &err) != LINN_OK || measure(out, &after, &err) != LINN_OK)
        return linn_cli_fail(self, "%s", err.message);
    char from[32], to[32], values[32];
    linn_cli_output o = {0};
    linn_cli_print(&o, "%zu tensors, %s parameters: %s to %s, %.2f to %.2f bits each, %.1f s\n",
                   after.n_tensors, linn_cli_rounded(after.values, "", values),
                   linn_cli_rounded(before.file_bytes, "B", from),
                   linn_cli_rounded(after.file_bytes, "B", to),
                   8 * (double)before.bytes / (double)before.values,
                   8 * (double)after.bytes / (double)after.values, seconds);
    return linn_cli_output_finish(&o, self, LINN_EXIT_DONE);
}

/* ---- the command -------------------------------------------------------------------------- */

static int refuse_type(const linn_command *self, const char *word)
{
    const char *names[MAX_TYPES];
    char all[512] = "";
    size_t n = 0;
    for (const char *name; n < MAX_TYPES && (name = linn_quantize_type(n)); n++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "", name);
        names[n] = name;
    }
    char upper[32] = ""; /* the names are; the word need not be */
    for (size_t i = 0; i + 1 < sizeof upper && word[i]; i++)
        upper[i] = (char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 'a' + 'A' : word[i]);
    const char *near = linn_cli_nearest(upper, names, n);
    return linn_cli_misuse(self, "%s: unknown type%s%s; known are %s", word,
                           near ? ", perhaps " : "", near ? near : "", all);
}

static int quantize(const linn_command *self, const settings *s, const char *in, const char *out,
                    const char *type)
{
    linn_engine *engine;
    linn_error err;
    linn_engine_settings threads = linn_engine_settings_default();
    threads.threads = (int)s->threads;
    if (linn_engine_create(&engine, &threads, &err) != LINN_OK)
        return linn_cli_fail(self, "%s", err.message);
    progress p = {.self = self, .terminal = linn_cli_stderr_is_terminal(), .shown = -1};
    linn_quantize_settings how = {
        .type = type,
        .pure = s->pure,
        .requantize = s->requantize,
        .user = &p,
        .on_step = on_step,
    };
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    linn_cli_interrupt_watch();
    int rc = linn_quantize_file(engine, in, out, &how, &err);
    linn_engine_free(engine);
    end_progress(&p);
    if (rc == LINN_ECANCELLED)
        return LINN_EXIT_INTERRUPTED;
    if (rc == LINN_EINVAL) /* the other arguments are known to be good */
        return linn_cli_fail(self, "%s (--allow-requantize)", err.message);
    if (rc != LINN_OK)
        return linn_cli_fail(self, "%s", err.message);
    return summarise(self, in, out, seconds_since(start));
}

static bool is_type(const char *word)
{
    const char *name;
    for (size_t i = 0; (name = linn_quantize_type(i)); i++)
        if (strcasecmp(word, name) == 0)
            return true;
    return false;
}

static bool same_file(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static int run(const linn_command *self, int argc, char **argv)
{
    settings s = {0};
    int n;
    char *in;
    int status = linn_cli_parse(self, argc, argv, &s, 3, 3, &n);
    if (status != LINN_PARSED)
        return status;
    if (!is_type(argv[3]))
        return refuse_type(self, argv[3]);
    status = linn_cli_model_path(self, argv[1], &in);
    if (status != LINN_PARSED)
        return status;
    if (same_file(in, argv[2]))
        status = linn_cli_misuse(self, "%s: is the model itself; choose another name", argv[2]);
    else
        status = quantize(self, &s, in, argv[2], argv[3]);
    free(in);
    return status;
}

const linn_command linn_command_quantize = {
    .name = "quantize",
    .usage = "MODEL OUT TYPE [options]",
    .summary = "Write a model in smaller number formats",
    .description =
        "Writes the file OUT: MODEL with its matrices in other number formats, everything else as "
        "it is. MODEL is a GGUF file in F32, F16 or BF16.\n\n"
        "TYPE is a format or a mixture of formats, with about so many bits for each number: "
        "F32 (32), F16, BF16 (16), Q8_0 (8.5), Q6_K (6.6), Q5_K_M (5.7), Q5_K_S (5.5), Q5_1 (6), "
        "Q5_0 (5.5), Q4_K_M (4.8, a good choice for most), Q4_K_S (4.6), Q4_1 (5), Q4_0 (4.6), "
        "IQ4_NL (4.6), IQ4_XS (4.4), Q3_K_L (4.3), Q3_K_M (3.9), Q3_K_S (3.5), Q2_K (3.3), Q2_K_S "
        "(2.9). Q5_K, Q4_K and Q3_K mean the mixtures with an M. Except with --pure, the output "
        "matrix and others that matter most get better formats than the name says. Rows that are "
        "no multiple of a format's blocks get another format; a note says so.",
    .options = options,
    .examples = "  linn quantize model-f16.gguf model.gguf Q4_K_M\n"
                "  linn quantize river river-q4.gguf Q4_0 --allow-requantize\n",
    .run = run,
};
