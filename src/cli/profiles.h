/* profiles.h - the folder where --cascade auto keeps what it learns: $XDG_CACHE_HOME/linn. */
#ifndef LINN_CLI_PROFILES_H
#define LINN_CLI_PROFILES_H

#include "cli.h"

#include <limits.h>

/* Finds the folder, and makes it if it can. NULL: there is no place for one (neither XDG_CACHE_HOME
 * nor HOME is set), and nothing will be kept. */
const char *linn_cli_profiles(char out[PATH_MAX]);
/* After creating: a line on stderr if a profile was there and could not be used. */
void linn_cli_profile_found(const linn_command *self, const linn_cascade *c);
/* At the end: keeps what was learned. That it cannot be kept is a line on stderr, no failure. */
void linn_cli_profile_keep(const linn_command *self, const linn_cascade *c);

#endif
