/* synthetic.c - see synthetic.h. */
#include "synthetic.h"
#include "base/error.h"
#include "quant/blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 64, SPARE_TENSORS = 8, LAYER_TENSORS = 14 };

synthetic synthetic_small(const char *architecture)
{
    return (synthetic){
        .architecture = architecture,
        .type = LINN_TYPE_F32,
        .n_layers = 2,
        .n_embd = 64,
        .n_heads = 4,
        .n_kv_heads = 2,
        .n_ff = 96,
        .n_vocab = 300,
        .n_ctx = 256,
        .eps = 1e-5f,
        .freq_base = 10000.0f,
        .seed = 1,
    };
}

/* ---- the plan ---------------------------------------------------------------------------- */

static synthetic_key *key_for(synthetic_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_keys; i++)
        if (strcmp(p->keys[i].name, name) == 0)
            return &p->keys[i];
    if (p->n_keys == MAX_KEYS)
        abort();
    synthetic_key *k = &p->keys[p->n_keys++];
    snprintf(k->name, sizeof k->name, "%s", name);
    return k;
}

void synthetic_set_u32(synthetic_plan *p, const char *name, uint32_t value)
{
    synthetic_key *k = key_for(p, name);
    k->kind = LINN_GGUF_U32;
    k->u32 = value;
}

void synthetic_set_f32(synthetic_plan *p, const char *name, float value)
{
    synthetic_key *k = key_for(p, name);
    k->kind = LINN_GGUF_F32;
    k->f32 = value;
}

void synthetic_set_bool(synthetic_plan *p, const char *name, bool value)
{
    synthetic_key *k = key_for(p, name);
    k->kind = LINN_GGUF_BOOL;
    k->u32 = value;
}

void synthetic_set_string(synthetic_plan *p, const char *name, const char *value)
{
    synthetic_key *k = key_for(p, name);
    k->kind = LINN_GGUF_STRING;
    k->string = value;
}

void synthetic_drop_key(synthetic_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_keys; i++)
        if (strcmp(p->keys[i].name, name) == 0) {
            p->n_keys--;
            memmove(&p->keys[i], &p->keys[i + 1], (p->n_keys - i) * sizeof *p->keys);
            return;
        }
}

synthetic_tensor *synthetic_find(synthetic_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_tensors; i++)
        if (strcmp(p->tensors[i].name, name) == 0)
            return &p->tensors[i];
    return NULL;
}

void synthetic_drop_tensor(synthetic_plan *p, const char *name)
{
    synthetic_tensor *t = synthetic_find(p, name);
    if (t) {
        size_t after = (size_t)(p->tensors + p->n_tensors - (t + 1));
        memmove(t, t + 1, after * sizeof *t);
        p->n_tensors--;
    }
}

synthetic_tensor *synthetic_add(synthetic_plan *p, const char *name, uint32_t type, int n_cols,
                                int n_rows)
{
    synthetic_tensor *t = &p->tensors[p->n_tensors++];
    *t = (synthetic_tensor){
        .type = type,
        .n_dims = n_rows > 0 ? 2 : 1,
        .shape = {(uint64_t)n_cols, n_rows > 0 ? (uint64_t)n_rows : 1, 1, 1},
        .fill = n_rows > 0 ? FILL_MATRIX : FILL_NORM,
        .deviation = n_rows > 0 ? 1.0f / sqrtf((float)n_cols) : 0.3f,
    };
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static void add_layer(synthetic_plan *p, int layer, int head_dim)
{
    const synthetic *s = &p->spec;
    bool biases = strcmp(s->architecture, "qwen2") == 0;
    bool norms = strcmp(s->architecture, "qwen3") == 0;
    int q = s->n_heads * head_dim, kv = s->n_kv_heads * head_dim;
    const struct {
        const char *tail;
        bool there;
        int n_cols, n_rows;
        synthetic_fill fill;
    } all[LAYER_TENSORS] = {
        {"attn_norm.weight", true, s->n_embd, 0, FILL_NORM},
        {"attn_q.weight", true, s->n_embd, q, FILL_MATRIX},
        {"attn_k.weight", true, s->n_embd, kv, FILL_MATRIX},
        {"attn_v.weight", true, s->n_embd, kv, FILL_MATRIX},
        {"attn_q.bias", biases, q, 0, FILL_BIAS},
        {"attn_k.bias", biases, kv, 0, FILL_BIAS},
        {"attn_v.bias", biases, kv, 0, FILL_BIAS},
        {"attn_q_norm.weight", norms, head_dim, 0, FILL_NORM},
        {"attn_k_norm.weight", norms, head_dim, 0, FILL_NORM},
        {"attn_output.weight", true, q, s->n_embd, FILL_MATRIX},
        {"ffn_norm.weight", true, s->n_embd, 0, FILL_NORM},
        {"ffn_gate.weight", true, s->n_embd, s->n_ff, FILL_MATRIX},
        {"ffn_up.weight", true, s->n_embd, s->n_ff, FILL_MATRIX},
        {"ffn_down.weight", true, s->n_ff, s->n_embd, FILL_MATRIX},
    };
    for (int i = 0; i < LAYER_TENSORS; i++) {
        if (!all[i].there)
            continue;
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s", layer, all[i].tail);
        uint32_t type = all[i].fill == FILL_MATRIX ? s->type : (uint32_t)LINN_TYPE_F32;
        synthetic_add(p, name, type, all[i].n_cols, all[i].n_rows)->fill = all[i].fill;
    }
}

static void add_tensors(synthetic_plan *p, int head_dim)
{
    const synthetic *s = &p->spec;
    float logits = 3.0f / sqrtf((float)s->n_embd); /* a deviation of 3 */
    synthetic_add(p, "token_embd.weight", s->type, s->n_embd, s->n_vocab)->deviation =
        s->tied ? logits : 1.0f;
    if (s->rope_factors)
        synthetic_add(p, "rope_freqs.weight", LINN_TYPE_F32, head_dim / 2, 0)->fill = FILL_FACTORS;
    for (int i = 0; i < s->n_layers; i++)
        add_layer(p, i, head_dim);
    synthetic_add(p, "output_norm.weight", LINN_TYPE_F32, s->n_embd, 0);
    if (!s->tied)
        synthetic_add(p, "output.weight", s->type, s->n_embd, s->n_vocab)->deviation = logits;
}

static void add_keys(synthetic_plan *p, int head_dim)
{
    const synthetic *s = &p->spec;
    const struct {
        const char *tail;
        int value;
    } sizes[] = {
        {"context_length", s->n_ctx},         {"embedding_length", s->n_embd},
        {"block_count", s->n_layers},         {"feed_forward_length", s->n_ff},
        {"attention.head_count", s->n_heads}, {"attention.head_count_kv", s->n_kv_heads},
        {"attention.key_length", head_dim},   {"attention.value_length", head_dim},
        {"rope.dimension_count", head_dim},   {"vocab_size", s->n_vocab},
    };
    char name[80];
    synthetic_set_string(p, "general.architecture", s->architecture);
    synthetic_set_string(p, "general.name", "synthetic");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(name, sizeof name, "%s.%s", s->architecture, sizes[i].tail);
        synthetic_set_u32(p, name, (uint32_t)sizes[i].value);
    }
    snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", s->architecture);
    synthetic_set_f32(p, name, s->eps);
    snprintf(name, sizeof name, "%s.rope.freq_base", s->architecture);
    synthetic_set_f32(p, name, s->freq_base);
    if (s->rope_scale > 0) {
        snprintf(name, sizeof name, "%s.rope.scaling.type", s->architecture);
        synthetic_set_string(p, name, "linear");
        snprintf(name, sizeof name, "%s.rope.scaling.factor", s->architecture);
        synthetic_set_f32(p, name, s->rope_scale);
    }
}

synthetic_plan *synthetic_plan_create(const synthetic *s)
{
    synthetic_plan *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    size_t n_tensors = (size_t)s->n_layers * LAYER_TENSORS + 4 + SPARE_TENSORS;
    p->spec = *s;
    p->keys = calloc(MAX_KEYS, sizeof *p->keys);
    p->tensors = calloc(n_tensors, sizeof *p->tensors);
    if (!p->keys || !p->tensors) {
        synthetic_plan_free(p);
        return NULL;
    }
    int head_dim = s->head_dim ? s->head_dim : s->n_embd / s->n_heads;
    add_keys(p, head_dim);
    add_tensors(p, head_dim);
    return p;
}

void synthetic_plan_free(synthetic_plan *p)
{
    if (!p)
        return;
    free(p->keys);
    free(p->tensors);
    free(p);
}

/* ---- random values ------------------------------------------------------------------------- */

typedef struct generator {
    uint64_t state;
} generator;

static uint64_t next(generator *g) /* splitmix64 */
{
    uint64_t z = (g->state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static float normal(generator *g) /* mean 0, deviation 1 or so */
{
    uint64_t r = next(g);
    int sum =
        (int)(r & 0xffff) + (int)(r >> 16 & 0xffff) + (int)(r >> 32 & 0xffff) + (int)(r >> 48);
    return (float)(sum - 2 * 0xffff) * (1.7320508f / 65536);
}

/* Where a format has its scale and its minimum (-1: none), and the minimum over the scale with
 * which random levels have mean 0. */
typedef struct scales {
    int d, m;
    float ratio;
} scales;

static scales scales_of(uint32_t type)
{
    switch (type) {
    case LINN_TYPE_Q4_1:
        return (scales){offsetof(linn_q4_1, d), offsetof(linn_q4_1, m), -7.5f};
    case LINN_TYPE_Q5_1:
        return (scales){offsetof(linn_q5_1, d), offsetof(linn_q5_1, m), -15.5f};
    case LINN_TYPE_Q2_K:
        return (scales){offsetof(linn_q2_k, d), offsetof(linn_q2_k, dmin), 1.5f};
    case LINN_TYPE_Q4_K:
        return (scales){offsetof(linn_q4_k, d), offsetof(linn_q4_k, dmin), 7.5f};
    case LINN_TYPE_Q5_K:
        return (scales){offsetof(linn_q5_k, d), offsetof(linn_q5_k, dmin), 15.5f};
    case LINN_TYPE_Q3_K:
        return (scales){offsetof(linn_q3_k, d), -1, 0};
    case LINN_TYPE_Q6_K:
        return (scales){offsetof(linn_q6_k, d), -1, 0};
    default: /* the others begin with it */
        return (scales){0, -1, 0};
    }
}

static void fill_blocks(generator *g, uint32_t type, float d, uint8_t *out, size_t n_blocks)
{
    size_t block = linn_type_find(type)->bytes, size = n_blocks * block;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t r = next(g);
        memcpy(out + i, &r, size - i < 8 ? size - i : 8);
    }
    scales at = scales_of(type);
    uint16_t d16 = linn_f32_to_f16(d), m16 = linn_f32_to_f16(d * at.ratio);
    for (size_t b = 0; b < n_blocks; b++) {
        memcpy(out + b * block + at.d, &d16, sizeof d16);
        if (at.m >= 0)
            memcpy(out + b * block + at.m, &m16, sizeof m16);
    }
}

/* The scale with which random blocks of a format have the deviation. */
static float scale_for(uint32_t type, float deviation)
{
    enum { SAMPLE = 64 };
    uint8_t blocks[SAMPLE * 256];
    float values[SAMPLE * 256];
    const linn_type_info *info = linn_type_find(type);
    generator g = {1};
    const float d = 0.0625f;
    fill_blocks(&g, type, d, blocks, SAMPLE);
    info->decode(blocks, values, SAMPLE);
    double sum = 0;
    for (size_t i = 0; i < SAMPLE * info->block; i++)
        sum += (double)values[i] * (double)values[i];
    return d * deviation / (float)sqrt(sum / (double)(SAMPLE * info->block));
}

static float value_for(generator *g, const synthetic_tensor *t)
{
    switch (t->fill) {
    case FILL_NORM:
        return 1.0f + 0.2f * normal(g);
    case FILL_FACTORS:
        return 1.0f + 7.0f * (float)(next(g) >> 40) * 0x1p-24f;
    default:
        return t->deviation * normal(g);
    }
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static uint64_t seed_for(uint64_t seed, const char *name)
{
    uint64_t h = seed ^ 0xcbf29ce484222325;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3;
    return h;
}

static void write_tensor(linn_gguf_writer *w, const synthetic *s, const synthetic_tensor *t)
{
    enum { BATCH = 4096 }; /* blocks */
    static float values[BATCH];
    static uint8_t blocks[BATCH * 256];
    const linn_type_info *info = linn_type_find(t->type);
    size_t n = (size_t)(t->shape[0] / info->block * t->shape[1] * t->shape[2] * t->shape[3]);
    generator g = {seed_for(s->seed, t->name)};
    float d = info->block > 1 ? scale_for(t->type, t->deviation) : 0;
    for (size_t i = 0; i < n; i += BATCH) {
        size_t m = n - i < BATCH ? n - i : BATCH;
        if (info->block > 1) {
            fill_blocks(&g, t->type, d, blocks, m);
        } else {
            for (size_t j = 0; j < m; j++)
                values[j] = value_for(&g, t);
            info->encode(values, blocks, m);
        }
        if (linn_gguf_write_data(w, blocks, m * info->bytes) != LINN_OK)
            return;
    }
}

/* A SentencePiece vocabulary of bytes: every text can be written with it. */
static void put_byte_tokenizer(linn_gguf_writer *w, int n_vocab)
{
    enum { UNKNOWN = 2, CONTROL = 3, UNUSED = 5, BYTE = 6, NORMAL = 1, LEAST = 260 };
    int n = n_vocab < LEAST ? LEAST : n_vocab;
    linn_string *tokens = calloc((size_t)n, sizeof *tokens);
    char(*text)[32] = calloc((size_t)n, sizeof *text);
    int32_t *types = calloc((size_t)n, sizeof *types);
    float *scores = calloc((size_t)n, sizeof *scores);
    if (!tokens || !text || !types || !scores)
        abort();
    static const char *const first[] = {"<unk>", "<s>", "</s>"};
    for (int i = 0; i < n; i++) {
        types[i] = i == 0 ? UNKNOWN : i < 3 ? CONTROL : i < 259 ? BYTE : i == 259 ? NORMAL : UNUSED;
        if (i < 3)
            snprintf(text[i], sizeof *text, "%s", first[i]);
        else if (i < 259)
            snprintf(text[i], sizeof *text, "<0x%02X>", (unsigned)(i - 3));
        else if (i == 259)
            snprintf(text[i], sizeof *text, "\u2581"); /* the blank */
        else
            snprintf(text[i], sizeof *text, "<unused%d>", i);
        tokens[i] = (linn_string){text[i], strlen(text[i])};
    }
    linn_gguf_put_string(w, "tokenizer.ggml.model", "llama", 5);
    linn_gguf_put_strings(w, "tokenizer.ggml.tokens", tokens, (size_t)n_vocab);
    linn_gguf_put_array(w, "tokenizer.ggml.scores", LINN_GGUF_F32, scores, (size_t)n_vocab);
    linn_gguf_put_array(w, "tokenizer.ggml.token_type", LINN_GGUF_I32, types, (size_t)n_vocab);
    linn_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    linn_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    linn_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    free(tokens);
    free(text);
    free(types);
    free(scores);
}

/* Copies an array of strings or numbers with one element a token, filled up to n tokens. */
static int put_filled(linn_gguf_writer *w, const linn_file *f, const char *key, linn_gguf_kind kind,
                      int n, linn_error *err)
{
    linn_gguf_array a;
    if (!linn_file_has(f, key))
        return LINN_OK;
    int rc = linn_file_get_array(f, key, kind, &a, err);
    if (rc != LINN_OK)
        return rc;
    if (a.n > (uint64_t)n)
        return linn_fail(err, LINN_EINVAL, "%s has %zu tokens, more than the model's %d",
                         linn_file_path(f), (size_t)a.n, n);
    size_t have = (size_t)a.n;
    if (kind == LINN_GGUF_STRING) {
        linn_string *tokens = calloc((size_t)n, sizeof *tokens);
        char(*text)[32] = calloc((size_t)n, sizeof *text);
        if (!tokens || !text)
            abort();
        for (size_t i = 0; i < (size_t)n; i++)
            if (!linn_gguf_next_string(&a, &tokens[i])) {
                snprintf(text[i], sizeof *text, "<unused%zu>", i);
                tokens[i] = (linn_string){text[i], strlen(text[i])};
            }
        linn_gguf_put_strings(w, key, tokens, (size_t)n);
        free(tokens);
        free(text);
    } else {
        uint32_t *values = calloc((size_t)n, sizeof *values), fill = 5; /* unused */
        if (!values)
            abort();
        memcpy(values, a.data, have * sizeof *values);
        for (size_t i = have; i < (size_t)n && kind == LINN_GGUF_I32; i++)
            values[i] = fill;
        linn_gguf_put_array(w, key, kind, values, (size_t)n);
        free(values);
    }
    return LINN_OK;
}

static int copy_tokenizer(linn_gguf_writer *w, const char *path, int n_vocab, linn_error *err)
{
    static const char tokens[] = "tokenizer.ggml.tokens", scores[] = "tokenizer.ggml.scores",
                      types[] = "tokenizer.ggml.token_type";
    linn_file *f;
    int rc = linn_file_open(&f, path, err);
    for (size_t i = 0; rc == LINN_OK && i < linn_file_keys(f); i++) {
        const char *key = linn_file_key(f, i);
        if (strncmp(key, "tokenizer.", 10) != 0)
            continue;
        if (strcmp(key, tokens) == 0)
            rc = put_filled(w, f, key, LINN_GGUF_STRING, n_vocab, err);
        else if (strcmp(key, scores) == 0)
            rc = put_filled(w, f, key, LINN_GGUF_F32, n_vocab, err);
        else if (strcmp(key, types) == 0)
            rc = put_filled(w, f, key, LINN_GGUF_I32, n_vocab, err);
        else
            linn_gguf_put_copy(w, f, i);
    }
    linn_file_close(f);
    return rc;
}

static void put_key(linn_gguf_writer *w, const synthetic_key *k)
{
    switch (k->kind) {
    case LINN_GGUF_F32:
        linn_gguf_put_f32(w, k->name, k->f32);
        break;
    case LINN_GGUF_BOOL:
        linn_gguf_put_bool(w, k->name, k->u32 != 0);
        break;
    case LINN_GGUF_STRING:
        linn_gguf_put_string(w, k->name, k->string, strlen(k->string));
        break;
    default:
        linn_gguf_put_u32(w, k->name, k->u32);
    }
}

int synthetic_write(const synthetic_plan *p, const char *path, linn_error *err)
{
    const synthetic *s = &p->spec;
    linn_gguf_writer *w;
    int rc = linn_gguf_writer_create(&w, path, err);
    if (rc != LINN_OK)
        return rc;
    for (size_t i = 0; i < p->n_keys; i++)
        put_key(w, &p->keys[i]);
    if (s->tokenizer)
        rc = copy_tokenizer(w, s->tokenizer, s->n_vocab, err);
    else
        put_byte_tokenizer(w, s->n_vocab);
    for (size_t i = 0; i < p->n_tensors; i++)
        linn_gguf_put_tensor(w, p->tensors[i].name, p->tensors[i].type, p->tensors[i].n_dims,
                             p->tensors[i].shape);
    linn_gguf_begin_data(w);
    for (size_t i = 0; i < p->n_tensors && rc == LINN_OK; i++)
        write_tensor(w, s, &p->tensors[i]);
    if (rc == LINN_OK)
        rc = linn_gguf_writer_finish(w, err);
    linn_gguf_writer_free(w);
    return rc;
}

int synthetic_make(const synthetic *s, const char *path, linn_error *err)
{
    synthetic_plan *p = synthetic_plan_create(s);
    int rc = p ? synthetic_write(p, path, err) : linn_fail(err, LINN_ENOMEM, "out of memory");
    synthetic_plan_free(p);
    return rc;
}
