/* The same text with real models: cascades of all kinds, threads and instruction sets against the
 * target alone.
 *
 *   test-cascade-models [--runs N] [--seed S] [--grid]
 *
 * Settings are drawn at random, from a seed that is printed (and, without --seed, is another one
 * every time). --grid walks through all combinations of the small models and a twentieth of those
 * of the default family. */
#include "test.h"
#include "alloc_fail.h"
#include "synthetic.h"
#include "cascade/cascade.h"
#include "fake_level.h"
#include "fake_policy.h"

#include <sys/random.h>

enum { N_TOKENS = 64, MOST_TEXT = 1 << 14, N_ENGINES = 5, N_MODELS = 7, MOST_PATH = 5000 };

static uint64_t seed, rng_state;
static int n_runs = 24;
static bool whole_grid;

static uint64_t rng(void)
{
    return fake_hash(seed, rng_state++);
}

static int below(int n)
{
    return (int)(rng() % (uint64_t)n);
}

/* ---- models ---------------------------------------------------------------------------------- */

/* Two families; within one, any model can draft for any other. The first is there only with the
 * conformance data: a real model, and random ones of its vocabulary, one of them padded. */
enum { STORIES, TINY, PADDED, WIDE, RIVER, BROOK, RILL };
static const char *const model_names[N_MODELS] = {"stories260K", "tiny",  "padded", "wide",
                                                  "river",       "brook", "rill"};
static char model_paths[N_MODELS][MOST_PATH];
static bool have_stories;

static const linn_engine_settings engine_settings[N_ENGINES] = {
    {1, LINN_CPU_C}, {2, LINN_CPU_C}, {1, LINN_CPU_AVX2}, {2, LINN_CPU_AVX2}, {1, LINN_CPU_ANY},
};
/* Threads in step are slow on a busy machine: two of them in a fifth of the random runs. */
static int some_engine(void)
{
    static const int most[] = {0, 2, 4, 4};
    return below(5) ? most[below(4)] : 1 + 2 * below(2);
}

static linn_engine *engines[N_ENGINES];
static linn_model *models[N_ENGINES][N_MODELS];

static const linn_model *model_of(int engine, int model)
{
    linn_error err;
    if (!engines[engine] &&
        linn_engine_create(&engines[engine], &engine_settings[engine], &err) != LINN_OK)
        fail_msg("%s", err.message);
    if (!models[engine][model] && linn_model_open(&models[engine][model], engines[engine],
                                                  model_paths[model], &err) != LINN_OK)
        fail_msg("%s", err.message);
    return models[engine][model];
}

static void make_random_model(int model, uint32_t type, int n_vocab, int n_embd)
{
    synthetic s = synthetic_small("llama");
    linn_error err;
    s.type = type;
    s.n_vocab = n_vocab;
    s.n_embd = n_embd;
    s.n_ff = 2 * n_embd;
    s.tokenizer = model_paths[STORIES];
    s.seed = (uint64_t)model;
    s.n_ctx = 512;
    if (synthetic_make(&s, model_paths[model], &err) != LINN_OK)
        fail_msg("%s", err.message);
}

static int open_all(void **state)
{
    (void)state;
    const char *stories = shared_path("golden/dev/stories260K.gguf");
    have_stories = stories != NULL;
    for (int i = 0; i < RIVER; i++)
        snprintf(model_paths[i], MOST_PATH, "/tmp/linn-cascade-%d-%s", (int)getpid(),
                 model_names[i]);
    for (int i = RIVER; i < N_MODELS; i++)
        snprintf(model_paths[i], MOST_PATH, "%s/%s.gguf", getenv("LINN_MODELS"), model_names[i]);
    if (have_stories) {
        snprintf(model_paths[STORIES], MOST_PATH, "%s", stories);
        make_random_model(TINY, LINN_TYPE_F32, 512, 64);
        make_random_model(PADDED, LINN_TYPE_Q8_0, 544, 64);
        make_random_model(WIDE, LINN_TYPE_Q4_K, 512, 256);
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (int i = 0; i < N_ENGINES; i++) {
        for (int j = 0; j < N_MODELS; j++)
            linn_model_free(models[i][j]);
        linn_engine_free(engines[i]);
    }
    for (int i = TINY; i < RIVER && have_stories; i++)
        unlink(model_paths[i]);
    return 0;
}

/* ---- a text ------------------------------------------------------------------------------------
 */

typedef struct written {
    linn_token ids[N_TOKENS * 4];
    int n, cancel_at, passes, cancel_pass;
    char text[MOST_TEXT];
    size_t n_text;
    linn_finish finish;
    linn_stats stats;
} written;

static bool on_piece(void *user, const linn_piece *piece)
{
    written *w = user;
    if (piece->token >= 0)
        w->ids[w->n++] = piece->token;
    assert_true(w->n_text + piece->length < MOST_TEXT);
    if (piece->length > 0)
        memcpy(w->text + w->n_text, piece->text, piece->length);
    w->n_text += piece->length;
    return w->n != w->cancel_at;
}

static bool on_pass(void *user)
{
    written *w = user;
    return ++w->passes != w->cancel_pass;
}

/* A constraint of the tests' own: which tokens may come depends on the length and the last one. */
typedef struct fence {
    linn_token text[4096];
    int32_t length;
} fence;

static void fence_mask(void *state, uint32_t *bits, int32_t n_vocab)
{
    fence *f = state;
    uint64_t last = f->length ? (uint64_t)f->text[f->length - 1] : 0;
    for (int32_t i = 0; i < (n_vocab + 31) / 32; i++)
        bits[i] = (uint32_t)fake_hash(last + (uint64_t)f->length * 77777, (uint64_t)i);
}

static void fence_advance(void *state, linn_token token)
{
    fence *f = state;
    f->text[f->length++] = token;
}

static void fence_roll_back(void *state, int32_t n)
{
    ((fence *)state)->length -= n;
    assert_true(((fence *)state)->length >= 0);
}

/* Any token but an end, until the one at `end_at`, which must end the text. */
typedef struct deadline {
    const linn_tokenizer *tokenizer;
    int length, end_at;
} deadline;

static void deadline_mask(void *state, uint32_t *bits, int32_t n_vocab)
{
    const deadline *d = state;
    memset(bits, 0, (size_t)(n_vocab + 31) / 32 * sizeof *bits);
    for (int32_t v = 0; v < n_vocab; v++)
        if (linn_token_is_end(d->tokenizer, v) == (d->length + 1 >= d->end_at))
            bits[v >> 5] |= 1u << (v & 31);
}

static void deadline_advance(void *state, linn_token token)
{
    (void)token;
    ((deadline *)state)->length++;
}

static void deadline_roll_back(void *state, int32_t n)
{
    ((deadline *)state)->length -= n;
}

/* ---- a run --------------------------------------------------------------------------------------
 */

/* All that a run depends on; what can be said of it when it fails. */
typedef struct run {
    int engine, target, drafters[2], n_drafters;
    linn_cascade_settings cascade;
    int32_t matrix[9];
    linn_sampling sampling;
    linn_logit_bias bias;
    bool fenced;
    linn_token prompt[256];
    int n_prompt;
    char stops[2][24];
    int n_stops;
    int cancel_at, cancel_pass;
    int end_at;       /* the token of that number, from 1, ends the text; 0: none must */
    bool adversarial; /* auto decides at random */
    char what[400];
} run;

static void describe(run *r)
{
    static const char *const shapes[] = {"auto", "off", "maxgram", "spec", "K"};
    int n =
        snprintf(r->what, sizeof r->what, "%s on engine %d, shape %s k %d maxgram %d block %d K",
                 model_names[r->target], r->engine, shapes[r->cascade.shape], r->cascade.k,
                 r->cascade.maxgram, r->cascade.block);
    for (int i = 0; r->cascade.k_matrix && i < r->cascade.k_order * r->cascade.k_order; i++)
        n += snprintf(r->what + n, sizeof r->what - (size_t)n, " %d", r->matrix[i]);
    for (int i = 0; i < r->n_drafters; i++)
        n += snprintf(r->what + n, sizeof r->what - (size_t)n, ", drafter %s",
                      model_names[r->drafters[i]]);
    snprintf(r->what + n, sizeof r->what - (size_t)n,
             ", lenience %g (%d), temperature %g, top-p %g, repeat %g, %d in the prompt, %d stops, "
             "fence %d, bias %g",
             (double)r->cascade.lenience, r->cascade.lenience_rule, (double)r->sampling.temperature,
             (double)r->sampling.top_p, (double)r->sampling.repeat_penalty, r->n_prompt, r->n_stops,
             r->fenced, (double)r->bias.bias);
}

static void write_text(run *r, written *w)
{
    const linn_model *drafters[2];
    const char *stops[2] = {r->stops[0], r->stops[1]};
    linn_cascade *c;
    linn_error err;
    static fence f;
    linn_constraint constraint = {&f, fence_mask, fence_advance, fence_roll_back};
    f.length = 0;
    linn_request q = {.prompt = r->prompt,
                      .n_prompt = (size_t)r->n_prompt,
                      .max_tokens = N_TOKENS,
                      .sampling = r->sampling,
                      .stop = stops,
                      .n_stop = (size_t)r->n_stops,
                      .user = w,
                      .on_piece = on_piece,
                      .go_on = on_pass};
    if (r->bias.bias > 0) {
        q.sampling.biases = &r->bias;
        q.sampling.n_biases = 1;
    }
    if (r->fenced)
        q.sampling.constraint = &constraint;
    deadline ending = {linn_model_tokenizer(model_of(r->engine, r->target)), 0, r->end_at};
    linn_constraint end = {&ending, deadline_mask, deadline_advance, deadline_roll_back};
    if (r->end_at > 0)
        q.sampling.constraint = &end;
    r->cascade.k_matrix = r->cascade.shape == LINN_CASCADE_K ? r->matrix : NULL;
    describe(r);
    for (int i = 0; i < r->n_drafters; i++)
        drafters[i] = model_of(r->engine, r->drafters[i]);
    if (linn_cascade_create(&c, model_of(r->engine, r->target), drafters, (size_t)r->n_drafters,
                            &r->cascade, &err) != LINN_OK)
        fail_msg("%s: %s", r->what, err.message);
    if (r->adversarial)
        fake_policy_install(c, rng());
    w->n = w->passes = 0;
    w->n_text = 0;
    w->cancel_at = r->cancel_at;
    w->cancel_pass = r->cancel_pass;
    if (linn_generate(c, &q, &w->finish, &w->stats, &err) != LINN_OK)
        fail_msg("%s: %s", r->what, err.message);
    linn_cascade_free(c);
}

static void write_plain(const run *r, int engine, written *w)
{
    run plain = *r;
    plain.engine = engine;
    plain.n_drafters = 0;
    plain.adversarial = false;
    plain.cascade = linn_cascade_settings_default();
    plain.cascade.session = r->cascade.session;
    plain.cascade.shape = LINN_CASCADE_OFF;
    plain.cancel_at = plain.cancel_pass = 0;
    write_text(&plain, w);
}

/* Cancelled runs give a beginning, all others the very text. */
static void compare(const run *r, const written *want, const written *got)
{
    int n = got->n;
    bool whole = got->finish != LINN_FINISH_CANCELLED;
    size_t n_text = got->n_text;
    if ((whole && (n != want->n || got->finish != want->finish || n_text != want->n_text)) ||
        n > want->n || n_text > want->n_text)
        fail_msg("%s: %d tokens, %zu bytes, finish %d; plain: %d, %zu, %d", r->what, n, n_text,
                 got->finish, want->n, want->n_text, want->finish);
    for (int i = 0; i < n; i++)
        if (got->ids[i] != want->ids[i])
            fail_msg("%s: token %d is %d, plain %d", r->what, i, got->ids[i], want->ids[i]);
    assert_memory_equal(got->text, want->text, n_text);
    uint64_t tokens = 0;
    for (int i = 0; i < got->stats.n_levels; i++)
        tokens += got->stats.levels[i].tokens;
    assert_int_equal(tokens, n);
}

/* ---- settings
 * ------------------------------------------------------------------------------------ */

static const int32_t matrices[3][9] = {
    {4, 3, 0, 3},                    /* a drafter and Max-Gram */
    {5, 14, 10, 0, 1, 10, 0, 0, 10}, /* the paper's, of two drafters */
    {2, 1, 0, 2},                    /* two drafters */
};

/* kind: maxgram, spec with k = 1, 4, 16, then the three matrices, auto, and random decisions */
enum { N_KINDS = 9 };
static void choose_cascade(run *r, int kind, const int drafters[2])
{
    static const int wanted[N_KINDS] = {0, 1, 1, 1, 1, 2, 2, 2, 2};
    linn_cascade_settings *s = &r->cascade;
    s->shape = kind == 0  ? LINN_CASCADE_MAXGRAM
               : kind < 4 ? LINN_CASCADE_SPEC
               : kind < 7 ? LINN_CASCADE_K
                          : LINN_CASCADE_AUTO;
    s->k = (int32_t[]){4, 1, 4, 16, 4, 4, 4, 4, 4}[kind];
    r->adversarial = kind == 8;
    s->maxgram = kind != 6;
    r->n_drafters = wanted[kind];
    memcpy(r->drafters, drafters, sizeof r->drafters);
    if (kind >= 4 && kind < 7) {
        memcpy(r->matrix, matrices[kind - 4], sizeof r->matrix);
        s->k_order = kind == 5 ? 3 : 2;
    }
}

static void choose_sampling(run *r, int temperature, int repeat)
{
    r->sampling = linn_sampling_default();
    r->sampling.temperature = (float[]){0, 0.7f, 1.3f}[temperature];
    r->sampling.top_p = 0.95f;
    r->sampling.repeat_penalty = repeat ? 1.2f : 1;
}

/* Random tokens, a piece of the project's own text, or a piece of what the target said. */
static void choose_prompt(run *r, int kind)
{
    const linn_model *m = model_of(r->engine, r->target);
    const linn_tokenizer *t = linn_model_tokenizer(m);
    linn_error err;
    r->n_prompt = 1 + below(kind == 0 ? 40 : 150);
    int n_vocab = r->target < RIVER ? 512 : linn_tokenizer_size(t);
    for (int i = 0; i < r->n_prompt; i++)
        r->prompt[i] = below(n_vocab);
    if (kind == 1) {
        static char text[1 << 16];
        char path[MOST_PATH];
        linn_token ids[2048];
        size_t n;
        snprintf(path, sizeof path, "%s/../include/linn.h", getenv("LINN_MODELS"));
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        size_t length = fread(text, 1, sizeof text, f), from = (size_t)below((int)length - 700);
        fclose(f);
        if (linn_tokenize(t, text + from, 600, LINN_TOKENIZE_BOS, ids, 2048, &n, &err) != LINN_OK)
            fail_msg("%s", err.message);
        r->n_prompt = (int)n < r->n_prompt ? (int)n : r->n_prompt;
        memcpy(r->prompt, ids, (size_t)r->n_prompt * sizeof *ids);
    } else if (kind == 2) {
        static written w;
        write_plain(r, r->engine, &w);
        int from = w.n > 20 ? below(w.n - 20) : 0;
        r->n_prompt = w.n - from > 1 ? w.n - from : r->n_prompt;
        if (w.n - from > 1)
            memcpy(r->prompt, w.ids + from, (size_t)r->n_prompt * sizeof *w.ids);
    }
}

static void choose_models(run *r, int *drafters)
{
    int first = have_stories && below(3) ? STORIES : RIVER, n = first == STORIES ? 4 : 3;
    r->target = first + below(n);
    for (int i = 0; i < 2; i++)
        drafters[i] = first + below(n);
}

/* Stop strings that the text has, or just fails to have. */
static void choose_stops(run *r, const written *w)
{
    if (below(3) || w->n_text < 10)
        return;
    r->n_stops = 1 + below(2);
    for (int i = 0; i < r->n_stops; i++) {
        size_t at = (size_t)below((int)w->n_text - 8), n = 1 + (size_t)below(8);
        while (at > 0 && ((unsigned char)w->text[at] & 0xc0) == 0x80)
            at--;
        while (at + n < w->n_text && ((unsigned char)w->text[at + n] & 0xc0) == 0x80)
            n++;
        memcpy(r->stops[i], w->text + at, n);
        r->stops[i][n] = '\0';
        if (strlen(r->stops[i]) == 0)
            strcpy(r->stops[i], "x");
        if (below(3) == 0)
            strcat(r->stops[i], "#");
    }
}

static void random_run(void)
{
    static run r;
    static written want, got;
    int drafters[2];
    memset(&r, 0, sizeof r);
    r.engine = some_engine();
    r.cascade = linn_cascade_settings_default();
    r.cascade.session.kv = below(3) ? LINN_KV_F16 : LINN_KV_F32;
    r.cascade.session.n_ctx = below(5) ? 320 : 160 + below(30);
    choose_models(&r, drafters);
    choose_sampling(&r, below(3), below(2));
    r.sampling.seed = rng();
    if (below(3) == 0) {
        r.sampling.top_k = 0;
        r.sampling.min_p = below(2) ? 0 : 0.02f;
        r.sampling.frequency_penalty = below(2) ? 0 : 0.2f;
    }
    r.fenced = below(4) == 0;
    if (below(3) == 0) /* ends come soon, also inside drafts */
        r.bias = (linn_logit_bias){r.target < RIVER ? 2 : 8191, (float)(2 + below(6))};
    choose_prompt(&r, below(3));
    if (r.n_prompt > 150)
        r.n_prompt = 150;
    write_plain(&r, some_engine(), &want);
    choose_stops(&r, &want);
    if (r.n_stops)
        write_plain(&r, some_engine(), &want);
    choose_cascade(&r, below(N_KINDS), drafters);
    r.cascade.lenience = below(2) ? 1 : 3;
    r.cascade.lenience_rule = below(3) ? LINN_LENIENCE_SCORE : LINN_LENIENCE_PAPER;
    r.cascade.block = 1 + below(12);
    if (below(6) == 0)
        r.cancel_pass = 1 + below(60);
    else if (below(6) == 0)
        r.cancel_at = 1 + below(N_TOKENS);
    write_text(&r, &got);
    compare(&r, &want, &got);
}

static void random_settings(void **state)
{
    (void)state;
    print_message("%d runs, seed %llu\n", n_runs, (unsigned long long)seed);
    for (int i = 0; i < n_runs; i++) {
        rng_state = (uint64_t)i << 32; /* each run by itself: --seed finds it again */
        random_run();
        if (n_runs > 1000 && i % 1000 == 999)
            print_message("%d\n", i + 1);
    }
}

/* ---- the grid ----------------------------------------------------------------------------------
 */

typedef struct tally {
    int runs, texts;
} tally;

static void grid_of(run *r, const int drafters[2], int engine, int share, const written *want,
                    tally *t)
{
    static written got;
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int lenient = 0; lenient < 2; lenient++) {
            if (below(share) != 0)
                continue;
            run one = *r;
            one.engine = engine;
            choose_cascade(&one, kind, drafters);
            one.cascade.lenience = lenient ? 3 : 1;
            write_text(&one, &got);
            compare(&one, want, &got);
            t->runs++;
        }
}

/* Every model of a family as target, the two after it as drafters. */
static void grid_of_family(int first, int n, int n_engines, int first_engine, int share)
{
    static run r;
    static written want;
    tally t = {0, 0};
    for (int target = 0; target < n; target++)
        for (int prompt = 0; prompt < 3; prompt++)
            for (int sampling = 0; sampling < 6; sampling++) {
                int drafters[] = {first + (target + 1) % n, first + (target + 2) % n};
                memset(&r, 0, sizeof r);
                r.engine = first_engine;
                r.target = first + target;
                r.cascade = linn_cascade_settings_default();
                r.cascade.session.n_ctx = 320;
                choose_sampling(&r, sampling % 3, sampling / 3);
                r.sampling.seed = rng();
                choose_prompt(&r, prompt);
                write_plain(&r, first_engine, &want);
                t.texts++;
                for (int e = 0; e < n_engines; e++)
                    grid_of(&r, drafters, first_engine + e, share, &want, &t);
            }
    print_message("family of %s: %d runs against %d plain texts\n", model_names[first], t.runs,
                  t.texts);
}

static void grid(void **state)
{
    (void)state;
    if (!whole_grid)
        skip();
    if (have_stories)
        grid_of_family(STORIES, 4, 4, 0, 1); /* plain C and AVX2, 1 and 2 threads */
    grid_of_family(RIVER, 3, 2, 2, 20);
}

/* ---- ends at every place -----------------------------------------------------------------------
 */

enum { PLACES = 14 };

/* The text against the plain one, for all kinds of cascades; perfect drafters go past the end. */
static void ends_alike(run *r, written *got)
{
    static written want;
    write_plain(r, r->engine, &want);
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int perfect = 0; perfect < 2; perfect++) {
            run one = *r;
            int drafters[] = {perfect ? RIVER : BROOK, RILL};
            choose_cascade(&one, kind, drafters);
            one.cascade.lenience = kind % 2 ? 3 : 1;
            write_text(&one, got);
            compare(&one, &want, got);
        }
}

static run at_temperature(int temperature)
{
    run r = {.engine = 4, .target = RIVER, .prompt = {40, 50, 60, 40, 50}, .n_prompt = 5};
    r.end_at = 10 * N_TOKENS; /* never */
    r.cascade = linn_cascade_settings_default();
    r.cascade.session.n_ctx = 320;
    choose_sampling(&r, temperature, 0);
    r.sampling.seed = 11;
    return r;
}

/* An end token, a stop string, or the end of the context at each of the first places of a text. */
static void ends_inside_drafts(void **state)
{
    (void)state;
    static written w, plain;
    for (int place = 1; place <= PLACES; place++) {
        run r = at_temperature(place % 2);
        r.end_at = place;
        ends_alike(&r, &w);
        assert_int_equal(w.finish, LINN_FINISH_END);
        assert_int_equal(w.n, place);

        r = at_temperature(place % 2);
        write_plain(&r, 4, &plain);
        const linn_tokenizer *t = linn_model_tokenizer(model_of(4, RIVER));
        size_t at = 0, n = 0; /* the bytes of two tokens from the place on */
        for (int i = 0; i <= place; i++) {
            size_t length;
            linn_token_bytes(t, plain.ids[i], false, &length);
            at += i < place - 1 ? length : 0;
            n += i < place - 1 ? 0 : length;
        }
        assert_true(n > 0 && n < sizeof r.stops[0] && at + n < plain.n_text);
        memcpy(r.stops[0], plain.text + at, n);
        r.n_stops = 1;
        ends_alike(&r, &w);
        assert_int_equal(w.finish, LINN_FINISH_STOP);

        r = at_temperature(place % 2);
        r.cascade.session.n_ctx = r.n_prompt + place;
        ends_alike(&r, &w);
        assert_int_equal(w.finish, LINN_FINISH_CONTEXT);
        assert_int_equal(w.n, place);
    }
}

/* Cancelled before each of the first passes, most of which are reviews inside a draft. */
static void cancelled_inside_drafts(void **state)
{
    (void)state;
    static written want, got;
    for (int kind = 4; kind < N_KINDS; kind++)
        for (int pass = 1; pass <= 3 * PLACES; pass++) {
            run r = at_temperature(pass % 2);
            int drafters[] = {BROOK, RILL};
            write_plain(&r, 4, &want);
            choose_cascade(&r, kind, drafters);
            r.cancel_pass = pass;
            write_text(&r, &got);
            assert_true(got.finish == LINN_FINISH_CANCELLED || got.passes < pass);
            compare(&r, &want, &got);
        }
}

/* ---- vocabularies -------------------------------------------------------------------------------
 */

static void other_tokenizers(void **state)
{
    (void)state;
    if (!have_stories)
        skip();
    linn_cascade_settings s = linn_cascade_settings_default();
    const linn_model *drafter = model_of(0, STORIES);
    linn_cascade *c;
    linn_error err;
    assert_int_equal(linn_cascade_create(&c, model_of(0, RIVER), &drafter, 1, &s, &err),
                     LINN_EUNSUPPORTED);
    assert_null(c);
    assert_non_null(strstr(err.message, "another tokenizer than that of river: token 0 is"));
}

/* A padded target may say tokens that its drafter does not have, one that is not padded never hears
 * of the drafter's; both cascades work. */
static void padded_vocabularies(void **state)
{
    (void)state;
    if (!have_stories)
        skip();
    static run r;
    static written want, got;
    for (int way = 0; way < 2; way++)
        for (int i = 0; i < 10; i++) {
            int beyond = 0, drafters[] = {way ? PADDED : TINY, WIDE};
            memset(&r, 0, sizeof r);
            r.engine = 2;
            r.target = way ? TINY : PADDED;
            r.cascade = linn_cascade_settings_default();
            choose_sampling(&r, 2, 0);
            r.sampling.top_k = 0;
            r.sampling.top_p = 1;
            r.sampling.seed = (uint64_t)i;
            r.prompt[0] = 1;
            r.n_prompt = 1;
            write_plain(&r, 2, &want);
            choose_cascade(&r, 4 + i % 3, drafters);
            write_text(&r, &got);
            compare(&r, &want, &got);
            for (int j = 0; j < got.n; j++)
                beyond += got.ids[j] >= 512;
            assert_true(way == 0 || beyond == 0);
        }
}

/* ---- memory -------------------------------------------------------------------------------------
 */

typedef struct memory_case {
    linn_verify verify;
    written w;
    size_t at_first, at_last; /* allocations when the first and the last token came */
} memory_case;

static bool count_piece(void *user, const linn_piece *piece)
{
    memory_case *m = user;
    m->at_last = alloc_fail_count();
    m->at_first = m->w.n == 0 ? m->at_last : m->at_first;
    return on_piece(&m->w, piece);
}

static int family_text(void *arg)
{
    memory_case *m = arg;
    static const linn_token prompt[] = {40, 50, 60, 40, 50};
    static const char *const stops[] = {"zzzz", "qqq"};
    static const linn_logit_bias no_end = {8191, -1e30f};
    const linn_model *drafters[] = {model_of(2, BROOK), model_of(2, RILL)};
    linn_cascade_settings s = linn_cascade_settings_default();
    linn_cascade *c;
    s.verify = m->verify;
    s.session.n_ctx = 100;
    int rc = linn_cascade_create(&c, model_of(2, RIVER), drafters, 2, &s, NULL);
    if (rc)
        return rc;
    linn_request r = {.prompt = prompt,
                      .n_prompt = 5,
                      .max_tokens = 40,
                      .sampling = linn_sampling_default(),
                      .stop = stops,
                      .n_stop = 2,
                      .user = m,
                      .on_piece = count_piece};
    r.sampling.repeat_penalty = 1.1f;
    r.sampling.biases = &no_end;
    r.sampling.n_biases = 1;
    m->w.n = 0;
    m->w.n_text = 0;
    rc = linn_generate(c, &r, &m->w.finish, NULL, NULL);
    linn_cascade_free(c);
    return rc;
}

static void memory(void **state)
{
    (void)state;
    static memory_case m;
    for (int verify = 0; verify < 2; verify++) {
        m.verify = (linn_verify)verify;
        assert_int_equal(family_text(&m), LINN_OK);
        assert_int_equal(m.w.n, 40);
        assert_int_equal(m.at_first, m.at_last); /* none while decoding */
        size_t failures = alloc_fail_each(family_text, &m);
        print_message("%zu allocations, each failed once\n", failures);
        assert_true(failures > 20);
    }
}

int main(int argc, char **argv)
{
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return 1;
    seed >>= 32;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--grid") == 0)
            whole_grid = true;
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            n_runs = atoi(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_settings),
        cmocka_unit_test(grid),
        cmocka_unit_test(ends_inside_drafts),
        cmocka_unit_test(cancelled_inside_drafts),
        cmocka_unit_test(other_tokenizers),
        cmocka_unit_test(padded_vocabularies),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
