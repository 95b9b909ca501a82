/* profiles.c - see profiles.h. */
#include "profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The XDG base directory specification has relative paths ignored. */
static const char *absolute(const char *variable)
{
    const char *path = getenv(variable);
    return path && path[0] == '/' ? path : NULL;
}

const char *linn_cli_profiles(char out[PATH_MAX])
{
    char cache[PATH_MAX];
    const char *given = absolute("XDG_CACHE_HOME"), *home = absolute("HOME");
    if (!given && !home)
        return NULL;
    int n = given ? snprintf(cache, sizeof cache, "%s", given)
                  : snprintf(cache, sizeof cache, "%s/.cache", home);
    int m = snprintf(out, PATH_MAX, "%s/linn", cache);
    if (n < 0 || n >= PATH_MAX || m < 0 || m >= PATH_MAX)
        return NULL;
    /* What cannot be made shows when a profile is written. */
    mkdir(cache, 0700);
    mkdir(out, 0700);
    return out;
}

void linn_cli_profile_found(const linn_command *self, const linn_cascade *c)
{
    const char *note = linn_cascade_profile_note(c);
    if (note)
        linn_cli_note(self, "%s", note);
}

void linn_cli_profile_keep(const linn_command *self, const linn_cascade *c)
{
    linn_error err;
    if (linn_cascade_save_profile(c, &err) != LINN_OK)
        linn_cli_note(self, "what auto learned is not kept: %s", err.message);
}
