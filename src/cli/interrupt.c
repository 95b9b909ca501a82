/* interrupt.c - Ctrl-C as a question asked between tokens. */
#include "interrupt.h"

#include <signal.h>

/* The one variable that is not a constant: a signal handler has no argument. */
static volatile sig_atomic_t seen;

static void on_signal(int number)
{
    (void)number;
    seen = 1;
}

void linn_cli_interrupt_watch(void)
{
    /* SA_RESTART: a blocked write of text goes on, the flag is looked at after it. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool linn_cli_interrupted(void)
{
    return seen != 0;
}
