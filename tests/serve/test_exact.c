/* Texts under load are the texts alone: whatever runs beside, drafts, is cached, preempted or
 * cancelled. */
#include "test.h"
#include "traffic.h"

static family models;
static book texts;

enum { N_CTX = 448, N_ENTRIES = 24 };

static int set_up(void **state)
{
    (void)state;
    family_open(&models, 1, false);
    book_write(&texts, &models, N_ENTRIES, N_CTX, 7);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    book_close(&texts);
    family_close(&models);
    return 0;
}

static linn_scheduler *scheduler_of(const linn_scheduler_settings *s)
{
    linn_scheduler *out;
    linn_error err = {0};
    const linn_model *const drafters[] = {models.models[1], models.models[2]};
    if (linn_scheduler_create(&out, models.models[0], drafters, 2, s, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return out;
}

static linn_scheduler_settings settings(linn_shape shape, int32_t slots)
{
    linn_scheduler_settings s = linn_scheduler_settings_default();
    s.slots = slots;
    s.cascade.shape = shape;
    s.cascade.session.n_ctx = N_CTX;
    return s;
}

/* Bytes of `pages` pages of all models that the shape uses. */
static uint64_t kv_bytes(linn_shape shape, int pages)
{
    uint64_t one = 0;
    int n = shape == LINN_CASCADE_OFF || shape == LINN_CASCADE_MAXGRAM ? 1
            : shape == LINN_CASCADE_SPEC                               ? 2
                                                                       : 3;
    for (int i = 0; i < n; i++) {
        linn_model_info m = linn_model_describe(models.models[i]);
        one += UINT64_C(4) * 64 * (uint64_t)(m.n_layers * m.n_kv_heads * m.head_dim);
    }
    return one * (uint64_t)pages;
}

static void load(const linn_scheduler_settings *s, int n_clients, int n_jobs, double cut_rate,
                 linn_metrics *m)
{
    linn_metrics unwanted;
    linn_scheduler *scheduler = scheduler_of(s);
    traffic t = {.book = &texts,
                 .scheduler = scheduler,
                 .n_clients = n_clients,
                 .n_jobs = n_jobs,
                 .cut_rate = cut_rate,
                 .seed = (uint64_t)s->slots * 31 + s->cascade.shape};
    traffic_run(&t);
    assert_true(linn_scheduler_drain(scheduler, INT64_MAX));
    m = m ? m : &unwanted;
    linn_scheduler_metrics(scheduler, m);
    assert_int_equal(m->active, 0);
    assert_int_equal(m->queued, 0);
    assert_int_equal(m->failed, 0);
    assert_int_equal(m->finished, t.n_whole);
    assert_int_equal(m->cancelled + m->expired, t.n_cut);
    assert_int_equal(m->refused, t.n_refused);
    assert_int_equal(m->submitted, t.n_whole + t.n_cut);
    for (int i = 0; i < m->n_levels; i++)
        assert_int_equal(m->levels[i].pages_used, 0); /* no page is lost */
    linn_scheduler_free(scheduler);
}

static void every_cascade(void **state)
{
    (void)state;
    static const linn_shape shapes[] = {LINN_CASCADE_OFF, LINN_CASCADE_MAXGRAM, LINN_CASCADE_SPEC,
                                        LINN_CASCADE_K, LINN_CASCADE_AUTO};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int32_t slots = 1; slots <= 6; slots += 5) {
            linn_scheduler_settings s = settings(shapes[i], slots);
            load(&s, slots + 1, 30 / (slots + 1), 0.2, NULL);
        }
}

static void little_memory(void **state)
{
    (void)state;
    uint64_t preemptions = 0, reused = 0, evictions = 0;
    static const linn_shape shapes[] = {LINN_CASCADE_OFF, LINN_CASCADE_MAXGRAM, LINN_CASCADE_AUTO};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int pages = 7; pages <= 16; pages += 9) {
            linn_metrics m;
            linn_scheduler_settings s = settings(shapes[i], 6);
            s.kv_bytes = kv_bytes(shapes[i], pages);
            load(&s, 8, 5, 0.2, &m);
            assert_int_equal(m.levels[0].pages, pages);
            preemptions += m.preemptions;
            reused += m.prompt_reused;
            evictions += m.evictions;
        }
    assert_true(preemptions > 10);
    assert_true(reused > 1000);
    assert_true(evictions > 50);
}

static void odd_chunks_and_queues(void **state)
{
    (void)state;
    static const int32_t chunks[] = {1, 17, 200};
    for (int i = 0; i < 3; i++) {
        linn_scheduler_settings s = settings(LINN_CASCADE_AUTO, 4);
        s.prefill_chunk = chunks[i];
        s.queue = i;
        load(&s, 8, 3, 0.3, NULL);
    }
}

static void one_thread_many_slots(void **state)
{
    (void)state;
    linn_scheduler_settings s = settings(LINN_CASCADE_AUTO, 24);
    linn_metrics m;
    load(&s, 24, 3, 0.1, &m);
    uint64_t wide = 0;
    for (int i = 4; i < LINN_WIDTH_BUCKETS; i++)
        wide += m.width[i];
    assert_true(wide > 0); /* passes are shared */
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cascade),
        cmocka_unit_test(little_memory),
        cmocka_unit_test(odd_chunks_and_queues),
        cmocka_unit_test(one_thread_many_slots),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
