/* forward.c - the forward pass of a llama-like transformer on the CPU.
 *
 * For each row, with the residual stream x starting as the token's embedding, each
 * layer does
 *
 *     h = norm(x)         q, k, v = W h (+ biases)      norms of heads of q and k (qwen3)
 *     q, k rotated        k, v into the cache           o = attention
 *     x += Wo o           h = norm(x)                   x += Wdown (swiglu(Wgate h, Wup h))
 *
 * and at the end logits = Wout norm(x).
 *
 * The whole team runs this code, with a barrier where a stage needs what others made.
 * Work is split over rows, over heads or over outputs of a matrix, never over a sum.
 * Who computes what depends on the number of members; what is computed does not.
 *
 * In the last layer, only K and V of rows without outputs are of use, so from there on
 * the buffers hold the rows with outputs alone (`place` in the plan).
 */
#include "base/fpenv.h"
#include "kernels/math.h"
#include "model/cpu/cpu.h"
#include "model/session.h"

#include <string.h>

typedef linn_cpu_member member;

static void barrier(const member *c)
{
    linn_pool_barrier(c->s->pool);
}

/* ---- activations --------------------------------------------------------------------------- */

/* Rows to be multiplied with matrices: row j is row index[j] of x. */
typedef struct source {
    const float *x;       /* [.., k] */
    const int32_t *index; /* [n]; NULL: j itself */
    const float *norm;    /* [k] weights of an RMS norm; NULL: taken as they are */
    int32_t n, k;
} source;

static unsigned form_bit(const linn_matrix *w)
{
    return 1u << linn_act_form_of(w->type);
}

static void prepare_row(const member *c, const source *from, int32_t j, unsigned forms,
                        const linn_cpu_acts *to)
{
    const linn_kernels *kernels = c->s->kernels;
    size_t k = (size_t)from->k, at = (size_t)j * k;
    const float *x = from->x + (from->index ? (size_t)from->index[j] : (size_t)j) * k;
    if (from->norm) {
        float *y = forms & 1u << LINN_ACT_F32 ? to->x + at : c->mine->row;
        kernels->rms_norm(x, from->norm, c->s->params->eps, from->k, y);
        x = y;
    }
    for (int form = LINN_ACT_Q8; form <= LINN_ACT_Q8K; form++) {
        const linn_acts *a = &to->of[form];
        size_t block = form == LINN_ACT_Q8K ? 256 : 32;
        if (forms & 1u << form)
            kernels->quantize((linn_act_form)form, x, from->k, a->q + at, a->d + at / block,
                              a->sums + at / 16);
    }
}

/* Makes activations in the forms asked for, in set 0 or 1 of the buffers. Few rows are made by
 * every member for itself; else each makes a share and all wait. */
static linn_cpu_acts prepare(const member *c, int set, source from, unsigned forms)
{
    bool alone = from.n <= LINN_CPU_ALONE;
    linn_cpu_acts to = alone ? c->mine->acts[set] : c->s->acts[set];
    int begin = 0, end = from.n;
    if (!alone)
        linn_share(from.n, 1, c->index, c->n, &begin, &end);
    for (int32_t j = begin; j < end; j++)
        prepare_row(c, &from, j, forms, &to);
    if (!alone)
        barrier(c);
    for (int form = 0; form < LINN_ACT_FORMS; form++) {
        to.of[form].n = from.n;
        to.of[form].k = from.k;
    }
    to.of[LINN_ACT_F32].x = from.norm ? to.x : from.x;
    return to;
}

/* y[j, i] for outputs i in [begin, end) and all rows j */
static void multiply(const member *c, const linn_matrix *w, const linn_cpu_acts *a, int32_t begin,
                     int32_t end, float *y, int32_t stride)
{
    if (begin < end && a->of[0].n > 0)
        c->s->kernels->product[w->type](w, &a->of[linn_act_form_of(w->type)], begin, end, y,
                                        (size_t)stride);
}

/* ---- the start --------------------------------------------------------------------------------
 */

static void embed(const linn_workspace *s, int32_t row)
{
    const linn_matrix *e = &s->weights->embedding;
    const linn_type_info *info = linn_type_find(e->type);
    const char *from = (const char *)e->data + (size_t)s->rows[row].token * e->row_bytes;
    info->decode(from, s->x + (size_t)row * (size_t)e->n_cols, (size_t)e->n_cols / info->block);
}

/* angle = position * frequency in double; its cosine and sine rounded to float */
static void find_angles(const linn_workspace *s, int32_t row)
{
    int32_t half = s->params->n_rot / 2;
    size_t at = (size_t)row * (size_t)half;
    for (int32_t i = 0; i < half; i++) {
        double sin, cos;
        linn_sincos64((double)s->rows[row].position * s->weights->frequency[i], &sin, &cos);
        s->cos[at + (size_t)i] = (float)cos;
        s->sin[at + (size_t)i] = (float)sin;
    }
}

static void start(const member *c)
{
    int begin, end;
    linn_share(2 * c->s->n_rows, 1, c->index, c->n, &begin, &end);
    for (int i = begin; i < end; i++)
        if (i < c->s->n_rows)
            embed(c->s, i);
        else
            find_angles(c->s, i - c->s->n_rows);
}

/* ---- q, k, v -----------------------------------------------------------------------------------
 */

/* One of the three: where its heads come from and go to. */
typedef struct projection {
    enum { Q, K, V } what;
    const linn_matrix *w;
    const float *bias, *norm; /* NULL: none */
    float *y;                 /* [n, n_heads * head_dim] */
    int32_t n_heads;
    const int32_t *row; /* [n] of the chunk; NULL: j itself */
} projection;

/* What is done to the heads [begin, end) of n rows after the product. */
static void finish_heads(const member *c, int32_t layer, const projection *p, int32_t n,
                         int32_t begin, int32_t end)
{
    const linn_workspace *s = c->s;
    const linn_params *params = s->params;
    int32_t head_dim = params->head_dim;
    size_t half = (size_t)params->n_rot / 2, first = (size_t)(begin * head_dim);
    for (int32_t j = 0; j < n; j++) {
        float *y = p->y + (size_t)j * (size_t)(p->n_heads * head_dim) + first;
        size_t row = p->row ? (size_t)p->row[j] : (size_t)j;
        if (p->bias)
            s->kernels->add(y, p->bias + first, (end - begin) * head_dim);
        if (p->norm)
            for (int32_t h = 0; h < end - begin; h++)
                s->kernels->rms_norm(y + h * head_dim, p->norm, params->eps, head_dim,
                                     y + h * head_dim);
        if (p->what != V)
            s->kernels->rope(y, end - begin, head_dim, params->n_rot, params->neox,
                             s->cos + row * half, s->sin + row * half);
        for (int32_t h = begin; h < end && p->what != Q; h++)
            linn_cpu_keep(s, layer, h, j, p->what == V);
    }
}

/* Heads in the unit of work: their outputs begin at a multiple of LINN_ROW_GRAIN. */
static int32_t heads_in_unit(int32_t head_dim)
{
    int32_t n = 1;
    while (n * head_dim % LINN_ROW_GRAIN)
        n++;
    return n;
}

/* The member's heads of q, k and v, which are shared out as one list; K and V go into the cache.
 * Rows of k and v are those of the chunk, of which q has rows q_row (NULL: all). */
static void project(const member *c, int32_t layer, const linn_cpu_acts *a_q, const int32_t *q_row,
                    const linn_cpu_acts *a_kv)
{
    const linn_workspace *s = c->s;
    int32_t n_heads = s->params->n_heads, n_kv = s->params->n_kv_heads;
    const linn_cpu_layer *w = &s->weights->layers[layer];
    const projection all[3] = {
        {Q, &w->q, w->q_bias, w->q_norm, s->q, n_heads, q_row},
        {K, &w->k, w->k_bias, w->k_norm, s->k, n_kv, NULL},
        {V, &w->v, w->v_bias, NULL, s->v, n_kv, NULL},
    };
    int32_t head_dim = s->params->head_dim, unit = heads_in_unit(head_dim);
    int32_t q_units = a_q->of[0].n ? (n_heads + unit - 1) / unit : 0;
    int32_t kv_units = (n_kv + unit - 1) / unit, first = 0, begin, end;
    linn_share(q_units + 2 * kv_units, 1, c->index, c->n, &begin, &end);
    for (int i = 0; i < 3; i++) {
        const projection *p = &all[i];
        int32_t units = i == 0 ? q_units : kv_units;
        int32_t b = begin > first ? begin - first : 0, e = end - first;
        b *= unit;
        e = (e > units ? units : e) * unit;
        e = e > p->n_heads ? p->n_heads : e;
        first += units;
        if (b >= e)
            continue;
        const linn_cpu_acts *a = i == 0 ? a_q : a_kv;
        multiply(c, p->w, a, b * head_dim, e * head_dim, p->y, p->n_heads * head_dim);
        finish_heads(c, layer, p, a->of[0].n, b, e);
    }
}

/* ---- a layer -----------------------------------------------------------------------------------
 */

/* The rows that go on: all of them until the last layer, then those with outputs. */
typedef struct stream {
    float *x; /* [n, n_embd] */
    int32_t n;
    const linn_cpu_plan *plan;
} stream;

/* First half of the last layer where some rows have no outputs: q of the others only, which move
 * to the front. */
static void project_last(const member *c, int32_t layer, stream *t)
{
    linn_workspace *s = c->s;
    const linn_cpu_layer *w = &s->weights->layers[layer];
    size_t width = (size_t)s->params->n_embd;
    source all = {t->x, NULL, w->attn_norm, s->n_rows, s->params->n_embd};
    source some = {t->x, s->out_row, w->attn_norm, s->n_out, s->params->n_embd};
    int begin, end;
    linn_share(s->n_out, 1, c->index, c->n, &begin, &end);
    for (int32_t j = begin; j < end; j++)
        memcpy(s->x_out + (size_t)j * width, s->x + (size_t)s->out_row[j] * width,
               width * sizeof(float));
    linn_cpu_acts a_kv = prepare(c, 0, all, form_bit(&w->k) | form_bit(&w->v));
    linn_cpu_acts a_q = prepare(c, 1, some, form_bit(&w->q));
    project(c, layer, &a_q, s->out_row, &a_kv);
    *t = (stream){s->x_out, s->n_out, &s->outputs};
}

/* x += W a, each member its outputs */
static void add_product(const member *c, const stream *t, const linn_matrix *w,
                        const linn_cpu_acts *a)
{
    linn_workspace *s = c->s;
    int32_t width = s->params->n_embd;
    int begin, end;
    linn_share(width, LINN_ROW_GRAIN, c->index, c->n, &begin, &end);
    multiply(c, w, a, begin, end, s->y, width);
    for (int32_t j = 0; j < t->n; j++) {
        size_t at = (size_t)j * (size_t)width + (size_t)begin;
        s->kernels->add(t->x + at, s->y + at, end - begin);
    }
}

/* gate = swiglu(Wgate h, Wup h), in pieces that stay in the cache between the three steps */
static void gate_and_up(const member *c, const linn_cpu_layer *w, const linn_cpu_acts *a, int32_t n)
{
    enum { PIECE = 1 << 15 }; /* values */
    linn_workspace *s = c->s;
    int32_t n_ff = s->params->n_ff, piece = PIECE / n / LINN_ROW_GRAIN * LINN_ROW_GRAIN;
    int begin, end;
    linn_share(n_ff, LINN_ROW_GRAIN, c->index, c->n, &begin, &end);
    for (int32_t b = begin, e; b < end; b = e) {
        e = end - b < piece ? end : b + piece;
        multiply(c, &w->gate, a, b, e, s->gate, n_ff);
        multiply(c, &w->up, a, b, e, s->up, n_ff);
        for (int32_t j = 0; j < n; j++) {
            size_t at = (size_t)j * (size_t)n_ff + (size_t)b;
            s->kernels->swiglu(s->gate + at, s->up + at, e - b);
        }
    }
}

static void run_layer(const member *c, int32_t layer, stream *t)
{
    linn_workspace *s = c->s;
    const linn_params *p = s->params;
    const linn_cpu_layer *w = &s->weights->layers[layer];
    if (layer == p->n_layers - 1 && s->n_out < s->n_rows) {
        project_last(c, layer, t);
        if (t->n == 0)
            return;
    } else {
        source h = {t->x, NULL, w->attn_norm, t->n, p->n_embd};
        linn_cpu_acts a = prepare(c, 0, h, form_bit(&w->q) | form_bit(&w->k) | form_bit(&w->v));
        project(c, layer, &a, NULL, &a);
    }
    barrier(c);
    linn_cpu_attend(c, layer, t->plan);
    barrier(c);
    source o = {s->q, NULL, NULL, t->n, p->n_heads * p->head_dim};
    linn_cpu_acts a = prepare(c, 0, o, form_bit(&w->attn_output));
    add_product(c, t, &w->attn_output, &a);
    barrier(c);
    source h = {t->x, NULL, w->ffn_norm, t->n, p->n_embd};
    a = prepare(c, 0, h, form_bit(&w->gate) | form_bit(&w->up));
    gate_and_up(c, w, &a, t->n);
    barrier(c);
    source g = {s->gate, NULL, NULL, t->n, p->n_ff};
    a = prepare(c, 0, g, form_bit(&w->down));
    add_product(c, t, &w->down, &a);
    barrier(c);
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void put_out(const member *c, const stream *t)
{
    linn_workspace *s = c->s;
    const linn_weights *w = s->weights;
    int32_t width = s->params->n_embd;
    int begin, end;
    linn_share(s->n_hidden, 1, c->index, c->n, &begin, &end);
    for (int32_t j = begin; j < end; j++)
        s->kernels->rms_norm(t->x + (size_t)s->hidden_place[j] * (size_t)width, w->output_norm,
                             s->params->eps, width, s->hidden + (size_t)j * (size_t)width);
    source h = {t->x, s->logit_place, w->output_norm, s->n_logits, width};
    linn_cpu_acts a = prepare(c, 0, h, form_bit(&w->output));
    linn_share(s->params->n_vocab, LINN_ROW_GRAIN, c->index, c->n, &begin, &end);
    multiply(c, &w->output, &a, begin, end, s->logits, s->params->n_vocab);
}

/* The pass over one chunk, run by every member of the team. */
static void run_chunk(void *arg, int index, int n)
{
    linn_workspace *s = arg;
    linn_fpenv saved = linn_fpenv_enter();
    member c = {.s = s, .mine = &s->scratch[index], .index = index, .n = n};
    stream t = {s->x, s->n_rows, &s->all};
    start(&c);
    barrier(&c);
    for (int32_t layer = 0; layer < s->params->n_layers; layer++)
        run_layer(&c, layer, &t);
    if (t.n > 0)
        put_out(&c, &t);
    linn_fpenv_leave(saved);
}

int linn_cpu_forward(linn_workspace *s, const linn_pass *pass, linn_error *err)
{
    (void)err; /* nothing here can fail */
    for (int32_t begin = 0, end; begin < pass->n_rows; begin = end) {
        end = pass->n_rows - begin < LINN_CPU_CHUNK ? pass->n_rows : begin + LINN_CPU_CHUNK;
        linn_cpu_plan_chunk(s, pass, begin, end);
        linn_pool_run(s->pool, run_chunk, s);
    }
    return LINN_OK;
}
