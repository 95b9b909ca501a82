/* flow.h - a stream of text set in lines: wrapped between words, indented, and coloured by the
 * level of the cascade that proposed each piece.
 *
 * A word is held back until it is complete, since it may be made of several pieces. Control bytes
 * other than newlines and tabs become '?': a model must not drive the terminal.
 */
#ifndef LINN_CLI_FLOW_H
#define LINN_CLI_FLOW_H

#include "output.h"

enum { LINN_FLOW_WORD = 256 }; /* bytes of a word; longer ones are cut at the end of a line */

typedef struct linn_flow {
    linn_cli_output *out;
    int indent, width; /* columns: of the left edge, and to the right edge */
    bool color;
    int column; /* where the next character goes; set by the caller to begin with */
    bool blank; /* a space is due before the next word */
    bool fresh; /* the indent is due, since a line has begun */
    int shown;  /* level whose colour is on */
    size_t n;
    char word[LINN_FLOW_WORD];
    uint8_t level[LINN_FLOW_WORD];
} linn_flow;

void linn_flow_put(linn_flow *f, const char *text, size_t length, int level);
/* Sets what is held back, ends the line and the colour. */
void linn_flow_end(linn_flow *f);

#endif
