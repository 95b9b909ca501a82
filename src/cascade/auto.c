/* auto.c - the marginal rule (auto.h).
 *
 * A draft of a reviewer is worth going on with by j >= 1 tokens of a source if
 *
 *     value * (s_1 + ... + s_j)  >  time to draft them + T(rows + j) - T(rows)
 *
 * where s_i is the chance that the i-th of them and all before pass, T(n) what a pass of the
 * reviewer costs, and `value` what a token of the reviewer is worth: for the target the time
 * that a token now costs; for a level below the smaller of that and s times the value of a token
 * one level up. The source and the j with the largest difference win; a model then writes one
 * step, after which all is asked again, since its margin says more than its average.
 *
 * Where nothing pays it is plain decoding, and costs one look at Max-Gram's guess a token, which is
 * scored for free. What is not used is tried now and then, for a small share of the time, so that
 * it is found out when it begins to pay. A drafter that was not used has not read the text
 * either; what it must catch up on is part of its cost.
 */
#include "cascade/auto.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const double WORTH = 0.05; /* of a token's value: less gain may be an error of the figures */
static const double LOOK_SHARE = 1. / 256; /* of a token's time: for less one may always look */
static const double INDEX_NS = 200;        /* Max-Gram's, for a token of the prompt */
static const double KEEP = 0.97;           /* of spent_ns and made, at each step */
enum {
    FEW_ROWS = 8,     /* more than this at once is reading */
    FEW_TOKENS = 4,   /* as many or less say little about what a level's tokens cost */
    PLAIN_TIMED = 8,  /* one in so many plain rounds is timed, and models are weighed in it */
    PLAIN_KNOWN = 32, /* plain passes until which one in four is plain, then one in 49 */
    KNOWN_WELL = 64,  /* tokens after which a source is tried more seldom */
    LOOKS = 4,        /* where looking did not pay of late: one in so many plain rounds looks */
    LOOK_MEMORY = 32, /* looks that tell whether it does */
};

typedef struct offer {
    int source; /* 0: none */
    int32_t tokens;
    double gain;
} offer;

/* ---- what is known --------------------------------------------------------------------------- */

static double shared_pass_ns(const linn_company *company, int r, int32_t rows)
{
    const linn_widths *w = company->widths[r];
    int32_t others = company->others[r];
    double theirs = others > 0 ? linn_widths_ns(w, others) : -company->step_ns;
    return linn_widths_ns(w, others + rows) - theirs;
}

double linn_auto_pass_ns(const linn_auto *a, int r, int32_t rows)
{
    if (a->company)
        return shared_pass_ns(a->company, r, rows);
    const linn_auto_level *l = &a->levels[r];
    if (l->widths.n_measured)
        return linn_widths_ns(&l->widths, rows);
    return linn_widths_ns(&a->levels[0].widths, rows) * l->size;
}

double linn_auto_token_ns(const linn_auto *a, int r)
{
    const linn_auto_level *l = &a->levels[r];
    double alone = linn_auto_pass_ns(a, r, 1), most = 3 * alone;
    if (a->company)
        return r == 0 && a->company->token_ns > 0 ? a->company->token_ns : alone;
    if (l->made <= FEW_TOKENS)
        return alone;
    double of_late = l->spent_ns / l->made;
    if (r == 0) { /* what lies between passes, sampling above all, no draft saves */
        of_late -= a->between_ns;
        most = alone;
        of_late = of_late > alone / LINN_OPEN_DRAFT ? of_late : alone / LINN_OPEN_DRAFT;
    }
    return of_late < most ? of_late : most;
}

static double read_ns(const linn_auto *a, int r)
{
    if (a->levels[r].read_ns > 0)
        return a->levels[r].read_ns;
    if (a->levels[0].read_ns > 0)
        return a->levels[0].read_ns * a->levels[r].size;
    return linn_auto_pass_ns(a, r, 2 * FEW_ROWS) / (2 * FEW_ROWS);
}

static float chance_of(const linn_auto *a, int reviewer, int source, int bin)
{
    return a->calibration.chance[reviewer][source][bin];
}

static double value_of(const linn_auto *a, const linn_draft *d)
{
    double own = linn_auto_token_ns(a, d->reviewer);
    const linn_draft *o = d->outer;
    if (!o)
        return own;
    double passed_on =
        o->value * o->chance * (double)chance_of(a, o->reviewer, d->reviewer, LINN_ALL_BINS);
    return passed_on < own ? passed_on : own;
}

/* Tokens of the text for which a drafter that catches up will be of use: as many again as there are
 * already, if so many may come. */
static int32_t horizon(const linn_cascade *c)
{
    int32_t said = c->stats->tokens, left = c->n_ctx - c->committed;
    if (c->request->max_tokens >= 0 && c->request->max_tokens - said < left)
        left = c->request->max_tokens - said;
    int32_t n = said + 16 < left ? said + 16 : left;
    return n > 1 ? n : 1;
}

/* ---- the offers of the sources ------------------------------------------------------------------
 */

static void take_better(offer *best, int source, int32_t tokens, double gain)
{
    if (gain > best->gain)
        *best = (offer){source, tokens, gain};
}

/* A draft of `rows` rows so far, and statistical drafter i's proposals. */
static void weigh_proposals(linn_auto *a, const linn_draft *d, int i, int32_t rows, offer *best)
{
    int r = d->reviewer, source = a->n_models + i;
    double before = linn_auto_pass_ns(a, r, rows), s = d->chance, sum = 0;
    linn_source kind = a->calibration.kind[source];
    for (int32_t j = 0; j < a->n_proposals[i] && s > 0.01; j++) {
        s *= (double)chance_of(a, r, source, linn_bin(kind, a->proposals[i][j].confidence));
        sum += s;
        double gain = d->value * sum - (linn_auto_pass_ns(a, r, rows + j + 1) - before);
        take_better(best, source, j + 1, gain);
    }
}

static void ask(linn_auto *a, linn_cascade *c, const linn_draft *d, int i)
{
    int32_t n = d->most - (c->length - d->base);
    n = linn_ask(c, i, n < LINN_OPEN_DRAFT ? n : LINN_OPEN_DRAFT);
    memcpy(a->proposals[i], c->proposals, (size_t)n * sizeof *c->proposals);
    a->n_proposals[i] = n;
    linn_shadow *s = &a->shadows[d->reviewer][i];
    a->n_asked += d->reviewer == 0 && i == 0;
    a->n_answered += d->reviewer == 0 && i == 0 && n > 0;
    s->position = n > 0 ? c->length : -1;
    if (n > 0) {
        s->token = c->proposals[0].token;
        s->bin = linn_bin(c->proposals[0].source, c->proposals[0].confidence);
    }
}

/* Max-Gram is asked always; an n-gram table, which takes its time, while its offers of late were
 * worth that, or as a try. */
static void weigh_statistical(linn_auto *a, linn_cascade *c, const linn_draft *d, int i,
                              int32_t rows, offer *best)
{
    int source = a->n_models + i;
    bool slow = a->calibration.kind[source] == LINN_SOURCE_NGRAM;
    a->n_proposals[i] = 0;
    a->shadows[d->reviewer][i].position = -1;
    if (!slow) {
        ask(a, c, d, i);
        weigh_proposals(a, d, i, rows, best);
        return;
    }
    if (a->ask_gain[i] < a->ask_ns[i]) {
        if (a->allowance[source] < a->ask_ns[i])
            return;
        a->allowance[source] -= a->ask_ns[i];
    }
    int64_t start = linn_now_ns();
    ask(a, c, d, i);
    double ns = (double)(linn_now_ns() - start), other = best->gain > 0 ? best->gain : 0;
    weigh_proposals(a, d, i, rows, best);
    c->stats->levels[source].ms += ns * 1e-6;
    double most = a->ask_ns[i] > 0 ? 4 * a->ask_ns[i] : linn_auto_pass_ns(a, 0, 1);
    ns = ns < 0 ? 0 : ns < most ? ns : most;
    a->ask_ns[i] = a->ask_ns[i] > 0 ? a->ask_ns[i] + (ns - a->ask_ns[i]) / 8 : ns;
    double gain = best->gain > other ? best->gain - other : 0;
    a->ask_gain[i] = a->ask_gain[i] < 0 ? gain : a->ask_gain[i] + (gain - a->ask_gain[i]) / 16;
}

/* The first token of model j, the reading that it must catch up on apart. */
static double first_token_ns(const linn_auto *a, const linn_cascade *c, int j, int32_t *to_read)
{
    int32_t rows = c->length - c->levels[j]->known;
    *to_read = rows > FEW_ROWS ? rows - 1 : 0;
    double more = linn_auto_token_ns(a, j) - linn_auto_pass_ns(a, j, 1); /* sampling, say */
    return linn_auto_pass_ns(a, j, *to_read ? 1 : rows) + (more > 0 ? more : 0);
}

static void weigh_model(linn_auto *a, linn_cascade *c, const linn_draft *d, int j, int32_t rows,
                        offer *best)
{
    int r = d->reviewer;
    int32_t to_read, room = d->most - (c->length - d->base);
    linn_timeline_recognise(c, j, c->length - 1);
    double alpha = (double)chance_of(a, r, j, LINN_ALL_BINS), s = d->chance, sum = 0;
    double before = linn_auto_pass_ns(a, r, rows), token = linn_auto_token_ns(a, j);
    double cost = first_token_ns(a, c, j, &to_read);
    if (to_read > 0)
        cost += read_ns(a, j) * to_read / horizon(c);
    for (int32_t i = 1; i <= room; i++) {
        s *= alpha;
        sum += s;
        take_better(best, j, i,
                    d->value * sum - cost - (linn_auto_pass_ns(a, r, rows + i) - before));
        cost += token;
        if (s * d->value < token)
            break;
    }
}

/* ---- trying what is not used -------------------------------------------------------------------
 */

/* The next in turn of the sources below the reviewer, if its allowance will do. */
static offer try_one(linn_auto *a, linn_cascade *c, int r, int32_t rows)
{
    uint64_t n_sources = (uint64_t)(a->n_sources - 1 - r), turn = a->n_tries++;
    int source = r + 1 + (int)(turn % n_sources);
    int32_t tokens = 1 + (int32_t)(turn / n_sources % 3);
    double cost = 0;
    if (source < a->n_models) {
        int32_t to_read;
        tokens = 1;
        linn_timeline_recognise(c, source, c->length - 1);
        cost = first_token_ns(a, c, source, &to_read);
        cost += to_read * read_ns(a, source);
    } else {
        int32_t n = a->n_proposals[source - a->n_models];
        tokens = tokens < n ? tokens : n;
    }
    cost += linn_auto_pass_ns(a, r, rows + tokens) - linn_auto_pass_ns(a, r, rows);
    if (tokens == 0 || cost > a->allowance[source])
        return (offer){0};
    if (r > 0 || a->company) /* of the target alone it is known what was lost, afterwards */
        a->allowance[source] -= cost;
    a->n_explored++;
    return (offer){source, tokens, 0};
}

/* ---- the decision ------------------------------------------------------------------------------
 */

/* What the last step added, and how likely all of the draft is to pass with it. */
static void follow(const linn_auto *a, const linn_cascade *c, linn_draft *d)
{
    if (d->source == d->reviewer)
        return;
    if (c->length == d->before)
        d->silent |= 1u << d->source;
    for (int32_t i = d->before; i < c->length; i++)
        d->chance *= (double)chance_of(a, d->reviewer, a->source[i], a->bin[i]);
}

/* Puts the first n of a drafter's proposals where the recursion takes them from. */
static void propose(linn_auto *a, linn_cascade *c, int i, int32_t n)
{
    memcpy(c->proposals, a->proposals[i], (size_t)n * sizeof *c->proposals);
    c->n_proposed = n;
    c->proposer = i;
    for (int32_t j = 0; j < n; j++) {
        a->source[c->length + j] = (uint8_t)(a->n_models + i);
        a->bin[c->length + j] =
            (uint8_t)linn_bin(c->proposals[j].source, c->proposals[j].confidence);
    }
}

static bool plain_is_known(const linn_auto *a)
{
    return a->levels[0].widths.seen[0] >= PLAIN_KNOWN;
}

/* Now and then a pass without drafts: else its cost would be that of long ago, or of a first
 * pass with cold caches, and drafting would be held up against a ghost. */
static bool must_be_plain(linn_auto *a, const linn_cascade *c, const linn_draft *d)
{
    if (c->length > d->base)
        return false;
    return a->rounds_since_plain >= (plain_is_known(a) ? 48 : 3);
}

/* After a round that drafted all is looked at anew. Plain rounds are alike: to read the clock, to
 * learn what a pass of one row takes and to find again that no model pays would cost more than
 * Max-Gram's guess does. */
static bool is_timed(const linn_auto *a)
{
    return a->rounds_since_plain > 0 || a->n_rounds % PLAIN_TIMED == 0;
}

/* A pass drives from the caches what looking needs, so that to look takes longer than its few
 * instructions say: a hundredth of a pass of a small model. */
static bool looking_pays(const linn_auto *a)
{
    return a->look_gain[a->calibration.heat] >= a->look_ns ||
           a->look_ns < LOOK_SHARE * linn_auto_token_ns(a, 0);
}

static bool rests(const linn_auto *a, const linn_cascade *c)
{
    if (looking_pays(a) || a->rounds_since_plain > 0)
        return false;
    return c->stats->tokens < a->first_look || a->n_rounds % LOOKS != 0;
}

/* Rows of the reviewer's pass with the draft so far. */
static int32_t rows_of(const linn_cascade *c, const linn_draft *d)
{
    int32_t rows = c->length - c->levels[d->reviewer]->known;
    return rows > FEW_ROWS + LINN_OPEN_DRAFT ? 1 + c->length - d->base : rows; /* it is to read */
}

static void learn_look(linn_auto *a, double gain, int64_t ns)
{
    double *of_late = &a->look_gain[a->calibration.heat];
    *of_late += (gain - *of_late) / LOOK_MEMORY;
    if (ns > 0)
        a->look_ns = a->look_ns > 0 && (double)ns > 2 * a->look_ns
                         ? a->look_ns * (1 + 1. / LOOK_MEMORY)
                         : a->look_ns + ((double)ns - a->look_ns) / LOOK_MEMORY;
}

/* The best that is on offer, if any is worth it. */
static offer look(linn_auto *a, linn_cascade *c, const linn_draft *d)
{
    int r = d->reviewer;
    bool first = r == 0 && c->length == d->base, timed = first && is_timed(a);
    bool models = !first || timed || a->company; /* company changes from round to round */
    int64_t start = timed ? linn_now_ns() : 0;
    linn_timeline_recognise(c, r, d->base - 1);
    int32_t rows = rows_of(c, d);
    offer best = {.gain = WORTH * d->value};
    for (int i = 0; i < c->n_statistical; i++)
        weigh_statistical(a, c, d, i, rows, &best);
    for (int j = r + 1; j < a->n_models && models; j++)
        if (!(d->silent >> j & 1))
            weigh_model(a, c, d, j, rows, &best);
    if (first)
        learn_look(a, best.source ? best.gain : 0, start ? linn_now_ns() - start : 0);
    return best;
}

static int next(linn_policy *p, linn_cascade *c, linn_draft *d)
{
    linn_auto *a = (linn_auto *)p;
    int r = d->reviewer;
    if (!d->begun) {
        d->begun = true;
        d->start_ns = !a->company && (r > 0 || is_timed(a)) ? linn_now_ns() : 0;
        d->passes_ns = a->passes_ns;
        d->usual_ns = a->usual_ns;
        d->value = value_of(a, d);
    }
    follow(a, c, d);
    if (d->exploring || !(d->value > 0) || (r == 0 && must_be_plain(a, c, d)))
        return 0;
    if (r == 0 && c->length == d->base && rests(a, c))
        return 0;
    offer best = look(a, c, d);
    if (best.source == 0 && c->length == d->base) {
        best = try_one(a, c, r, rows_of(c, d));
        d->exploring = best.source > 0;
    }
    if (best.source < a->n_models)
        return best.source;
    propose(a, c, best.source - a->n_models, best.tokens);
    return c->k.n_models;
}

/* ---- learning ----------------------------------------------------------------------------------
 */

/* Max-Gram reads the prompt before the team of threads waits for its next pass; or, where looking
 * has not paid, when so much of the text is there that it can be afforded, if ever. */
static void prepare_to_look(linn_auto *a, linn_cascade *c)
{
    a->first_look = 0;
    if (!looking_pays(a)) {
        double tokens = c->n_prompt * INDEX_NS / (LOOK_SHARE * linn_auto_token_ns(a, 0));
        a->first_look = tokens >= 0 && tokens < c->n_ctx ? (int32_t)tokens : c->n_ctx;
    }
    for (int i = 0; i < c->n_statistical && a->first_look == 0; i++)
        linn_ask(c, i, 0);
}

static void begin(linn_policy *p, linn_cascade *c)
{
    linn_auto *a = (linn_auto *)p;
    linn_calibration_begin(&a->calibration, c->request->sampling.temperature);
    a->read_now = false;
    prepare_to_look(a, c);
    for (int r = 0; r < a->n_models; r++)
        for (int i = 0; i < 2; i++)
            a->shadows[r][i].position = -1;
}

static void passed(linn_policy *p, int level, int32_t rows, int32_t n_outputs, int64_t ns)
{
    linn_auto *a = (linn_auto *)p;
    linn_auto_level *l = &a->levels[level];
    if (a->company || ns <= 0 || l->n_passes++ == 0) /* the first pass finds caches cold */
        return;
    linn_widths_guess(&l->widths, &a->levels[0].widths, l->size);
    double usual = 2 * linn_widths_ns(&l->widths, rows);
    a->passes_ns += (double)ns;
    a->usual_ns += usual > 0 && (double)ns > usual ? usual : (double)ns;
    if (rows - n_outputs > FEW_ROWS) {
        a->read_now = true;
        double each = (double)ns / rows;
        if (rows >= 4 * FEW_ROWS && (each < l->read_ns || l->read_ns == 0))
            l->read_ns = each;
        else if (rows >= 4 * FEW_ROWS)
            l->read_ns += (each < 2 * l->read_ns ? each - l->read_ns : l->read_ns) / 8;
    } else if (level > 0 ||
               (rows == n_outputs && (rows > 1 || is_timed(a) || !plain_is_known(a)))) {
        linn_widths_discover(&l->widths, rows, (double)ns, l->read_ns);
    }
}

static void judged(linn_policy *p, linn_cascade *c, int r, int32_t position, const linn_verdict *v)
{
    linn_auto *a = (linn_auto *)p;
    int source = v->drafted ? a->source[position] : -1;
    linn_token token = v->passed ? c->text[position] : v->own;
    if (v->drafted)
        linn_calibration_count(&a->calibration, r, source, a->bin[position], v->passed);
    for (int i = 0; i < c->n_statistical; i++) {
        const linn_shadow *s = &a->shadows[r][i];
        if (s->position == position && a->n_models + i != source)
            linn_calibration_count(&a->calibration, r, a->n_models + i, s->bin, s->token == token);
    }
    if (r > 0) {
        a->source[position] = (uint8_t)r;
        a->bin[position] = (uint8_t)linn_bin(LINN_SOURCE_MODEL, v->margin);
    }
}

static void earn_allowances(linn_auto *a, double ns)
{
    double share = a->explore * ns / (a->n_sources - 1);
    for (int s = 1; s < a->n_sources; s++) {
        linn_tally t = a->calibration.all[a->calibration.heat][0][s][LINN_ALL_BINS];
        a->allowance[s] += t.passed + t.failed < KNOWN_WELL ? share : share / 4;
    }
}

/* What a step took, less what the machine was busy with other things. */
static double time_of(linn_auto *a, const linn_draft *d, int32_t added)
{
    if (a->company)
        return linn_auto_token_ns(a, d->reviewer) * added;
    double of_passes = a->usual_ns - d->usual_ns;
    if (!d->start_ns)
        return of_passes + a->between_ns;
    double all = (double)(linn_now_ns() - d->start_ns), passes = a->passes_ns - d->passes_ns;
    double between = all > passes ? all - passes : 0;
    between = between < of_passes ? between : of_passes;
    if (d->reviewer == 0)
        a->between_ns += (between / added - a->between_ns) / 8;
    return of_passes + between;
}

static void reviewed(linn_policy *p, linn_cascade *c, const linn_draft *d)
{
    linn_auto *a = (linn_auto *)p;
    linn_auto_level *l = &a->levels[d->reviewer];
    int32_t added = c->length - d->base;
    bool read = a->read_now;
    if (d->reviewer == 0)
        a->read_now = false;
    double ns = d->begun && added > 0 ? time_of(a, d, added) : 0;
    if (!(ns > 0))
        return;
    if (!read) {
        l->spent_ns = KEEP * l->spent_ns + ns;
        l->made = KEEP * l->made + added;
    }
    if (d->reviewer > 0)
        return;
    a->n_rounds++;
    a->rounds_since_plain = d->source > 0 ? a->rounds_since_plain + 1 : 0;
    a->n_drafted_rounds += d->source > 0 && !d->exploring;
    if (!read)
        earn_allowances(a, ns);
    int source = d->source == a->n_models ? a->n_models + c->proposer : d->source;
    double lost = ns - added * d->value;
    if (d->exploring && lost > 0)
        a->allowance[source] -= lost;
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void free_auto(linn_policy *p)
{
    linn_auto *a = (linn_auto *)p;
    free(a->source);
    free(a->bin);
    free(a->profile);
    free(a);
}

linn_auto *linn_auto_of(const linn_cascade *c)
{
    return c->policy->free == free_auto ? (linn_auto *)c->policy : NULL;
}

int linn_auto_install(linn_cascade *c, double explore, linn_error *err)
{
    linn_auto *a = calloc(1, sizeof *a);
    if (!a)
        return linn_fail(err, LINN_ENOMEM, "cascade: out of memory");
    a->policy = (linn_policy){.next = next,
                              .wants_margins = true,
                              .begin = begin,
                              .passed = passed,
                              .judged = judged,
                              .reviewed = reviewed,
                              .free = free_auto};
    a->explore = explore;
    a->n_models = c->k.n_models;
    a->n_sources = c->k.n_models + c->n_statistical;
    a->source = linn_alloc((size_t)c->n_ctx, sizeof *a->source);
    a->bin = linn_alloc((size_t)c->n_ctx, sizeof *a->bin);
    if (!a->source || !a->bin) {
        free_auto(&a->policy);
        return linn_fail(err, LINN_ENOMEM, "cascade: no memory for %d positions", c->n_ctx);
    }
    a->calibration.n_models = a->n_models;
    a->calibration.n_sources = a->n_sources;
    for (int i = 0; i < a->n_models; i++) {
        a->calibration.kind[i] = LINN_SOURCE_MODEL;
        a->levels[i].size =
            (double)c->levels[i]->n_parameters / (double)(c->levels[0]->n_parameters + 1);
    }
    for (int i = 0; i < c->n_statistical; i++) {
        a->calibration.kind[a->n_models + i] = c->statistical[i]->source;
        a->ask_gain[i] = -1;
    }
    c->policy = &a->policy;
    return LINN_OK;
}
