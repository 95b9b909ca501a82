/* cmd_run.c - linn run: text after a prompt, as it comes. */
#include "cli.h"
#include "color.h"
#include "interrupt.h"
#include "json.h"
#include "model_path.h"
#include "models.h"
#include "options.h"
#include "output.h"
#include "profiles.h"
#include "progress.h"
#include "prompt.h"
#include "report.h"
#include "rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    MAX_ORDER = LINN_MAX_LEVELS,
};

typedef struct settings {
    const char *prompt, *file, *matrix, *ngram;
    linn_texts drafters, stop;
    int64_t n, top_k, seed, threads, ctx, k, block;
    double temperature, top_p, min_p, repeat, presence, frequency, lenience;
    int shape, verify, rule, kv;
    bool no_maxgram, no_profile, chat, color, stats, json, ids;
} settings;

static const char *const shape_names[] = {"auto", "off", "maxgram", "spec", "K", NULL};
static const char *const verify_names[] = {"coupled", "rejection", NULL};
static const char *const rule_names[] = {"score", "paper", NULL};
static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL};

static const linn_option options[] = {
    LINN_GROUP("Text"),
    LINN_TEXT('p', "prompt", "TEXT", settings, prompt, "What the text goes on from",
              .otherwise = "standard input"),
    LINN_TEXT('f', "file", "FILE", settings, file,
              "A file with the prompt, less one newline at its end; -: standard input"),
    LINN_INTEGER('n', "tokens", "N", settings, n, 0, INT32_MAX, "Tokens to write at most",
                 .otherwise = "until the end of the text or of the context"),
    LINN_TEXTS(0, "stop", "TEXT", settings, stop,
               "The text ends before this. May be given several times"),
    LINN_FLAG(0, "chat", settings, chat,
              "The prompt is a message, to be put into the form of the model's chat template"),
    LINN_GROUP("Choice of tokens"),
    LINN_REAL(0, "temp", "T", settings, temperature, 0, 1000,
              "Temperature; 0: always the most likely token"),
    LINN_INTEGER(0, "top-k", "K", settings, top_k, 0, INT32_MAX,
                 "Only the K most likely tokens; 0: all"),
    LINN_REAL(0, "top-p", "P", settings, top_p, 0, 1,
              "Only the most likely tokens that together have probability P; 1: all",
              .above_min = true),
    LINN_REAL(0, "min-p", "P", settings, min_p, 0, 1,
              "Only tokens at least P times as likely as the most likely one; 0: all",
              .below_max = true),
    LINN_REAL(0, "repeat-penalty", "R", settings, repeat, 0, 1000,
              "Divides the logits of tokens seen in prompt or text, if they are above 0; 1: off",
              .above_min = true),
    LINN_REAL(0, "presence-penalty", "P", settings, presence, -1000, 1000,
              "Taken off the logits of tokens seen in the text"),
    LINN_REAL(0, "frequency-penalty", "P", settings, frequency, -1000, 1000,
              "Taken off the logits of tokens for each time they are seen in the text"),
    LINN_INTEGER(0, "seed", "S", settings, seed, 0, INT64_MAX,
                 "Model, prompt, settings and seed determine the text",
                 .otherwise = "a random one, shown by --stats and --json"),
    LINN_GROUP("Cascade: how soon the text arrives, never what it says"),
    LINN_TEXTS('d', "draft", "MODEL", settings, drafters,
               "A smaller model of the same vocabulary that drafts. May be given several times, "
               "the largest first"),
    LINN_CHOICE(0, "cascade", settings, shape, shape_names,
                "auto: decides as it goes who drafts how much, if anybody; off: MODEL alone; "
                "maxgram: drafts from what was said before only; spec: the first drafter only; K: "
                "as the K matrix says"),
    LINN_FLAG(0, "no-profile", settings, no_profile,
              "auto: neither use nor keep what it learns of these models "
              "($XDG_CACHE_HOME/linn)"),
    LINN_INTEGER(0, "k", "N", settings, k, 1, 255,
                 "spec, maxgram: tokens drafted before MODEL reviews them"),
    LINN_TEXT(0, "k-matrix", "ROWS", settings, matrix,
              "K: a row for MODEL and for each drafter but the last (which is Max-Gram), its "
              "entries the tokens that each drafter adds to what the row's level reviews: \"5 14 "
              "10; 0 1 10; 0 0 10\""),
    LINN_INTEGER(0, "block", "N", settings, block, 1, 255,
                 "K: tokens that Max-Gram proposes at once"),
    LINN_TEXT(0, "ngram", "FILE", settings, ngram,
              "A table of n-grams that drafts where Max-Gram has little to go by (linn ngram "
              "build makes one); river: that of the models that linn comes with"),
    LINN_FLAG(0, "no-maxgram", settings, no_maxgram, "No Max-Gram below the smallest drafter"),
    LINN_REAL(0, "lenience", "L", settings, lenience, 1, 1e9,
              "How much worse than its own choice a token may be that a drafter lets pass; 1: "
              "not at all. MODEL itself is always strict"),
    LINN_CHOICE(0, "lenience-rule", settings, rule, rule_names,
                "What is compared: scores, or probabilities as the paper's authors do"),
    LINN_CHOICE(0, "verify", settings, verify, verify_names,
                "coupled: the very text of MODEL alone; rejection: only its distribution"),
    LINN_GROUP("Running"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads",
                 .otherwise = "as many as processors"),
    LINN_INTEGER(0, "ctx", "N", settings, ctx, 1, INT32_MAX,
                 "Tokens of prompt and text together, at most", .otherwise = "the model's"),
    LINN_CHOICE(0, "kv", settings, kv, kv_names, "Numbers in the KV cache"),
    LINN_GROUP("Output"),
    LINN_FLAG(0, "color", settings, color,
              "Colour each token by who proposed it first, and say at the end who is who"),
    LINN_FLAG(0, "stats", settings, stats, "A table of what each level did, on stderr"),
    LINN_FLAG(0, "json", settings, json,
              "One JSON object at the end: text, ids, finish, seed and stats"),
    LINN_FLAG(0, "ids", settings, ids, "Token ids with commas between, in place of the text"),
    LINN_OPTIONS_END,
};

/* ---- reading the options --------------------------------------------------------------------- */

static int check_options(const linn_command *self, settings *s)
{
    if (s->prompt && s->file)
        return linn_cli_misuse(self, "-p and -f: the prompt can only be one of them");
    if (s->json && (s->color || s->ids))
        return linn_cli_misuse(self, "--json and %s: the output can only be one of them",
                               s->color ? "--color" : "--ids");
    if (s->color && s->ids)
        return linn_cli_misuse(self, "--color and --ids: the output can only be one of them");
    if (s->shape == LINN_CASCADE_SPEC && s->drafters.n == 0)
        return linn_cli_misuse(self, "--cascade spec: needs a drafter (-d)");
    if (s->matrix && s->shape == LINN_CASCADE_AUTO)
        s->shape = LINN_CASCADE_K;
    if (s->matrix && s->shape != LINN_CASCADE_K)
        return linn_cli_misuse(self, "--k-matrix: only with --cascade K");
    return LINN_PARSED;
}

/* 53 bits, so that every reader of JSON keeps all of them. */
static int choose_seed(const linn_command *self, settings *s)
{
    uint64_t seed;
    if (s->seed >= 0)
        return LINN_PARSED;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return linn_cli_fail(self, "no random numbers for a seed: give one with --seed");
    s->seed = (int64_t)(seed >> 11);
    return LINN_PARSED;
}

/* ---- a run -------------------------------------------------------------------------------------
 */

typedef struct run {
    const linn_command *self;
    const settings *s;
    linn_cli_output out;
    linn_models models;
    linn_cascade *cascade;
    linn_token *prompt;
    size_t n_prompt;
    linn_progress progress;
    bool terminal; /* stdout is one: control bytes must not reach it */
    int shown;     /* level whose colour is on */
    char last;     /* byte written last */
    /* --json: all of it until the end */
    char *text;
    size_t n_text, text_room;
    linn_token *ids;
    size_t n_ids, ids_room;
    bool no_memory;
} run;

static void free_run(run *r)
{
    linn_cascade_free(r->cascade);
    linn_cli_close_models(&r->models);
    free(r->prompt);
    free(r->text);
    free(r->ids);
}

static int open_cascade(run *r)
{
    const settings *s = r->s;
    linn_cascade_settings c = linn_cascade_settings_default();
    int32_t matrix[MAX_ORDER * MAX_ORDER];
    char folder[PATH_MAX];
    linn_error err;
    c.shape = (linn_shape)s->shape;
    if (s->shape == LINN_CASCADE_AUTO && !s->no_profile)
        c.profiles = linn_cli_profiles(folder);
    c.k = (int32_t)s->k;
    c.block = (int32_t)s->block;
    c.maxgram = !s->no_maxgram;
    c.lenience = (float)s->lenience;
    c.lenience_rule = (linn_lenience_rule)s->rule;
    c.verify = (linn_verify)s->verify;
    c.session = (linn_session_settings){(int32_t)s->ctx, (linn_kv_type)s->kv};
    int status = linn_cli_open_table(r->self, s->ngram, &r->models);
    if (status != LINN_PARSED)
        return status;
    c.ngram = r->models.ngram;
    if (s->matrix) {
        status = linn_cli_read_matrix(r->self, "--k-matrix", s->matrix, matrix, &c.k_order);
        if (status != LINN_PARSED)
            return status;
        c.k_matrix = matrix;
    }
    int rc = linn_cascade_create(&r->cascade, r->models.items[0],
                                 (const linn_model *const *)(r->models.items + 1), r->models.n - 1,
                                 &c, &err);
    if (rc == LINN_EINVAL)
        return linn_cli_misuse(r->self, "%s", err.message);
    if (!rc)
        linn_cli_profile_found(r->self, r->cascade);
    return rc ? linn_cli_fail(r->self, "%s", err.message) : LINN_PARSED;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Room for `more` items after n; false: no memory. */
static bool make_room(void **items, size_t *room, size_t n, size_t more, size_t size)
{
    if (n + more <= *room)
        return true;
    size_t larger = 2 * *room + more + 256;
    void *p = realloc(*items, larger * size);
    if (!p)
        return false;
    *items = p;
    *room = larger;
    return true;
}

static bool keep(run *r, const linn_piece *piece)
{
    if (!make_room((void **)&r->text, &r->text_room, r->n_text, piece->length, 1) ||
        !make_room((void **)&r->ids, &r->ids_room, r->n_ids, 1, sizeof *r->ids)) {
        r->no_memory = true;
        return false;
    }
    if (piece->length > 0)
        memcpy(r->text + r->n_text, piece->text, piece->length);
    r->n_text += piece->length;
    if (piece->token >= 0)
        r->ids[r->n_ids++] = piece->token;
    return true;
}

/* On a terminal, control bytes become '?': a model must not drive it. */
static void write_text(run *r, const char *text, size_t length)
{
    if (length > 0)
        r->last = text[length - 1];
    if (!r->terminal) {
        linn_cli_write(&r->out, text, length);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        linn_cli_write(&r->out, control ? "?" : &text[i], 1);
    }
}

static bool on_piece(void *user, const linn_piece *piece)
{
    run *r = user;
    linn_cli_progress_end(&r->progress);
    if (r->s->json)
        return keep(r, piece) && !linn_cli_interrupted();
    if (r->s->ids) {
        if (piece->token >= 0)
            linn_cli_print(&r->out, r->n_ids++ ? ",%d" : "%d", piece->token);
    } else {
        if (r->s->color && piece->token >= 0 && piece->level != r->shown) {
            linn_cli_print(&r->out, "%s", linn_cli_level_color(piece->level));
            r->shown = piece->level;
        }
        write_text(r, piece->text, piece->length);
    }
    return linn_cli_flush(&r->out) && !linn_cli_interrupted();
}

static bool on_prompt(void *user, size_t done, size_t total)
{
    linn_cli_progress(&((run *)user)->progress, done, total);
    return !linn_cli_interrupted();
}

static bool go_on(void *user)
{
    (void)user;
    return !linn_cli_interrupted();
}

static void print_json(run *r, const linn_report *report)
{
    linn_cli_print(&r->out, "{\"text\": ");
    linn_cli_json_string(&r->out, r->text ? r->text : "", r->n_text);
    linn_cli_print(&r->out, ", \"ids\": [");
    for (size_t i = 0; i < r->n_ids; i++)
        linn_cli_print(&r->out, "%s%d", i ? ", " : "", r->ids[i]);
    linn_cli_print(&r->out, "], \"finish\": \"%s\", \"seed\": %" PRIu64 ", \"stats\": ",
                   linn_cli_finish_name(report->finish), report->seed);
    linn_cli_report_json(&r->out, report);
    linn_cli_print(&r->out, "}\n");
}

static void print_end(run *r, const linn_report *report)
{
    if (r->s->json)
        print_json(r, report);
    if (r->s->color && r->shown != 0)
        linn_cli_print(&r->out, "%s", linn_cli_level_color(0));
    if (r->s->ids || (r->terminal && !r->s->json && r->last != '\n'))
        linn_cli_print(&r->out, "\n");
    linn_cli_flush(&r->out);
    if (r->out.error)
        return;
    if (r->s->color)
        linn_cli_report_legend(report->stats);
    if (r->s->stats)
        linn_cli_report_table(report);
}

static int generate(run *r)
{
    const settings *s = r->s;
    linn_stats stats;
    linn_error err;
    linn_report report = {.stats = &stats,
                          .seed = (uint64_t)s->seed,
                          .engine = r->models.engine,
                          .cascade = r->cascade};
    linn_request request = {
        .prompt = r->prompt,
        .n_prompt = r->n_prompt,
        .max_tokens = (int32_t)s->n,
        .sampling =
            {
                .repeat_penalty = (float)s->repeat,
                .presence_penalty = (float)s->presence,
                .frequency_penalty = (float)s->frequency,
                .temperature = (float)s->temperature,
                .top_k = (int32_t)s->top_k,
                .top_p = (float)s->top_p,
                .min_p = (float)s->min_p,
                .seed = report.seed,
            },
        .stop = s->stop.items,
        .n_stop = s->stop.n,
        .user = r,
        .on_piece = on_piece,
        .on_prompt = on_prompt,
        .go_on = go_on,
    };
    linn_cli_progress_begin(&r->progress, "reading the prompt");
    int rc = linn_generate(r->cascade, &request, &report.finish, &stats, &err);
    linn_cli_progress_end(&r->progress);
    if (rc) {
        linn_cli_flush(&r->out);
        return linn_cli_fail(r->self, "%s", err.message);
    }
    if (r->no_memory)
        return linn_cli_fail(r->self, "no memory for the text");
    print_end(r, &report);
    return report.finish == LINN_FINISH_CANCELLED && linn_cli_interrupted() ? LINN_EXIT_INTERRUPTED
                                                                            : LINN_EXIT_DONE;
}

static int run_command(const linn_command *self, int argc, char **argv)
{
    linn_sampling standard = linn_sampling_default();
    linn_cascade_settings cascade = linn_cascade_settings_default();
    settings s = {
        .n = -1,
        .temperature = 0.8,
        .top_k = standard.top_k,
        .top_p = 0.95,
        .min_p = 0.05,
        .repeat = 1,
        .seed = -1,
        .lenience = 1,
        .k = cascade.k,
        .block = cascade.block,
    };
    run r = {.self = self, .s = &s, .terminal = linn_cli_stdout_is_terminal()};
    char *text = NULL;
    size_t length = 0;
    int n, status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n);
    if (status == LINN_PARSED)
        status = check_options(self, &s);
    if (status == LINN_PARSED)
        status = choose_seed(self, &s);
    if (status == LINN_PARSED)
        status = linn_cli_open_models(self, argv[1], s.drafters, s.threads, &r.models);
    if (status == LINN_PARSED)
        status = open_cascade(&r);
    if (status == LINN_PARSED)
        status = linn_cli_read_prompt(self, s.prompt, s.file, &text, &length);
    if (status == LINN_PARSED)
        status = linn_cli_prompt_tokens(self, linn_model_tokenizer(r.models.items[0]), text, length,
                                        s.chat, &r.prompt, &r.n_prompt);
    if (status == LINN_PARSED) {
        linn_cli_interrupt_watch();
        status = generate(&r);
        linn_cli_profile_keep(self, r.cascade);
        status = linn_cli_output_finish(&r.out, self, status);
    }
    free_run(&r);
    free(text);
    free(s.drafters.items);
    free(s.stop.items);
    return status;
}

const linn_command linn_command_run = {
    .name = "run",
    .usage = "MODEL [options]",
    .summary = "Write text after a prompt",
    .description =
        "Writes text after a prompt to standard output, as it comes. MODEL is a GGUF file, or "
        "river, brook or rill, the models that linn comes with.\n\n"
        "Drafters make the text arrive sooner and never change it: they guess the next tokens, "
        "MODEL checks many guesses in one pass, and only its own choices stand. A cascade of "
        "several drafters checks guesses with guesses. Ctrl-C ends the text where it is, with exit "
        "status 130; a second one ends linn at once.",
    .options = options,
    .examples = "  linn run river -p \"Once upon a time\"\n"
                "  linn run river -d brook -d rill -p \"Once upon a time\" --color --stats\n"
                "  linn run MODEL.gguf -d DRAFT.gguf -f prompt.txt -n 200 --temp 0\n"
                "  linn run MODEL.gguf -d DRAFT.gguf --k-matrix \"13 10; 0 10\" --json < prompt\n",
    .run = run_command,
};
