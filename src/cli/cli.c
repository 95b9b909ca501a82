/* cli.c - lines on stderr, and guesses at what a mistyped word meant. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One write of one line, whatever the arguments hold. */
static void print_line(const linn_command *self, const char *format, va_list args, const char *tail)
{
    char line[2048];
    int n = snprintf(line, sizeof line, "linn%s%s: ", self ? " " : "", self ? self->name : "");
    size_t used = n > 0 ? (size_t)n : 0;
    n = vsnprintf(line + used, sizeof line - used, format, args);
    used += n > 0 ? (size_t)n : 0;
    if (used > sizeof line - 1)
        used = sizeof line - 1;
    snprintf(line + used, sizeof line - used, "%s", tail);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    fprintf(stderr, "%s\n", line);
}

int linn_cli_fail(const linn_command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(self, format, args, "");
    va_end(args);
    return LINN_EXIT_FAILED;
}

int linn_cli_misuse(const linn_command *self, const char *format, ...)
{
    char tail[128];
    snprintf(tail, sizeof tail, " (see linn%s%s --help)", self ? " " : "", self ? self->name : "");
    va_list args;
    va_start(args, format);
    print_line(self, format, args, tail);
    va_end(args);
    return LINN_EXIT_USAGE;
}

void linn_cli_note(const linn_command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(self, format, args, "");
    va_end(args);
}

/* Edit distance (Levenshtein) of words shorter than 32 bytes; longer ones are far from all. */
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    size_t n = strlen(a), m = strlen(b), row[MAX + 1];
    if (n >= MAX || m >= MAX)
        return MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < gap ? change : gap;
        }
    }
    return row[m];
}

const char *linn_cli_nearest(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t least = 3; /* two slips are still a slip */
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);
        if (d < least && d < strlen(word)) {
            least = d;
            best = words[i];
        }
    }
    return best;
}
