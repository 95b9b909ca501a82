/* generate.c - from a prompt to text: rounds of the cascade, each token handed over,
 * and the ends that a text can come to.
 */
#include "cascade/cascade.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

static int check_request(const linn_cascade *c, const linn_request *r, linn_error *err)
{
    if (r->n_prompt == 0)
        return linn_fail(err, LINN_EINVAL, "the prompt is empty: at least one token is needed");
    if (r->max_tokens < -1)
        return linn_fail(err, LINN_EINVAL, "max tokens %d: must be at least 0, or -1 for no limit",
                         r->max_tokens);
    if (r->n_prompt >= (size_t)c->n_ctx)
        return linn_fail(err, LINN_ECONTEXT,
                         "the prompt has %zu tokens, the context %d: give more context, or at most "
                         "%d tokens",
                         r->n_prompt, c->n_ctx, c->n_ctx - 1);
    for (size_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || r->prompt[i] >= c->n_vocab)
            return linn_fail(err, LINN_EINVAL,
                             "token %d at position %zu of the prompt: the vocabulary has 0 to %d",
                             r->prompt[i], i, c->n_vocab - 1);
    return LINN_OK;
}

static void begin_stats(linn_cascade *c, linn_stats *s)
{
    memset(s, 0, sizeof *s);
    c->stats = s;
    c->prompt_ns = 0;
    s->prompt_tokens = c->n_prompt;
    s->prompt_reused = c->levels[0]->known;
    for (int i = 0; i < c->k.n_models; i++) {
        s->levels[i].name = c->levels[i]->name;
        s->levels[i].n_parameters = c->levels[i]->n_parameters;
    }
    s->n_levels = c->k.n_models + c->n_statistical;
    for (int i = 0; i < c->n_statistical; i++)
        s->levels[c->k.n_models + i].name = c->statistical[i]->name;
}

/* Costs of the whole against those of plain decoding, in passes of the target. */
static void end_stats(linn_cascade *c, int64_t start)
{
    linn_stats *s = c->stats;
    s->prompt_ms = (double)c->prompt_ns * 1e-6;
    s->decode_ms = (double)(linn_now_ns() - start - c->prompt_ns) * 1e-6;
    double parameters = 0, ms = 0;
    for (int i = 0; i < s->n_levels; i++) {
        parameters += (double)s->levels[i].passes * (double)s->levels[i].n_parameters;
        ms += s->levels[i].ms;
    }
    const linn_level_stats *target = &s->levels[0];
    if (parameters > 0)
        s->swi_ms = s->tokens * (double)target->n_parameters / parameters;
    if (ms > 0 && target->passes > 0)
        s->swi_pw = s->tokens * (target->ms / (double)target->passes) / ms;
}

/* Hands over a token that was said; sets *finish and returns true when it is the last one. */
static bool say(linn_cascade *c, linn_text *text, int32_t position, linn_finish *finish)
{
    const linn_request *r = c->request;
    linn_piece piece = {.token = c->text[position], .level = c->origin[position]};
    bool stop = linn_text_add(text, piece.token, &piece.text, &piece.length);
    c->stats->tokens++;
    c->stats->levels[piece.level].tokens++;
    if (r->on_piece && !r->on_piece(r->user, &piece)) {
        *finish = LINN_FINISH_CANCELLED;
        return true;
    }
    if (stop)
        *finish = LINN_FINISH_STOP;
    else if (c->tokenizer && linn_token_is_end(c->tokenizer, piece.token))
        *finish = LINN_FINISH_END;
    else
        return false;
    return true;
}

/* Tokens that may still come, and what it means when there are none. */
static int32_t room_left(const linn_cascade *c, linn_finish *finish)
{
    int32_t room = c->n_ctx - c->committed, most = c->request->max_tokens;
    *finish = LINN_FINISH_CONTEXT;
    if (most >= 0 && most - c->stats->tokens <= room) {
        room = most - c->stats->tokens;
        *finish = LINN_FINISH_LENGTH;
    }
    return room;
}

static int write_text(linn_cascade *c, linn_text *text, linn_finish *finish, linn_error *err)
{
    int rc = room_left(c, finish) > 0 ? linn_read_prompt(c, err) : LINN_OK;
    while (!rc) {
        int32_t room = room_left(c, finish);
        if (room == 0)
            return LINN_OK;
        rc = linn_round(c, room, err);
        while (!rc && c->committed < c->length) {
            linn_timeline_commit(c, c->committed + 1);
            if (say(c, text, c->committed - 1, finish))
                return LINN_OK;
        }
    }
    if (rc == LINN_STOPPED) {
        *finish = LINN_FINISH_CANCELLED;
        return LINN_OK;
    }
    return rc;
}

/* Text held back, at an end that leaves it standing. A text that was cut off might have gone on to
 * a stop string: what was handed over of it must be the beginning of the whole one. */
static void say_rest(linn_cascade *c, linn_text *text, linn_finish finish)
{
    const linn_request *r = c->request;
    linn_piece piece = {.token = -1};
    linn_text_rest(text, &piece.text, &piece.length);
    bool stands = finish != LINN_FINISH_STOP && finish != LINN_FINISH_CANCELLED;
    if (r->on_piece && stands && piece.length > 0)
        r->on_piece(r->user, &piece);
}

int linn_generate(linn_cascade *c, const linn_request *r, linn_finish *finish, linn_stats *stats,
                  linn_error *err)
{
    int64_t start = linn_now_ns();
    linn_stats unwanted;
    linn_finish how = LINN_FINISH_LENGTH;
    linn_text text = {0};
    int rc = check_request(c, r, err);
    if (rc)
        return rc;
    rc = linn_timeline_begin(c, r, err);
    begin_stats(c, stats ? stats : &unwanted);
    if (!rc)
        rc = linn_text_open(&text, c->tokenizer, &c->stops, r->special, err);
    if (!rc)
        rc = write_text(c, &text, &how, err);
    if (!rc)
        say_rest(c, &text, how);
    linn_timeline_roll_back(c, c->committed);
    end_stats(c, start);
    linn_text_close(&text);
    linn_timeline_end(c);
    c->stats = NULL;
    if (!rc && finish)
        *finish = how;
    return rc;
}
