/* Max-Gram against a search by hand: the length of the match, which occurrence proposes and what,
 * after any order of pushes, roll-backs and commits; drafts leave no trace; no allocation. */
#include "test.h"
#include "alloc_fail.h"
/* The structures themselves, to see that a draft changes nothing in them. */
#include "draft/maxgram.c"

enum { MOST = 700, PROPOSALS = 40 };

/* ---- the search by hand ---------------------------------------------------------------- */

typedef struct timeline {
    linn_token tokens[MOST];
    int committed, length;
    /* common[e][f]: how long a suffix the tokens up to e and those up to f share, f < e */
    int16_t common[MOST][MOST];
} timeline;

static void timeline_push(timeline *t, linn_token token)
{
    int e = t->length++;
    t->tokens[e] = token;
    for (int f = 0; f < e; f++)
        t->common[e][f] =
            (int16_t)(t->tokens[f] != token ? 0 : 1 + (e && f ? t->common[e - 1][f - 1] : 0));
}

/* Whether the commit of position e recorded itself for its suffix of this length: at most CHAIN
 * longer kinds of match stood before it. Each kind ends with the longest suffix that e shares with
 * some position before. */
static bool recorded(const timeline *t, int e, int length)
{
    bool seen[MOST] = {false};
    int longer = 0;
    for (int f = 0; f < e; f++) {
        int common = t->common[e][f];
        longer += common >= length && !seen[common];
        seen[common] = true;
    }
    return longer <= CHAIN;
}

/* The longest match, and the last position where it is known to end. */
static int search(const timeline *t, int *source)
{
    int e = t->length - 1, longest = 0;
    for (int f = 0; f < e && f < t->committed; f++)
        if (t->common[e][f] > longest)
            longest = t->common[e][f];
    for (*source = t->committed - 1; longest && *source >= 0; --*source)
        if (*source < e && t->common[e][*source] == longest && recorded(t, *source, longest))
            break;
    return longest;
}

static void compare(linn_drafter *d, const timeline *t)
{
    linn_proposal got[PROPOSALS];
    linn_token want[MOST + PROPOSALS];
    int source, longest = search(t, &source);
    int n = d->propose(d, PROPOSALS, got);
    assert_int_equal(n, longest ? PROPOSALS : 0);
    const maxgram *m = (const maxgram *)d;
    if (longest)
        assert_int_equal(source, m->length == m->committed
                                     ? m->source
                                     : m->states[cursor_at(m, m->length)->state].last);
    assert_int_equal(d->propose(d, 0, got), 0);
    memcpy(want, t->tokens, (size_t)t->length * sizeof *want);
    for (int i = 0; i < n; i++) {
        want[t->length + i] = want[source + 1 + i];
        assert_int_equal(got[i].token, want[t->length + i]);
        assert_int_equal(got[i].source, LINN_SOURCE_MAXGRAM);
        assert_true(got[i].confidence == (float)(longest + i));
    }
}

/* ---- texts ------------------------------------------------------------------------------ */

static uint64_t random_state;
static uint32_t draw(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

typedef struct text {
    const char *name;
    linn_token (*token)(int position);
} text;

static linn_token one(int i)
{
    (void)i;
    return 7;
}
static linn_token runs(int i) /* of every length, each followed by a token of its own */
{
    int r = 1;
    while (i > r)
        i -= ++r;
    return i == r ? r : 0;
}
static linn_token late(int i) /* a run, then something new */
{
    return i < 100 ? 3 : i % 9;
}
static linn_token fibonacci(int i)
{
    /* token i is 1 where floor((i + 2) phi) - floor((i + 1) phi) is 1 */
    double phi = 1.6180339887498949;
    return (int)((i + 2) * phi) - (int)((i + 1) * phi) == 1;
}
static linn_token period7(int i)
{
    return (linn_token[]){150000, 1, 1, 2, 0, 2147483647, 2}[i % 7];
}
static linn_token two(int i)
{
    (void)i;
    return (linn_token)draw(2);
}
static linn_token four(int i)
{
    (void)i;
    return (linn_token)draw(4);
}
static linn_token thousand(int i)
{
    (void)i;
    return (linn_token)draw(1000);
}
static linn_token most_states(int i) /* a b b b b ... */
{
    return i > 0;
}
static linn_token most_transitions(int i) /* a b b ... b c */
{
    return i == 0 ? 0 : i == MOST - 1 ? 2 : 1;
}
static const text texts[] = {{"one", one},
                             {"runs", runs},
                             {"late", late},
                             {"fibonacci", fibonacci},
                             {"period", period7},
                             {"two", two},
                             {"four", four},
                             {"thousand", thousand},
                             {"states", most_states},
                             {"transitions", most_transitions}};
enum { TEXTS = sizeof texts / sizeof *texts };

static linn_drafter *make(int n)
{
    linn_drafter *d;
    assert_int_equal(linn_maxgram_create(&d, n, NULL), LINN_OK);
    return d;
}

static timeline *make_timeline(void)
{
    timeline *t = malloc(sizeof *t);
    assert_non_null(t);
    t->committed = t->length = 0;
    return t;
}

/* ---- tests ------------------------------------------------------------------------------ */

/* Every text, one token at a time to the last position there is room for. */
static void committing(void **unused)
{
    (void)unused;
    timeline *t = make_timeline();
    linn_drafter *d = make(MOST);
    for (int k = 0; k < TEXTS; k++) {
        d->restart(d, (linn_choice){0});
        t->committed = t->length = 0;
        for (int i = 0; i < MOST; i++) {
            linn_token token = texts[k].token(i);
            timeline_push(t, token);
            d->push(d, token);
            if (t->length % 3 == 0 || i < 50)
                compare(d, t);
            t->committed = t->length;
            d->commit(d, t->length);
            if (t->length % 3 == 1 || i < 50)
                compare(d, t);
        }
    }
    d->free(d);
    free(t);
}

/* Pushes, roll-backs and commits in random order; some of the text stays a draft. In every other
 * round a proposal is asked for seldom, and finds much to catch up with. */
static void interleaved(void **unused)
{
    (void)unused;
    timeline *t = make_timeline();
    for (int round = 0; round < 60; round++) {
        int most = 1 + (int)draw(round % 10 == 0 ? MOST : 150), k = round % TEXTS;
        uint32_t wrong = draw(4) * 10; /* in a hundred */
        linn_drafter *d = make(most);
        t->committed = t->length = 0;
        for (int i = 0; i < 4 * most && t->committed < most; i++) {
            switch (draw(8)) {
            default:
                if (t->length < most) {
                    linn_token token = texts[k].token(t->length);
                    if (draw(100) < wrong)
                        token = (linn_token)draw(3);
                    timeline_push(t, token);
                    d->push(d, token);
                }
                break;
            case 0:
                t->length -= (int)draw((uint32_t)(t->length - t->committed + 1));
                d->roll_back(d, t->length);
                break;
            case 1:
                t->committed += (int)draw((uint32_t)(t->length - t->committed + 1));
                d->commit(d, t->committed);
                break;
            }
            if (round % 2 == 0 || draw(8) == 0)
                compare(d, t);
        }
        d->free(d);
    }
    free(t);
}

static uint64_t add_bytes(uint64_t h, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return h;
}

/* Of everything but the room for drafts. */
static uint64_t digest(linn_drafter *d)
{
    maxgram *m = (maxgram *)d;
    catch_up(m);
    uint64_t h =
        add_bytes(14695981039346656037u, m->states, (size_t)m->n_states * sizeof *m->states);
    h = add_bytes(h, m->edges, m->n_slots * sizeof *m->edges);
    h = add_bytes(h, m->tokens, (size_t)m->committed * sizeof *m->tokens);
    h = add_bytes(h, m->cursors, sizeof *m->cursors);
    h = add_bytes(h, &m->source, sizeof m->source);
    return add_bytes(h, &m->last, sizeof m->last);
}

static void drafts_leave_no_trace(void **unused)
{
    (void)unused;
    linn_drafter *d = make(300), *plain = make(300);
    for (int i = 0; i < 250; i++) {
        uint64_t before = digest(d);
        int n = (int)draw(20);
        for (int j = 0; j < n; j++) {
            linn_proposal p;
            d->push(d, d->propose(d, 1, &p) == 1 && draw(4) ? p.token : (linn_token)draw(5));
            if (draw(5) == 0)
                d->roll_back(d, i + (int)draw((uint32_t)((maxgram *)d)->length - (uint32_t)i + 1));
        }
        d->roll_back(d, i);
        assert_true(digest(d) == before);
        /* the same as a drafter that never drafted */
        linn_token token = (linn_token)draw(3);
        d->push(d, token);
        d->commit(d, i + 1);
        plain->push(plain, token);
        plain->commit(plain, i + 1);
        assert_true(digest(d) == digest(plain));
    }
    /* and a second life is as the first */
    d->restart(d, (linn_choice){0});
    linn_drafter *fresh = make(300);
    for (int i = 0; i < 300; i++) {
        d->push(d, i % 17 % 5);
        fresh->push(fresh, i % 17 % 5);
    }
    d->commit(d, 300);
    fresh->commit(fresh, 300);
    assert_true(digest(d) == digest(fresh));
    d->free(d);
    fresh->free(fresh);
    plain->free(plain);
}

/* The bounds on states and transitions that the memory rests on, at their worst. */
static void sizes(void **unused)
{
    (void)unused;
    for (int n = 1; n <= MOST; n = n < 8 ? n + 1 : n * 3 / 2)
        for (int k = 0; k < TEXTS; k++) {
            linn_drafter *d = make(n);
            maxgram *m = (maxgram *)d;
            for (int i = 0; i < n; i++)
                d->push(d, i == n - 1 && k == TEXTS - 1 ? 2 : texts[k].token(i));
            d->commit(d, n);
            catch_up(m);
            int in_table = 0;
            for (uint32_t i = 0; i < m->n_slots; i++)
                in_table += m->edges[i].owner != 0;
            assert_true(m->n_states <= 2 * n);
            assert_true(in_table <= n - 1 || n == 0);
            d->free(d);
        }
    /* and they are reached */
    linn_drafter *d = make(MOST);
    for (int i = 0; i < MOST; i++)
        d->push(d, most_states(i));
    d->commit(d, MOST);
    catch_up((maxgram *)d);
    assert_int_equal(((maxgram *)d)->n_states, 2 * MOST - 1);
    d->free(d);
}

static void allocates_nothing(void **unused)
{
    (void)unused;
    linn_drafter *d = make(2000);
    size_t before = alloc_fail_count();
    linn_proposal p[16];
    for (int i = 0; i < 1000; i++) {
        d->push(d, i % 10);
        d->push(d, i % 7);
        d->propose(d, 16, p);
        d->commit(d, 2 * i + 1);
    }
    d->restart(d, (linn_choice){0});
    assert_int_equal(alloc_fail_count(), before);
    d->free(d);
}

static int create(void *arg)
{
    linn_drafter *d;
    linn_error err = {0};
    int rc = linn_maxgram_create(&d, *(int *)arg, &err);
    if (rc == LINN_OK)
        d->free(d);
    else
        assert_true(d == NULL && err.code == rc);
    return rc;
}

static void failures(void **unused)
{
    (void)unused;
    int n = 100;
    assert_int_equal(alloc_fail_each(create, &n), 5);
    linn_error err;
    linn_drafter *d;
    for (int i = 0; i < 4; i++) {
        int32_t bad = (int32_t[]){0, -1, INT32_MIN, INT32_MAX}[i];
        assert_int_equal(linn_maxgram_create(&d, bad, &err), LINN_EINVAL);
        assert_null(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(committing),
                                       cmocka_unit_test(interleaved),
                                       cmocka_unit_test(drafts_leave_no_trace),
                                       cmocka_unit_test(sizes),
                                       cmocka_unit_test(allocates_nothing),
                                       cmocka_unit_test(failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
