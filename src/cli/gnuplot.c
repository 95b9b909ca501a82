/* gnuplot.c - see gnuplot.h. The script goes to gnuplot through an unnamed file, and the picture
 * comes back through another, so no pipe can fill up and stop both sides.
 */
#include "gnuplot.h"

#include "options.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- strings that grow --------------------------------------------------------------------- */

static bool make_room(linn_buffer *b, size_t more)
{
    if (b->no_memory || more < b->capacity - b->n)
        return !b->no_memory;
    size_t capacity = 2 * b->capacity + more + 256;
    char *text = realloc(b->text, capacity);
    b->no_memory = !text;
    if (text) {
        b->text = text;
        b->capacity = capacity;
    }
    return text != NULL;
}

void linn_cli_add_bytes(linn_buffer *b, const char *bytes, size_t n)
{
    if (n == 0 || !make_room(b, n))
        return;
    memcpy(b->text + b->n, bytes, n);
    b->n += n;
    b->text[b->n] = '\0';
}

void linn_cli_add(linn_buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0 && make_room(b, (size_t)n)) {
        vsnprintf(b->text + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

/* ---- gnuplot ------------------------------------------------------------------------------- */

/* Runs gnuplot with the files as its standard input and output. errno of what went wrong, or 0. */
static int run(FILE *in, FILE *out, FILE *said, int *status)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    char name[] = "gnuplot", *argv[] = {name, NULL};
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, fileno(in), STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, fileno(said), STDERR_FILENO);
    if (!error)
        error = posix_spawnp(&child, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    while (!error && waitpid(child, status, 0) < 0)
        if (errno != EINTR)
            error = errno;
    return error;
}

static void read_all(FILE *f, linn_buffer *out)
{
    char piece[4096];
    size_t n;
    rewind(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        linn_cli_add_bytes(out, piece, n);
}

static int draw(const linn_command *self, const char *option, FILE *files[3], linn_buffer *svg)
{
    linn_buffer said = {0};
    int status = 0, error = run(files[0], files[1], files[2], &status);
    if (error == ENOENT)
        return linn_cli_fail(self,
                             "%s: gnuplot draws the pictures and is not installed (Debian and "
                             "Ubuntu: apt-get install gnuplot-nox)",
                             option);
    if (error)
        return linn_cli_fail(self, "%s: cannot run gnuplot: %s", option, strerror(error));
    size_t before = svg->n;
    read_all(files[1], svg);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && svg->n > before)
        return svg->no_memory ? linn_cli_fail(self, "%s: out of memory", option) : LINN_PARSED;
    read_all(files[2], &said);
    linn_cli_fail(self, "%s: gnuplot failed: %s", option, said.text ? said.text : "no picture");
    free(said.text);
    return LINN_EXIT_FAILED;
}

int linn_cli_gnuplot(const linn_command *self, const char *option, const linn_buffer *script,
                     int width, int height, linn_buffer *svg)
{
    FILE *files[3] = {tmpfile(), tmpfile(), tmpfile()}; /* standard input, output, error */
    bool good = files[0] && files[1] && files[2] && !script->no_memory;
    if (good) {
        fprintf(files[0],
                "set encoding utf8\n"
                "set terminal svg size %d,%d dynamic font 'sans-serif,13' background '#ffffff'\n",
                width, height);
        good = fwrite(script->text, 1, script->n, files[0]) == script->n && !fflush(files[0]);
        rewind(files[0]);
    }
    int status = good ? draw(self, option, files, svg)
                      : linn_cli_fail(self, "%s: no room for a temporary file", option);
    for (int i = 0; i < 3; i++)
        if (files[i])
            fclose(files[i]);
    return status;
}

int linn_cli_save(const linn_command *self, const char *path, const linn_buffer *b)
{
    linn_buffer name = {0};
    linn_cli_add(&name, "%s.tmp-%d", path, (int)getpid());
    if (name.no_memory || b->no_memory) {
        free(name.text);
        return linn_cli_fail(self, "%s: out of memory", path);
    }
    errno = 0;
    FILE *f = fopen(name.text, "wb");
    bool good = f && fwrite(b->text, 1, b->n, f) == b->n && fflush(f) == 0;
    int error = errno;
    if (f && fclose(f) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && rename(name.text, path) != 0) {
        good = false;
        error = errno;
    }
    if (!good && f)
        remove(name.text);
    free(name.text);
    return good ? LINN_PARSED
                : linn_cli_fail(self, "cannot write %s: %s", path, strerror(error ? error : EIO));
}
