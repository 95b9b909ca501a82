/* recursion.c - the paper's Algorithm 1 for any number of levels (Chen et al., NeurIPS 2024).
 *
 *     step(R, D[1..n], x):   D empty: what R proposes, or a token of R's own
 *         while the policy wants more of some D[i]:      the horizontal cascade
 *             step(D[i], D[i+1..n], x + draft)           the vertical cascade
 *         R reviews the draft, and adds a token of its own
 *
 * (In the paper it wants so many tokens of D[1], then of D[2] ...: policy.h.)
 * Everyone is given the room that is left before the text must end, less the reviewer's
 * own token, so that no draft is longer than can be used.
 */
#include "cascade/cascade.h"

#include "base/clock.h"

static int step(linn_cascade *c, int r, const linn_draft *outer, int32_t room, linn_error *err);

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
    int64_t ns = linn_now_ns() - start;
    account(c, r, begin, length, ns);
    if (c->policy->passed)
        c->policy->passed(c->policy, r, length - begin, n_outputs, ns);
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

/* Adds what the policy takes of the statistical drafters' proposals. */
static void add_proposals(linn_cascade *c)
{
    int origin = c->k.n_models + c->proposer;
    for (int32_t i = 0; i < c->n_proposed && !c->ended; i++) {
        if (c->verify == LINN_VERIFY_REJECTION)
            linn_law_one(linn_timeline_law(c, c->length), c->proposals[i].token);
        c->q[c->length] = 1;
        linn_timeline_append(c, c->proposals[i].token, origin);
    }
}

/* Writes what a level is to review. */
static int draft(linn_cascade *c, linn_draft *d, linn_error *err)
{
    int rc = LINN_OK;
    while (!rc && c->length - d->base < d->most && !c->ended) {
        int source = c->policy->next(c->policy, c, d);
        if (source == 0)
            break;
        d->source = source;
        d->before = c->length;
        if (source == c->k.n_models)
            add_proposals(c);
        else
            rc = step(c, source, d, d->most - (c->length - d->base), err);
    }
    return rc;
}

static int step(linn_cascade *c, int r, const linn_draft *outer, int32_t room, linn_error *err)
{
    /* A level with less context than the text falls silent at its end. */
    int32_t fits = c->levels[r]->n_ctx + 1 - c->length;
    room = room < fits ? room : fits;
    if (room <= 0)
        return LINN_OK;
    int32_t most = room - 1 < c->k.longest[r] ? room - 1 : c->k.longest[r];
    linn_draft d = {
        .reviewer = r, .outer = outer, .base = c->length, .most = most, .source = r, .chance = 1};
    int rc = draft(c, &d, err);
    if (!rc)
        rc = linn_review(c, r, outer ? outer->reviewer : -1, d.base, err);
    if (!rc && c->policy->reviewed)
        c->policy->reviewed(c->policy, c, &d);
    return rc;
}

int linn_round(linn_cascade *c, int32_t room, linn_error *err)
{
    return step(c, 0, NULL, room <= c->draft_limit ? room : c->draft_limit + 1, err);
}
