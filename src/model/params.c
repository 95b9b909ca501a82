/* params.c - reads and checks hyper-parameters; see params.h.
 *
 * A key that changes what a model computes is either obeyed or refused by name,
 * never passed over: wrong text from a model that seems to work is the worst error.
 */
#include "model/params.h"
#include "base/error.h"
#include "gguf/gguf.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct architecture {
    const char *name;
    bool neox, qk_norm, qkv_bias;
} architecture;

static const architecture architectures[] = {
    {.name = "llama"},
    {.name = "qwen2", .neox = true, .qkv_bias = true},
    {.name = "qwen3", .neox = true, .qk_norm = true},
};
enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

/* Full name of a key of the architecture. */
typedef struct key {
    char name[96];
} key;

static key key_of(const linn_params *p, const char *tail)
{
    key k;
    snprintf(k.name, sizeof k.name, "%s.%s", p->architecture, tail);
    return k;
}

static int read_architecture(linn_params *out, const linn_file *f, linn_error *err)
{
    linn_string name;
    int rc = linn_file_get_string(f, "general.architecture", &name, err);
    if (rc != LINN_OK)
        return rc;
    char list[64] = "";
    for (int i = 0; i < N_ARCHITECTURES; i++) {
        const architecture *a = &architectures[i];
        if (name.length == strlen(a->name) && memcmp(name.data, a->name, name.length) == 0) {
            out->architecture = a->name;
            out->neox = a->neox;
            out->qk_norm = a->qk_norm;
            out->qkv_bias = a->qkv_bias;
            return LINN_OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", a->name);
    }
    return linn_fail(err, LINN_EUNSUPPORTED,
                     "%s: architecture '%.*s' is not supported; supported: %s", linn_file_path(f),
                     name.length < 64 ? (int)name.length : 64, name.data, list);
}

/* ---- sizes ------------------------------------------------------------------------------ */

enum { REQUIRED = -1 };

/* A whole number of 1 to `most`; `otherwise` when the key is missing. */
static int read_size(const linn_params *p, const linn_file *f, const char *tail, int32_t most,
                     int32_t otherwise, int32_t *out, linn_error *err)
{
    key k = key_of(p, tail);
    uint32_t value = otherwise == REQUIRED ? 0 : (uint32_t)otherwise;
    int rc = otherwise == REQUIRED ? linn_file_get_u32(f, k.name, &value, err)
                                   : linn_file_maybe_u32(f, k.name, &value, err);
    if (rc != LINN_OK)
        return rc;
    if (value < 1 || value > (uint32_t)most)
        return linn_fail(err, LINN_EFORMAT, "%s: %s is %u, expected 1 to %d", linn_file_path(f),
                         k.name, value, most);
    *out = (int32_t)value;
    return LINN_OK;
}

static int read_heads(linn_params *p, const linn_file *f, linn_error *err)
{
    int rc = read_size(p, f, "attention.head_count", LINN_MAX_HEADS, REQUIRED, &p->n_heads, err);
    if (rc == LINN_OK)
        rc = read_size(p, f, "attention.head_count_kv", LINN_MAX_HEADS, p->n_heads, &p->n_kv_heads,
                       err);
    if (rc != LINN_OK)
        return rc;
    if (p->n_heads % p->n_kv_heads)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: %d heads cannot share %d KV heads, expected a multiple",
                         linn_file_path(f), p->n_heads, p->n_kv_heads);
    int32_t usual = p->n_embd / p->n_heads, value_dim = 0;
    usual = usual < 1 ? 1 : usual > LINN_MAX_HEAD_DIM ? LINN_MAX_HEAD_DIM : usual;
    rc = read_size(p, f, "attention.key_length", LINN_MAX_HEAD_DIM, usual, &p->head_dim, err);
    if (rc == LINN_OK)
        rc = read_size(p, f, "attention.value_length", LINN_MAX_HEAD_DIM, usual, &value_dim, err);
    if (rc != LINN_OK)
        return rc;
    if (p->head_dim != value_dim)
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "%s: keys of %d and values of %d values a head are not supported, "
                         "only equal ones",
                         linn_file_path(f), p->head_dim, value_dim);
    if (p->head_dim % 2)
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "%s: %d values a head are not supported, only even numbers",
                         linn_file_path(f), p->head_dim);
    if ((int64_t)p->n_heads * p->head_dim > LINN_MAX_WIDTH)
        return linn_fail(err, LINN_EFORMAT, "%s: %d heads of %d values are more than %d",
                         linn_file_path(f), p->n_heads, p->head_dim, LINN_MAX_WIDTH);
    return LINN_OK;
}

/* ---- rotation ----------------------------------------------------------------------------- */

/* A finite number of at least `least`, above 0; *out stays when the key is missing. */
static int read_real(const linn_params *p, const linn_file *f, const char *tail, double least,
                     bool required, double *out, linn_error *err)
{
    key k = key_of(p, tail);
    float value;
    if (!required && !linn_file_has(f, k.name))
        return LINN_OK;
    int rc = linn_file_get_f32(f, k.name, &value, err);
    if (rc != LINN_OK)
        return rc;
    if (!isfinite(value) || value <= 0 || value < least)
        return linn_fail(err, LINN_EFORMAT, "%s: %s is %g, expected a number %s %g",
                         linn_file_path(f), k.name, (double)value,
                         least > 0 ? "of at least" : "above", least);
    *out = (double)value;
    return LINN_OK;
}

static bool string_is(linn_string s, const char *word)
{
    return s.length == strlen(word) && memcmp(s.data, word, s.length) == 0;
}

static int read_rope(linn_params *p, const linn_file *f, linn_error *err)
{
    int rc =
        read_size(p, f, "rope.dimension_count", LINN_MAX_HEAD_DIM, p->head_dim, &p->n_rot, err);
    if (rc != LINN_OK)
        return rc;
    if (p->n_rot % 2 || p->n_rot > p->head_dim)
        return linn_fail(err, LINN_EFORMAT, "%s: %s is %d, expected an even number of at most %d",
                         linn_file_path(f), key_of(p, "rope.dimension_count").name, p->n_rot,
                         p->head_dim);
    p->freq_base = 10000.0;
    p->rope_scale = 1.0;
    rc = read_real(p, f, "rope.freq_base", 1.0, false, &p->freq_base, err);
    if (rc != LINN_OK)
        return rc;
    linn_string type = {"", 0};
    key k = key_of(p, "rope.scaling.type");
    rc = linn_file_maybe_string(f, k.name, &type, err);
    if (rc != LINN_OK || string_is(type, "none"))
        return rc;
    if (type.length > 0 && !string_is(type, "linear"))
        return linn_fail(
            err, LINN_EUNSUPPORTED, "%s: %s '%.*s' is not supported; supported: none, linear",
            linn_file_path(f), k.name, type.length < 64 ? (int)type.length : 64, type.data);
    /* Old files have only scale_linear; a factor without a type is linear too. */
    rc = read_real(p, f, "rope.scale_linear", 0.125, false, &p->rope_scale, err);
    if (rc == LINN_OK)
        rc = read_real(p, f, "rope.scaling.factor", 0.125, false, &p->rope_scale, err);
    return rc;
}

/* ---- what is refused -------------------------------------------------------------------- */

typedef struct neutral_number {
    const char *tail, *what;
    float values[2]; /* that change nothing */
} neutral_number;

static const neutral_number numbers[] = {
    {"attention.clamp_kqv", "clamping of q, k and v", {0, 0}},
    {"attention.max_alibi_bias", "ALiBi", {0, 0}},
    {"attn_logit_softcapping", "soft capping of attention", {0, 0}},
    {"final_logit_softcapping", "soft capping of logits", {0, 0}},
    {"logit_scale", "scaling of logits", {0, 1}},
    {"embedding_scale", "scaling of embeddings", {0, 1}},
    {"residual_scale", "scaling of residuals", {0, 1}},
    {"rope.scaling.attn_factor", "scaling of rotated q and k", {0, 1}},
};

static int refuse_numbers(const linn_params *p, const linn_file *f, linn_error *err)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const neutral_number *n = &numbers[i];
        key k = key_of(p, n->tail);
        float value = n->values[0];
        int rc = linn_file_maybe_f32(f, k.name, &value, err);
        if (rc != LINN_OK)
            return rc;
        if (value != n->values[0] && value != n->values[1])
            return linn_fail(err, LINN_EUNSUPPORTED, "%s: %s (%s = %g) is not supported",
                             linn_file_path(f), n->what, k.name, (double)value);
    }
    key k = key_of(p, "attention.scale");
    float usual = 1.0f / sqrtf((float)p->head_dim), scale = usual;
    int rc = linn_file_maybe_f32(f, k.name, &scale, err);
    if (rc == LINN_OK && scale != 0 && !(fabsf(scale - usual) < 1e-6f * usual))
        return linn_fail(err, LINN_EUNSUPPORTED, "%s: %s = %g is not supported, only 1 / sqrt(%d)",
                         linn_file_path(f), k.name, (double)scale, p->head_dim);
    return rc;
}

static int refuse_features(linn_params *p, const linn_file *f, linn_error *err)
{
    uint32_t experts = 0;
    key k = key_of(p, "expert_count");
    int rc = linn_file_maybe_u32(f, k.name, &experts, err);
    if (rc == LINN_OK && experts > 0)
        rc = linn_fail(err, LINN_EUNSUPPORTED,
                       "%s: a mixture of %u experts is not supported, only dense models",
                       linn_file_path(f), experts);
    if (rc != LINN_OK)
        return rc;
    uint32_t window = 0;
    k = key_of(p, "attention.sliding_window");
    rc = linn_file_maybe_u32(f, k.name, &window, err);
    if (rc == LINN_OK && window > 0 && window < (uint32_t)p->n_ctx)
        rc = linn_fail(err, LINN_EUNSUPPORTED,
                       "%s: attention to the last %u of %d positions (%s) is not supported",
                       linn_file_path(f), window, p->n_ctx, k.name);
    if (rc != LINN_OK)
        return rc;
    p->window = window > LINN_MAX_CTX ? 0 : (int32_t)window;
    bool causal = true, parallel = false;
    rc = linn_file_maybe_bool(f, key_of(p, "attention.causal").name, &causal, err);
    if (rc == LINN_OK)
        rc = linn_file_maybe_bool(f, key_of(p, "use_parallel_residual").name, &parallel, err);
    if (rc == LINN_OK && !causal)
        rc = linn_fail(err, LINN_EUNSUPPORTED, "%s: attention that is not causal is not supported",
                       linn_file_path(f));
    if (rc == LINN_OK && parallel)
        rc = linn_fail(err, LINN_EUNSUPPORTED, "%s: parallel residuals are not supported",
                       linn_file_path(f));
    return rc == LINN_OK ? refuse_numbers(p, f, err) : rc;
}

int linn_params_read(linn_params *out, const linn_file *f, linn_error *err)
{
    linn_params p = {0};
    double eps = 0;
    int rc = read_architecture(&p, f, err);
    if (rc == LINN_OK)
        rc = read_size(&p, f, "context_length", LINN_MAX_CTX, REQUIRED, &p.n_ctx, err);
    if (rc == LINN_OK)
        rc = read_size(&p, f, "block_count", LINN_MAX_LAYERS, REQUIRED, &p.n_layers, err);
    if (rc == LINN_OK)
        rc = read_size(&p, f, "embedding_length", LINN_MAX_WIDTH, REQUIRED, &p.n_embd, err);
    if (rc == LINN_OK)
        rc = read_size(&p, f, "feed_forward_length", LINN_MAX_WIDTH, REQUIRED, &p.n_ff, err);
    if (rc == LINN_OK)
        rc = read_heads(&p, f, err);
    if (rc == LINN_OK)
        rc = read_real(&p, f, "attention.layer_norm_rms_epsilon", 0.0, true, &eps, err);
    if (rc == LINN_OK)
        rc = read_rope(&p, f, err);
    if (rc == LINN_OK)
        rc = refuse_features(&p, f, err);
    p.eps = (float)eps;
    if (rc == LINN_OK)
        *out = p;
    return rc;
}
