/* recursion.c - the paper's Algorithm 1 for any number of levels (Chen et al., NeurIPS 2024).
 *
 *     step(R, D[1..n], x):   D empty: what R proposes, or a token of R's own
 *         for i in 1..n:                                 the horizontal cascade
 *             while less is drafted than K says and the last step added something:
 *                 step(D[i], D[i+1..n], x + draft)       the vertical cascade
 *         R reviews the draft, and adds a token of its own
 *
 * Everyone is given the room that is left before the text must end, less the reviewer's
 * own token, so that no draft is longer than can be used.
 */
#include "cascade/cascade.h"

#include "base/clock.h"

static int step(linn_cascade *c, int r, int above, int32_t room, linn_error *err);

/* Ends the pass's accounts. While the prompt is read, a pass counts as none; one that also makes
 * text is shared by its rows. */
static void account(linn_cascade *c, int r, int32_t begin, int32_t length, int64_t ns)
{
    linn_level_stats *s = &c->stats->levels[r];
    int32_t rows = length - begin, reading = c->n_prompt - 1 - begin;
    reading = reading < 0 ? 0 : reading > rows ? rows : reading;
    int64_t reading_ns = ns * reading / rows;
    c->prompt_ns += reading_ns;
    s->passes += reading < rows;
    s->rows += (uint64_t)(rows - reading);
    s->ms += (double)(ns - reading_ns) * 1e-6;
}

static int pass_once(linn_cascade *c, int r, int32_t length, int32_t n_outputs, linn_error *err)
{
    const linn_request *q = c->request;
    linn_level *l = c->levels[r];
    if (q->go_on && !q->go_on(q->user))
        return LINN_STOPPED;
    c->n_cached[r] = l->known; /* the pass cuts the cache to this first, and may then fail */
    int64_t start = linn_now_ns();
    int rc = l->forward(l, c->text, length, n_outputs, err);
    if (rc)
        return rc;
    int32_t begin = l->known;
    linn_timeline_known(c, r, length);
    account(c, r, begin, length, linn_now_ns() - start);
    if (r == 0 && begin < c->n_prompt && q->on_prompt) {
        int32_t done = length < c->n_prompt ? length : c->n_prompt;
        if (!q->on_prompt(q->user, (size_t)done, (size_t)c->n_prompt))
            return LINN_STOPPED;
    }
    return LINN_OK;
}

int linn_level_pass(linn_cascade *c, int r, int32_t length, int32_t n_outputs, linn_error *err)
{
    linn_level *l = c->levels[r];
    int rc = LINN_OK;
    linn_timeline_recognise(c, r, length - n_outputs);
    while (!rc && length - n_outputs - l->known > LINN_PASS_ROWS)
        rc = pass_once(c, r, l->known + LINN_PASS_ROWS, 0, err);
    return rc ? rc : pass_once(c, r, length, n_outputs, err);
}

int linn_read_prompt(linn_cascade *c, linn_error *err)
{
    int rc = LINN_OK;
    while (!rc && c->n_prompt - 1 - c->levels[0]->known > LINN_PASS_ROWS)
        rc = pass_once(c, 0, c->levels[0]->known + LINN_PASS_ROWS, 0, err);
    return rc;
}

/* Max-Gram's match of a single token is no better than another guess: a table of n-grams is asked
 * before it (docs/decisions.md has the figures). */
static bool weak(const linn_cascade *c, int i)
{
    return i + 1 < c->n_statistical && c->proposals[0].source == LINN_SOURCE_MAXGRAM &&
           c->proposals[0].confidence < 2;
}

static void propose(linn_cascade *c, int32_t room)
{
    int32_t most = room < c->k.block ? room : c->k.block, n = 0;
    for (int turn = 0; turn < 2 * c->n_statistical && n == 0; turn++) {
        int i = turn % c->n_statistical, origin = c->k.n_models + i;
        int64_t start = linn_now_ns();
        n = c->statistical[i]->propose(c->statistical[i], most, c->proposals);
        if (n > 0 && turn < c->n_statistical && weak(c, i))
            n = 0; /* unless the others have nothing: then it is asked again */
        for (int32_t j = 0; j < n && !c->ended; j++) {
            if (c->verify == LINN_VERIFY_REJECTION)
                linn_law_one(linn_timeline_law(c, c->length), c->proposals[j].token);
            c->q[c->length] = 1;
            linn_timeline_append(c, c->proposals[j].token, origin);
        }
        c->stats->levels[origin].ms += (double)(linn_now_ns() - start) * 1e-6;
    }
}

/* Writes what level r is to review: at most `room` tokens. */
static int draft(linn_cascade *c, int r, int32_t room, linn_error *err)
{
    int n_levels = c->k.n_models + c->k.statistical;
    int32_t base = c->length, total = 0;
    for (int j = r + 1; j < n_levels; j++) {
        total += c->k.share[r][j];
        while (c->length - base < total && c->length - base < room && !c->ended) {
            int32_t before = c->length;
            int rc = step(c, j, r, room - (before - base), err);
            if (rc)
                return rc;
            if (c->length == before)
                break;
        }
    }
    return LINN_OK;
}

static int step(linn_cascade *c, int r, int above, int32_t room, linn_error *err)
{
    if (r == c->k.n_models) {
        propose(c, room);
        return LINN_OK;
    }
    /* A level with less context than the text falls silent at its end. */
    int32_t fits = c->levels[r]->n_ctx + 1 - c->length;
    room = room < fits ? room : fits;
    if (room <= 0)
        return LINN_OK;
    int32_t base = c->length;
    int rc = draft(c, r, room - 1, err);
    return rc ? rc : linn_review(c, r, above, base, err);
}

int linn_round(linn_cascade *c, int32_t room, linn_error *err)
{
    return step(c, 0, -1, room <= c->draft_limit ? room : c->draft_limit + 1, err);
}
