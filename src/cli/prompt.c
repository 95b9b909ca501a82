/* prompt.c - the prompt: where it comes from, and its tokens (prompt.h). */
#include "prompt.h"

#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_stream(const linn_command *self, FILE *f, const char *name, char **out,
                       size_t *length)
{
    size_t capacity = 0, n = 0;
    char *text = NULL;
    for (;;) {
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 4096;
            char *larger = realloc(text, capacity);
            if (!larger) {
                free(text);
                return linn_cli_fail(self, "%s: no memory for the prompt", name);
            }
            text = larger;
        }
        errno = 0;
        size_t got = fread(text + n, 1, capacity - n, f);
        n += got;
        if (got == 0)
            break;
    }
    if (ferror(f)) {
        free(text);
        return linn_cli_fail(self, "%s: %s", name, strerror(errno ? errno : EIO));
    }
    *out = text;
    *length = n > 0 && text[n - 1] == '\n' ? n - 1 : n;
    return LINN_PARSED;
}

int linn_cli_read_prompt(const linn_command *self, const char *given, const char *path, char **out,
                         size_t *length)
{
    *out = NULL;
    if (given) {
        *length = strlen(given);
        *out = strdup(given);
        return *out ? LINN_PARSED : linn_cli_fail(self, "no memory for the prompt");
    }
    if (!path || strcmp(path, "-") == 0) {
        if (isatty(STDIN_FILENO) == 1)
            linn_cli_note(self, "type the prompt, then Ctrl-D");
        return read_stream(self, stdin, "standard input", out, length);
    }
    FILE *f = fopen(path, "rb");
    if (!f)
        return linn_cli_fail(self, "cannot open %s: %s", path, strerror(errno));
    int status = read_stream(self, f, path, out, length);
    fclose(f);
    return status;
}

/* Written as the model's chat template has it; *out is for free(). */
static int as_chat(const linn_command *self, const linn_tokenizer *t, const char *text, char **out,
                   size_t *length)
{
    linn_chat_message message = {"user", text};
    linn_error err;
    int rc = linn_chat_format(t, &message, 1, NULL, 0, length, &err);
    if (rc)
        return linn_cli_fail(self, "--chat: %s", err.message);
    size_t capacity = *length + 1;
    *out = malloc(capacity);
    if (!*out)
        return linn_cli_fail(self, "no memory for the prompt");
    rc = linn_chat_format(t, &message, 1, *out, capacity, length, &err);
    return rc ? linn_cli_fail(self, "--chat: %s", err.message) : LINN_PARSED;
}

int linn_cli_prompt_tokens(const linn_command *self, const linn_tokenizer *t, const char *text,
                           size_t length, bool chat, linn_token **out, size_t *n)
{
    *out = NULL;
    char *formatted = NULL, *plain = NULL;
    unsigned flags = LINN_TOKENIZE_BOS;
    int status = LINN_PARSED;
    if (chat) {
        plain = strndup(text, length);
        if (!plain)
            return linn_cli_fail(self, "no memory for the prompt");
        if (strlen(plain) < length)
            status = linn_cli_fail(self, "prompt: with --chat it must not hold zero bytes");
        else
            status = as_chat(self, t, plain, &formatted, &length);
        text = formatted;
        flags |= LINN_TOKENIZE_SPECIAL;
    }
    /* No token is shorter than a byte, but begin and end tokens have none. */
    size_t capacity = length + 8;
    linn_error err;
    if (status == LINN_PARSED) {
        *out = malloc(capacity * sizeof **out);
        if (!*out)
            status = linn_cli_fail(self, "no memory for the prompt");
        else if (linn_tokenize(t, text, length, flags, *out, capacity, n, &err))
            status = linn_cli_fail(self, "prompt: %s", err.message);
        else if (*n > capacity)
            status = linn_cli_fail(self, "prompt: %zu tokens for %zu bytes", *n, length);
    }
    free(plain);
    free(formatted);
    return status;
}
