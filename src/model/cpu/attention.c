/* attention.c - keeps K and V of new rows in their pages, and attends over pages.
 *
 * Queries that share a KV head (the rows of a session times the heads that share it)
 * go through the pages together, in order, so each page is read once for up to
 * LINN_CPU_QUERIES of them. A query's result does not depend on its company: pages
 * are cut at multiples of LINN_KV_PAGE and merged one after the other.
 */
#include "base/memory.h"
#include "model/cpu/cpu.h"
#include "model/session.h"

#include <string.h>

static char *tile_of(const linn_session *s, int32_t layer, int32_t head, int32_t position)
{
    return linn_cpu_tile(s->pool->store, s->pages[position / LINN_KV_PAGE], layer, head);
}

/* x[head_dim] in blocks of 32, the last one filled up with zeros, to q, d and sums as the Q8 form
 * has them. */
static void quantize_head(const linn_workspace *s, const float *x, int8_t *q, float *d,
                          int16_t *sums)
{
    enum { BLOCK = LINN_KV_BLOCK };
    int32_t n = s->params->head_dim, whole = n / BLOCK * BLOCK;
    s->kernels->quantize(LINN_ACT_Q8, x, whole, q, d, sums);
    if (whole == n)
        return;
    _Alignas(LINN_ALIGN) float last[BLOCK] = {0};
    memcpy(last, x + whole, (size_t)(n - whole) * sizeof *x);
    s->kernels->quantize(LINN_ACT_Q8, last, BLOCK, q + whole, d + whole / BLOCK, sums + whole / 16);
}

/* Stores a head of K or V as column `column` of a q8_0 tile. */
static void keep_q8(const linn_workspace *s, const float *from, char *tile, size_t column,
                    bool value)
{
    _Alignas(LINN_ALIGN) int8_t q[LINN_MAX_HEAD_DIM + LINN_KV_BLOCK];
    float d[LINN_MAX_HEAD_DIM / LINN_KV_BLOCK + 1];
    int16_t sums[LINN_MAX_HEAD_DIM / 16 + 2];
    size_t n_blocks = linn_kv_blocks(s->params->head_dim), width = n_blocks * LINN_KV_BLOCK;
    quantize_head(s, from, q, d, sums);
    float *scales = (float *)(void *)tile;
    for (size_t b = 0; b < n_blocks; b++)
        scales[b * LINN_KV_PAGE + column] = d[b];
    int8_t *levels = linn_kv_levels(tile, s->params->head_dim);
    if (value)
        memcpy(levels + column * width, q, width);
    else
        for (size_t i = 0; i < width; i += 4)
            memcpy(levels + i * LINN_KV_PAGE + column * 4, q + i, 4);
}

void linn_cpu_keep(const linn_workspace *s, int32_t layer, int32_t head, int32_t row, bool value)
{
    const linn_row *r = &s->rows[row];
    size_t n = (size_t)s->params->head_dim, column = (size_t)r->slot % LINN_KV_PAGE;
    size_t at = ((size_t)row * (size_t)s->params->n_kv_heads + (size_t)head) * n;
    const float *from = (value ? s->v : s->k) + at;
    const linn_store *store = r->session->pool->store;
    char *tile = tile_of(r->session, layer, head, r->slot) + (value ? store->tile_bytes : 0);
    size_t first = value ? column * n : column, step = value ? 1 : LINN_KV_PAGE;
    if (store->type == LINN_KV_Q8_0) {
        keep_q8(s, from, tile, column, value);
    } else if (store->type == LINN_KV_F32) {
        float *to = (float *)(void *)tile + first;
        for (size_t d = 0; d < n; d++)
            to[d * step] = from[d];
    } else {
        uint16_t half[LINN_MAX_HEAD_DIM], *to = (uint16_t *)(void *)tile + first;
        s->kernels->to_f16(from, s->params->head_dim, value ? to : half);
        for (size_t d = 0; d < n && !value; d++)
            to[d * step] = half[d];
    }
}

/* Queries [begin, begin + n) of a run and KV head: query i is row i / group of the run, head
 * i % group of those that share the KV head. */
typedef struct queries {
    int32_t run, kv_head, begin, n;
} queries;

/* Finds the queries, and quantises them if `q8`; returns the highest position among them. */
static int32_t gather(const linn_workspace *s, linn_cpu_scratch *mine, const linn_cpu_plan *plan,
                      const queries *t, bool q8)
{
    const linn_params *p = s->params;
    int32_t group = p->n_heads / p->n_kv_heads, last = 0;
    size_t head_dim = (size_t)p->head_dim, stride = (size_t)p->n_heads * head_dim;
    size_t n_blocks = linn_kv_blocks(p->head_dim), width = n_blocks * LINN_KV_BLOCK;
    for (int32_t j = 0; j < t->n; j++) {
        int32_t entry = plan->begin[t->run] + (t->begin + j) / group;
        int32_t head = t->kv_head * group + (t->begin + j) % group;
        mine->out[j] = s->q + (size_t)plan->place[entry] * stride + (size_t)head * head_dim;
        mine->q[j] = mine->out[j];
        if (q8)
            quantize_head(s, mine->q[j], mine->q8.q + (size_t)j * width,
                          mine->q8.d + (size_t)j * n_blocks,
                          mine->q8.sums + (size_t)j * width / 16);
        mine->position[j] = s->rows[plan->row[entry]].position;
        last = mine->position[j] > last ? mine->position[j] : last;
        mine->m[j] = -__builtin_inff();
        mine->l[j] = 0.0f;
    }
    for (size_t i = 0; i < (size_t)t->n * head_dim; i++)
        mine->acc[i] = 0.0f;
    return last;
}

static const linn_session *session_of(const linn_workspace *s, const linn_cpu_plan *plan,
                                      int32_t run)
{
    return s->rows[plan->row[plan->begin[run]]].session;
}

/* then: what this member does next, whose first page is asked for in time; NULL: something else */
static void attend_queries(const linn_workspace *s, linn_cpu_scratch *mine, int32_t layer,
                           const linn_cpu_plan *plan, const queries *t, const queries *then)
{
    size_t head_dim = (size_t)s->params->head_dim;
    const linn_session *session = session_of(s, plan, t->run);
    const linn_store *store = session->pool->store;
    int32_t last = gather(s, mine, plan, t, store->type == LINN_KV_Q8_0);
    linn_attend a = {
        .head_dim = s->params->head_dim,
        .n_q = t->n,
        .kv = store->type,
        .q = mine->q,
        .q8 = &mine->q8,
        .n_visible = mine->n_visible,
        .scale = 1.0f / __builtin_sqrtf((float)s->params->head_dim),
        .m = mine->m,
        .l = mine->l,
        .acc = mine->acc,
    };
    for (int32_t first = 0; first <= last; first += LINN_KV_PAGE) {
        for (int32_t j = 0; j < t->n; j++) {
            int32_t visible = mine->position[j] + 1 - first;
            mine->n_visible[j] = visible < 0 ? 0 : visible > LINN_KV_PAGE ? LINN_KV_PAGE : visible;
        }
        const char *tile = tile_of(session, layer, t->kv_head, first);
        a.k = tile;
        a.v = tile + store->tile_bytes;
        a.next = 0;
        if (first + LINN_KV_PAGE <= last)
            a.next = tile_of(session, layer, t->kv_head, first + LINN_KV_PAGE) - tile;
        else if (then)
            a.next = tile_of(session_of(s, plan, then->run), layer, then->kv_head, 0) - tile;
        s->kernels->attend(&a);
    }
    for (int32_t j = 0; j < t->n; j++)
        for (size_t d = 0; d < head_dim; d++)
            mine->out[j][d] = mine->acc[(size_t)j * head_dim + d] / mine->l[j];
}

/* Queries of a task: of all heads that share a KV head. With fewer pairs of run and KV head than
 * members, these heads are parted too. */
static int32_t queries_each(const linn_workspace *s, const linn_cpu_plan *plan, int32_t n)
{
    int32_t pairs = plan->n_runs * s->params->n_kv_heads, threads = linn_pool_threads(s->pool);
    int32_t parts = pairs >= threads ? 1 : (threads + pairs - 1) / pairs;
    int32_t each = (n + parts - 1) / parts;
    each = each < 1 ? 1 : each; /* a run without outputs */
    return each > LINN_CPU_QUERIES ? LINN_CPU_QUERIES : each;
}

static int32_t queries_of(const linn_workspace *s, const linn_cpu_plan *plan, int32_t run)
{
    return (plan->begin[run + 1] - plan->begin[run]) * (s->params->n_heads / s->params->n_kv_heads);
}

int32_t linn_cpu_attend_tasks(const linn_workspace *s, const linn_cpu_plan *plan)
{
    int32_t tasks = 0;
    for (int32_t run = 0; run < plan->n_runs; run++) {
        int32_t n = queries_of(s, plan, run), each = queries_each(s, plan, n);
        tasks += (n + each - 1) / each * s->params->n_kv_heads;
    }
    return tasks;
}

void linn_cpu_attend(const linn_workspace *s, int32_t layer, const linn_cpu_plan *plan,
                     int32_t piece, int32_t n_pieces, int member)
{
    int begin, end;
    linn_share(linn_cpu_attend_tasks(s, plan), 1, piece, n_pieces, &begin, &end);
    queries now = {0}, then;
    for (int32_t run = 0, task = 0; run < plan->n_runs && task < end; run++) {
        int32_t n = queries_of(s, plan, run), each = queries_each(s, plan, n);
        for (int32_t head = 0; head < s->params->n_kv_heads; head++)
            for (int32_t at = 0; at < n; at += each, task++) {
                if (task < begin || task >= end)
                    continue;
                then = (queries){run, head, at, n - at < each ? n - at : each};
                if (now.n > 0)
                    attend_queries(s, &s->scratch[member], layer, plan, &now, &then);
                now = then;
            }
    }
    if (now.n > 0)
        attend_queries(s, &s->scratch[member], layer, plan, &now, NULL);
}
