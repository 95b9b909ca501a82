/* cmd_ngram.c - linn ngram build: a table of n-grams from text, for drafting.
 *
 * Text is read and turned into tokens in pieces of about a megabyte, cut where a line
 * ends and the next one begins with a word, so that hardly a token comes out otherwise
 * than in one go. Its tokens are kept in memory.
 */
#include "cli.h"
#include "interrupt.h"
#include "linn_tools.h"
#include "model_path.h"
#include "numbers.h"
#include "options.h"
#include "output.h"
#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE = 1 << 20 }; /* bytes of text at once */

typedef struct settings {
    const char *model, *output;
    int64_t order, min_count, max_size;
} settings;

static const linn_option options[] = {
    LINN_TEXT('o', "output", "FILE", settings, output, "Where the table goes (required)"),
    LINN_TEXT('m', "model", "MODEL", settings, model,
              "Whose tokens the table is of: a GGUF file, or river, brook or rill. It fits all "
              "models with the same tokenizer",
              .otherwise = "river"),
    LINN_INTEGER(0, "order", "N", settings, order, 2, 5,
                 "Tokens of the longest n-grams: what follows one to N - 1 tokens is counted"),
    LINN_INTEGER(0, "min-count", "N", settings, min_count, 1, INT32_MAX,
                 "Leaves out what was seen less often"),
    LINN_INTEGER(0, "max-size", "BYTES", settings, max_size, 4096, INT64_MAX,
                 "Size of the table at most: what helps least for its size is left out"),
    LINN_OPTIONS_END,
};

typedef struct job {
    const linn_command *self;
    settings s;
    linn_tokenizer *tokenizer;
    char **files; /* [n_files] */
    int n_files;
    uint64_t done, total; /* bytes of text */
    linn_progress progress;
    char *piece; /* [piece_room] */
    size_t n_piece, piece_room;
    linn_token *tokens; /* [room]: the whole text, -1 between files */
    size_t n_tokens, room;
} job;

/* ---- reading ----------------------------------------------------------------------------------
 */

static int reserve(job *j, size_t more)
{
    if (more <= j->room - j->n_tokens)
        return LINN_PARSED;
    size_t room = j->n_tokens + more + j->room / 2;
    linn_token *larger = realloc(j->tokens, room * sizeof *larger);
    if (!larger)
        return linn_cli_fail(j->self, "out of memory for %zu tokens", room);
    j->tokens = larger;
    j->room = room;
    return LINN_PARSED;
}

/* Turns the first `length` bytes of the piece, which begin at `offset` of the file, into tokens. */
static int take(job *j, const char *file, size_t length, uint64_t offset)
{
    linn_error err;
    for (size_t n = length / 3 + 16, room;; n = room) {
        int status = reserve(j, n);
        if (status != LINN_PARSED)
            return status;
        room = j->room - j->n_tokens;
        if (linn_tokenize(j->tokenizer, j->piece, length, LINN_TOKENIZE_SPECIAL,
                          j->tokens + j->n_tokens, room, &n, &err) != LINN_OK)
            return linn_cli_fail(j->self, "%s: in the text from byte %" PRIu64 " on: %s", file,
                                 offset, err.message);
        if (n <= room) {
            j->n_tokens += n;
            break;
        }
        room = n;
    }
    j->done += length;
    linn_cli_progress(&j->progress, (size_t)j->done, (size_t)j->total);
    return linn_cli_interrupted() ? LINN_EXIT_INTERRUPTED : LINN_PARSED;
}

/* Where the piece can be cut: after the last line that one without indentation follows; 0: nowhere
 * yet. */
static size_t cut(const job *j)
{
    for (size_t i = j->n_piece; i-- > 1;)
        if (j->piece[i - 1] == '\n' && !strchr(" \t\r\n", j->piece[i]))
            return i;
    return 0;
}

static int read_stream(job *j, FILE *f, const char *file)
{
    uint64_t offset = 0;
    j->n_piece = 0;
    for (;;) {
        if (j->n_piece == j->piece_room) {
            size_t room = j->piece_room ? 2 * j->piece_room : PIECE;
            char *larger = realloc(j->piece, room);
            if (!larger)
                return linn_cli_fail(j->self, "%s: out of memory", file);
            j->piece = larger;
            j->piece_room = room;
        }
        errno = 0;
        size_t got = fread(j->piece + j->n_piece, 1, j->piece_room - j->n_piece, f);
        if (got == 0 && ferror(f))
            return linn_cli_fail(j->self, "%s: %s", file, strerror(errno ? errno : EIO));
        j->n_piece += got;
        size_t length = got == 0 ? j->n_piece : j->n_piece < PIECE ? 0 : cut(j);
        int status = length > 0 ? take(j, file, length, offset) : LINN_PARSED;
        if (status != LINN_PARSED || got == 0)
            return status;
        j->n_piece -= length;
        memmove(j->piece, j->piece + length, j->n_piece);
        offset += length;
    }
}

static int read_file(job *j, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return linn_cli_fail(j->self, "cannot open %s: %s", path, strerror(errno));
    int status = read_stream(j, f, path);
    fclose(f);
    if (status == LINN_PARSED)
        status = reserve(j, 1);
    if (status == LINN_PARSED)
        j->tokens[j->n_tokens++] = -1;
    return status;
}

static int read_all(job *j)
{
    int status = LINN_PARSED;
    for (int i = 0; i < j->n_files; i++) {
        struct stat st;
        if (stat(j->files[i], &st) == 0 && S_ISREG(st.st_mode))
            j->total += (uint64_t)st.st_size;
    }
    linn_cli_progress_begin(&j->progress, "reading the text");
    for (int i = 0; i < j->n_files && status == LINN_PARSED; i++)
        status = read_file(j, j->files[i]);
    linn_cli_progress_end(&j->progress);
    return status;
}

/* ---- building -----------------------------------------------------------------------------------
 */

static bool on_progress(void *user, double share)
{
    job *j = user;
    linn_cli_progress(&j->progress, (size_t)(share * 1000), 1000);
    return !linn_cli_interrupted();
}

static int build(job *j)
{
    linn_ngram_settings how = {
        .order = (int32_t)j->s.order,
        .min_count = (int32_t)j->s.min_count,
        .max_bytes = (uint64_t)j->s.max_size,
        .user = j,
        .on_progress = on_progress,
    };
    linn_error err;
    linn_cli_progress_begin(&j->progress, "counting");
    int rc = linn_ngram_build(j->s.output, j->tokenizer, j->tokens, j->n_tokens, &how, &err);
    linn_cli_progress_end(&j->progress);
    if (rc == LINN_ECANCELLED)
        return LINN_EXIT_INTERRUPTED;
    return rc == LINN_OK ? LINN_PARSED : linn_cli_fail(j->self, "%s", err.message);
}

static int summarise(const job *j)
{
    struct stat st;
    char size[32], tokens[32];
    uint64_t bytes = stat(j->s.output, &st) == 0 ? (uint64_t)st.st_size : 0;
    linn_cli_output out = {0};
    linn_cli_print(&out, "%s: %s from %s tokens\n", j->s.output, linn_cli_rounded(bytes, "B", size),
                   linn_cli_rounded(j->n_tokens - (size_t)j->n_files, "", tokens));
    return linn_cli_output_finish(&out, j->self, LINN_EXIT_DONE);
}

static int build_command(const linn_command *self, int argc, char **argv)
{
    linn_ngram_settings standard = linn_ngram_settings_default();
    job j = {.self = self,
             .s = {.model = "river",
                   .order = standard.order,
                   .min_count = standard.min_count,
                   .max_size = (int64_t)standard.max_bytes}};
    char *model = NULL;
    linn_error err;
    int status = linn_cli_parse(self, argc, argv, &j.s, 1, INT_MAX, &j.n_files);
    if (status != LINN_PARSED)
        return status;
    if (!j.s.output)
        return linn_cli_misuse(self, "missing -o FILE: where the table goes");
    j.files = argv + 1;
    status = linn_cli_model_path(self, j.s.model, &model);
    if (status == LINN_PARSED && linn_tokenizer_open(&j.tokenizer, model, &err) != LINN_OK)
        status = linn_cli_fail(self, "%s", err.message);
    linn_cli_interrupt_watch();
    if (status == LINN_PARSED)
        status = read_all(&j);
    if (status == LINN_PARSED)
        status = build(&j);
    if (status == LINN_PARSED)
        status = summarise(&j);
    linn_tokenizer_free(j.tokenizer);
    free(model);
    free(j.piece);
    free(j.tokens);
    return status;
}

static const linn_command build_table = {
    .name = "ngram build",
    .usage = "TEXT... -o FILE [options]",
    .summary = "Make a table from text",
    .description =
        "Counts which tokens follow which in files of text (UTF-8; special tokens written out, "
        "such as <|endoftext|>, are taken for such), and writes a table that fits into the size "
        "given. Takes about 12 bytes of memory for each token of the text, and 30 for each n-gram "
        "that occurs --min-count times. Progress goes to standard error.",
    .options = options,
    .examples = "  linn ngram build books/*.txt -o books.ngram\n"
                "  linn ngram build code.txt -m MODEL.gguf --max-size 50000000 -o code.ngram\n"
                "  linn run MODEL.gguf --ngram code.ngram < prompt\n",
    .run = build_command,
};

static const linn_command *const subcommands[] = {&build_table, NULL};

const linn_command linn_command_ngram = {
    .name = "ngram",
    .usage = "COMMAND [options]",
    .summary = "Tables of n-grams, to draft from",
    .description = "A table of n-grams knows what tends to follow the last few tokens. It drafts "
                   "for a model where Max-Gram has nothing to go by (linn run --ngram).",
    .subcommands = subcommands,
};
