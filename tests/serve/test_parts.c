/* The parts of the scheduler that can be had alone: the cache of prefixes, and the shares of a
 * pass. */
#include "test.h"
#include "traffic.h"
#include "model/session.h"
#include "serve/prefix.h"
#include "serve/width.h"

enum { PAGE = 64, N_PAGES = 24, N_SESSIONS = 4, N_TEXT = 6 * PAGE };

static family models;

static int set_up(void **state)
{
    (void)state;
    family_open(&models, 1, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    family_close(&models);
    return 0;
}

/* ---- prefixes ----------------------------------------------------------------------------------
 */

typedef struct holder {
    linn_session *session;
    linn_token text[N_TEXT]; /* of its positions */
} holder;

/* Writes positions up to `length`, as a forward pass would. */
static bool write_to(holder *h, int32_t length)
{
    int32_t n = length - h->session->length;
    if (linn_session_reserve(h->session, n, NULL) != LINN_OK) {
        linn_session_unreserve(h->session);
        return false;
    }
    h->session->length += n;
    return true;
}

static void empty(holder *h)
{
    h->session->length = 0;
    linn_session_trim(h->session);
}

/* Pages say which text they hold: one page, one text before and in it. */
static void check_pages(const holder *h, uint64_t *meaning)
{
    uint64_t text = 1;
    for (int32_t i = 0; i < h->session->length / PAGE; i++) {
        for (int32_t k = 0; k < PAGE; k++)
            text = text * 31 + (uint64_t)h->text[i * PAGE + k] + 7;
        int32_t page = h->session->pages[i];
        if (meaning[page] == 0)
            meaning[page] = text;
        assert_true(meaning[page] == text);
    }
}

static void random_text(linn_token *text, uint64_t *rng)
{
    for (int i = 0; i < N_TEXT; i++) /* pages are of two kinds, so texts have much in common */
        text[i] = i % PAGE == 0 ? (linn_token)(traffic_random(rng) % 2) : 5;
}

static void random_walk(void **state)
{
    (void)state;
    linn_kv_pool *pool;
    linn_prefix *p;
    holder h[N_SESSIONS] = {0};
    uint64_t rng = 3, found = 0, evicted = 0;
    assert_int_equal(linn_kv_pool_create(&pool, models.models[0], LINN_KV_F16, N_PAGES, NULL), 0);
    assert_int_equal(linn_prefix_create(&p, pool, NULL), 0);
    for (int i = 0; i < N_SESSIONS; i++)
        assert_int_equal(
            linn_session_create_in(&h[i].session, models.models[0], pool, N_TEXT, NULL), 0);
    for (int step = 0; step < 20000; step++) {
        holder *x = &h[traffic_random(&rng) % N_SESSIONS];
        int32_t length = x->session->length;
        switch (traffic_random(&rng) % 4) {
        case 0:
            linn_prefix_keep(p, x->session, x->text, length);
            empty(x);
            random_text(x->text, &rng);
            found += (uint64_t)linn_prefix_extend(p, x->session, x->text, N_TEXT);
            break;
        case 1:
            linn_prefix_keep(p, x->session, x->text, (int32_t)(traffic_random(&rng) % N_TEXT));
            break;
        case 2:
            length += 1 + (int32_t)(traffic_random(&rng) % 100);
            while (length <= N_TEXT && !write_to(x, length) && linn_prefix_evict(p))
                evicted++;
            break;
        default:
            found += (uint64_t)linn_prefix_extend(p, x->session, x->text, N_TEXT);
        }
        uint64_t meaning[N_PAGES] = {0};
        for (int i = 0; i < N_SESSIONS; i++)
            check_pages(&h[i], meaning);
    }
    assert_true(found > 10000);
    assert_true(evicted > 100);
    for (int i = 0; i < N_SESSIONS; i++)
        empty(&h[i]);
    int32_t cached = linn_prefix_evictable(p);
    assert_int_equal(cached + pool->n_free, N_PAGES); /* nobody else holds any */
    for (int32_t i = 0; i < cached; i++)
        assert_true(linn_prefix_evict(p));
    assert_false(linn_prefix_evict(p));
    assert_int_equal(pool->n_free, N_PAGES);
    linn_prefix_free(p);
    for (int i = 0; i < N_SESSIONS; i++)
        linn_session_free(h[i].session);
    linn_kv_pool_free(pool);
}

/* The least recently used text goes first, from its end. */
static void oldest_goes_first(void **state)
{
    (void)state;
    linn_kv_pool *pool;
    linn_prefix *p;
    holder h = {0};
    assert_int_equal(linn_kv_pool_create(&pool, models.models[0], LINN_KV_F16, N_PAGES, NULL), 0);
    assert_int_equal(linn_prefix_create(&p, pool, NULL), 0);
    assert_int_equal(linn_session_create_in(&h.session, models.models[0], pool, N_TEXT, NULL), 0);
    for (int text = 1; text <= 3; text++) {
        for (int i = 0; i < N_TEXT; i++)
            h.text[i] = text;
        assert_true(write_to(&h, 3 * PAGE + 5));
        linn_prefix_keep(p, h.session, h.text, 3 * PAGE + 5);
        empty(&h);
    }
    for (int i = 0; i < N_TEXT; i++)
        h.text[i] = 1;
    assert_int_equal(linn_prefix_extend(p, h.session, h.text, N_TEXT), 3 * PAGE); /* used again */
    empty(&h);
    for (int i = 0; i < 3; i++)
        assert_true(linn_prefix_evict(p)); /* all of text 2 */
    for (int text = 2; text <= 3; text++) {
        for (int i = 0; i < N_TEXT; i++)
            h.text[i] = text;
        int32_t found = linn_prefix_extend(p, h.session, h.text, N_TEXT);
        assert_int_equal(found, text == 2 ? 0 : 3 * PAGE);
        empty(&h);
    }
    assert_true(linn_prefix_evict(p)); /* text 1 again, from its end */
    for (int i = 0; i < N_TEXT; i++)
        h.text[i] = 1;
    assert_int_equal(linn_prefix_extend(p, h.session, h.text, N_TEXT), 2 * PAGE);
    empty(&h);
    assert_int_equal(linn_prefix_evictable(p), 5);
    linn_session_free(h.session);
    linn_prefix_free(p);
    linn_kv_pool_free(pool);
}

/* ---- widths ------------------------------------------------------------------------------------
 */

/* T(n) = base + slope * max(0, n - flat). */
static linn_widths widths_of(double base, double slope, int32_t flat)
{
    linn_widths w = {.n_measured = LINN_WIDTH_GRID};
    for (int i = 0; i < LINN_WIDTH_GRID; i++) {
        int32_t n = linn_widths_rows(i);
        w.ns[i] = base + (n > flat ? slope * (n - flat) : 0);
    }
    return w;
}

static int32_t total(const linn_widths *w, double acceptance, double draft_ns, int32_t n)
{
    linn_contender c[32];
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++)
        c[i] = (linn_contender){.acceptance = acceptance, .most = 10};
    linn_widths_choose(w, draft_ns, c, n);
    for (int32_t i = 0; i < n; i++)
        sum += c[i].chosen;
    return sum;
}

static void drafting_fades(void **state)
{
    (void)state;
    linn_widths w = widths_of(1000, 100, 8);
    assert_int_equal(total(&w, 0.9, 0, 1), 7); /* alone: all that comes for nothing */
    int32_t before = 1000;
    for (int32_t n = 1; n <= 32; n *= 2) {
        int32_t each = total(&w, 0.8, 0, n) * 100 / n;
        assert_true(each <= before);
        before = each;
    }
    assert_true(total(&w, 0.8, 0, 32) < 32 * 2);
    w = widths_of(1000, 1000, 1); /* a row costs what a pass does: nothing pays */
    assert_int_equal(total(&w, 0.9, 0, 1), 0);
    assert_int_equal(total(&w, 0.9, 0, 16), 0);
    w = widths_of(1000, 0, 1);
    assert_int_equal(total(&w, 0.5, 2000, 1), 0); /* the drafter costs too much */
    assert_true(total(&w, 0.5, 100, 1) > 0);
    assert_int_equal(total(&w, 0, 0, 4), 0); /* nothing is ever accepted */
}

static void likeliest_first(void **state)
{
    (void)state;
    linn_widths w = widths_of(1000, 300, 4);
    linn_contender c[] = {{.acceptance = 0.3, .most = 8},
                          {.acceptance = 0.9, .most = 8},
                          {.acceptance = 0.95, .most = 0},
                          {.acceptance = 0.9, .most = 8, .catch_up_ns = 1e9}};
    linn_widths_choose(&w, 0, c, 3);
    assert_int_equal(c[2].chosen, 0);
    assert_true(c[1].chosen > c[0].chosen);
    linn_widths_choose(&w, 0, c + 3, 1);
    assert_int_equal(c[3].chosen, 0);
}

static void costs_are_learned(void **state)
{
    (void)state;
    linn_widths w = widths_of(1000, 100, 4);
    assert_true(linn_widths_ns(&w, 1) == 1000 && linn_widths_ns(&w, 5) > 1000);
    for (int i = 0; i < 200; i++)
        linn_widths_learn(&w, 5, i % 10 ? 3000 : 1e9); /* one in ten is interrupted */
    assert_true(linn_widths_ns(&w, 5) > 2700 && linn_widths_ns(&w, 5) < 3600);
    assert_true(linn_widths_ns(&w, 300) > linn_widths_ns(&w, 256)); /* beyond the grid */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walk),       cmocka_unit_test(oldest_goes_first),
        cmocka_unit_test(drafting_fades),    cmocka_unit_test(likeliest_first),
        cmocka_unit_test(costs_are_learned),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
