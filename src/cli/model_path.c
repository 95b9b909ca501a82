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

static const char *const family[] = {"river", "brook", "rill"};
enum { N_FAMILY = sizeof family / sizeof *family, N_PLACES = 3 };

/* Something is there that is no folder; opening it will tell whether it is any good. */
static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static bool in_family(const char *model)
{
    for (size_t i = 0; i < N_FAMILY; i++)
        if (strcmp(family[i], model) == 0)
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
static int check_slip(const linn_command *self, const char *model)
{
    if (strchr(model, '/') || is_file(model))
        return LINN_PARSED;
    const char *near = linn_cli_nearest(model, family, N_FAMILY);
    if (!near)
        return LINN_PARSED;
    return linn_cli_fail(self, "%s: no such file; is it '%s', of the default family?", model, near);
}

static int keep(const linn_command *self, const char *found, char **path)
{
    *path = strdup(found);
    return *path ? LINN_PARSED : linn_cli_fail(self, "%s: out of memory", found);
}

int linn_cli_model_path(const linn_command *self, const char *model, char **path)
{
    *path = NULL;
    if (!in_family(model)) {
        int status = check_slip(self, model);
        return status == LINN_PARSED ? keep(self, model, path) : status;
    }
    if (is_file(model))
        return keep(self, model, path);
    char folder[PATH_MAX], beside[PATH_MAX + 32], places[N_PLACES][PATH_MAX + 64];
    program_folder(folder);
    snprintf(beside, sizeof beside, "%s/../share/linn/models", folder);
    const char *const folders[N_PLACES] = {beside, LINN_SOURCE_MODELS, LINN_INSTALLED_MODELS};
    for (size_t i = 0; i < N_PLACES; i++) {
        snprintf(places[i], sizeof places[i], "%s/%s.gguf", folders[i], model);
        if (is_file(places[i]))
            return keep(self, places[i], path);
    }
    return linn_cli_fail(self,
                         "%s: a model of the default family, but not found: tried ./%s, %s, %s and "
                         "%s; give the path of a GGUF file",
                         model, model, places[0], places[1], places[2]);
}
