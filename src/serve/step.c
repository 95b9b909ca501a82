/* step.c - a step: who is in the next pass, and the pass (state.h).
 *
 * Drafters' passes come first, the smallest model's before all, so that what is drafted
 * reaches the target's pass with everyone in it. Rows of two kinds: a *short* request (a
 * decoding sequence: outputs, and a few tokens to catch up) is always in the next pass of
 * its model; the tokens of *long* ones (prompts) come in chunks, of one chunk in all between
 * two passes of the target, so nobody's text waits for more than that. The chunk goes
 * by turns to the oldest job and to the one with the least left to read: short prompts get
 * through and long ones are not starved.
 *
 * Pages are found in order of age. A job takes them, if it must, from younger ones only,
 * so the oldest always goes on, and in the end all do.
 */
#include "serve/state.h"

#include "base/clock.h"
#include "base/error.h"
#include "kernels/kernels.h"

#include <string.h>

/* ---- answers --------------------------------------------------------------------------------- */

static void answer(linn_slot *slot, int rc)
{
    slot->rc = rc;
    slot->waiting = false;
    slot->scheduler->n_running++;
    pthread_cond_signal(&slot->turn);
}

static void answer_if_over(linn_slot *slot, int64_t now)
{
    if (slot->waiting && (slot->scheduler->quit || linn_job_is_over(slot->job, now)))
        answer(slot, LINN_STOPPED);
}

/* Ends the jobs in the queue that are over. The lock is dropped meanwhile, and steps held up. */
static void sweep_queue(linn_scheduler *s)
{
    linn_job *j;
    while ((j = linn_queue_drop(&s->queue, linn_now_ns(), false))) {
        linn_job_result result = {.finish = LINN_FINISH_CANCELLED};
        s->in_pass = true;
        pthread_mutex_unlock(&s->lock);
        linn_slot_finish(s, j, &result);
        pthread_mutex_lock(&s->lock);
        s->in_pass = false;
    }
}

/* ---- who is in the pass ------------------------------------------------------------------------
 */

static int32_t reading_left(const linn_slot *slot)
{
    return slot->end - slot->n_outputs - slot->wants->session->length;
}

static bool is_long(const linn_slot *slot)
{
    return reading_left(slot) > slot->scheduler->k.longest[0] + 1;
}

/* The slots that want the lane, the oldest first. */
static int32_t line_up(linn_scheduler *s, const linn_lane *lane)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->n_slots; i++) {
        linn_slot *slot = &s->slots[i];
        slot->n_in_pass = slot->n_granted = 0;
        if (!slot->waiting || slot->wants->lane != lane)
            continue;
        int32_t at = n++;
        for (; at > 0 && s->order[at - 1]->age > slot->age; at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = slot;
    }
    return n;
}

/* What others have computed already. Never as far as the last token said: its row, or a later one,
 * is where outputs begin, so no page that is shared will be written to. */
static void take_cached(linn_slot *slot)
{
    linn_slot_level *l = slot->wants;
    const linn_cascade *c = slot->cascade;
    int32_t before = l->session->length, limit = c->committed - 1;
    if (limit > slot->end - slot->n_outputs)
        limit = slot->end - slot->n_outputs;
    int32_t n = linn_prefix_extend(l->lane->prefix, l->session, c->text, limit);
    memcpy(l->held + before, c->text + before, (size_t)n * sizeof *l->held);
    if (l == slot->levels[0] && slot->preemptions == 0)
        slot->reused += n;
}

/* Grants the lane's chunk. */
static void grant_chunk(const linn_scheduler *s, const linn_lane *lane, int32_t n)
{
    int32_t left = lane->chunk_left;
    while (left > 0) {
        linn_slot *best = NULL;
        for (int32_t i = 0; i < n; i++) {
            linn_slot *slot = s->order[i];
            if (slot->n_granted > 0 || slot->starved == s->freed || !is_long(slot))
                continue;
            if (!best || (s->n_steps % 2 && reading_left(slot) < reading_left(best)))
                best = slot;
        }
        if (!best)
            return;
        int32_t wants = reading_left(best);
        best->n_granted = wants < left ? wants : left;
        left -= best->n_granted;
    }
}

static int32_t count_older(const linn_scheduler *s, const linn_slot *slot)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->n_slots; i++)
        n += s->slots[i].job && s->slots[i].age < slot->age;
    return n;
}

/* Pages for the next n tokens. A long request begins only when all of it has room, and a page for
 * each older job besides, lest it be read again and again. */
static bool find_pages(linn_slot *slot, int32_t n)
{
    linn_session *session = slot->wants->session;
    bool whole = is_long(slot);
    int32_t reach = whole ? slot->end : session->length + n;
    int32_t missing = linn_kv_pages(reach) - session->n_held;
    bool found =
        missing <= 0 || linn_lane_make_room(slot->wants->lane, slot, missing,
                                            whole ? count_older(slot->scheduler, slot) : 0);
    if (found && linn_session_reserve(session, n, NULL) != LINN_OK) {
        linn_session_unreserve(session);
        found = false;
    }
    if (!found && whole) /* who waits for memory holds none */
        linn_lane_leave(slot->wants, session->length);
    slot->starved = found ? 0 : slot->scheduler->freed;
    return found;
}

static void add_rows(linn_slot *slot, int32_t n)
{
    linn_slot_level *l = slot->wants;
    linn_lane *lane = l->lane;
    const linn_token *text = slot->cascade->text;
    int32_t first_output = slot->end - slot->n_outputs, begin = l->session->length;
    for (int32_t i = 0; i < n; i++) {
        int32_t position = begin + i;
        l->held[position] = text[position];
        if (position == first_output) {
            l->first_position = position;
            l->first_row = lane->n_rows;
        }
        bool output = position >= first_output;
        lane->rows[lane->n_rows] = (linn_row){
            /* a token of the target that this vocabulary lacks: any other will do for drafting */
            .token = text[position] < l->n_tokens ? text[position] : 0,
            .position = position,
            .slot = position,
            .parent = i == 0 ? LINN_ROW_NONE : lane->n_rows - 1,
            .session = l->session,
            .outputs = output ? LINN_OUT_LOGITS : LINN_OUT_NONE,
        };
        lane->n_rows++;
        lane->n_outputs += output;
    }
    slot->n_in_pass = n;
}

/* Adds what the slot may have in the pass. */
static void join(linn_slot *slot)
{
    linn_lane *lane = slot->wants->lane;
    int32_t n = slot->end - slot->wants->session->length, reading = reading_left(slot);
    if (slot->starved == slot->scheduler->freed && count_older(slot->scheduler, slot) > 0)
        return;
    if (is_long(slot)) {
        if (slot->n_granted == 0)
            return;
        bool fits = lane->n_outputs + slot->n_outputs <= lane->max_outputs;
        n = slot->n_granted == reading && fits ? n : slot->n_granted;
    } else if (lane->n_outputs + slot->n_outputs > lane->max_outputs) {
        return;
    }
    if (lane->n_rows + n > lane->max_rows || !find_pages(slot, n))
        return;
    if (is_long(slot)) {
        lane->chunk_left -= slot->n_granted;
        lane->reads = true;
    }
    add_rows(slot, n);
}

/* Makes the lane's next pass; returns false when there is nothing to compute or to answer. */
static bool plan(linn_scheduler *s, linn_lane *lane)
{
    int32_t n = line_up(s, lane);
    lane->n_rows = lane->n_outputs = 0;
    lane->reads = false;
    for (int32_t i = 0; i < n; i++) {
        linn_slot *slot = s->order[i];
        if (slot->starved != s->freed)
            take_cached(slot);
        if (slot->n_outputs == 0 && slot->wants->session->length >= slot->end)
            answer(slot, LINN_OK);
    }
    if (s->n_running > 0)
        return true;
    grant_chunk(s, lane, n);
    for (int32_t i = 0; i < n; i++)
        join(s->order[i]);
    /* The chunk may have gone to one for whom there are no pages. The oldest finds them. */
    if (lane->n_rows == 0 && n > 0 && lane->chunk_left > 0 && is_long(s->order[0])) {
        int32_t reading = reading_left(s->order[0]);
        s->order[0]->n_granted = reading < lane->chunk_left ? reading : lane->chunk_left;
        join(s->order[0]);
    }
    s->n_lined_up = n;
    return lane->n_rows > 0;
}

/* ---- the pass ----------------------------------------------------------------------------------
 */

static void count_pass(linn_scheduler *s, linn_lane *lane, int64_t ns)
{
    lane->n_passes++;
    lane->n_pass_rows += (uint64_t)lane->n_rows;
    lane->pass_ns += ns;
    lane->rows_lately = lane->n_rows;
    s->pace.passes_ns += ns;
    s->pace.n_passes++;
    if (!lane->reads)
        linn_widths_learn(&lane->widths, lane->n_rows, (double)ns);
    if (lane != &s->lanes[0]) {
        s->drafting_ns += lane->reads ? 0 : ns;
        return;
    }
    int bucket = 0;
    while (bucket + 1 < LINN_WIDTH_BUCKETS && 1 << bucket < lane->n_rows)
        bucket++;
    s->metrics.width[bucket]++;
    for (int i = 0; i < s->k.n_models; i++)
        s->lanes[i].chunk_left = s->settings.prefill_chunk;
}

/* After a pass that held rows of the slot. */
static void take_outcome(linn_slot *slot, int rc, const linn_error *err)
{
    linn_slot_level *l = slot->wants;
    if (rc) {
        slot->error = *err;
        answer(slot, rc);
        return;
    }
    /* Full pages of the prompt are there for others at once. */
    int32_t prompt = slot->cascade->n_prompt, length = l->session->length;
    int32_t now = length < prompt ? length : prompt, before = length - slot->n_in_pass;
    if (now / LINN_KV_PAGE > before / LINN_KV_PAGE)
        linn_prefix_keep(l->lane->prefix, l->session, l->held, now);
    if (length == slot->end)
        answer(slot, LINN_OK);
}

static void run(linn_scheduler *s, linn_lane *lane)
{
    linn_error err = {0};
    s->in_pass = true;
    pthread_mutex_unlock(&s->lock);
    int64_t start = linn_now_ns();
    int rc = linn_forward(lane->batch, lane->rows, lane->n_rows, &err);
    int64_t ns = linn_now_ns() - start;
    pthread_mutex_lock(&s->lock);
    s->in_pass = false;
    count_pass(s, lane, ns);
    for (int32_t i = 0; i < s->n_lined_up; i++)
        if (s->order[i]->n_in_pass > 0)
            take_outcome(s->order[i], rc, &err);
    if (lane == &s->lanes[0] && !rc)
        linn_drafts_share(s);
}

static void fail_oldest(linn_scheduler *s)
{
    linn_slot *oldest = NULL;
    for (int32_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].waiting && (!oldest || s->slots[i].age < oldest->age))
            oldest = &s->slots[i];
    if (oldest)
        answer(oldest,
               linn_fail(&oldest->error, LINN_ENOMEM, "scheduler: no KV pages for %d tokens of %s",
                         oldest->end, oldest->wants->level.name));
}

/* Answers somebody, or at least gets on with reading. */
static void step(linn_scheduler *s)
{
    s->n_steps++;
    sweep_queue(s);
    int64_t now = linn_now_ns();
    for (int32_t i = 0; i < s->n_slots; i++)
        answer_if_over(&s->slots[i], now);
    if (s->n_running > 0)
        return;
    for (int round = 0; round < 2; round++) {
        for (int i = s->k.n_models - 1; i >= 0; i--) {
            if (!plan(s, &s->lanes[i]))
                continue;
            if (s->lanes[i].n_rows > 0)
                run(s, &s->lanes[i]);
            return;
        }
        /* The target has nothing to do, so nobody waits for it: read on. */
        for (int i = 0; i < s->k.n_models; i++)
            s->lanes[i].chunk_left = s->settings.prefill_chunk;
    }
    fail_oldest(s); /* cannot happen: the oldest fits alone */
}

void linn_step_wait(linn_slot *slot)
{
    linn_scheduler *s = slot->scheduler;
    slot->waiting = true;
    s->n_running--;
    while (slot->waiting) {
        if (s->n_running == 0 && !s->in_pass)
            step(s);
        else
            pthread_cond_wait(&slot->turn, &s->lock);
    }
}

void linn_step_leave(linn_slot *slot)
{
    linn_scheduler *s = slot->scheduler;
    s->n_running--;
    for (int32_t i = 0; i < s->n_slots && s->n_running == 0 && !s->in_pass; i++)
        if (s->slots[i].waiting) {
            pthread_cond_signal(&s->slots[i].turn);
            break;
        }
}
