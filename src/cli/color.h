/* color.h - the colours that levels of a cascade have on a terminal. */
#ifndef LINN_CLI_COLOR_H
#define LINN_CLI_COLOR_H

/* Escape sequence that turns the colour of a level on; level 0, the target, has the terminal's
 * own. */
const char *linn_cli_level_color(int level);

#endif
