/* drafts.c - how far the texts draft, after each pass of the target (state.h).
 *
 * Under auto every text decides for itself (cascade/auto.h), and is told in what company it is.
 * Drafts of a fixed matrix share the width of the next pass by a common rule (width.h).
 */
#include "serve/state.h"

#include "base/clock.h"

static bool decodes(const linn_slot *slot)
{
    return !slot->waiting && slot->n_in_pass > 0 && slot->n_outputs > 0;
}

/* ---- what a policy is told ---------------------------------------------------------------------
 */

/* What a token of the target takes at this pace, in passes, since what is beside them (sampling
 * above all) no draft saves; and how much that is for each pass. A round that took far longer than
 * its passes was idle in between. */
static void learn_pace(linn_scheduler *s)
{
    static const double KEEP = 0.97;
    linn_pace *p = &s->pace;
    int64_t now = linn_now_ns(), all = now - p->last_ns;
    uint64_t said = atomic_load(&s->n_said);
    if (p->last_ns && !s->lanes[0].reads && all < 8 * p->passes_ns) {
        p->spent_ns = KEEP * p->spent_ns + (double)p->passes_ns;
        p->tokens = KEEP * p->tokens + (double)(said - p->n_said);
        p->between_ns = KEEP * p->between_ns + (double)(all - p->passes_ns);
        p->steps = KEEP * p->steps + p->n_passes;
    }
    *p = (linn_pace){.last_ns = now,
                     .n_said = said,
                     .spent_ns = p->spent_ns,
                     .tokens = p->tokens,
                     .between_ns = p->between_ns,
                     .steps = p->steps};
}

/* Lets a slot's policy know how things stand. */
static void inform(linn_scheduler *s, linn_slot *slot, int32_t n_decoding)
{
    enum { FEW = 8 }; /* tokens that say little */
    linn_company *company = &slot->company;
    const linn_pace *p = &s->pace;
    company->token_ns = p->tokens > FEW ? p->spent_ns / p->tokens : 0;
    company->step_ns = p->steps > FEW ? p->between_ns / p->steps : 0;
    company->others[0] = s->lanes[0].n_rows - slot->n_in_pass;
    for (int i = 1; i < s->k.n_models; i++)
        company->others[i] = s->lanes[i].rows_lately * (n_decoding - 1) / n_decoding;
    slot->draft_limit = slot->job->r.plain ? 0 : s->k.longest[0];
}

/* For policies that decide by themselves, after a pass of the target. */
static void inform_all(linn_scheduler *s)
{
    int32_t n = 0;
    learn_pace(s);
    for (int32_t i = 0; i < s->n_lined_up; i++)
        n += decodes(s->order[i]);
    for (int32_t i = 0; i < s->n_lined_up; i++)
        if (decodes(s->order[i]))
            inform(s, s->order[i], n);
    for (int i = 1; i < s->k.n_models; i++)
        s->lanes[i].rows_lately = 0;
}

/* ---- drafts of a fixed matrix ------------------------------------------------------------------
 */

static int grid_point(int32_t rows)
{
    int i = 0;
    while (i + 1 < LINN_WIDTH_GRID && linn_widths_rows(i + 1) <= rows)
        i++;
    return i;
}

/* What the drafters cost since the target's last pass, per token of the longest draft. Where
 * nothing is drafted, the figure fades, so that it will be taken again. */
static void learn_drafting(linn_scheduler *s, int32_t n_decoding, int32_t longest)
{
    double *ns = &s->draft_ns[grid_point(n_decoding)];
    double now = longest > 0 ? (double)s->drafting_ns / longest : 0;
    if (longest == 0)
        *ns *= 0.9995;
    else
        *ns = *ns > 0 ? *ns + (now - *ns) / 4 : now;
    s->drafting_ns = 0;
}

static double catch_up_ns(const linn_scheduler *s, const linn_slot *slot)
{
    enum { CHUNK = 64, ROUNDS = 16 }; /* it will be of use for so many rounds, say */
    if (s->k.n_models < 2)
        return 0;
    int32_t behind = slot->cascade->committed - slot->levels[1]->session->length;
    behind = behind > s->k.longest[0] + 1 ? behind : 0;
    return linn_widths_ns(&s->lanes[1].widths, CHUNK) / CHUNK * behind / ROUNDS;
}

/* Shares out drafts of a fixed matrix among the sequences that had outputs in the target's pass. */
static void share_fixed(linn_scheduler *s)
{
    enum { FORGET_AFTER = 256, PROBE_EVERY = 48 };
    int32_t n = 0, longest = 0;
    /* Now and then a pass without drafts: else its cost would be the guess of long ago. */
    bool probe = ++s->n_shared % PROBE_EVERY == 0;
    for (int32_t i = 0; i < s->n_lined_up; i++) {
        linn_slot *slot = s->order[i];
        if (!decodes(slot))
            continue;
        if (slot->draft_limit == 0 && ++slot->n_idle >= FORGET_AFTER) {
            slot->n_idle = 0;
            if (slot->acceptance < s->acceptance)
                slot->acceptance = s->acceptance;
        }
        longest = slot->drafted > longest ? slot->drafted : longest;
        s->contenders[n++] =
            (linn_contender){.acceptance = slot->acceptance,
                             .catch_up_ns = catch_up_ns(s, slot),
                             .most = slot->job->r.plain || probe ? 0 : s->k.longest[0]};
    }
    if (n == 0)
        return;
    learn_drafting(s, n, longest);
    linn_widths_choose(&s->lanes[0].widths, s->draft_ns[grid_point(n)], s->contenders, n);
    n = 0;
    for (int32_t i = 0; i < s->n_lined_up; i++) {
        linn_slot *slot = s->order[i];
        if (decodes(slot))
            slot->draft_limit = s->contenders[n++].chosen;
    }
}

void linn_drafts_share(linn_scheduler *s)
{
    if (s->slots[0].adapting)
        inform_all(s);
    else
        share_fixed(s);
}
