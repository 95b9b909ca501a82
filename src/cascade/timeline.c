/* timeline.c - the tokens said and drafted, and all that follows them (cascade.h). */
#include "cascade/cascade.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static int32_t *stop_state(const linn_cascade *c, int32_t position)
{
    return c->stop_states + (size_t)(position - c->committed) * c->stops.n;
}

/* Whether the text ends with `token` at a position; fills the stop states after it. */
static bool ends(linn_cascade *c, linn_token token, int32_t position)
{
    if (!c->tokenizer)
        return false;
    bool met = false;
    if (c->stops.n > 0) {
        int32_t *state = stop_state(c, position + 1);
        memcpy(state, stop_state(c, position), c->stops.n * sizeof *state);
        size_t n;
        const char *bytes = linn_token_bytes(c->tokenizer, token, c->request->special, &n);
        for (size_t i = 0; i < n; i++)
            met |= linn_stops_next(&c->stops, state, bytes[i]) > 0;
    }
    return met || linn_token_is_end(c->tokenizer, token);
}

static int32_t common_prefix(const linn_cascade *c, const linn_request *r)
{
    int32_t n = 0;
    while (n < c->length && (size_t)n < r->n_prompt && c->text[n] == r->prompt[n])
        n++;
    return n;
}

int linn_timeline_begin(linn_cascade *c, const linn_request *r, linn_error *err)
{
    c->request = r;
    int32_t same = common_prefix(c, r), n = (int32_t)r->n_prompt;
    int rc = linn_sampler_begin(c->sampler, &r->sampling, r->prompt, n, err);
    if (!rc)
        rc = linn_stops_create(&c->stops, r->stop, r->n_stop, err);
    if (rc)
        return rc;
    c->stop_states = linn_alloc((size_t)c->k.longest[0] + 2, c->stops.n * sizeof *c->stop_states);
    if (!c->stop_states)
        return linn_fail(err, LINN_ENOMEM, "stop strings: out of memory");
    memcpy(c->text, r->prompt, r->n_prompt * sizeof *c->text);
    c->n_prompt = c->length = c->committed = n;
    c->ended = false;
    for (int i = 0; i < c->k.n_models; i++) {
        linn_level *l = c->levels[i];
        l->known = l->known < same ? l->known : same;
        l->known = l->known < n - 1 ? l->known : n - 1; /* the last row gives the first token */
        linn_timeline_recognise(c, i, n - 1);
        c->tries[i] = 0;
    }
    for (int i = 0; i < c->n_statistical; i++) {
        linn_drafter *d = c->statistical[i];
        d->restart(d, (linn_choice){r->sampling.temperature, r->sampling.seed});
        for (int32_t j = 0; j < n; j++)
            d->push(d, r->prompt[j]);
        d->commit(d, n);
    }
    if (c->policy->begin)
        c->policy->begin(c->policy, c);
    return LINN_OK;
}

void linn_timeline_end(linn_cascade *c)
{
    linn_stops_free(&c->stops);
    free(c->stop_states);
    c->stop_states = NULL;
    c->request = NULL;
}

void linn_timeline_append(linn_cascade *c, linn_token token, int origin)
{
    c->text[c->length] = token;
    c->origin[c->length] = (uint8_t)origin;
    c->ended = ends(c, token, c->length);
    c->length++;
    linn_sampler_push(c->sampler, token);
    for (int i = 0; i < c->n_statistical; i++)
        c->statistical[i]->push(c->statistical[i], token);
}

void linn_timeline_roll_back(linn_cascade *c, int32_t length)
{
    if (length >= c->length)
        return;
    c->length = length;
    c->ended = false;
    if (linn_sampler_length(c->sampler) > length)
        linn_sampler_roll_back(c->sampler, length);
    for (int i = 0; i < c->n_statistical; i++)
        c->statistical[i]->roll_back(c->statistical[i], length);
    for (int i = 0; i < c->k.n_models; i++)
        if (c->levels[i]->known > length)
            c->levels[i]->known = length;
}

void linn_timeline_recognise(linn_cascade *c, int r, int32_t limit)
{
    linn_level *l = c->levels[r];
    while (l->known < limit && l->known < c->n_cached[r] &&
           c->cached[r][l->known] == c->text[l->known])
        l->known++;
}

void linn_timeline_known(linn_cascade *c, int r, int32_t length)
{
    linn_level *l = c->levels[r];
    memcpy(c->cached[r] + l->known, c->text + l->known,
           (size_t)(length - l->known) * sizeof *c->text);
    l->known = c->n_cached[r] = length;
}

void linn_timeline_commit(linn_cascade *c, int32_t length)
{
    if (c->stops.n > 0)
        memmove(c->stop_states, stop_state(c, length), c->stops.n * sizeof *c->stop_states);
    c->committed = length;
    c->ended = false;
    for (int i = 0; i < c->n_statistical; i++)
        c->statistical[i]->commit(c->statistical[i], length);
}

linn_law *linn_timeline_law(linn_cascade *c, int32_t position)
{
    return &c->laws[position - c->committed];
}
