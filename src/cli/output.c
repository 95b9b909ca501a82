/* output.c - stdout, with every failure noticed. */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool check(linn_cli_output *o, bool good)
{
    if (!good && !o->error)
        o->error = errno ? errno : EIO;
    return o->error == 0;
}

bool linn_cli_write(linn_cli_output *o, const void *data, size_t size)
{
    if (o->error)
        return false;
    errno = 0;
    return check(o, fwrite(data, 1, size, stdout) == size);
}

bool linn_cli_print(linn_cli_output *o, const char *format, ...)
{
    if (o->error)
        return false;
    va_list args;
    va_start(args, format);
    errno = 0;
    int n = vprintf(format, args);
    va_end(args);
    return check(o, n >= 0);
}

bool linn_cli_flush(linn_cli_output *o)
{
    if (o->error)
        return false;
    errno = 0;
    return check(o, fflush(stdout) == 0);
}

int linn_cli_output_finish(linn_cli_output *o, const linn_command *self, int status)
{
    linn_cli_flush(o);
    errno = 0;
    /* Some file systems report a full disk only here. EBADF: there was no stdout to begin with. */
    check(o, fclose(stdout) == 0);
    if (o->error && status == LINN_EXIT_DONE)
        return linn_cli_fail(self, "standard output: %s", strerror(o->error));
    return status;
}

bool linn_cli_stdout_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

bool linn_cli_stderr_is_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}
