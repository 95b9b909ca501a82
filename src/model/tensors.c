/* tensors.c - binds tensors by name; see tensors.h.
 *
 * Tensors that linn does not know are fine outside the layers. Inside one they
 * surely take part in what the model computes, so they are refused by name, as are
 * the few outside that would.
 */
#include "model/tensors.h"
#include "base/error.h"
#include "quant/quant.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where to look, and what to say when something is wrong. */
typedef struct binder {
    const linn_file *file;
    const linn_params *params;
    linn_error *err;
    uint64_t n_parameters;
} binder;

static int tensor_expect(binder *b, const linn_tensor *t, int n_dims, int64_t n_cols,
                         int64_t n_rows)
{
    const char *path = linn_file_path(b->file);
    if (t->shape[0] != (uint64_t)n_cols || t->shape[1] != (uint64_t)n_rows || t->shape[2] != 1 ||
        t->shape[3] != 1)
        return linn_fail(b->err, LINN_EFORMAT,
                         "%s: tensor %s is %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                         ", expected %" PRId64 " x %" PRId64,
                         path, t->name_z, t->shape[0], t->shape[1], t->shape[2], t->shape[3],
                         n_cols, n_rows);
    if (n_dims == 1 && t->type != LINN_TYPE_F32 && t->type != LINN_TYPE_F16 &&
        t->type != LINN_TYPE_BF16)
        return linn_fail(b->err, LINN_EUNSUPPORTED,
                         "%s: tensor %s is of type %s, expected F32, F16 or BF16", path, t->name_z,
                         linn_type_name(t->type));
    const linn_type_info *type = linn_type_find(t->type);
    if (!type || t->shape[0] % type->block)
        return linn_fail(b->err, LINN_EUNSUPPORTED,
                         "%s: tensor %s of type %s with %" PRIu64 " columns is not supported", path,
                         t->name_z, linn_type_name(t->type), t->shape[0]);
    b->n_parameters += t->shape[0] * t->shape[1];
    return LINN_OK;
}

/* Finds a tensor and checks it; a missing one stays NULL, which is an error if it is required. */
static int bind(binder *b, const char *name, bool required, int n_dims, int64_t n_cols,
                int64_t n_rows, const linn_tensor **out)
{
    *out = linn_file_find_tensor(b->file, name);
    if (*out)
        return tensor_expect(b, *out, n_dims, n_cols, n_rows);
    if (!required)
        return LINN_OK;
    return linn_fail(b->err, LINN_EFORMAT, "%s: tensor %s is missing", linn_file_path(b->file),
                     name);
}

typedef struct layer_name {
    char text[64];
} layer_name;

static layer_name name_in(int32_t layer, const char *tail)
{
    layer_name n;
    snprintf(n.text, sizeof n.text, "blk.%d.%s", layer, tail);
    return n;
}

/* One row of the table of what a layer has. */
typedef struct slot {
    const char *tail;
    size_t offset; /* of its pointer in linn_layer_tensors */
    bool required;
    int n_dims;
    int64_t n_cols, n_rows;
} slot;

enum { N_SLOTS = 14 };

static void describe_layer(const linn_params *p, slot out[N_SLOTS])
{
    int64_t q = (int64_t)p->n_heads * p->head_dim, kv = (int64_t)p->n_kv_heads * p->head_dim;
#define AT(field) offsetof(linn_layer_tensors, field)
    const slot slots[N_SLOTS] = {
        {"attn_norm.weight", AT(attn_norm), true, 1, p->n_embd, 1},
        {"attn_q.weight", AT(q), true, 2, p->n_embd, q},
        {"attn_k.weight", AT(k), true, 2, p->n_embd, kv},
        {"attn_v.weight", AT(v), true, 2, p->n_embd, kv},
        {"attn_q.bias", AT(q_bias), p->qkv_bias, 1, q, 1},
        {"attn_k.bias", AT(k_bias), p->qkv_bias, 1, kv, 1},
        {"attn_v.bias", AT(v_bias), p->qkv_bias, 1, kv, 1},
        {"attn_q_norm.weight", AT(q_norm), p->qk_norm, 1, p->head_dim, 1},
        {"attn_k_norm.weight", AT(k_norm), p->qk_norm, 1, p->head_dim, 1},
        {"attn_output.weight", AT(attn_output), true, 2, q, p->n_embd},
        {"ffn_norm.weight", AT(ffn_norm), true, 1, p->n_embd, 1},
        {"ffn_gate.weight", AT(gate), true, 2, p->n_embd, p->n_ff},
        {"ffn_up.weight", AT(up), true, 2, p->n_embd, p->n_ff},
        {"ffn_down.weight", AT(down), true, 2, p->n_ff, p->n_embd},
    };
#undef AT
    memcpy(out, slots, sizeof slots);
}

static const linn_tensor **pointer_at(linn_layer_tensors *l, const slot *s)
{
    return (const linn_tensor **)(void *)((char *)l + s->offset);
}

static int bind_layer(binder *b, const slot slots[N_SLOTS], int32_t layer, linn_layer_tensors *l)
{
    for (int i = 0; i < N_SLOTS; i++) {
        const slot *s = &slots[i];
        int rc = bind(b, name_in(layer, s->tail).text, s->required, s->n_dims, s->n_cols, s->n_rows,
                      pointer_at(l, s));
        if (rc != LINN_OK)
            return rc;
    }
    if (!!l->q_bias != !!l->k_bias || !!l->q_bias != !!l->v_bias)
        return linn_fail(b->err, LINN_EFORMAT,
                         "%s: layer %d has biases on some of q, k and v, expected all or none",
                         linn_file_path(b->file), layer);
    if (!b->params->qk_norm && (l->q_norm || l->k_norm))
        return linn_fail(b->err, LINN_EUNSUPPORTED,
                         "%s: %s models with norms of q and k are not supported",
                         linn_file_path(b->file), b->params->architecture);
    return LINN_OK;
}

/* ---- strangers ---------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

/* The number of the layer that a tensor belongs to, and the rest of its name; -1: none. */
static long layer_of(const char *name, const char **tail)
{
    if (!starts_with(name, "blk.") || name[4] < '0' || name[4] > '9')
        return -1;
    char *end;
    long layer = strtol(name + 4, &end, 10);
    if (*end != '.')
        return -1;
    *tail = end + 1;
    return layer;
}

static bool is_stranger(const linn_params *p, const slot slots[N_SLOTS], const char *name)
{
    static const char *const outside[] = {
        "output.bias",    "output_norm.bias",   "token_embd_norm.",
        "position_embd.", "rope_factors_long.", "rope_factors_short.",
        "output.scale",   "output_norm_enc.",   "dec.",
        "enc.",           "per_layer_",
    };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (starts_with(name, outside[i]))
            return true;
    const char *tail;
    long layer = layer_of(name, &tail);
    if (layer < 0 || layer >= p->n_layers)
        return false;
    for (int i = 0; i < N_SLOTS; i++)
        if (strcmp(tail, slots[i].tail) == 0)
            return false;
    /* Old files carry the frequencies of the rotation, which follow from freq_base. */
    return !starts_with(tail, "attn_rot_embd") && !starts_with(tail, "attn.rotary_emb");
}

static int refuse_strangers(binder *b, const slot slots[N_SLOTS])
{
    for (size_t i = 0, n = linn_file_tensors(b->file); i < n; i++) {
        const char *name = linn_file_tensor_at(b->file, i)->name_z;
        if (is_stranger(b->params, slots, name))
            return linn_fail(b->err, LINN_EUNSUPPORTED,
                             "%s: %s models with a tensor %.200s are not supported",
                             linn_file_path(b->file), b->params->architecture, name);
    }
    return LINN_OK;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static int check_rope_freqs(binder *b, const linn_tensor *t)
{
    if (t->type != LINN_TYPE_F32)
        return linn_fail(b->err, LINN_EUNSUPPORTED, "%s: tensor %s is of type %s, expected F32",
                         linn_file_path(b->file), t->name_z, linn_type_name(t->type));
    for (size_t i = 0; i < t->shape[0]; i++) {
        float x;
        memcpy(&x, (const char *)t->data + i * sizeof x, sizeof x);
        if (!(isfinite(x) && x >= 0.125f))
            return linn_fail(b->err, LINN_EFORMAT,
                             "%s: tensor %s: factor %zu is %g, expected a number of at least 1/8",
                             linn_file_path(b->file), t->name_z, i, (double)x);
    }
    return LINN_OK;
}

static int bind_all(binder *b, linn_tensors *t, linn_params *p)
{
    static const char embedding[] = "token_embd.weight";
    const linn_tensor *e = linn_file_find_tensor(b->file, embedding);
    if (e && (e->n_dims > 2 || e->shape[1] > LINN_MAX_WIDTH))
        return linn_fail(b->err, LINN_EFORMAT,
                         "%s: tensor %s has %" PRIu64 " rows, expected a matrix of at most %d",
                         linn_file_path(b->file), embedding, e->shape[1], LINN_MAX_WIDTH);
    p->n_vocab = e ? (int32_t)e->shape[1] : 1;
    int rc = bind(b, embedding, true, 2, p->n_embd, p->n_vocab, &t->token_embd);
    if (rc == LINN_OK)
        rc = bind(b, "output_norm.weight", true, 1, p->n_embd, 1, &t->output_norm);
    if (rc == LINN_OK)
        rc = bind(b, "output.weight", false, 2, p->n_embd, p->n_vocab, &t->output);
    if (rc == LINN_OK)
        rc = bind(b, "rope_freqs.weight", false, 1, p->n_rot / 2, 1, &t->rope_freqs);
    if (rc == LINN_OK && t->rope_freqs)
        rc = check_rope_freqs(b, t->rope_freqs);
    if (rc != LINN_OK)
        return rc;
    if (!t->output)
        t->output = t->token_embd;
    slot slots[N_SLOTS];
    describe_layer(p, slots);
    for (int32_t i = 0; i < p->n_layers && rc == LINN_OK; i++)
        rc = bind_layer(b, slots, i, &t->layers[i]);
    return rc == LINN_OK ? refuse_strangers(b, slots) : rc;
}

int linn_tensors_bind(linn_tensors *out, linn_params *p, const linn_file *f, linn_error *err)
{
    *out = (linn_tensors){0};
    linn_tensors t = {.layers = calloc((size_t)p->n_layers, sizeof *t.layers)};
    if (!t.layers)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory", linn_file_path(f));
    binder b = {.file = f, .params = p, .err = err};
    int rc = bind_all(&b, &t, p);
    t.n_parameters = b.n_parameters;
    if (rc != LINN_OK)
        linn_tensors_free(&t);
    else
        *out = t;
    return rc;
}

void linn_tensors_free(linn_tensors *t)
{
    free(t->layers);
    *t = (linn_tensors){0};
}
