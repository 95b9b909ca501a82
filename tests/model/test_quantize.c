/* Files quantised: which tensors in which format, what the bytes are, what is refused. */
#include "test.h"
#include "alloc_fail.h"
#include "gguf/gguf.h"
#include "model/mixture.h"
#include "quant/quant.h"

#include <math.h>
#include <sys/stat.h>

static char folder[] = "/tmp/linn-test-quantize-XXXXXX";
static char in_path[64], out_path[64];
static linn_engine *engine;

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(in_path, sizeof in_path, "%s/in.gguf", folder);
    snprintf(out_path, sizeof out_path, "%s/out.gguf", folder);
    linn_engine_settings s = {.threads = 2, .cpu = LINN_CPU_ANY};
    return linn_engine_create(&engine, &s, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    linn_engine_free(engine);
    unlink(in_path);
    unlink(out_path);
    return rmdir(folder); /* fails if something was left behind */
}

/* ---- mixtures ------------------------------------------------------------------------------- */

static uint32_t chosen(const char *mixture, linn_mixture_model model, const char *name)
{
    linn_tensor t = {
        .name_z = name, .type = LINN_TYPE_F16, .n_dims = 2, .shape = {4096, 512, 1, 1}};
    uint32_t wanted, type;
    const linn_mixture *m = linn_mixture_find(mixture);
    assert_non_null(m);
    type = linn_mixture_choose(m, &model, false, &t, &wanted);
    assert_int_equal(type, wanted);
    return type;
}

/* The types of a tensor of each layer, a letter for each. */
static const char *layers(const char *mixture, linn_mixture_model model, const char *tail)
{
    static const char letters[LINN_TYPE_LIMIT] = {
        [LINN_TYPE_Q2_K] = '2',   [LINN_TYPE_Q3_K] = '3', [LINN_TYPE_Q4_K] = '4',
        [LINN_TYPE_Q5_K] = '5',   [LINN_TYPE_Q6_K] = '6', [LINN_TYPE_Q8_0] = '8',
        [LINN_TYPE_IQ4_XS] = 'x',
    };
    static char all[128];
    for (long i = 0; i < model.n_layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%ld.%s", i, tail);
        all[i] = letters[chosen(mixture, model, name)];
        all[i + 1] = 0;
    }
    return all;
}

static void mixtures_follow_their_rules(void **state)
{
    (void)state;
    const linn_mixture_model m16 = {.n_layers = 16, .n_shared = 1};
    const linn_mixture_model s16 = {.n_layers = 16, .n_shared = 4};
    const linn_mixture_model m22 = {.n_layers = 22, .n_shared = 8};
    assert_string_equal(layers("Q4_K_M", m16, "attn_v.weight"), "6644644644644666");
    assert_string_equal(layers("Q4_K_M", m16, "ffn_down.weight"), "6644644644644666");
    assert_string_equal(layers("Q4_K_M", m22, "ffn_down.weight"), "6644644644644644644666");
    assert_string_equal(layers("q4_k", m16, "attn_q.weight"), "4444444444444444");
    assert_string_equal(layers("Q4_K_S", m16, "attn_v.weight"), "5555444444444444");
    assert_string_equal(layers("Q4_K_S", m16, "ffn_down.weight"), "5544444444444444");
    assert_string_equal(layers("Q5_K_M", m16, "attn_v.weight"), "6655655655655666");
    assert_string_equal(layers("Q5_K_S", m16, "attn_v.weight"), "5555555555555555");
    assert_string_equal(layers("Q3_K_M", m16, "attn_v.weight"), "5544444444444444");
    assert_string_equal(layers("Q3_K_M", m16, "ffn_down.weight"), "5444444444444444");
    assert_string_equal(layers("Q3_K_M", m16, "attn_output.weight"), "4444444444444444");
    assert_string_equal(layers("Q3_K_M", m16, "ffn_up.weight"), "3333333333333333");
    assert_string_equal(layers("Q3_K_L", m16, "attn_v.weight"), "5555555555555555");
    assert_string_equal(layers("Q3_K_S", m16, "attn_v.weight"), "3333333333333333");
    assert_string_equal(layers("Q2_K", m16, "attn_v.weight"), "3333333333333333");
    assert_string_equal(layers("Q2_K", s16, "attn_v.weight"), "4444444444444444");
    assert_string_equal(layers("Q2_K", m16, "ffn_down.weight"), "3333333333333333");
    assert_string_equal(layers("Q2_K", m16, "attn_k.weight"), "2222222222222222");
    assert_string_equal(layers("Q2_K_S", m16, "ffn_down.weight"), "4422222222222222");
    assert_string_equal(layers("IQ4_XS", s16, "attn_v.weight"), "5555555555555555");
    assert_string_equal(layers("IQ4_XS", m16, "ffn_down.weight"), "55xxxxxxxxxxxxxx");
    assert_string_equal(layers("Q6_K", m16, "ffn_down.weight"), "6666666666666666");
    assert_string_equal(layers("Q8_0", m16, "attn_v.weight"), "8888888888888888");
    const linn_mixture_model experts = {.n_layers = 16, .n_shared = 4, .n_experts = 8};
    assert_string_equal(layers("Q4_K_M", experts, "attn_k.weight"), "8888888888888888");
    assert_string_equal(layers("Q4_K_M", experts, "attn_output.weight"), "5555555555555555");
    const linn_mixture_model large = {.n_layers = 80, .n_shared = 8};
    assert_string_equal(layers("Q4_K_M", large, "attn_v.weight"),
                        "6666666666556556556556556556556556556556"
                        "5565565565565565565565565565566666666666");
}

static void outputs_are_better(void **state)
{
    (void)state;
    linn_mixture_model m = {.n_layers = 16, .n_shared = 1};
    static const char *const names[] = {"Q2_K", "Q3_K_M", "Q4_0", "Q4_K_M",
                                        "Q5_1", "IQ4_NL", "Q6_K"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t base = linn_mixture_find(names[i])->type;
        m.tied = false;
        assert_int_equal(chosen(names[i], m, "output.weight"), LINN_TYPE_Q6_K);
        assert_int_equal(chosen(names[i], m, "token_embd.weight"), base);
        m.tied = true;
        assert_int_equal(chosen(names[i], m, "token_embd.weight"), LINN_TYPE_Q6_K);
    }
    assert_int_equal(chosen("Q8_0", m, "token_embd.weight"), LINN_TYPE_Q8_0);
    assert_int_equal(chosen("BF16", m, "token_embd.weight"), LINN_TYPE_BF16);
}

static void some_tensors_stay(void **state)
{
    (void)state;
    linn_mixture_model m = {.n_layers = 16, .n_shared = 1};
    static const char *const names[] = {
        "blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight", "position_embd.weight",
        "token_types.weight",     "blk.0.attn_q.bias",         "weigh",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(chosen("Q4_K_M", m, names[i]), LINN_TYPE_F16);
    linn_tensor line = {
        .name_z = "rope_freqs.weight", .type = LINN_TYPE_F32, .n_dims = 1, .shape = {256, 1, 1, 1}};
    uint32_t wanted;
    assert_int_equal(linn_mixture_choose(linn_mixture_find("Q4_0"), &m, true, &line, &wanted),
                     LINN_TYPE_F32);
}

static void short_rows_get_another_type(void **state)
{
    (void)state;
    static const struct {
        const char *mixture;
        uint64_t row;
        uint32_t type;
    } cases[] = {
        {"Q4_K_M", 96, LINN_TYPE_Q5_0}, {"Q5_K_S", 96, LINN_TYPE_Q5_1},
        {"Q6_K", 96, LINN_TYPE_Q8_0},   {"Q3_K_S", 96, LINN_TYPE_Q4_0},
        {"Q2_K", 96, LINN_TYPE_Q4_0},   {"IQ4_XS", 96, LINN_TYPE_IQ4_NL},
        {"Q4_0", 96, LINN_TYPE_Q4_0},   {"Q4_0", 100, LINN_TYPE_F16},
        {"Q4_K_M", 100, LINN_TYPE_F16}, {"Q8_0", 33, LINN_TYPE_F16},
        {"F16", 33, LINN_TYPE_F16},     {"F32", 1, LINN_TYPE_F32},
    };
    linn_mixture_model m = {.n_layers = 16, .n_shared = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        linn_tensor t = {.name_z = "blk.3.attn_q.weight",
                         .type = LINN_TYPE_F32,
                         .n_dims = 2,
                         .shape = {cases[i].row, 4, 1, 1}};
        const linn_mixture *mixture = linn_mixture_find(cases[i].mixture);
        uint32_t wanted;
        assert_int_equal(linn_mixture_choose(mixture, &m, false, &t, &wanted), cases[i].type);
        assert_int_equal(wanted, mixture->type);
    }
    /* the output falls back to Q8_0, which is no surprise and no other type than wanted */
    linn_tensor t = {
        .name_z = "output.weight", .type = LINN_TYPE_F32, .n_dims = 2, .shape = {96, 4, 1, 1}};
    uint32_t wanted;
    assert_int_equal(linn_mixture_choose(linn_mixture_find("Q4_K_M"), &m, false, &t, &wanted),
                     LINN_TYPE_Q8_0);
    assert_int_equal(wanted, LINN_TYPE_Q8_0);
}

static void names_are_known(void **state)
{
    (void)state;
    size_t n = 0;
    for (const char *name; (name = linn_quantize_type(n)); n++) {
        const linn_mixture *m = linn_mixture_find(name);
        assert_non_null(m);
        assert_non_null(linn_type_find(m->type)->encode);
    }
    assert_int_equal(n, 23);
    assert_ptr_equal(linn_mixture_find("Q4_K"), linn_mixture_find("q4_k_m"));
    assert_null(linn_mixture_find(""));
    assert_null(linn_mixture_find("Q4_K_L"));
}

/* ---- files ----------------------------------------------------------------------------------- */

enum {
    ROW = 2080,
    ROWS = 600,
    VALUES = ROW * ROWS
}; /* more than a chunk, in an odd number of 32 */

static float values[VALUES];
static uint8_t expected[VALUES * 4];

typedef struct source {
    uint32_t type;       /* of the matrices */
    float spoil;         /* 0: nothing; else put into... */
    const char *spoiled; /* ... this tensor */
    uint32_t parts;      /* split.count; 0: no such key */
    bool keys_again;     /* file type and quantisation version are there already */
} source;

static void fill(void)
{
    uint64_t seed = 1;
    for (int i = 0; i < VALUES; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        values[i] = (float)(int32_t)(seed >> 32) * 0x1p-35f;
    }
}

static void put_values(linn_gguf_writer *w, const source *s, const char *name, uint32_t type, int n)
{
    const linn_type_info *info = linn_type_find(type);
    bool spoil = s->spoil != 0 && strcmp(s->spoiled, name) == 0;
    float saved = values[n - 3];
    values[n - 3] = spoil ? s->spoil : saved;
    info->encode(values, expected, (size_t)n / info->block);
    values[n - 3] = saved;
    assert_int_equal(linn_gguf_write_data(w, expected, (size_t)n / info->block * info->bytes), 0);
}

static void write_source(const source *s)
{
    linn_gguf_writer *w;
    linn_error err;
    fill();
    assert_int_equal(linn_gguf_writer_create(&w, in_path, &err), LINN_OK);
    linn_gguf_put_string(w, "general.architecture", "llama", 5);
    linn_gguf_put_string(w, "general.name", "a model", 7);
    if (s->keys_again) {
        linn_gguf_put_u32(w, "general.file_type", 0);
        linn_gguf_put_u32(w, "general.quantization_version", 1);
    }
    if (s->parts)
        linn_gguf_put_u32(w, "split.count", s->parts);
    linn_gguf_put_u32(w, "llama.attention.head_count", 32);
    linn_gguf_put_u32(w, "llama.attention.head_count_kv", 4);
    linn_gguf_put_u32(w, "llama.last", 77);
    const uint64_t big[2] = {ROW, ROWS}, small[2] = {256, 16}, line[1] = {96};
    linn_gguf_put_tensor(w, "token_embd.weight", s->type, 2, small);
    linn_gguf_put_tensor(w, "blk.0.attn_norm.weight", LINN_TYPE_F32, 1, line);
    linn_gguf_put_tensor(w, "blk.0.ffn_up.weight", s->type, 2, big);
    linn_gguf_put_tensor(w, "blk.0.attn_v.weight", s->type, 2, small);
    assert_int_equal(linn_gguf_begin_data(w), LINN_OK);
    put_values(w, s, "token_embd.weight", s->type, 4096);
    put_values(w, s, "blk.0.attn_norm.weight", LINN_TYPE_F32, 96);
    put_values(w, s, "blk.0.ffn_up.weight", s->type, VALUES);
    put_values(w, s, "blk.0.attn_v.weight", s->type, 4096);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_OK);
    linn_gguf_writer_free(w);
}

static int quantize(linn_engine *e, const char *type, bool pure, bool requantize, linn_error *err)
{
    linn_quantize_settings s = {.type = type, .pure = pure, .requantize = requantize};
    return linn_quantize_file(e, in_path, out_path, &s, err);
}

static void check_tensor(const linn_file *f, const char *name, uint32_t from, uint32_t to, int n)
{
    const linn_tensor *t = linn_file_find_tensor(f, name);
    const linn_type_info *source_type = linn_type_find(from), *type = linn_type_find(to);
    static float decoded[VALUES];
    assert_non_null(t);
    assert_int_equal(t->type, to);
    source_type->encode(values, expected, (size_t)n / source_type->block);
    if (to != from) {
        source_type->decode(expected, decoded, (size_t)n / source_type->block);
        type->encode(decoded, expected, (size_t)n / type->block);
    }
    assert_int_equal(t->size, (size_t)n / type->block * type->bytes);
    assert_memory_equal(t->data, expected, t->size);
}

static void bytes_are_those_of_the_encoders(void **state)
{
    (void)state;
    static const struct {
        uint32_t from;
        const char *name;
        uint32_t to, big; /* big: its rows are no multiple of 256 */
    } cases[] = {
        {LINN_TYPE_F32, "Q8_0", LINN_TYPE_Q8_0, LINN_TYPE_Q8_0},
        {LINN_TYPE_F16, "Q4_K_M", LINN_TYPE_Q4_K, LINN_TYPE_Q5_0},
        {LINN_TYPE_BF16, "Q4_1", LINN_TYPE_Q4_1, LINN_TYPE_Q4_1},
        {LINN_TYPE_F32, "F16", LINN_TYPE_F16, LINN_TYPE_F16},
        {LINN_TYPE_F16, "F16", LINN_TYPE_F16, LINN_TYPE_F16},
        {LINN_TYPE_F16, "F32", LINN_TYPE_F32, LINN_TYPE_F32},
        {LINN_TYPE_Q8_0, "F32", LINN_TYPE_F32, LINN_TYPE_F32},
        {LINN_TYPE_Q4_0, "Q4_0", LINN_TYPE_Q4_0, LINN_TYPE_Q4_0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        linn_error err;
        write_source(&(source){.type = cases[i].from});
        assert_int_equal(quantize(engine, cases[i].name, true, false, &err), LINN_OK);
        linn_file *f;
        assert_int_equal(linn_file_open(&f, out_path, &err), LINN_OK);
        assert_int_equal(linn_file_tensors(f), 4);
        check_tensor(f, "token_embd.weight", cases[i].from, cases[i].to, 4096);
        check_tensor(f, "blk.0.attn_norm.weight", LINN_TYPE_F32, LINN_TYPE_F32, 96);
        check_tensor(f, "blk.0.ffn_up.weight", cases[i].from, cases[i].big, VALUES);
        check_tensor(f, "blk.0.attn_v.weight", cases[i].from, cases[i].to, 4096);
        linn_file_close(f);
    }
}

static size_t read_output(uint8_t *data, size_t capacity)
{
    FILE *f = fopen(out_path, "rb");
    assert_non_null(f);
    size_t n = fread(data, 1, capacity, f);
    fclose(f);
    return n;
}

static void threads_do_not_show(void **state)
{
    (void)state;
    static uint8_t first[VALUES], again[VALUES];
    linn_error err;
    write_source(&(source){.type = LINN_TYPE_F32});
    assert_int_equal(quantize(engine, "Q4_0", false, false, &err), LINN_OK);
    size_t n = read_output(first, sizeof first);
    for (int threads = 1; threads <= 5; threads += 2) {
        linn_engine *e;
        linn_engine_settings s = {.threads = threads, .cpu = LINN_CPU_ANY};
        assert_int_equal(linn_engine_create(&e, &s, &err), LINN_OK);
        assert_int_equal(quantize(e, "Q4_0", false, false, &err), LINN_OK);
        linn_engine_free(e);
        assert_int_equal(read_output(again, sizeof again), n);
        assert_memory_equal(again, first, n);
    }
}

static void keys_are_kept(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        linn_error err;
        linn_file *f;
        write_source(&(source){.type = LINN_TYPE_F16, .keys_again = again});
        assert_int_equal(quantize(engine, "IQ4_NL", false, false, &err), LINN_OK);
        assert_int_equal(linn_file_open(&f, out_path, &err), LINN_OK);
        assert_int_equal(linn_file_keys(f), 7);
        uint32_t value = 0;
        assert_int_equal(linn_file_get_u32(f, "general.file_type", &value, &err), LINN_OK);
        assert_int_equal(value, 25);
        assert_int_equal(linn_file_get_u32(f, "general.quantization_version", &value, &err),
                         LINN_OK);
        assert_int_equal(value, 2);
        assert_int_equal(linn_file_get_u32(f, "llama.last", &value, &err), LINN_OK);
        assert_int_equal(value, 77);
        linn_string name;
        assert_int_equal(linn_file_get_string(f, "general.name", &name, &err), LINN_OK);
        assert_int_equal(name.length, 7);
        /* 8 heads share a value here, and there is no output but the embedding */
        assert_int_equal(linn_file_find_tensor(f, "blk.0.attn_v.weight")->type, LINN_TYPE_Q5_K);
        assert_int_equal(linn_file_find_tensor(f, "token_embd.weight")->type, LINN_TYPE_Q6_K);
        linn_file_close(f);
    }
}

/* ---- what is refused ---------------------------------------------------------------------------
 */

static void refused(const source *s, const char *type, int code, const char *part)
{
    linn_error err = {0};
    write_source(s);
    unlink(out_path);
    int rc = quantize(engine, type, false, false, &err);
    if (rc != code || err.code != code || !strstr(err.message, part) ||
        !strstr(err.message, folder))
        fail_msg("%d: %s", rc, err.message);
    assert_int_equal(access(out_path, F_OK), -1);
    assert_int_equal(quantize(engine, type, false, false, NULL), code);
}

static void bad_sources_are_refused(void **state)
{
    (void)state;
    refused(&(source){.type = LINN_TYPE_F32, .spoil = NAN, .spoiled = "blk.0.ffn_up.weight"},
            "Q8_0", LINN_EFORMAT, "tensor blk.0.ffn_up.weight: element 1247997 is not a number");
    refused(&(source){.type = LINN_TYPE_F16, .spoil = INFINITY, .spoiled = "token_embd.weight"},
            "Q6_K", LINN_EFORMAT, "tensor token_embd.weight: element 4093 is infinite");
    refused(&(source){.type = LINN_TYPE_F32, .spoil = NAN, .spoiled = "blk.0.attn_norm.weight"},
            "Q8_0", LINN_EFORMAT, "tensor blk.0.attn_norm.weight: element 93 is not a number");
    refused(&(source){.type = LINN_TYPE_F32, .spoil = -1e6f, .spoiled = "blk.0.attn_v.weight"},
            "F16", LINN_EUNSUPPORTED, "is -1e+06, too large for F16; BF16");
    refused(&(source){.type = LINN_TYPE_Q8_0}, "Q4_0", LINN_EINVAL,
            "tensor token_embd.weight is quantised already (Q8_0)");
    refused(&(source){.type = LINN_TYPE_F16, .parts = 3}, "Q4_0", LINN_EUNSUPPORTED,
            "is one of 3 parts");
}

static void large_values_fit_bfloat16(void **state)
{
    (void)state;
    linn_error err;
    write_source(
        &(source){.type = LINN_TYPE_F32, .spoil = 1e30f, .spoiled = "blk.0.attn_v.weight"});
    assert_int_equal(quantize(engine, "BF16", false, false, &err), LINN_OK);
}

static void requantises_when_told(void **state)
{
    (void)state;
    linn_error err;
    linn_file *f;
    write_source(&(source){.type = LINN_TYPE_Q8_0});
    assert_int_equal(quantize(engine, "Q4_0", true, true, &err), LINN_OK);
    assert_int_equal(linn_file_open(&f, out_path, &err), LINN_OK);
    check_tensor(f, "blk.0.ffn_up.weight", LINN_TYPE_Q8_0, LINN_TYPE_Q4_0, VALUES);
    linn_file_close(f);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    linn_error err;
    linn_quantize_settings s = {.type = "Q4_K_X"};
    write_source(&(source){.type = LINN_TYPE_F16});
    assert_int_equal(linn_quantize_file(engine, in_path, out_path, &s, &err), LINN_EINVAL);
    assert_non_null(strstr(err.message, "Q4_K_X"));
    s.type = "Q4_0";
    assert_int_equal(linn_quantize_file(engine, in_path, in_path, &s, &err), LINN_EINVAL);
    assert_non_null(strstr(err.message, "source itself"));
    assert_int_equal(linn_quantize_file(engine, "/nowhere", out_path, &s, &err), LINN_EIO);
    assert_int_equal(linn_quantize_file(engine, in_path, "/nowhere/x", &s, &err), LINN_EIO);
    assert_int_equal(linn_quantize_file(engine, in_path, folder, &s, &err), LINN_EIO);
}

/* A file with no tensors, and one with a tensor whose type linn has no code for (the type's number
 * is changed by hand). */
static void strange_files_are_refused(void **state)
{
    (void)state;
    linn_gguf_writer *w;
    linn_error err;
    assert_int_equal(linn_gguf_writer_create(&w, in_path, &err), LINN_OK);
    linn_gguf_put_u32(w, "a", 1);
    linn_gguf_begin_data(w);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_OK);
    linn_gguf_writer_free(w);
    assert_int_equal(quantize(engine, "Q4_0", false, false, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "no tensors"));

    static uint8_t image[512];
    write_source(&(source){.type = LINN_TYPE_F32});
    FILE *f = fopen(in_path, "r+b");
    assert_int_equal(fread(image, 1, sizeof image, f), sizeof image);
    uint8_t *name = memmem(image, sizeof image, "token_embd.weight", 17);
    assert_non_null(name);
    fseek(f, name - image + 17 + 4 + 16, SEEK_SET); /* name, dimensions, shape, type */
    fputc(16, f);                                   /* IQ2_XXS */
    fclose(f);
    assert_int_equal(quantize(engine, "Q4_0", false, false, &err), LINN_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "IQ2_XXS"));
}

/* ---- steps -------------------------------------------------------------------------------------
 */

typedef struct watcher {
    int calls, stop_at; /* 0: never */
    uint64_t last;
    int notes;
    bool complete;
} watcher;

static bool watch(void *user, const linn_quantize_step *step)
{
    watcher *w = user;
    w->calls++;
    assert_int_equal(step->total, VALUES + 2 * 4096 + 96);
    assert_true(step->done >= w->last && step->done <= step->total);
    w->last = step->done;
    w->complete = step->done == step->total;
    if (step->note) {
        assert_string_equal(step->tensor, "blk.0.ffn_up.weight");
        assert_string_equal(step->from, "F16");
        assert_string_equal(step->to, "Q5_0");
        assert_string_equal(step->note,
                            "rows of 2080 are no multiple of 256: Q5_0 instead of Q4_K");
        w->notes++;
    }
    return w->calls != w->stop_at;
}

static void steps_are_told(void **state)
{
    (void)state;
    linn_error err;
    write_source(&(source){.type = LINN_TYPE_F16});
    watcher w = {0};
    linn_quantize_settings s = {.type = "Q4_K_S", .user = &w, .on_step = watch};
    assert_int_equal(linn_quantize_file(engine, in_path, out_path, &s, &err), LINN_OK);
    assert_true(w.complete && w.notes >= 2);
    for (int n = w.calls, i = 1; i <= n; i++) {
        unlink(out_path);
        w = (watcher){.stop_at = i};
        assert_int_equal(linn_quantize_file(engine, in_path, out_path, &s, &err), LINN_ECANCELLED);
        assert_int_equal(access(out_path, F_OK), -1);
    }
}

static int attempt(void *arg)
{
    (void)arg;
    linn_error err = {0};
    int rc = quantize(engine, "Q8_0", false, false, &err);
    assert_int_equal(err.code, rc);
    if (rc != LINN_OK)
        assert_int_equal(access(out_path, F_OK), -1);
    return rc;
}

static void memory_runs_out(void **state)
{
    (void)state;
    write_source(&(source){.type = LINN_TYPE_F16});
    unlink(out_path);
    assert_true(alloc_fail_each(attempt, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixtures_follow_their_rules),
        cmocka_unit_test(outputs_are_better),
        cmocka_unit_test(some_tensors_stay),
        cmocka_unit_test(short_rows_get_another_type),
        cmocka_unit_test(names_are_known),
        cmocka_unit_test(bytes_are_those_of_the_encoders),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(keys_are_kept),
        cmocka_unit_test(bad_sources_are_refused),
        cmocka_unit_test(large_values_fit_bfloat16),
        cmocka_unit_test(requantises_when_told),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(strange_files_are_refused),
        cmocka_unit_test(steps_are_told),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
