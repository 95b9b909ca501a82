/* cpu.h - the CPU back end: weights in the layouts of the kernel table, KV pages in
 * memory reserved from the kernel, a forward pass by the engine's threads.
 *
 * weights.c loads, store.c keeps KV pages, workspace.c lays out memory, forward.c is
 * the pass, attention.c its attention, plan.c sorts the rows of a pass by session.
 */
#ifndef LINN_MODEL_CPU_CPU_H
#define LINN_MODEL_CPU_CPU_H

#include "kernels/kernels.h"
#include "model/backend.h"
#include "model/engine.h"

/* ---- weights ------------------------------------------------------------------------------ */

typedef struct linn_cpu_layer {
    const float *attn_norm, *ffn_norm;     /* [n_embd] */
    const float *q_bias, *k_bias, *v_bias; /* NULL: none */
    const float *q_norm, *k_norm;          /* [head_dim]; NULL: none */
    linn_matrix q, k, v, attn_output, gate, up, down;
} linn_cpu_layer;

struct linn_weights {
    linn_engine *engine;
    const linn_params *params;
    linn_matrix embedding; /* never packed: rows are decoded from the file's layout */
    linn_matrix output;
    const float *output_norm; /* [n_embd] */
    const double *frequency;  /* [n_rot / 2] radians that pair i turns by a position */
    linn_cpu_layer *layers;   /* [n_layers] */
    unsigned forms;           /* bit f: some matrix multiplies activations of linn_act_form f */
    uint64_t bytes;           /* that a pass of one token reads */

    void *vectors; /* of floats and frequencies, one allocation */
    void *packed;  /* [packed_bytes], of all matrices; NULL: none is packed */
    size_t packed_bytes;
};

int linn_cpu_load(linn_weights **out, linn_engine *e, const linn_params *p, const linn_tensors *t,
                  bool mapped, linn_error *err);
void linn_cpu_unload(linn_weights *w);

/* ---- KV pages ------------------------------------------------------------------------------ */

/* A page: [n_layers, n_kv_heads, K and V] tiles, as attention reads them (kernels.h). */
struct linn_store {
    linn_kv_type type;
    int32_t n_kv_heads;
    size_t tile_bytes, page_bytes, bytes;
    char *base; /* [bytes] */
};

int linn_cpu_store_create(linn_store **out, const linn_weights *w, linn_kv_type type,
                          int32_t n_pages, linn_error *err);
void linn_cpu_store_free(linn_store *s);
void linn_cpu_store_copy(linn_store *s, int32_t from, int32_t to);

/* The tile of K of a page; that of V follows it. */
static inline char *linn_cpu_tile(const linn_store *s, int32_t page, int32_t layer, int32_t head)
{
    size_t tile = ((size_t)layer * (size_t)s->n_kv_heads + (size_t)head) * 2;
    return s->base + (size_t)page * s->page_bytes + tile * s->tile_bytes;
}

/* ---- workspace ------------------------------------------------------------------------------ */

enum {
    LINN_CPU_CHUNK = 256,  /* rows computed together; a longer pass is cut up */
    LINN_CPU_QUERIES = 64, /* of one KV head, attended to at once */
};

/* Activations in every form that some matrix wants. */
typedef struct linn_cpu_acts {
    linn_acts of[LINN_ACT_FORMS]; /* room; .n and .k as prepared last */
    float *x;                     /* F32 form: normalised rows */
} linn_cpu_acts;

/* Rows of a chunk sorted by session: run r is entries [begin[r], begin[r + 1]). */
typedef struct linn_cpu_plan {
    int32_t n, n_runs;
    int32_t *begin; /* [n_runs + 1] */
    int32_t *row;   /* [n] row of the chunk */
    int32_t *place; /* [n] where its activations lie in the buffers */
} linn_cpu_plan;

/* What one member of the team has for itself. */
typedef struct linn_cpu_scratch {
    float *row;         /* [widest vector] */
    const float **q;    /* [LINN_CPU_QUERIES] */
    linn_acts q8;       /* [LINN_CPU_QUERIES, head_dim] the same for a KV cache of q8_0 */
    float **out;        /* [LINN_CPU_QUERIES] */
    int32_t *position;  /* [LINN_CPU_QUERIES] */
    int32_t *n_visible; /* [LINN_CPU_QUERIES] */
    float *m, *l;       /* [LINN_CPU_QUERIES] */
    float *acc;         /* [LINN_CPU_QUERIES, head_dim] */
} linn_cpu_scratch;

struct linn_workspace {
    const linn_weights *weights;
    const linn_params *params;
    const linn_kernels *kernels;
    linn_pool *pool;

    /* Activations of a chunk; n rows of each. */
    float *x;         /* [n, n_embd] the residual stream */
    float *x_out;     /* [n, n_embd] the same of the rows with outputs, in the last layer */
    float *q;         /* [n, n_heads * head_dim]; then the output of attention, in its place */
    float *k, *v;     /* [n, n_kv_heads * head_dim] */
    float *y;         /* [n, n_embd] what is added to the residual stream */
    float *gate, *up; /* [n, n_ff] */
    float *cos, *sin; /* [n, n_rot / 2] */
    linn_cpu_acts acts[2];
    linn_cpu_scratch *scratch; /* [threads] */
    linn_cpu_plan all, outputs;
    int32_t *run_of;       /* [n] scratch of the plan */
    int32_t *out_row;      /* [n] rows with outputs */
    int32_t *logit_place;  /* [n] which of these have logits, */
    int32_t *hidden_place; /* [n] and hidden states */

    /* The chunk at hand. */
    const linn_row *rows;
    int32_t n_rows, n_out, n_logits, n_hidden;
    float *logits, *hidden; /* where this chunk's go */

    void *memory; /* [memory_bytes], all of the above */
    size_t memory_bytes;
};

int linn_cpu_workspace_create(linn_workspace **out, const linn_weights *w, linn_error *err);
void linn_cpu_workspace_free(linn_workspace *s);
int linn_cpu_forward(linn_workspace *s, const linn_pass *pass, linn_error *err);

/* ---- stages of the pass -----------------------------------------------------------------------
 */

void linn_cpu_plan_chunk(linn_workspace *s, const linn_pass *pass, int32_t begin, int32_t end);
/* Writes K (or V, if `value`) of one KV head of a row of the chunk into the cache. */
void linn_cpu_keep(const linn_workspace *s, int32_t layer, int32_t head, int32_t row, bool value);
/* Attention from all rows of a plan, as tasks that may be done at once: how many there are, and a
 * piece of them done by a member. The outputs replace the queries in s->q. */
int32_t linn_cpu_attend_tasks(const linn_workspace *s, const linn_cpu_plan *plan);
void linn_cpu_attend(const linn_workspace *s, int32_t layer, const linn_cpu_plan *plan,
                     int32_t piece, int32_t n_pieces, int member);

#endif
