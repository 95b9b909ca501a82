/* color.c - see color.h. */
#include "color.h"

#include "linn.h"

const char *linn_cli_level_color(int level)
{
    static const char *const colors[LINN_MAX_LEVELS] = {
        "\033[0m",  "\033[36m", "\033[33m", "\033[32m",
        "\033[35m", "\033[34m", "\033[31m", "\033[90m",
    };
    return level >= 0 && level < LINN_MAX_LEVELS ? colors[level] : colors[0];
}
