/* text.c - from tokens to text that is certain (text.h). */
#include "cascade/text.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- stop strings ------------------------------------------------------------------------ */

/* The state after `byte`: the longest prefix of the string that the text now ends with. */
static int32_t step(const linn_stop *stop, int32_t state, char byte)
{
    if (state == stop->length) /* met before: go on as if looking for the next */
        state = stop->border[state - 1];
    while (state > 0 && stop->string[state] != byte)
        state = stop->border[state - 1];
    return state + (stop->string[state] == byte);
}

static void fill_borders(linn_stop *stop)
{
    stop->border[0] = 0;
    for (int32_t i = 1, state = 0; i < stop->length; i++) {
        while (state > 0 && stop->string[state] != stop->string[i])
            state = stop->border[state - 1];
        state += stop->string[state] == stop->string[i];
        stop->border[i] = state;
    }
}

int linn_stops_create(linn_stops *s, const char *const *strings, size_t n, linn_error *err)
{
    memset(s, 0, sizeof *s);
    if (n == 0)
        return LINN_OK;
    int rc = LINN_OK;
    s->stops = calloc(n, sizeof *s->stops);
    if (!s->stops)
        rc = linn_fail(err, LINN_ENOMEM, "stop strings: out of memory");
    for (size_t i = 0; i < n && !rc; i++) {
        linn_stop *stop = &s->stops[s->n++];
        size_t length = strlen(strings[i]), good = linn_utf8_check(strings[i], length);
        if (length == 0 || length > INT32_MAX / 2)
            rc = linn_fail(err, LINN_EINVAL, "stop string %zu: must not be %s", i + 1,
                           length ? "so long" : "empty");
        else if (good < length)
            rc = linn_fail(err, LINN_EINVAL, "stop string %zu: not UTF-8 at byte %zu", i + 1, good);
        else if (!(stop->border = linn_alloc(length, sizeof *stop->border)))
            rc = linn_fail(err, LINN_ENOMEM, "stop strings: out of memory");
        if (rc)
            break;
        stop->string = strings[i];
        stop->length = (int32_t)length;
        fill_borders(stop);
        s->longest = stop->length > s->longest ? stop->length : s->longest;
    }
    if (rc)
        linn_stops_free(s);
    return rc;
}

void linn_stops_free(linn_stops *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->stops[i].border);
    free(s->stops);
    memset(s, 0, sizeof *s);
}

int32_t linn_stops_next(const linn_stops *s, int32_t *state, char byte)
{
    int32_t met = 0;
    for (size_t i = 0; i < s->n; i++) {
        const linn_stop *stop = &s->stops[i];
        state[i] = step(stop, state[i], byte);
        if (state[i] == stop->length && stop->length > met)
            met = stop->length;
    }
    return met;
}

/* ---- text ----------------------------------------------------------------------------------- */

int linn_text_open(linn_text *t, const linn_tokenizer *tokenizer, const linn_stops *stops,
                   bool special, linn_error *err)
{
    memset(t, 0, sizeof *t);
    t->tokenizer = tokenizer;
    t->stops = stops;
    t->stream.special = special;
    t->stream.started = true; /* text goes on from the prompt: no blank is taken off */
    t->capacity = (size_t)stops->longest + 2 * sizeof t->stream.text;
    t->held = linn_alloc(t->capacity, 1);
    t->state = linn_alloc(stops->n, sizeof *t->state);
    if (t->held && t->state)
        return LINN_OK;
    linn_text_close(t);
    return linn_fail(err, LINN_ENOMEM, "text: out of memory");
}

void linn_text_close(linn_text *t)
{
    free(t->held);
    free(t->state);
    memset(t, 0, sizeof *t);
}

static void drop_given(linn_text *t)
{
    t->n_held -= t->n_given;
    memmove(t->held, t->held + t->n_given, t->n_held);
    t->n_given = 0;
}

static void give(linn_text *t, size_t n, const char **text, size_t *length)
{
    t->n_given = n;
    *text = t->held;
    *length = n;
}

bool linn_text_add(linn_text *t, linn_token token, const char **text, size_t *length)
{
    drop_given(t);
    size_t n = 0;
    const char *added = t->tokenizer ? linn_text_next(&t->stream, t->tokenizer, token, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        t->held[t->n_held++] = added[i];
        int32_t met = linn_stops_next(t->stops, t->state, added[i]);
        if (met > 0) {
            t->n_held -= (size_t)met;
            give(t, t->n_held, text, length);
            return true;
        }
    }
    size_t wait = 0;
    for (size_t i = 0; i < t->stops->n; i++)
        wait = (size_t)t->state[i] > wait ? (size_t)t->state[i] : wait;
    give(t, t->n_held - wait, text, length);
    return false;
}

void linn_text_rest(linn_text *t, const char **text, size_t *length)
{
    drop_given(t);
    size_t n = 0;
    const char *added = t->tokenizer ? linn_text_finish(&t->stream, &n) : NULL;
    if (n > 0)
        memcpy(t->held + t->n_held, added, n);
    t->n_held += n;
    give(t, t->n_held, text, length);
}
