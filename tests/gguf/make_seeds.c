/* make_seeds.c - writes the seeds of fuzz-gguf and fuzz-quantize (tests/gguf/seeds) into a folder:
 *
 *     ninja -C build-release tests/gguf/make-gguf-seeds
 *     build-release/tests/gguf/make-gguf-seeds tests/gguf/seeds
 */
#include "sample.h"
#include "quant/quant.h"

#include <stdio.h>
#include <string.h>

static image m;

static int save(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
    FILE *f = fopen(path, "wb");
    int failed = !f || fwrite(m.data, 1, m.size, f) != m.size;
    if (f && fclose(f) != 0)
        failed = 1;
    if (failed)
        perror(path);
    return failed;
}

/* A tensor of each type, known to linn or not, of one block. */
static void all_types(void)
{
    uint64_t n = 0, offset = 0;
    for (uint32_t type = 0; type < 40; type++)
        n += strcmp(linn_type_name(type), "unknown") != 0;
    put_header(&m, n, 0);
    for (uint32_t type = 0; type < 40; type++) {
        if (strcmp(linn_type_name(type), "unknown") == 0)
            continue;
        const linn_type_info *info = linn_type_find(type);
        put_tensor(&m, linn_type_name(type), type, 1, (const uint64_t[]){info ? info->block : 256},
                   offset);
        offset += info ? (info->bytes + 31) & ~31u : 32;
    }
    put_data(&m, 32, offset);
}

/* What files say of themselves, with an alignment of their own. */
static void aligned(void)
{
    put_header(&m, 1, 2);
    memcpy(m.data + 4, &(uint32_t){2}, 4); /* version 2 */
    put_key_u32(&m, "general.alignment", 64);
    put_name(&m, "general.architecture");
    put_u32(&m, LINN_GGUF_STRING);
    put_name(&m, "qwen2");
    put_tensor(&m, "output.weight", LINN_TYPE_F16, 4, (const uint64_t[]){4, 3, 2, 1}, 64);
    put_data(&m, 64, 64 + 48);
}

/* What linn quantize takes as a model. */
static void small_model(void)
{
    static const struct {
        const char *name;
        uint32_t type;
        uint64_t shape[2];
        uint64_t bytes;
    } tensors[] = {
        {"token_embd.weight", LINN_TYPE_F16, {32, 4}, 256},
        {"blk.0.attn_v.weight", LINN_TYPE_F32, {96, 2}, 768},
        {"blk.0.ffn_down.weight", LINN_TYPE_BF16, {256, 1}, 512},
        {"blk.1.ffn_norm.weight", LINN_TYPE_F32, {32, 1}, 128},
        {"output.weight", LINN_TYPE_Q8_0, {256, 1}, 8 * 34},
    };
    enum { N = sizeof tensors / sizeof *tensors };
    uint64_t offset = 0;
    put_header(&m, N, 3);
    put_name(&m, "general.architecture");
    put_u32(&m, LINN_GGUF_STRING);
    put_name(&m, "llama");
    put_key_u32(&m, "llama.attention.head_count", 8);
    put_key_u32(&m, "llama.attention.head_count_kv", 2);
    for (size_t i = 0; i < N; i++) {
        put_tensor(&m, tensors[i].name, tensors[i].type, i == 3 ? 1 : 2, tensors[i].shape, offset);
        offset += (tensors[i].bytes + 31) & ~(uint64_t)31;
    }
    put_data(&m, 32, offset);
    for (uint64_t i = 1; i <= offset; i++) /* small numbers of either sign, whatever the type */
        m.data[m.size - i] = (uint8_t)(i % 2 ? (i % 7) : 0x3c ^ (i & 0x80));
}

static void wide_scalars(void)
{
    put_header(&m, 0, 4);
    for (uint32_t kind = LINN_GGUF_U64; kind <= LINN_GGUF_F64; kind++) {
        put_name(&m, (const char[]){(char)('a' + kind), 0});
        put_u32(&m, kind);
        put_u64(&m, 0x3ff0000000000001);
    }
    put_name(&m, "i8");
    put_u32(&m, LINN_GGUF_I8);
    put_u8(&m, 0x80);
}

int main(int argc, char **argv)
{
    char path[4096];
    if (argc != 2) {
        fprintf(stderr, "usage: make-gguf-seeds FOLDER\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/sample.gguf", argv[1]);
    linn_error err = {0};
    if (sample_write(path, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    put_header(&m, 0, 0);
    int failed = save(argv[1], "empty");
    all_types();
    failed |= save(argv[1], "types");
    aligned();
    failed |= save(argv[1], "aligned");
    small_model();
    failed |= save(argv[1], "model");
    wide_scalars();
    return failed | save(argv[1], "wide");
}
