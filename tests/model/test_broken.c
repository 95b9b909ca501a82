/* Models that must be refused, each broken in one place: one clear line, the right code. And what
 * only looks odd, and must not be. */
#include "timeline.h"

#include <math.h>

typedef enum op {
    SET_U32,
    SET_F32,
    SET_BOOL,
    SET_STRING,
    DROP_KEY,
    DROP_TENSOR,
    TYPE,       /* of a tensor, to `number` */
    COLUMNS,    /* of a tensor, to `number` */
    ROWS,       /* likewise */
    ADD_VECTOR, /* of `number` values */
} op;

typedef struct broken {
    const char *architecture; /* NULL: llama */
    op what;
    const char *name;
    uint32_t number;
    float real;
    const char *text;
    int code; /* expected; LINN_OK: it opens */
    const char *says;
} broken;

static const broken cases[] = {
    /* architecture */
    {.what = SET_STRING,
     .name = "general.architecture",
     .text = "gemma3",
     .code = LINN_EUNSUPPORTED,
     .says = "architecture 'gemma3' is not supported; supported: llama, qwen2, qwen3"},
    {.what = SET_STRING,
     .name = "general.architecture",
     .text = "llam",
     .code = LINN_EUNSUPPORTED,
     .says = "architecture 'llam'"},
    {.what = SET_STRING, .name = "general.architecture", .text = "", .code = LINN_EUNSUPPORTED},
    {.what = DROP_KEY,
     .name = "general.architecture",
     .code = LINN_EFORMAT,
     .says = "general.architecture"},
    {.what = SET_U32, .name = "general.architecture", .number = 3, .code = LINN_EFORMAT},

    /* sizes */
    {.what = DROP_KEY,
     .name = "llama.context_length",
     .code = LINN_EFORMAT,
     .says = "llama.context_length"},
    {.what = DROP_KEY, .name = "llama.embedding_length", .code = LINN_EFORMAT},
    {.what = DROP_KEY, .name = "llama.block_count", .code = LINN_EFORMAT},
    {.what = DROP_KEY, .name = "llama.feed_forward_length", .code = LINN_EFORMAT},
    {.what = DROP_KEY, .name = "llama.attention.head_count", .code = LINN_EFORMAT},
    {.what = SET_U32,
     .name = "llama.context_length",
     .number = 0,
     .code = LINN_EFORMAT,
     .says = "llama.context_length is 0, expected 1 to 16777216"},
    {.what = SET_U32, .name = "llama.context_length", .number = 1 << 24, .code = LINN_OK},
    {.what = SET_U32, .name = "llama.context_length", .number = UINT32_MAX, .code = LINN_EFORMAT},
    {.what = SET_U32, .name = "llama.block_count", .number = 0, .code = LINN_EFORMAT},
    {.what = SET_U32,
     .name = "llama.block_count",
     .number = 3,
     .code = LINN_EFORMAT,
     .says = "tensor blk.2.attn_norm.weight is missing"},
    {.what = SET_U32, .name = "llama.block_count", .number = 1, .code = LINN_OK},
    {.what = SET_U32, .name = "llama.block_count", .number = UINT32_MAX, .code = LINN_EFORMAT},
    {.what = SET_U32, .name = "llama.embedding_length", .number = 0, .code = LINN_EFORMAT},
    {.what = SET_U32,
     .name = "llama.embedding_length",
     .number = 32,
     .code = LINN_EFORMAT,
     .says = "tensor token_embd.weight is 64 x 300 x 1 x 1, expected 32 x 300"},
    {.what = SET_U32, .name = "llama.embedding_length", .number = 1u << 31, .code = LINN_EFORMAT},
    {.what = SET_U32,
     .name = "llama.feed_forward_length",
     .number = 97,
     .code = LINN_EFORMAT,
     .says = "tensor blk.0.ffn_gate.weight is 64 x 96 x 1 x 1, expected 64 x 97"},
    {.what = SET_U32, .name = "llama.attention.head_count", .number = 0, .code = LINN_EFORMAT},
    {.what = SET_U32,
     .name = "llama.attention.head_count",
     .number = 3,
     .code = LINN_EFORMAT,
     .says = "3 heads cannot share 2 KV heads"},
    {.what = SET_U32, .name = "llama.attention.head_count", .number = 65536, .code = LINN_EFORMAT},
    {.what = SET_U32, .name = "llama.attention.head_count_kv", .number = 0, .code = LINN_EFORMAT},
    {.what = SET_U32, .name = "llama.attention.head_count_kv", .number = 8, .code = LINN_EFORMAT},
    {.what = DROP_KEY,
     .name = "llama.attention.head_count_kv",
     .code = LINN_EFORMAT,
     .says = "tensor blk.0.attn_k.weight is 64 x 32 x 1 x 1, expected 64 x 64"},
    {.what = SET_U32,
     .name = "llama.attention.key_length",
     .number = 32,
     .code = LINN_EUNSUPPORTED,
     .says = "keys of 32 and values of 16"},
    {.what = SET_U32, .name = "llama.attention.key_length", .number = 0, .code = LINN_EFORMAT},
    {.what = DROP_KEY, .name = "llama.attention.key_length", .code = LINN_OK},
    {.what = SET_F32, .name = "llama.embedding_length", .real = 64, .code = LINN_EFORMAT},
    {.what = SET_STRING, .name = "llama.block_count", .text = "2", .code = LINN_EFORMAT},

    /* numbers */
    {.what = DROP_KEY, .name = "llama.attention.layer_norm_rms_epsilon", .code = LINN_EFORMAT},
    {.what = SET_F32,
     .name = "llama.attention.layer_norm_rms_epsilon",
     .real = 0,
     .code = LINN_EFORMAT,
     .says = "layer_norm_rms_epsilon is 0, expected a number above 0"},
    {.what = SET_F32,
     .name = "llama.attention.layer_norm_rms_epsilon",
     .real = -1e-5f,
     .code = LINN_EFORMAT},
    {.what = SET_F32,
     .name = "llama.attention.layer_norm_rms_epsilon",
     .real = NAN,
     .code = LINN_EFORMAT},
    {.what = SET_F32,
     .name = "llama.attention.layer_norm_rms_epsilon",
     .real = INFINITY,
     .code = LINN_EFORMAT},
    {.what = SET_F32,
     .name = "llama.rope.freq_base",
     .real = 0,
     .code = LINN_EFORMAT,
     .says = "llama.rope.freq_base is 0, expected a number of at least 1"},
    {.what = SET_F32, .name = "llama.rope.freq_base", .real = -10000, .code = LINN_EFORMAT},
    {.what = SET_F32, .name = "llama.rope.freq_base", .real = INFINITY, .code = LINN_EFORMAT},
    {.what = SET_F32, .name = "llama.rope.freq_base", .real = 1, .code = LINN_OK},
    {.what = DROP_KEY, .name = "llama.rope.freq_base", .code = LINN_OK},

    /* rotation */
    {.what = SET_U32,
     .name = "llama.rope.dimension_count",
     .number = 15,
     .code = LINN_EFORMAT,
     .says = "llama.rope.dimension_count is 15, expected an even number of at most 16"},
    {.what = SET_U32, .name = "llama.rope.dimension_count", .number = 18, .code = LINN_EFORMAT},
    {.what = SET_U32, .name = "llama.rope.dimension_count", .number = 0, .code = LINN_EFORMAT},
    {.what = SET_U32, .name = "llama.rope.dimension_count", .number = 8, .code = LINN_OK},
    {.what = DROP_KEY, .name = "llama.rope.dimension_count", .code = LINN_OK},
    {.what = SET_STRING,
     .name = "llama.rope.scaling.type",
     .text = "yarn",
     .code = LINN_EUNSUPPORTED,
     .says = "llama.rope.scaling.type 'yarn' is not supported; supported: none, linear"},
    {.what = SET_STRING,
     .name = "llama.rope.scaling.type",
     .text = "longrope",
     .code = LINN_EUNSUPPORTED},
    {.what = SET_STRING, .name = "llama.rope.scaling.type", .text = "none", .code = LINN_OK},
    {.what = SET_STRING, .name = "llama.rope.scaling.type", .text = "linear", .code = LINN_OK},
    {.what = SET_U32, .name = "llama.rope.scaling.type", .number = 1, .code = LINN_EFORMAT},
    {.what = SET_F32, .name = "llama.rope.scaling.factor", .real = 0, .code = LINN_EFORMAT},
    {.what = SET_F32, .name = "llama.rope.scaling.factor", .real = NAN, .code = LINN_EFORMAT},
    {.what = SET_F32, .name = "llama.rope.scaling.factor", .real = 1e-30f, .code = LINN_EFORMAT},
    {.what = SET_F32, .name = "llama.rope.scale_linear", .real = 4, .code = LINN_OK},
    {.what = ADD_VECTOR, .name = "rope_freqs.weight", .number = 8, .code = LINN_OK},
    {.what = ADD_VECTOR,
     .name = "rope_freqs.weight",
     .number = 7,
     .code = LINN_EFORMAT,
     .says = "tensor rope_freqs.weight is 7 x 1 x 1 x 1, expected 8 x 1"},
    {.what = ADD_VECTOR,
     .name = "rope_factors_long.weight",
     .number = 8,
     .code = LINN_EUNSUPPORTED},

    /* features */
    {.what = SET_U32,
     .name = "llama.expert_count",
     .number = 8,
     .code = LINN_EUNSUPPORTED,
     .says = "a mixture of 8 experts is not supported, only dense models"},
    {.what = SET_U32, .name = "llama.expert_count", .number = 0, .code = LINN_OK},
    {.what = SET_U32,
     .name = "llama.attention.sliding_window",
     .number = 255,
     .code = LINN_EUNSUPPORTED,
     .says = "attention to the last 255 of 256 positions (llama.attention.sliding_window)"},
    {.what = SET_U32, .name = "llama.attention.sliding_window", .number = 256, .code = LINN_OK},
    {.what = SET_BOOL, .name = "llama.attention.causal", .number = 0, .code = LINN_EUNSUPPORTED},
    {.what = SET_BOOL, .name = "llama.attention.causal", .number = 1, .code = LINN_OK},
    {.what = SET_BOOL,
     .name = "llama.use_parallel_residual",
     .number = 1,
     .code = LINN_EUNSUPPORTED},
    {.what = SET_F32,
     .name = "llama.attention.clamp_kqv",
     .real = 8,
     .code = LINN_EUNSUPPORTED,
     .says = "clamping of q, k and v (llama.attention.clamp_kqv = 8) is not supported"},
    {.what = SET_F32, .name = "llama.logit_scale", .real = 0.5f, .code = LINN_EUNSUPPORTED},
    {.what = SET_F32, .name = "llama.logit_scale", .real = 1, .code = LINN_OK},
    {.what = SET_F32, .name = "llama.embedding_scale", .real = 12, .code = LINN_EUNSUPPORTED},
    {.what = SET_F32,
     .name = "llama.final_logit_softcapping",
     .real = 30,
     .code = LINN_EUNSUPPORTED},
    {.what = SET_F32, .name = "llama.attention.scale", .real = 0.25f, .code = LINN_OK},
    {.what = SET_F32,
     .name = "llama.attention.scale",
     .real = 0.5f,
     .code = LINN_EUNSUPPORTED,
     .says = "llama.attention.scale = 0.5 is not supported, only 1 / sqrt(16)"},

    /* tensors */
    {.what = DROP_TENSOR,
     .name = "token_embd.weight",
     .code = LINN_EFORMAT,
     .says = "tensor token_embd.weight is missing"},
    {.what = DROP_TENSOR, .name = "output_norm.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "output.weight", .code = LINN_OK}, /* tied */
    {.what = DROP_TENSOR, .name = "blk.0.attn_norm.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.0.attn_q.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.0.attn_k.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.1.attn_v.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.1.attn_output.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.1.ffn_norm.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.1.ffn_gate.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR, .name = "blk.1.ffn_up.weight", .code = LINN_EFORMAT},
    {.what = DROP_TENSOR,
     .name = "blk.1.ffn_down.weight",
     .code = LINN_EFORMAT,
     .says = "tensor blk.1.ffn_down.weight is missing"},
    {.what = ROWS, .name = "blk.0.attn_q.weight", .number = 63, .code = LINN_EFORMAT},
    {.what = COLUMNS, .name = "blk.0.attn_output.weight", .number = 65, .code = LINN_EFORMAT},
    {.what = COLUMNS,
     .name = "output_norm.weight",
     .number = 63,
     .code = LINN_EFORMAT,
     .says = "tensor output_norm.weight is 63 x 1 x 1 x 1, expected 64 x 1"},
    {.what = ROWS, .name = "output.weight", .number = 301, .code = LINN_EFORMAT},
    {.what = TYPE,
     .name = "blk.0.ffn_norm.weight",
     .number = LINN_TYPE_Q8_0,
     .code = LINN_EUNSUPPORTED,
     .says = "tensor blk.0.ffn_norm.weight is of type Q8_0, expected F32, F16 or BF16"},
    {.what = TYPE, .name = "blk.0.ffn_norm.weight", .number = LINN_TYPE_F16, .code = LINN_OK},
    {.what = TYPE, .name = "blk.0.attn_v.weight", .number = LINN_TYPE_Q4_0, .code = LINN_OK},
    {.what = ADD_VECTOR,
     .name = "blk.0.attn_q.bias",
     .number = 64,
     .code = LINN_EFORMAT,
     .says = "layer 0 has biases on some of q, k and v"},
    {.what = ADD_VECTOR,
     .name = "blk.0.attn_q_norm.weight",
     .number = 16,
     .code = LINN_EUNSUPPORTED,
     .says = "llama models with norms of q and k"},
    {.what = ADD_VECTOR,
     .name = "blk.0.attn_output.bias",
     .number = 64,
     .code = LINN_EUNSUPPORTED,
     .says = "llama models with a tensor blk.0.attn_output.bias are not supported"},
    {.what = ADD_VECTOR,
     .name = "blk.1.ffn_gate_inp.weight",
     .number = 8,
     .code = LINN_EUNSUPPORTED},
    {.what = ADD_VECTOR, .name = "output.bias", .number = 300, .code = LINN_EUNSUPPORTED},
    {.what = ADD_VECTOR, .name = "blk.2.attn_norm.weight", .number = 64, .code = LINN_OK},
    {.what = ADD_VECTOR, .name = "blk.0.attn_rot_embd.weight", .number = 64, .code = LINN_OK},
    {.what = ADD_VECTOR, .name = "a tensor of no use", .number = 1, .code = LINN_OK},

    /* the other architectures */
    {.architecture = "qwen2",
     .what = DROP_TENSOR,
     .name = "blk.1.attn_k.bias",
     .code = LINN_EFORMAT,
     .says = "tensor blk.1.attn_k.bias is missing"},
    {.architecture = "qwen2",
     .what = COLUMNS,
     .name = "blk.1.attn_k.bias",
     .number = 31,
     .code = LINN_EFORMAT},
    {.architecture = "qwen3",
     .what = DROP_TENSOR,
     .name = "blk.0.attn_q_norm.weight",
     .code = LINN_EFORMAT,
     .says = "tensor blk.0.attn_q_norm.weight is missing"},
    {.architecture = "qwen3",
     .what = COLUMNS,
     .name = "blk.0.attn_k_norm.weight",
     .number = 64,
     .code = LINN_EFORMAT},
    {.architecture = "qwen3",
     .what = DROP_KEY,
     .name = "qwen3.attention.layer_norm_rms_epsilon",
     .code = LINN_EFORMAT},

    /* the name */
    {.what = SET_STRING, .name = "general.name", .text = "", .code = LINN_OK},
    {.what = SET_U32, .name = "general.name", .number = 1, .code = LINN_EFORMAT},
};

static void apply(synthetic_plan *p, const broken *b)
{
    synthetic_tensor *t = synthetic_find(p, b->name);
    switch (b->what) {
    case SET_U32:
        synthetic_set_u32(p, b->name, b->number);
        break;
    case SET_F32:
        synthetic_set_f32(p, b->name, b->real);
        break;
    case SET_BOOL:
        synthetic_set_bool(p, b->name, b->number != 0);
        break;
    case SET_STRING:
        synthetic_set_string(p, b->name, b->text);
        break;
    case DROP_KEY:
        synthetic_drop_key(p, b->name);
        break;
    case DROP_TENSOR:
        synthetic_drop_tensor(p, b->name);
        break;
    case TYPE:
        t->type = b->number;
        t->fill = t->n_dims == 2 ? FILL_MATRIX : t->fill;
        break;
    case COLUMNS:
        t->shape[0] = b->number;
        break;
    case ROWS:
        t->shape[1] = b->number;
        break;
    case ADD_VECTOR:
        synthetic_add(p, b->name, LINN_TYPE_F32, (int)b->number, 0)->fill =
            strcmp(b->name, "rope_freqs.weight") == 0 ? FILL_FACTORS : FILL_NORM;
        break;
    }
}

static void try_case(linn_engine *e, const broken *b, const char *path)
{
    synthetic s = synthetic_small(b->architecture ? b->architecture : "llama");
    synthetic_plan *p = synthetic_plan_create(&s);
    apply(p, b);
    linn_error err = {0};
    if (synthetic_write(p, path, &err) != LINN_OK)
        fail_msg("%s: %s", b->name, err.message);
    synthetic_plan_free(p);
    linn_model *m;
    int rc = linn_model_open(&m, e, path, &err);
    if (rc != b->code)
        fail_msg("%s: the result is %d, expected %d (%s)", b->name, rc, b->code, err.message);
    if (rc == LINN_OK) {
        linn_token ids[3] = {1, 2, 3};
        free(logits_of(m, LINN_KV_F16, ids, 3, 3));
        linn_model_free(m);
        return;
    }
    assert_null(m);
    assert_int_equal(err.code, rc);
    if (!strstr(err.message, path))
        fail_msg("%s: the message does not name the file: %s", b->name, err.message);
    if (b->says && !strstr(err.message, b->says))
        fail_msg("%s: the message is '%s', expected '%s'", b->name, err.message, b->says);
}

static void refused_or_not(void **state)
{
    (void)state;
    char *path = temporary_path();
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        try_case(e, &cases[i], path);
    linn_engine_free(e);
    free_path(path);
}

/* A rope factor that is no number is found although the tensor's shape is right. */
static void rope_factors(void **state)
{
    (void)state;
    char *path = temporary_path();
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    synthetic s = synthetic_small("llama");
    s.rope_factors = true;
    synthetic_plan *p = synthetic_plan_create(&s);
    synthetic_tensor *t = synthetic_find(p, "rope_freqs.weight");
    t->fill = FILL_BIAS; /* around 0 */
    t->deviation = 1;
    assert_int_equal(synthetic_write(p, path, NULL), LINN_OK);
    linn_model *m;
    linn_error err;
    assert_int_equal(linn_model_open(&m, e, path, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "tensor rope_freqs.weight: factor "));
    t->deviation = INFINITY;
    assert_int_equal(synthetic_write(p, path, NULL), LINN_OK);
    assert_int_equal(linn_model_open(&m, e, path, &err), LINN_EFORMAT);
    t->fill = FILL_FACTORS;
    t->type = LINN_TYPE_F16;
    assert_int_equal(synthetic_write(p, path, NULL), LINN_OK);
    assert_int_equal(linn_model_open(&m, e, path, &err), LINN_EUNSUPPORTED);
    synthetic_plan_free(p);
    linn_engine_free(e);
    free_path(path);
}

static void files_that_are_no_models(void **state)
{
    (void)state;
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    linn_model *m;
    linn_error err;
    assert_int_equal(linn_model_open(&m, e, "/nonexistent/model.gguf", &err), LINN_EIO);
    assert_null(m);
    assert_int_equal(linn_model_open(&m, e, "/tmp", &err), LINN_EIO);
    assert_int_equal(linn_model_open(&m, e, "/dev/null", &err), LINN_EIO);
    char *path = temporary_path();
    assert_int_equal(linn_model_open(&m, e, path, &err), LINN_EFORMAT); /* empty */
    assert_int_equal(linn_model_open(&m, e, path, NULL), LINN_EFORMAT);
    free_path(path);
    linn_model_free(NULL);
    linn_engine_free(e);
}

/* More tokens than rows of the embedding. */
static void tokenizer_too_large(void **state)
{
    (void)state;
    char *path = temporary_path();
    linn_engine *e = open_engine(1, LINN_CPU_ANY);
    synthetic s = synthetic_small("llama");
    synthetic_plan *p = synthetic_plan_create(&s);
    synthetic_find(p, "token_embd.weight")->shape[1] = 299;
    synthetic_find(p, "output.weight")->shape[1] = 299;
    assert_int_equal(synthetic_write(p, path, NULL), LINN_OK);
    linn_model *m;
    linn_error err;
    assert_int_equal(linn_model_open(&m, e, path, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "the tokenizer has 300 tokens, the model only 299"));
    synthetic_plan_free(p);
    linn_engine_free(e);
    free_path(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_or_not),
        cmocka_unit_test(rope_factors),
        cmocka_unit_test(files_that_are_no_models),
        cmocka_unit_test(tokenizer_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
