/* model_path.c - finds the models of the default family; see model_path.h.
 *
 * LINN_SOURCE_MODELS and LINN_INSTALLED_MODELS are folders that the build knows: that of the
 * sources, for a program that was not installed, and that of `meson install`. A program that was
 * moved with its prefix (or unpacked somewhere) looks beside itself before either.
 */
#include "model_path.h"
#include "options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_PLACES = 3, MAX_NAMES = 3 };

/* Files of the family that are called by name. */
typedef struct kind {
    const char *names[MAX_NAMES + 1]; /* ends with NULL */
    const char *suffix;
    const char *is;      /* "a model of the default family" */
    const char *instead; /* "the path of a GGUF file" */
} kind;

static const kind models = {
    {"river", "brook", "rill"}, "gguf", "a model of the default family", "the path of a GGUF file"};
static const kind tables = {{"river"},
                            "ngram",
                            "the n-gram table of the default family",
                            "the path of a table that linn ngram build made"};

/* Something is there that is no folder; opening it will tell whether it is any good. */
static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static bool in_family(const kind *k, const char *name)
{
    for (size_t i = 0; k->names[i]; i++)
        if (strcmp(k->names[i], name) == 0)
            return true;
    return false;
}

/* Folder of the running program, or "" if that cannot be known. */
static void program_folder(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    *(slash ? slash : out) = '\0';
}

/* A missing file whose name is nearly one of the family gets a hint; others are left alone. */
static int check_slip(const linn_command *self, const kind *k, const char *name)
{
    size_t n = 0;
    while (k->names[n])
        n++;
    if (strchr(name, '/') || is_file(name))
        return LINN_PARSED;
    const char *near = linn_cli_nearest(name, k->names, n);
    if (!near)
        return LINN_PARSED;
    return linn_cli_fail(self, "%s: no such file; is it '%s', of the default family?", name, near);
}

static int keep(const linn_command *self, const char *found, char **path)
{
    *path = strdup(found);
    return *path ? LINN_PARSED : linn_cli_fail(self, "%s: out of memory", found);
}

static int find(const linn_command *self, const kind *k, const char *name, char **path)
{
    *path = NULL;
    if (!in_family(k, name)) {
        int status = check_slip(self, k, name);
        return status == LINN_PARSED ? keep(self, name, path) : status;
    }
    if (is_file(name))
        return keep(self, name, path);
    char folder[PATH_MAX], beside[PATH_MAX + 32], places[N_PLACES][PATH_MAX + 64];
    program_folder(folder);
    snprintf(beside, sizeof beside, "%s/../share/linn/models", folder);
    const char *const folders[N_PLACES] = {beside, LINN_SOURCE_MODELS, LINN_INSTALLED_MODELS};
    for (size_t i = 0; i < N_PLACES; i++) {
        snprintf(places[i], sizeof places[i], "%s/%s.%s", folders[i], name, k->suffix);
        if (is_file(places[i]))
            return keep(self, places[i], path);
    }
    return linn_cli_fail(self, "%s: %s, but not found: tried ./%s, %s, %s and %s; give %s", name,
                         k->is, name, places[0], places[1], places[2], k->instead);
}

int linn_cli_model_path(const linn_command *self, const char *model, char **path)
{
    return find(self, &models, model, path);
}

int linn_cli_table_path(const linn_command *self, const char *table, char **path)
{
    return find(self, &tables, table, path);
}
