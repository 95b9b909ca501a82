/* lane.c - what all slots share of one model (state.h). */
#include "serve/state.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#include <stdlib.h>

enum {
    MOST_OUTPUTS = 256,               /* in one pass, unless a single draft is longer */
    MEASURE_NS = 20 * 1000 * 1000,    /* per width at the start, but two passes at least */
    SLOW_PASS_NS = 400 * 1000 * 1000, /* wider ones are not measured at the start */
};

uint64_t linn_lane_page_bytes(const linn_model *m, linn_kv_type type)
{
    linn_model_info i = linn_model_describe(m);
    uint64_t value = type == LINN_KV_F32 ? sizeof(float) : sizeof(uint16_t);
    return 2 * value * LINN_KV_PAGE * (uint64_t)i.n_layers * (uint64_t)i.n_kv_heads *
           (uint64_t)i.head_dim;
}

int linn_lane_open(linn_lane *l, const linn_scheduler *s, const linn_model *m, int index,
                   int32_t n_pages, linn_error *err)
{
    int32_t slots = s->settings.slots, most = s->k.longest[index] + 1;
    l->model = m;
    l->max_outputs = slots * most < MOST_OUTPUTS ? slots * most : MOST_OUTPUTS;
    if (l->max_outputs < most)
        l->max_outputs = most;
    l->max_rows = l->max_outputs + s->settings.prefill_chunk + slots * (s->k.longest[0] + 1);
    l->chunk_left = s->settings.prefill_chunk;
    l->rows = linn_alloc((size_t)l->max_rows, sizeof *l->rows);
    if (!l->rows)
        return linn_fail(err, LINN_ENOMEM, "scheduler: out of memory for passes of %d rows",
                         l->max_rows);
    int rc = linn_kv_pool_create(&l->pool, m, s->settings.cascade.session.kv, n_pages, err);
    if (!rc)
        rc = linn_prefix_create(&l->prefix, l->pool, err);
    if (!rc)
        rc = linn_batch_create(&l->batch, m, l->max_outputs, err);
    return rc;
}

void linn_lane_close(linn_lane *l)
{
    linn_batch_free(l->batch);
    linn_prefix_free(l->prefix);
    linn_kv_pool_free(l->pool);
    free(l->rows);
}

static int measure_point(linn_lane *l, linn_session *session, int32_t n, double *ns,
                         linn_error *err)
{
    for (int32_t i = 0; i < n; i++)
        l->rows[i] = (linn_row){.position = i,
                                .slot = i,
                                .parent = i - 1,
                                .session = session,
                                .outputs = LINN_OUT_LOGITS};
    int64_t spent = 0;
    for (int round = 0; round < 2 || (round < 10 && spent < MEASURE_NS); round++) {
        int64_t start = linn_now_ns();
        int rc = linn_forward(l->batch, l->rows, n, err);
        int64_t took = linn_now_ns() - start;
        if (!rc)
            rc = linn_session_truncate(session, 0, err);
        if (rc)
            return rc;
        *ns = round == 0 || (double)took < *ns ? (double)took : *ns;
        spent += took;
        if (took > SLOW_PASS_NS)
            break;
    }
    return LINN_OK;
}

int linn_lane_measure(linn_lane *l, linn_error *err)
{
    linn_session *session;
    int32_t room = l->pool->n_pages * LINN_KV_PAGE, n_ctx = linn_model_describe(l->model).n_ctx;
    room = room < n_ctx ? room : n_ctx;
    int rc = linn_session_create_in(&session, l->model, l->pool, room, err);
    for (int i = 0; i < LINN_WIDTH_GRID && !rc; i++) {
        int32_t n = linn_widths_rows(i);
        if (n > room || n > l->max_outputs || (i > 2 && l->widths.ns[i - 1] > SLOW_PASS_NS))
            break;
        rc = measure_point(l, session, n, &l->widths.ns[i], err);
        l->widths.n_measured += !rc;
    }
    linn_session_free(session);
    return rc;
}

void linn_lane_leave(linn_slot_level *l, int32_t length)
{
    linn_session *s = l->session;
    if (s->n_held == 0)
        return;
    linn_prefix_keep(l->lane->prefix, s, l->held, length);
    s->length = 0;
    linn_session_trim(s);
}

/* The youngest job whose pages may be taken for the slot's. */
static linn_slot *find_victim(const linn_lane *l, const linn_slot *slot)
{
    linn_scheduler *s = slot->scheduler;
    linn_slot *victim = NULL;
    int index = (int)(l - s->lanes);
    for (int32_t i = 0; i < s->n_slots; i++) {
        linn_slot *v = &s->slots[i];
        if (v->job && v->age > slot->age && v->n_in_pass == 0 &&
            v->levels[index]->session->n_held > 0 && (!victim || v->age > victim->age))
            victim = v;
    }
    return victim;
}

bool linn_lane_make_room(linn_lane *l, linn_slot *slot, int32_t n, int32_t spare)
{
    linn_scheduler *s = slot->scheduler;
    int32_t wanted = n + spare;
    while (l->pool->n_free < wanted) {
        if (linn_prefix_evict(l->prefix)) {
            l->n_evictions++;
            continue;
        }
        linn_slot *victim = find_victim(l, slot);
        if (!victim)
            return false;
        /* Its full pages go to the cache of prefixes and from there, so it loses no more than is
         * wanted. */
        linn_slot_level *v = victim->levels[l - s->lanes];
        linn_lane_leave(v, v->session->length);
        s->freed++;
        victim->preemptions++;
        s->metrics.preemptions++;
    }
    return true;
}
