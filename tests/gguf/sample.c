/* sample.c - see sample.h. */
#include "sample.h"

#include "quant/quant.h"

#include <string.h>

int sample_write(const char *path, linn_error *err)
{
    linn_gguf_writer *w;
    int rc = linn_gguf_writer_create(&w, path, err);
    if (rc)
        return rc;
    linn_gguf_put_string(w, "general.architecture", "llama", 5);
    linn_gguf_put_string(w, "general.name", "say \"\xc3\xa9\"\n", 9);
    linn_gguf_put_string(w, "empty", "", 0);
    linn_gguf_put_u32(w, "u32", 4294967295);
    linn_gguf_put_f32(w, "f32", 0.1f);
    linn_gguf_put_bool(w, "yes", true);
    linn_gguf_put_bool(w, "no", false);
    const linn_string tokens[] = {{"a", 1}, {"", 0}, {"\xff\0z", 3}, {"\xe2\x96\x81the", 6}};
    linn_gguf_put_strings(w, "tokens", tokens, 4);
    linn_gguf_put_strings(w, "no strings", NULL, 0);
    linn_gguf_put_array(w, "u8s", LINN_GGUF_U8, (const uint8_t[]){0, 255}, 2);
    linn_gguf_put_array(w, "i8s", LINN_GGUF_I8, (const int8_t[]){-128, 127}, 2);
    linn_gguf_put_array(w, "u16s", LINN_GGUF_U16, (const uint16_t[]){0, 65535}, 2);
    linn_gguf_put_array(w, "i16s", LINN_GGUF_I16, (const int16_t[]){-32768, 32767}, 2);
    linn_gguf_put_array(w, "u32s", LINN_GGUF_U32, (const uint32_t[]){1, 2, 3, 4, 5}, 5);
    linn_gguf_put_array(w, "i32s", LINN_GGUF_I32, (const int32_t[]){INT32_MIN, INT32_MAX}, 2);
    linn_gguf_put_array(w, "u64s", LINN_GGUF_U64, (const uint64_t[]){0, UINT64_MAX}, 2);
    linn_gguf_put_array(w, "i64s", LINN_GGUF_I64, (const int64_t[]){INT64_MIN, INT64_MAX}, 2);
    linn_gguf_put_array(w, "f32s", LINN_GGUF_F32, (const float[]){-0.0f, 1e-45f, 3.5f}, 3);
    linn_gguf_put_array(w, "f64s", LINN_GGUF_F64, (const double[]){0.1, 1e300}, 2);
    linn_gguf_put_array(w, "bools", LINN_GGUF_BOOL, (const uint8_t[]){1, 0, 1}, 3);
    linn_gguf_put_tensor(w, "a.weight", LINN_TYPE_F32, 2, (const uint64_t[]){3, 2});
    linn_gguf_put_tensor(w, "b.weight", LINN_TYPE_Q8_0, 1, (const uint64_t[]){32});
    linn_gguf_put_tensor(w, "c", LINN_TYPE_F16, 4, (const uint64_t[]){2, 1, 1, 2});
    linn_gguf_begin_data(w);
    const float a[6] = {1, 2, 3, 4, 5, 6};
    uint8_t b_and_c[34 + 8];
    for (size_t i = 0; i < sizeof b_and_c; i++)
        b_and_c[i] = (uint8_t)(i + 1);
    linn_gguf_write_data(w, a, 10);
    linn_gguf_write_data(w, (const uint8_t *)a + 10, 14);
    linn_gguf_write_data(w, b_and_c, sizeof b_and_c); /* a piece may run on into the next tensor */
    rc = linn_gguf_writer_finish(w, err);
    linn_gguf_writer_free(w);
    return rc;
}

void put_bytes(image *m, const void *data, size_t size)
{
    memcpy(m->data + m->size, data, size);
    m->size += size;
}

void put_u8(image *m, uint8_t value)
{
    put_bytes(m, &value, sizeof value);
}

void put_u32(image *m, uint32_t value)
{
    put_bytes(m, &value, sizeof value);
}

void put_u64(image *m, uint64_t value)
{
    put_bytes(m, &value, sizeof value);
}

void put_name(image *m, const char *text)
{
    put_u64(m, strlen(text));
    put_bytes(m, text, strlen(text));
}

void put_header(image *m, uint64_t n_tensors, uint64_t n_keys)
{
    m->size = 0;
    put_bytes(m, "GGUF", 4);
    put_u32(m, 3);
    put_u64(m, n_tensors);
    put_u64(m, n_keys);
}

void put_key_u32(image *m, const char *name, uint32_t value)
{
    put_name(m, name);
    put_u32(m, LINN_GGUF_U32);
    put_u32(m, value);
}

void put_tensor(image *m, const char *name, uint32_t type, int n_dims, const uint64_t *shape,
                uint64_t offset)
{
    put_name(m, name);
    put_u32(m, (uint32_t)n_dims);
    put_bytes(m, shape, (size_t)n_dims * sizeof *shape);
    put_u32(m, type);
    put_u64(m, offset);
}

void put_data(image *m, size_t alignment, size_t size)
{
    size += -m->size % alignment;
    memset(m->data + m->size, 0, size);
    m->size += size;
}
