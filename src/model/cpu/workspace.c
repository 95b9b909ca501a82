/* workspace.c - the memory of a forward pass, laid out once so that the pass allocates
 * nothing. It is reserved, not touched: a batch that only ever decodes one row takes
 * little of it. */
#include "base/error.h"
#include "base/memory.h"
#include "model/cpu/cpu.h"

#include <stdlib.h>

static int32_t widest(const linn_params *p)
{
    int32_t q = p->n_heads * p->head_dim, k = p->n_embd > p->n_ff ? p->n_embd : p->n_ff;
    return q > k ? q : k;
}

static void place_acts(linn_cpu_acts *a, linn_carver *c, const linn_weights *w, size_t rows)
{
    const linn_params *p = w->params;
    size_t k = (size_t)widest(p);
    *a = (linn_cpu_acts){0};
    if (w->forms & 1u << LINN_ACT_F32)
        a->x = linn_carve(c, rows * (size_t)p->n_embd, sizeof(float));
    for (int form = 0; form < LINN_ACT_FORMS; form++) {
        if (form == LINN_ACT_F32 || !(w->forms & 1u << form))
            continue;
        size_t block = form == LINN_ACT_Q8K ? 256 : 32;
        a->of[form].q = linn_carve(c, rows * k, sizeof(int8_t));
        a->of[form].d = linn_carve(c, rows * (k / block + 1), sizeof(float));
        a->of[form].sums = linn_carve(c, rows * (k / 16 + 1), sizeof(int16_t));
    }
}

static void place_queries(linn_acts *a, linn_carver *c, int32_t head_dim)
{
    size_t n_blocks = LINN_CPU_QUERIES * linn_kv_blocks(head_dim);
    *a = (linn_acts){.k = (int32_t)linn_kv_blocks(head_dim) * LINN_KV_BLOCK};
    a->q = linn_carve(c, n_blocks * LINN_KV_BLOCK, sizeof *a->q);
    a->d = linn_carve(c, n_blocks, sizeof *a->d);
    a->sums = linn_carve(c, n_blocks * LINN_KV_BLOCK / 16, sizeof *a->sums);
}

static void place_scratch(linn_cpu_scratch *t, linn_carver *c, const linn_weights *w)
{
    const linn_params *p = w->params;
    t->row = linn_carve(c, (size_t)widest(p), sizeof *t->row);
    t->q = linn_carve(c, LINN_CPU_QUERIES, sizeof *t->q);
    place_queries(&t->q8, c, p->head_dim);
    t->out = linn_carve(c, LINN_CPU_QUERIES, sizeof *t->out);
    t->position = linn_carve(c, LINN_CPU_QUERIES, sizeof *t->position);
    t->n_visible = linn_carve(c, LINN_CPU_QUERIES, sizeof *t->n_visible);
    t->m = linn_carve(c, LINN_CPU_QUERIES, sizeof *t->m);
    t->l = linn_carve(c, LINN_CPU_QUERIES, sizeof *t->l);
    t->acc = linn_carve(c, LINN_CPU_QUERIES * (size_t)p->head_dim, sizeof *t->acc);
}

static void place_plan(linn_cpu_plan *plan, linn_carver *c)
{
    plan->begin = linn_carve(c, LINN_CPU_CHUNK + 1, sizeof *plan->begin);
    plan->row = linn_carve(c, LINN_CPU_CHUNK, sizeof *plan->row);
    plan->place = linn_carve(c, LINN_CPU_CHUNK, sizeof *plan->place);
}

static void place(linn_workspace *s, linn_carver *c)
{
    const linn_params *p = s->params;
    size_t n = LINN_CPU_CHUNK, embd = (size_t)p->n_embd, ff = (size_t)p->n_ff;
    size_t head = (size_t)p->head_dim, half = (size_t)p->n_rot / 2;
    s->x = linn_carve(c, n * embd, sizeof(float));
    s->x_out = linn_carve(c, n * embd, sizeof(float));
    s->q = linn_carve(c, n * (size_t)p->n_heads * head, sizeof(float));
    s->k = linn_carve(c, n * (size_t)p->n_kv_heads * head, sizeof(float));
    s->v = linn_carve(c, n * (size_t)p->n_kv_heads * head, sizeof(float));
    s->y = linn_carve(c, n * embd, sizeof(float));
    s->gate = linn_carve(c, n * ff, sizeof(float));
    s->up = linn_carve(c, n * ff, sizeof(float));
    s->cos = linn_carve(c, n * half, sizeof(float));
    s->sin = linn_carve(c, n * half, sizeof(float));
    place_acts(&s->acts[0], c, s->weights, n);
    place_acts(&s->acts[1], c, s->weights, n);
    place_plan(&s->all, c);
    place_plan(&s->outputs, c);
    s->run_of = linn_carve(c, n, sizeof *s->run_of);
    s->out_row = linn_carve(c, n, sizeof *s->out_row);
    s->logit_place = linn_carve(c, n, sizeof *s->logit_place);
    s->hidden_place = linn_carve(c, n, sizeof *s->hidden_place);
    int threads = linn_pool_threads(s->pool);
    s->scratch = linn_carve(c, (size_t)threads, sizeof *s->scratch);
    linn_cpu_scratch measured;
    for (int i = 0; i < threads; i++)
        place_scratch(s->scratch ? &s->scratch[i] : &measured, c, s->weights);
}

int linn_cpu_workspace_create(linn_workspace **out, const linn_weights *w, linn_error *err)
{
    *out = NULL;
    linn_workspace *s = calloc(1, sizeof *s);
    if (!s)
        return linn_fail(err, LINN_ENOMEM, "out of memory for a batch");
    s->weights = w;
    s->params = w->params;
    s->kernels = w->engine->kernels;
    s->pool = w->engine->pool;
    linn_carver c = {0};
    place(s, &c);
    s->memory_bytes = c.used;
    s->memory = c.overflow ? NULL : linn_reserve(c.used, false);
    if (!s->memory) {
        linn_cpu_workspace_free(s);
        return linn_fail(err, LINN_ENOMEM, "no memory for %zu MiB of a batch", c.used >> 20);
    }
    c = (linn_carver){.base = s->memory};
    place(s, &c);
    *out = s;
    return LINN_OK;
}

void linn_cpu_workspace_free(linn_workspace *s)
{
    if (!s)
        return;
    linn_release(s->memory, s->memory_bytes);
    free(s);
}
