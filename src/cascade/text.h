/* text.h - from tokens to text that is certain, and the strings that end it.
 *
 * Text is certain when it is whole characters and cannot be the beginning of a stop
 * string: of what is held back, the longest end that begins a stop string waits.
 *
 * Stop strings are followed by Knuth, Morris and Pratt's automaton, one state (how
 * much of the string the text now ends with) per string, so that a state can be kept
 * for every draft token and a draft ends where the text would.
 */
#ifndef LINN_CASCADE_TEXT_H
#define LINN_CASCADE_TEXT_H

#include "linn.h"

typedef struct linn_stop {
    const char *string; /* [length], borrowed */
    int32_t length;
    int32_t *border; /* [length]: of string[0..i], the longest proper prefix that ends it too */
} linn_stop;

typedef struct linn_stops {
    linn_stop *stops; /* [n] */
    size_t n;
    int32_t longest;
} linn_stops;

/* Strings are UTF-8 and not empty, else LINN_EINVAL. Free with linn_stops_free, which takes a
 * zeroed struct too. */
int linn_stops_create(linn_stops *out, const char *const *strings, size_t n, linn_error *err);
void linn_stops_free(linn_stops *s);
/* Moves the states state[n] over one byte; returns the length of the longest stop string that ends
 * with it, or 0. */
int32_t linn_stops_next(const linn_stops *s, int32_t *state, char byte);

typedef struct linn_text {
    const linn_tokenizer *tokenizer; /* NULL: tokens have no text */
    const linn_stops *stops;
    int32_t *state; /* [stops->n] */
    char *held;     /* [capacity] */
    size_t n_held, capacity;
    size_t n_given; /* bytes at the front of `held` that the last call gave away */
    linn_text_stream stream;
} linn_text;

int linn_text_open(linn_text *out, const linn_tokenizer *tokenizer, const linn_stops *stops,
                   bool special, linn_error *err);
void linn_text_close(linn_text *t); /* takes a zeroed struct too */
/* Adds a token. *text is what became certain, valid until the next call. Returns true when a stop
 * string was met: the text before it is then certain, and there is no more. */
bool linn_text_add(linn_text *t, linn_token token, const char **text, size_t *length);
/* What was held back, at an end that is no stop string. */
void linn_text_rest(linn_text *t, const char **text, size_t *length);

#endif
