/* no_models.c - prints the path of MODEL as commands find it, in an installation whose models
 * are gone (meson.build). */
#include "model_path.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static const linn_command self = {.name = "test"};
    char *path;
    int status = linn_cli_model_path(&self, argc > 1 ? argv[1] : "", &path);
    if (status != LINN_PARSED)
        return status;
    puts(path);
    free(path);
    return 0;
}
