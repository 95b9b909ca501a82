/* mixture.c - see mixture.h.
 *
 * Quantised are the tensors of two or more dimensions whose names end in "weight",
 * other than norms, routers of experts, and embeddings of positions and token types.
 *
 * In a plain mixture (F32, F16, BF16) all of these have the type of the name. In a
 * quantised one, with i the layer of n, and "the edges" the first and last eighth of
 * the layers and every third of those between:
 *
 *   output, or the token embedding where there is no output
 *                  Q6_K; Q8_0 in Q8_0, and where rows are no multiple of the blocks
 *   attn_v         Q2_K: Q3_K, or Q4_K if 4 or more heads share it
 *                  Q2_K_S: Q4_K if 4 or more heads share it
 *                  Q3_K_M: Q5_K in the first two layers, else Q4_K. Q3_K_L: Q5_K
 *                  Q4_K_S: Q5_K in the first four layers
 *                  Q4_K_M, Q5_K_M: Q6_K at the edges
 *                  IQ4_NL, IQ4_XS: Q5_K if 4 or more heads share it
 *   ffn_down       Q2_K: Q3_K. Q2_K_S: Q4_K in the first eighth
 *                  Q3_K_M: Q5_K in the first sixteenth, else Q4_K. Q3_K_L: Q5_K
 *                  Q4_K_S, IQ4_NL, IQ4_XS: Q5_K in the first eighth
 *                  Q4_K_M, Q5_K_M: Q6_K at the edges
 *   attn_output    Q2_K: Q3_K. Q3_K_M: Q4_K. Q3_K_L: Q5_K
 *
 * Models of 8 experts can afford Q8_0 for attn_v and attn_k, and Q5_K for attn_output
 * where it would be less; models of 80 layers with shared values Q5_K for attn_v.
 */
#include "model/mixture.h"
#include "quant/quant.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Indices of the table. */
enum {
    F32,
    F16,
    BF16,
    Q8_0,
    Q6_K,
    Q5_K_M,
    Q5_K_S,
    Q5_1,
    Q5_0,
    Q4_K_M,
    Q4_K_S,
    Q4_1,
    Q4_0,
    IQ4_NL,
    IQ4_XS,
    Q3_K_L,
    Q3_K_M,
    Q3_K_S,
    Q2_K,
    Q2_K_S,
    N_MIXTURES
};

static const linn_mixture mixtures[N_MIXTURES] = {
    [F32] = {"F32", LINN_TYPE_F32, 0},           [F16] = {"F16", LINN_TYPE_F16, 1},
    [BF16] = {"BF16", LINN_TYPE_BF16, 32},       [Q8_0] = {"Q8_0", LINN_TYPE_Q8_0, 7},
    [Q6_K] = {"Q6_K", LINN_TYPE_Q6_K, 18},       [Q5_K_M] = {"Q5_K_M", LINN_TYPE_Q5_K, 17},
    [Q5_K_S] = {"Q5_K_S", LINN_TYPE_Q5_K, 16},   [Q5_1] = {"Q5_1", LINN_TYPE_Q5_1, 9},
    [Q5_0] = {"Q5_0", LINN_TYPE_Q5_0, 8},        [Q4_K_M] = {"Q4_K_M", LINN_TYPE_Q4_K, 15},
    [Q4_K_S] = {"Q4_K_S", LINN_TYPE_Q4_K, 14},   [Q4_1] = {"Q4_1", LINN_TYPE_Q4_1, 3},
    [Q4_0] = {"Q4_0", LINN_TYPE_Q4_0, 2},        [IQ4_NL] = {"IQ4_NL", LINN_TYPE_IQ4_NL, 25},
    [IQ4_XS] = {"IQ4_XS", LINN_TYPE_IQ4_XS, 30}, [Q3_K_L] = {"Q3_K_L", LINN_TYPE_Q3_K, 13},
    [Q3_K_M] = {"Q3_K_M", LINN_TYPE_Q3_K, 12},   [Q3_K_S] = {"Q3_K_S", LINN_TYPE_Q3_K, 11},
    [Q2_K] = {"Q2_K", LINN_TYPE_Q2_K, 10},       [Q2_K_S] = {"Q2_K_S", LINN_TYPE_Q2_K, 21},
};

/* Names without a grade mean the middle one. */
static const struct {
    const char *name;
    int index;
} others[] = {{"Q5_K", Q5_K_M}, {"Q4_K", Q4_K_M}, {"Q3_K", Q3_K_M}};
enum { N_OTHERS = sizeof others / sizeof *others };

const char *linn_mixture_name(size_t i)
{
    if (i < N_MIXTURES)
        return mixtures[i].name;
    return i < N_MIXTURES + N_OTHERS ? others[i - N_MIXTURES].name : NULL;
}

const linn_mixture *linn_mixture_find(const char *name)
{
    for (int i = 0; i < N_MIXTURES; i++)
        if (strcasecmp(mixtures[i].name, name) == 0)
            return &mixtures[i];
    for (int i = 0; i < N_OTHERS; i++)
        if (strcasecmp(others[i].name, name) == 0)
            return &mixtures[others[i].index];
    return NULL;
}

/* ---- the model --------------------------------------------------------------------------- */

/* The layer in a name "blk.7.attn_v.weight"; -1: none. */
static long layer_of(const char *name)
{
    if (strncmp(name, "blk.", 4) != 0 || name[4] < '0' || name[4] > '9')
        return -1;
    char *end;
    long layer = strtol(name + 4, &end, 10);
    return *end == '.' && layer < INT32_MAX ? layer : -1;
}

/* A number that the architecture states; `otherwise` if it does not, or not as one number. */
static uint32_t stated(const linn_file *f, const char *key, uint32_t otherwise)
{
    linn_string architecture;
    char whole[256];
    if (linn_file_get_string(f, "general.architecture", &architecture, NULL) != LINN_OK ||
        architecture.length > 100)
        return otherwise;
    snprintf(whole, sizeof whole, "%.*s.%s", (int)architecture.length, architecture.data, key);
    uint32_t value = otherwise;
    return linn_file_maybe_u32(f, whole, &value, NULL) == LINN_OK ? value : otherwise;
}

linn_mixture_model linn_mixture_survey(const linn_file *f)
{
    linn_mixture_model m = {.tied = !linn_file_find_tensor(f, "output.weight")};
    uint32_t heads = stated(f, "attention.head_count", 1);
    uint32_t kv_heads = stated(f, "attention.head_count_kv", heads);
    m.n_shared = kv_heads > 0 && heads > kv_heads ? heads / kv_heads : 1;
    m.n_experts = stated(f, "expert_count", 0);
    for (size_t i = 0; i < linn_file_tensors(f); i++) {
        long layer = layer_of(linn_file_tensor_at(f, i)->name_z);
        m.n_layers = layer >= m.n_layers ? layer + 1 : m.n_layers;
    }
    return m;
}

/* ---- the rules --------------------------------------------------------------------------- */

static bool is_matrix(const linn_tensor *t)
{
    static const char *const kept[] = {"_norm.weight", "ffn_gate_inp.weight",
                                       "position_embd.weight", "token_types.weight"};
    size_t n = strlen(t->name_z);
    if (t->n_dims < 2 || n < 6 || strcmp(t->name_z + n - 6, "weight") != 0)
        return false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strstr(t->name_z, kept[i]))
            return false;
    return true;
}

static bool at_the_edges(long i, long n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static uint32_t type_of_value(long m, const linn_mixture_model *model, long i)
{
    bool shared = model->n_shared >= 4;
    uint32_t type = mixtures[m].type;
    if (model->n_experts == 8)
        return LINN_TYPE_Q8_0;
    if (m == Q2_K)
        type = shared ? LINN_TYPE_Q4_K : LINN_TYPE_Q3_K;
    else if (m == Q2_K_S && shared)
        type = LINN_TYPE_Q4_K;
    else if (m == Q3_K_M)
        type = i < 2 ? LINN_TYPE_Q5_K : LINN_TYPE_Q4_K;
    else if (m == Q3_K_L || (m == Q4_K_S && i < 4) || ((m == IQ4_NL || m == IQ4_XS) && shared))
        type = LINN_TYPE_Q5_K;
    else if ((m == Q4_K_M || m == Q5_K_M) && at_the_edges(i, model->n_layers))
        type = LINN_TYPE_Q6_K;
    bool large = model->n_layers == 80 && model->n_shared > 1;
    return large && (type == LINN_TYPE_Q3_K || type == LINN_TYPE_Q4_K) ? LINN_TYPE_Q5_K : type;
}

static uint32_t type_of_down(long m, const linn_mixture_model *model, long i)
{
    long n = model->n_layers;
    if (m == Q2_K)
        return LINN_TYPE_Q3_K;
    if (m == Q2_K_S && i < n / 8)
        return LINN_TYPE_Q4_K;
    if (m == Q3_K_M)
        return i < n / 16 ? LINN_TYPE_Q5_K : LINN_TYPE_Q4_K;
    if (m == Q3_K_L || ((m == Q4_K_S || m == IQ4_NL || m == IQ4_XS) && i < n / 8))
        return LINN_TYPE_Q5_K;
    if ((m == Q4_K_M || m == Q5_K_M) && at_the_edges(i, n))
        return LINN_TYPE_Q6_K;
    return mixtures[m].type;
}

static uint32_t type_of_attention_output(long m, const linn_mixture_model *model)
{
    uint32_t type = mixtures[m].type;
    if (model->n_experts == 8)
        return type == LINN_TYPE_Q2_K || type == LINN_TYPE_Q3_K || type == LINN_TYPE_Q4_K ||
                       type == LINN_TYPE_IQ4_NL || type == LINN_TYPE_IQ4_XS
                   ? LINN_TYPE_Q5_K
                   : type;
    return m == Q2_K     ? LINN_TYPE_Q3_K
           : m == Q3_K_M ? LINN_TYPE_Q4_K
           : m == Q3_K_L ? LINN_TYPE_Q5_K
                         : type;
}

static uint32_t type_of_output(long m, const linn_tensor *t)
{
    uint32_t type = mixtures[m].type;
    if (type == LINN_TYPE_Q8_0 || t->shape[0] % linn_type_find(type)->block != 0)
        return LINN_TYPE_Q8_0;
    return LINN_TYPE_Q6_K;
}

static uint32_t by_rule(long m, const linn_mixture_model *model, const linn_tensor *t)
{
    const char *name = t->name_z;
    long layer = layer_of(name);
    if (strcmp(name, model->tied ? "token_embd.weight" : "output.weight") == 0)
        return type_of_output(m, t);
    if (layer < 0)
        return mixtures[m].type;
    if (strstr(name, "attn_v.weight") || strstr(name, "attn_qkv.weight"))
        return type_of_value(m, model, layer);
    if (strstr(name, "attn_k.weight") && model->n_experts == 8)
        return LINN_TYPE_Q8_0;
    if (strstr(name, "ffn_down"))
        return type_of_down(m, model, layer);
    if (strstr(name, "attn_output.weight"))
        return type_of_attention_output(m, model);
    return mixtures[m].type;
}

/* What takes the place of a type where rows are no multiple of its blocks: one of blocks of 32 that
 * is no worse, or F16. */
static uint32_t in_place_of(uint32_t type, uint64_t row)
{
    if (row % 32 != 0)
        return LINN_TYPE_F16;
    switch (type) {
    case LINN_TYPE_Q2_K:
    case LINN_TYPE_Q3_K:
        return LINN_TYPE_Q4_0;
    case LINN_TYPE_IQ4_XS:
        return LINN_TYPE_IQ4_NL;
    case LINN_TYPE_Q4_K:
        return LINN_TYPE_Q5_0;
    case LINN_TYPE_Q5_K:
        return LINN_TYPE_Q5_1;
    default:
        return LINN_TYPE_Q8_0;
    }
}

uint32_t linn_mixture_choose(const linn_mixture *m, const linn_mixture_model *model, bool pure,
                             const linn_tensor *t, uint32_t *wanted)
{
    *wanted = t->type;
    if (!is_matrix(t))
        return t->type;
    *wanted = m->type;
    if (!pure && linn_type_find(m->type)->block > 1)
        *wanted = by_rule(m - mixtures, model, t);
    return t->shape[0] % linn_type_find(*wanted)->block == 0 ? *wanted
                                                             : in_place_of(*wanted, t->shape[0]);
}
