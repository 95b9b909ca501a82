/* weights.c - brings weights into the form that the kernels read.
 *
 * Vectors are decoded to float32. Matrices go through the kernel table's packing; those it
 * reads as they are stay in the file. Members of the team pack the rows they will
 * multiply later, and give the file's pages back as they go, so that memory stays near
 * the size of the weights.
 */
#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "kernels/math.h"
#include "model/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

enum {
    MATRICES = 7,     /* of a layer */
    DATA_ALIGN = 32,  /* of linn_matrix.data */
    PIECE_ROWS = 256, /* packed before their part of the file is given back */
};

static size_t n_matrices(const linn_weights *w)
{
    return MATRICES * (size_t)w->params->n_layers + 1;
}

static linn_matrix *matrix_at(linn_weights *w, size_t i)
{
    if (i == n_matrices(w) - 1)
        return &w->output;
    linn_cpu_layer *l = &w->layers[i / MATRICES];
    linn_matrix *const all[MATRICES] = {&l->q,    &l->k,  &l->v,   &l->attn_output,
                                        &l->gate, &l->up, &l->down};
    return all[i % MATRICES];
}

static linn_matrix matrix_of(const linn_tensor *t)
{
    const linn_type_info *info = linn_type_find(t->type);
    return (linn_matrix){
        .type = t->type,
        .n_rows = (int32_t)t->shape[1],
        .n_cols = (int32_t)t->shape[0],
        .row_bytes = (size_t)t->shape[0] / info->block * info->bytes,
        .data = t->data,
    };
}

static void set_matrices(linn_weights *w, const linn_tensors *t)
{
    w->embedding = matrix_of(t->token_embd);
    w->output = matrix_of(t->output);
    for (int32_t i = 0; i < w->params->n_layers; i++) {
        const linn_layer_tensors *from = &t->layers[i];
        linn_cpu_layer *to = &w->layers[i];
        to->q = matrix_of(from->q);
        to->k = matrix_of(from->k);
        to->v = matrix_of(from->v);
        to->attn_output = matrix_of(from->attn_output);
        to->gate = matrix_of(from->gate);
        to->up = matrix_of(from->up);
        to->down = matrix_of(from->down);
    }
    for (size_t i = 0; i < n_matrices(w); i++)
        w->forms |= 1u << linn_act_form_of(matrix_at(w, i)->type);
}

/* ---- vectors ------------------------------------------------------------------------------- */

static const float *place_vector(linn_carver *c, const linn_tensor *t)
{
    if (!t)
        return NULL;
    const linn_type_info *info = linn_type_find(t->type);
    float *x = linn_carve(c, (size_t)t->shape[0], sizeof *x);
    if (x)
        info->decode(t->data, x, (size_t)t->shape[0] / info->block);
    return x;
}

/* Pair i turns by freq_base^(-2i / n_rot) / (factor_i * rope_scale) a position, in double. */
static const double *place_frequencies(linn_carver *c, const linn_params *p, const linn_tensor *t)
{
    int32_t n = p->n_rot / 2;
    double *f = linn_carve(c, (size_t)n, sizeof *f);
    for (int32_t i = 0; f && i < n; i++) {
        float factor = 1.0f;
        if (t)
            memcpy(&factor, (const float *)t->data + i, sizeof factor);
        f[i] = linn_pow64(p->freq_base, -(2.0 * (double)i) / (double)p->n_rot) /
               ((double)factor * p->rope_scale);
    }
    return f;
}

static void place_vectors(linn_weights *w, linn_carver *c, const linn_tensors *t)
{
    w->output_norm = place_vector(c, t->output_norm);
    w->frequency = place_frequencies(c, w->params, t->rope_freqs);
    for (int32_t i = 0; i < w->params->n_layers; i++) {
        const linn_layer_tensors *from = &t->layers[i];
        linn_cpu_layer *to = &w->layers[i];
        to->attn_norm = place_vector(c, from->attn_norm);
        to->ffn_norm = place_vector(c, from->ffn_norm);
        to->q_bias = place_vector(c, from->q_bias);
        to->k_bias = place_vector(c, from->k_bias);
        to->v_bias = place_vector(c, from->v_bias);
        to->q_norm = place_vector(c, from->q_norm);
        to->k_norm = place_vector(c, from->k_norm);
    }
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Bytes of memory of our own that a matrix needs: packed, or copied if the file has it where
 * products cannot read it; 0: it stays in the file. */
static size_t own_bytes(const linn_weights *w, const linn_matrix *m)
{
    size_t packed = w->engine->kernels->packed_bytes(m);
    if (packed == 0 && (uintptr_t)m->data % DATA_ALIGN)
        return (size_t)m->n_rows * m->row_bytes;
    return packed;
}

typedef struct packing {
    const linn_kernels *kernels;
    const linn_matrix *m;
    char *to;
    bool mapped;
} packing;

/* Packs PIECE_ROWS rows of a matrix to their place. */
static void pack_piece(void *arg, int piece, int member)
{
    const packing *job = arg;
    const linn_matrix *m = job->m;
    int begin = piece * PIECE_ROWS,
        end = m->n_rows - begin < PIECE_ROWS ? m->n_rows : begin + PIECE_ROWS;
    const char *from = (const char *)m->data + (size_t)begin * m->row_bytes;
    size_t from_bytes = (size_t)(end - begin) * m->row_bytes;
    (void)member;
    if (job->mapped)
        linn_mapping_expect(from, from_bytes, true);
    if (job->kernels->packed_bytes(m))
        job->kernels->pack(m, begin, end, job->to);
    else
        memcpy(job->to + (size_t)begin * m->row_bytes, from, from_bytes);
    if (job->mapped)
        linn_mapping_release(from, from_bytes);
}

static void expect_matrix(const linn_matrix *m)
{
    linn_mapping_expect(m->data, (size_t)m->n_rows * m->row_bytes, false);
}

static int pack(linn_weights *w, bool mapped, linn_error *err)
{
    linn_carver c = {0};
    for (size_t i = 0; i < n_matrices(w); i++)
        if (own_bytes(w, matrix_at(w, i)))
            linn_carve(&c, 1, own_bytes(w, matrix_at(w, i)));
    if (c.used == 0)
        return LINN_OK;
    w->packed = c.overflow ? NULL : linn_reserve(c.used, true);
    if (!w->packed)
        return linn_fail(err, LINN_ENOMEM, "no memory for %zu MiB of weights", c.used >> 20);
    w->packed_bytes = c.used;
    c = (linn_carver){.base = w->packed};
    linn_pool *pool = w->engine->pool;
    linn_pool_begin(pool);
    for (size_t i = 0; i < n_matrices(w); i++) {
        linn_matrix *m = matrix_at(w, i);
        size_t bytes = own_bytes(w, m);
        if (bytes == 0)
            continue;
        if (mapped && i + 1 < n_matrices(w)) /* the disk reads it while this one is packed */
            expect_matrix(matrix_at(w, i + 1));
        packing job = {w->engine->kernels, m, linn_carve(&c, 1, bytes), mapped};
        linn_pool_stage(pool, (m->n_rows + PIECE_ROWS - 1) / PIECE_ROWS, pack_piece, &job);
        if (job.kernels->packed_bytes(m))
            m->packed = job.to;
        else
            m->data = job.to;
    }
    linn_pool_end(pool);
    return LINN_OK;
}

static uint64_t count_bytes(linn_weights *w, size_t vector_bytes)
{
    uint64_t bytes = vector_bytes + w->embedding.row_bytes;
    for (size_t i = 0; i < n_matrices(w); i++) {
        const linn_matrix *m = matrix_at(w, i);
        bytes +=
            m->packed ? w->engine->kernels->packed_bytes(m) : (uint64_t)m->n_rows * m->row_bytes;
    }
    return bytes;
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

static int fill(linn_weights *w, const linn_tensors *t, bool mapped, linn_error *err)
{
    linn_carver c = {0};
    place_vectors(w, &c, t);
    w->vectors = c.overflow ? NULL : linn_alloc(1, c.used);
    if (!w->vectors)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the weights");
    c = (linn_carver){.base = w->vectors};
    place_vectors(w, &c, t);
    set_matrices(w, t);
    int rc = pack(w, mapped, err);
    w->bytes = count_bytes(w, c.used);
    return rc;
}

int linn_cpu_load(linn_weights **out, linn_engine *e, const linn_params *p, const linn_tensors *t,
                  bool mapped, linn_error *err)
{
    *out = NULL;
    linn_weights *w = calloc(1, sizeof *w);
    if (!w)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the weights");
    w->engine = e;
    w->params = p;
    w->layers = calloc((size_t)p->n_layers, sizeof *w->layers);
    linn_fpenv saved = linn_fpenv_enter();
    int rc = w->layers ? fill(w, t, mapped, err)
                       : linn_fail(err, LINN_ENOMEM, "out of memory for the weights");
    linn_fpenv_leave(saved);
    if (rc != LINN_OK)
        linn_cpu_unload(w);
    else
        *out = w;
    return rc;
}

void linn_cpu_unload(linn_weights *w)
{
    if (!w)
        return;
    linn_release(w->packed, w->packed_bytes);
    free(w->vectors);
    free(w->layers);
    free(w);
}
