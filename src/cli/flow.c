/* flow.c - a stream of text set in lines; see flow.h. */
#include "flow.h"

#include "color.h"

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static void new_line(linn_flow *f)
{
    linn_cli_print(f->out, "\n");
    f->column = f->indent;
    f->blank = false;
    f->fresh = true;
}

static void set_color(linn_flow *f, int level)
{
    if (f->color && level != f->shown)
        linn_cli_print(f->out, "%s", linn_cli_level_color(level));
    f->shown = level;
}

static void put_word(linn_flow *f)
{
    if (f->n == 0)
        return;
    int columns = 0;
    for (size_t i = 0; i < f->n; i++)
        columns += starts_character(f->word[i]);
    if (f->column > f->indent && f->column + f->blank + columns > f->width)
        new_line(f);
    if (f->blank) {
        linn_cli_write(f->out, " ", 1);
        f->column++;
    }
    for (size_t i = 0; i < f->n; i++) {
        if (starts_character(f->word[i])) {
            if (f->column >= f->width)
                new_line(f);
            if (f->fresh)
                linn_cli_print(f->out, "%*s", f->indent, "");
            f->fresh = false;
            set_color(f, f->level[i]);
            f->column++;
        }
        linn_cli_write(f->out, &f->word[i], 1);
    }
    f->blank = false;
    f->n = 0;
}

void linn_flow_put(linn_flow *f, const char *text, size_t length, int level)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == ' ' || c == '\t') {
            put_word(f);
            f->blank = f->column > f->indent;
        } else if (c == '\n') {
            put_word(f);
            new_line(f);
        } else {
            /* A full word goes out, but not in the middle of a character. */
            if (f->n + 4 > LINN_FLOW_WORD && starts_character(c))
                put_word(f);
            f->word[f->n] = (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
            f->level[f->n++] = (uint8_t)level;
            if (f->n == LINN_FLOW_WORD) /* no UTF-8: does not happen in text of the library */
                put_word(f);
        }
    }
}

void linn_flow_end(linn_flow *f)
{
    put_word(f);
    set_color(f, 0);
    linn_cli_print(f->out, "\n");
}
