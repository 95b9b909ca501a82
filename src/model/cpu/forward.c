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
 * One thread runs this code and shares the stages out to the team, in pieces (base/pool.h):
 * rows, heads or outputs of a matrix, never parts of a sum. How many pieces there are
 * depends on the number of threads; what is computed does not. A stage of little work is
 * one piece, since to share it would take longer.
 *
 * In the last layer, only K and V of rows without outputs are of use, so from there on
 * the buffers hold the rows with outputs alone (`place` in the plan).
 */
#include "kernels/math.h"
#include "model/cpu/cpu.h"
#include "model/session.h"

#include <string.h>

/* ---- stages -------------------------------------------------------------------------------- */

/* The rows that go on: all of them until the last layer, then those with outputs. */
typedef struct stream {
    float *x; /* [n, n_embd] */
    int32_t n;
    const linn_cpu_plan *plan;
} stream;

/* What the pieces of a stage need to know, each stage some of it. */
typedef struct stage {
    linn_workspace *s;
    int32_t n_pieces, layer;
    const stream *t;
    const linn_matrix *w;
    const linn_cpu_acts *a, *a_q;
    const int32_t *q_row;
    const struct source *from;
    unsigned forms;
} stage;

/* Units of work are about 3 ps of a fast processor: a product with n columns takes (n + 2) of
 * them for each weight. */
enum {
    PIECE_WORK = 1 << 16,           /* at least */
    MEMBER_PIECES = 9,              /* at most */
    ROW_WORK = 100,                 /* to decode, normalise or quantise a value */
    KEY_WORK = 10,                  /* for each number of K and V and query */
    TILE_ROWS = 2 * LINN_ROW_GRAIN, /* of the widest kernels: not to be parted without need */
};

static double product_work(const linn_matrix *w, int32_t n)
{
    return (double)w->n_rows * w->n_cols * (n + 2);
}

/* Runs a stage of so much work in all, in at most so many pieces. A thread alone shares with
 * nobody. */
static void run_stage(stage *g, double work, int32_t most, linn_pool_fn fn)
{
    int32_t threads = linn_pool_threads(g->s->pool), n = threads * MEMBER_PIECES;
    if (work < (double)n * PIECE_WORK)
        n = (int32_t)(work / PIECE_WORK);
    if (n > threads) /* the same for each */
        n = n / threads * threads;
    n = n > most ? most : n;
    g->n_pieces = n < 1 || threads == 1 ? 1 : n;
    linn_pool_stage(g->s->pool, g->n_pieces, fn, g);
}

/* Which of n items a piece is about, `grain` items not to be parted. Of a full stage, a member's
 * last two pieces are half as large as the others, so that who is done first waits less. */
static void share_out(const stage *g, int32_t n, int32_t grain, int piece, int *begin, int *end)
{
    static const int8_t sixteenths[MEMBER_PIECES + 1] = {0, 2, 4, 6, 8, 10, 12, 14, 15, 16};
    int threads = linn_pool_threads(g->s->pool), member = piece / MEMBER_PIECES, unused;
    if (g->n_pieces < threads * MEMBER_PIECES) {
        linn_share(n, grain, piece, g->n_pieces, begin, end);
        return;
    }
    const int8_t *from = &sixteenths[piece % MEMBER_PIECES];
    linn_share(n, grain, 16 * member + from[0], 16 * threads, begin, &unused);
    linn_share(n, grain, 16 * member + from[1] - 1, 16 * threads, &unused, end);
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

static void prepare_row(const linn_workspace *s, int member, const source *from, int32_t j,
                        unsigned forms, const linn_cpu_acts *to)
{
    const linn_kernels *kernels = s->kernels;
    size_t k = (size_t)from->k, at = (size_t)j * k;
    const float *x = from->x + (from->index ? (size_t)from->index[j] : (size_t)j) * k;
    if (from->norm) {
        float *y = forms & 1u << LINN_ACT_F32 ? to->x + at : s->scratch[member].row;
        kernels->rms_norm(x, from->norm, s->params->eps, from->k, y);
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

static void prepare_piece(void *arg, int piece, int member)
{
    const stage *g = arg;
    int begin, end;
    linn_share(g->from->n, 1, piece, g->n_pieces, &begin, &end);
    for (int32_t j = begin; j < end; j++)
        prepare_row(g->s, member, g->from, j, g->forms, g->a);
}

/* Makes activations in the forms asked for, in set 0 or 1 of the buffers. */
static const linn_cpu_acts *prepare(linn_workspace *s, int set, source from, unsigned forms)
{
    linn_cpu_acts *to = &s->acts[set];
    stage g = {.s = s, .from = &from, .forms = forms, .a = to};
    run_stage(&g, (double)from.n * from.k * ROW_WORK, from.n, prepare_piece);
    for (int form = 0; form < LINN_ACT_FORMS; form++) {
        to->of[form].n = from.n;
        to->of[form].k = from.k;
    }
    to->of[LINN_ACT_F32].x = from.norm ? to->x : from.x;
    return to;
}

/* y[j, i] for outputs i in [begin, end) and all rows j */
static void multiply(const linn_workspace *s, const linn_matrix *w, const linn_cpu_acts *a,
                     int32_t begin, int32_t end, float *y, int32_t stride)
{
    if (begin < end && a->of[0].n > 0)
        s->kernels->product[w->type](w, &a->of[linn_act_form_of(w->type)], begin, end, y,
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

static void start_piece(void *arg, int piece, int member)
{
    const stage *g = arg;
    int begin, end;
    (void)member;
    linn_share(2 * g->s->n_rows, 1, piece, g->n_pieces, &begin, &end);
    for (int i = begin; i < end; i++)
        if (i < g->s->n_rows)
            embed(g->s, i);
        else
            find_angles(g->s, i - g->s->n_rows);
}

static void start(linn_workspace *s)
{
    stage g = {.s = s};
    run_stage(&g, (double)s->n_rows * s->params->n_embd * ROW_WORK, 2 * s->n_rows, start_piece);
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
static void finish_heads(const linn_workspace *s, int32_t layer, const projection *p, int32_t n,
                         int32_t begin, int32_t end)
{
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

/* q, k and v are shared out as one list of units of heads. */
static int32_t units_of(const linn_params *p, int32_t n_heads)
{
    int32_t unit = heads_in_unit(p->head_dim);
    return (n_heads + unit - 1) / unit;
}

static void project_piece(void *arg, int piece, int member)
{
    const stage *g = arg;
    const linn_workspace *s = g->s;
    int32_t n_heads = s->params->n_heads, n_kv = s->params->n_kv_heads;
    const linn_cpu_layer *w = &s->weights->layers[g->layer];
    const projection all[3] = {
        {Q, &w->q, w->q_bias, w->q_norm, s->q, n_heads, g->q_row},
        {K, &w->k, w->k_bias, w->k_norm, s->k, n_kv, NULL},
        {V, &w->v, w->v_bias, NULL, s->v, n_kv, NULL},
    };
    int32_t head_dim = s->params->head_dim, unit = heads_in_unit(head_dim);
    int32_t q_units = g->a_q->of[0].n ? units_of(s->params, n_heads) : 0;
    int32_t kv_units = units_of(s->params, n_kv), first = 0, begin, end;
    (void)member;
    share_out(g, q_units + 2 * kv_units, 1, piece, &begin, &end);
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
        const linn_cpu_acts *a = i == 0 ? g->a_q : g->a;
        multiply(s, p->w, a, b * head_dim, e * head_dim, p->y, p->n_heads * head_dim);
        finish_heads(s, g->layer, p, a->of[0].n, b, e);
    }
}

/* K and V go into the cache. Rows of k and v are those of the chunk, of which q has rows q_row
 * (NULL: all). */
static void project(linn_workspace *s, int32_t layer, const linn_cpu_acts *a_q,
                    const int32_t *q_row, const linn_cpu_acts *a_kv)
{
    const linn_cpu_layer *w = &s->weights->layers[layer];
    int32_t n_q = a_q->of[0].n, n_kv = a_kv->of[0].n;
    stage g = {.s = s, .layer = layer, .a = a_kv, .a_q = a_q, .q_row = q_row};
    run_stage(&g, product_work(&w->q, n_q) + product_work(&w->k, n_kv) + product_work(&w->v, n_kv),
              units_of(s->params, s->params->n_heads), project_piece);
}

/* ---- a layer -----------------------------------------------------------------------------------
 */

/* First half of the last layer where some rows have no outputs: q of the others only, which move
 * to the front. */
static void project_last(linn_workspace *s, int32_t layer, stream *t)
{
    const linn_cpu_layer *w = &s->weights->layers[layer];
    size_t width = (size_t)s->params->n_embd;
    source all = {t->x, NULL, w->attn_norm, s->n_rows, s->params->n_embd};
    source some = {t->x, s->out_row, w->attn_norm, s->n_out, s->params->n_embd};
    for (int32_t j = 0; j < s->n_out; j++)
        memcpy(s->x_out + (size_t)j * width, s->x + (size_t)s->out_row[j] * width,
               width * sizeof(float));
    const linn_cpu_acts *a_kv = prepare(s, 0, all, form_bit(&w->k) | form_bit(&w->v));
    const linn_cpu_acts *a_q = prepare(s, 1, some, form_bit(&w->q));
    project(s, layer, a_q, s->out_row, a_kv);
    *t = (stream){s->x_out, s->n_out, &s->outputs};
}

static void attend_piece(void *arg, int piece, int member)
{
    const stage *g = arg;
    linn_cpu_attend(g->s, g->layer, g->t->plan, piece, g->n_pieces, member);
}

static void attend(linn_workspace *s, int32_t layer, const stream *t)
{
    const linn_params *p = s->params;
    stage g = {.s = s, .layer = layer, .t = t};
    double positions = 0;
    for (int32_t i = 0; i < t->n; i++)
        positions += s->rows[t->plan->row[i]].position + 1;
    run_stage(&g, 2 * positions * p->n_heads * p->head_dim * KEY_WORK,
              linn_cpu_attend_tasks(s, t->plan), attend_piece);
}

static void add_product_piece(void *arg, int piece, int member)
{
    const stage *g = arg;
    linn_workspace *s = g->s;
    int32_t width = s->params->n_embd;
    int begin, end;
    (void)member;
    share_out(g, width, TILE_ROWS, piece, &begin, &end);
    multiply(s, g->w, g->a, begin, end, s->y, width);
    for (int32_t j = 0; j < g->t->n; j++) {
        size_t at = (size_t)j * (size_t)width + (size_t)begin;
        s->kernels->add(g->t->x + at, s->y + at, end - begin);
    }
}

/* x += W (what `from` says) */
static void add_product(linn_workspace *s, const stream *t, const linn_matrix *w, source from)
{
    stage g = {.s = s, .t = t, .w = w, .a = prepare(s, 0, from, form_bit(w))};
    run_stage(&g, product_work(w, t->n), w->n_rows / TILE_ROWS, add_product_piece);
}

/* gate = swiglu(Wgate h, Wup h), in parts that stay in the cache between the three steps */
static void gate_and_up_piece(void *arg, int piece, int member)
{
    enum { PART = 1 << 15 }; /* values */
    const stage *g = arg;
    linn_workspace *s = g->s;
    const linn_cpu_layer *w = &s->weights->layers[g->layer];
    int32_t n = g->t->n, n_ff = s->params->n_ff, part = PART / n / LINN_ROW_GRAIN * LINN_ROW_GRAIN;
    int begin, end;
    (void)member;
    share_out(g, n_ff, TILE_ROWS, piece, &begin, &end);
    for (int32_t b = begin, e; b < end; b = e) {
        e = end - b < part ? end : b + part;
        multiply(s, &w->gate, g->a, b, e, s->gate, n_ff);
        multiply(s, &w->up, g->a, b, e, s->up, n_ff);
        for (int32_t j = 0; j < n; j++) {
            size_t at = (size_t)j * (size_t)n_ff + (size_t)b;
            s->kernels->swiglu(s->gate + at, s->up + at, e - b);
        }
    }
}

static void gate_and_up(linn_workspace *s, int32_t layer, const stream *t)
{
    const linn_cpu_layer *w = &s->weights->layers[layer];
    source h = {t->x, NULL, w->ffn_norm, t->n, s->params->n_embd};
    stage g = {.s = s, .layer = layer, .t = t};
    g.a = prepare(s, 0, h, form_bit(&w->gate) | form_bit(&w->up));
    run_stage(&g, 2 * product_work(&w->gate, t->n), s->params->n_ff / TILE_ROWS, gate_and_up_piece);
}

static void run_layer(linn_workspace *s, int32_t layer, stream *t)
{
    const linn_params *p = s->params;
    const linn_cpu_layer *w = &s->weights->layers[layer];
    if (layer == p->n_layers - 1 && s->n_out < s->n_rows) {
        project_last(s, layer, t);
        if (t->n == 0)
            return;
    } else {
        source h = {t->x, NULL, w->attn_norm, t->n, p->n_embd};
        const linn_cpu_acts *a =
            prepare(s, 0, h, form_bit(&w->q) | form_bit(&w->k) | form_bit(&w->v));
        project(s, layer, a, NULL, a);
    }
    attend(s, layer, t);
    add_product(s, t, &w->attn_output, (source){s->q, NULL, NULL, t->n, p->n_heads * p->head_dim});
    gate_and_up(s, layer, t);
    add_product(s, t, &w->down, (source){s->gate, NULL, NULL, t->n, p->n_ff});
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void logits_piece(void *arg, int piece, int member)
{
    const stage *g = arg;
    const linn_workspace *s = g->s;
    int begin, end;
    (void)member;
    share_out(g, s->params->n_vocab, TILE_ROWS, piece, &begin, &end);
    multiply(s, g->w, g->a, begin, end, s->logits, s->params->n_vocab);
}

static void put_out(linn_workspace *s, const stream *t)
{
    const linn_weights *w = s->weights;
    int32_t width = s->params->n_embd;
    for (int32_t j = 0; j < s->n_hidden; j++)
        s->kernels->rms_norm(t->x + (size_t)s->hidden_place[j] * (size_t)width, w->output_norm,
                             s->params->eps, width, s->hidden + (size_t)j * (size_t)width);
    if (s->n_logits == 0)
        return;
    source h = {t->x, s->logit_place, w->output_norm, s->n_logits, width};
    stage g = {.s = s, .w = &w->output, .a = prepare(s, 0, h, form_bit(&w->output))};
    run_stage(&g, product_work(g.w, s->n_logits), s->params->n_vocab / TILE_ROWS, logits_piece);
}

static void run_chunk(linn_workspace *s)
{
    stream t = {s->x, s->n_rows, &s->all};
    start(s);
    for (int32_t layer = 0; layer < s->params->n_layers; layer++)
        run_layer(s, layer, &t);
    if (t.n > 0)
        put_out(s, &t);
}

int linn_cpu_forward(linn_workspace *s, const linn_pass *pass, linn_error *err)
{
    (void)err; /* nothing here can fail */
    linn_pool_begin(s->pool);
    for (int32_t begin = 0, end; begin < pass->n_rows; begin = end) {
        end = pass->n_rows - begin < LINN_CPU_CHUNK ? pass->n_rows : begin + LINN_CPU_CHUNK;
        linn_cpu_plan_chunk(s, pass, begin, end);
        run_chunk(s);
    }
    linn_pool_end(s->pool);
    return LINN_OK;
}
