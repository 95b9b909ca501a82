/* progress.c - see progress.h. */
#include "progress.h"

#include "output.h"

#include <stdio.h>

enum { CELLS = 30 };

void linn_cli_progress_begin(linn_progress *p, const char *what)
{
    *p = (linn_progress){.what = what, .on = linn_cli_stderr_is_terminal()};
    clock_gettime(CLOCK_MONOTONIC, &p->start);
}

void linn_cli_progress(linn_progress *p, size_t done, size_t total)
{
    if (!p->on || total == 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds =
        (double)(now.tv_sec - p->start.tv_sec) + (double)(now.tv_nsec - p->start.tv_nsec) * 1e-9;
    if (!p->shown && seconds < 1)
        return;
    char bar[CELLS + 1];
    double share = (double)done / (double)total;
    for (int i = 0; i < CELLS; i++)
        bar[i] = i < (int)(share * CELLS) ? '#' : '.';
    bar[CELLS] = '\0';
    fprintf(stderr, "\r%s %s %3.0f%%", p->what, bar, 100 * share);
    fflush(stderr);
    p->shown = true;
}

void linn_cli_progress_end(linn_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
