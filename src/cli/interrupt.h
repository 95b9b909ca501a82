/* interrupt.h - Ctrl-C as a question asked between tokens.
 *
 * After linn_cli_interrupt_watch the first SIGINT only sets a flag, and the second
 * ends the program at once (the default action comes back). Before it, and in
 * commands that never call it, SIGINT ends the program as usual.
 */
#ifndef LINN_CLI_INTERRUPT_H
#define LINN_CLI_INTERRUPT_H

#include <stdbool.h>

void linn_cli_interrupt_watch(void);
bool linn_cli_interrupted(void);

#endif
