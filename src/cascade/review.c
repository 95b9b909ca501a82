/* review.c - a level judges a draft: in one forward pass, by comparing tokens or by
 * rejection sampling.
 *
 * Coupled: the level's token at each position is a function of the prefix and the seed;
 * a draft token passes when it is that token. Inner levels may be lenient, and let a
 * token pass that is nearly as good (score within ln l of the best; or, as the authors'
 * code has it, p(x) > q(x) / l). The target never is, so the text is its own.
 *
 * Rejection (law.h): every draft token carries the law it was drawn from; the uniforms
 * of a judgement come from Philox at (level, position, how many draws the level made
 * before), so no two are the same.
 */
#include "cascade/cascade.h"

#include "kernels/noise.h"

/* ---- coupled ----------------------------------------------------------------------------- */

static bool lenient_pass(linn_cascade *c, linn_token x, linn_token best, int32_t position)
{
    if (c->lenience_rule == LINN_LENIENCE_PAPER)
        return linn_sampler_probability(c->sampler, x) > (double)c->q[position] / c->lenience;
    return linn_sampler_score(c->sampler, x) >
           linn_sampler_score(c->sampler, best) - c->log_lenience;
}

/* The token at `position`, which the draft has if `drafted`. */
static linn_verdict judge_coupled(linn_cascade *c, int r, int above, int32_t position, bool drafted)
{
    linn_verdict v = {.drafted = drafted};
    bool margin = r > 0 && c->policy->wants_margins;
    v.own =
        margin ? linn_sampler_pick_surely(c->sampler, &v.margin) : linn_sampler_pick(c->sampler);
    linn_token x = c->text[position];
    if (drafted) {
        v.passed = x == v.own;
        if (!v.passed && r > 0 && c->lenience > 1) {
            v.passed = lenient_pass(c, x, v.own, position);
            v.margin = v.passed ? 0 : v.margin;
        }
    }
    /* What the authors' code hands to the level above as the drafter's probability. */
    if (above > 0 && c->lenience > 1 && c->lenience_rule == LINN_LENIENCE_PAPER)
        c->q[position] = (float)linn_sampler_probability(c->sampler, v.passed ? x : v.own);
    return v;
}

/* ---- rejection ---------------------------------------------------------------------------- */

/* In (0, 1), a step of 2^-52 between: 53 bits and a half would round up to 1. */
static double fine_uniform(const uint32_t words[2])
{
    uint64_t bits = ((uint64_t)words[0] << 32 | words[1]) >> 12;
    return ((double)bits + 0.5) * 0x1p-52;
}

static linn_verdict judge_rejection(linn_cascade *c, int r, int above, int32_t position,
                                    bool drafted)
{
    uint32_t words[4];
    linn_noise_words(c->request->sampling.seed, LINN_STREAM_LEVELS + (uint32_t)r, position,
                     c->tries[r]++, words);
    linn_sampler_law(c->sampler, &c->p);
    linn_law *law = above >= 0 || drafted ? linn_timeline_law(c, position) : NULL;
    if (!drafted) {
        if (above >= 0)
            linn_law_copy(law, &c->p);
        return (linn_verdict){.own = linn_law_draw(&c->p, fine_uniform(words + 2))};
    }
    double lenience = r > 0 ? c->lenience : 1;
    linn_verdict v = {.drafted = true,
                      .passed = linn_uniform(words[0]) <
                                linn_law_pass(&c->p, law, lenience, c->text[position])};
    if (v.passed && above < 0)
        return v;
    linn_law_rest(&c->p, law, &c->rest);
    if (!v.passed)
        v.own = linn_law_draw(&c->rest, fine_uniform(words + 2));
    if (above >= 0)
        linn_law_effective(&c->p, law, lenience, &c->rest, &c->scratch);
    return v;
}

/* ---- a review ------------------------------------------------------------------------------- */

static void count(linn_cascade *c, int r, int32_t index, int32_t position, bool passed)
{
    linn_level_stats *s = &c->stats->levels[r];
    s->reviewed++;
    s->approved += passed;
    if (r > 0)
        return;
    int at = index < LINN_MAX_POSITIONS ? index : LINN_MAX_POSITIONS - 1;
    linn_level_stats *o = &c->stats->levels[c->origin[position]];
    o->drafted[at]++;
    o->accepted[at] += passed;
}

int linn_review(linn_cascade *c, int r, int above, int32_t base, linn_error *err)
{
    linn_level *l = c->levels[r];
    int32_t n = c->length - base;
    /* After a token that ends the text there is nothing to say: its row is not needed. */
    int32_t n_outputs = c->ended ? n : n + 1;
    int rc = linn_level_pass(c, r, base - 1 + n_outputs, n_outputs, err);
    if (rc)
        return rc;
    linn_sampler_roll_back(c->sampler, base);
    for (int32_t i = 0; i < n_outputs; i++) {
        rc = linn_sampler_read(c->sampler, l->name, l->logits(l, i), l->n_vocab, err);
        if (rc)
            return rc;
        linn_verdict v = c->verify == LINN_VERIFY_COUPLED
                             ? judge_coupled(c, r, above, base + i, i < n)
                             : judge_rejection(c, r, above, base + i, i < n);
        if (i < n)
            count(c, r, i, base + i, v.passed);
        if (c->policy->judged)
            c->policy->judged(c->policy, c, r, base + i, &v);
        if (v.passed) {
            linn_sampler_push(c->sampler, c->text[base + i]);
            continue;
        }
        linn_timeline_roll_back(c, base + i);
        linn_timeline_append(c, v.own, r);
        break;
    }
    return LINN_OK;
}
