/* fuzz_gguf.c - any bytes as a GGUF file: opening and then looking at everything, by position and
 * by name, never leaves the image. */
#include "gguf/gguf.h"
#include "quant/quant.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good)
        abort();
}

static void look_at_key(const linn_file *f, size_t i)
{
    const char *key = linn_file_key(f, i);
    char text[300];
    size_t n = linn_file_value(f, i, 3, text, sizeof text);
    must(n > 0 && strlen(text) == (n < sizeof text ? n : sizeof text - 1));
    must(linn_file_has(f, key));
    uint32_t u;
    float x;
    bool b;
    linn_string s;
    linn_gguf_array a;
    unsigned sum = 0;
    linn_file_get_u32(f, key, &u, NULL);
    linn_file_get_f32(f, key, &x, NULL);
    linn_file_maybe_bool(f, key, &b, NULL);
    if (linn_file_maybe_string(f, key, &s, NULL) == LINN_OK)
        for (size_t j = 0; j < s.length; j++)
            sum += (unsigned char)s.data[j];
    if (linn_file_get_array(f, key, LINN_GGUF_STRING, &a, NULL) == LINN_OK)
        while (linn_gguf_next_string(&a, &s))
            sum += s.length ? (unsigned char)s.data[s.length - 1] : 0;
    volatile unsigned keep = sum;
    (void)keep;
}

static void look_at_tensor(const linn_file *f, const linn_tensor *t)
{
    must(linn_file_find_tensor(f, t->name_z) == t);
    must(t->n_dims >= 1 && t->n_dims <= 4);
    for (int i = 0; i < 4; i++)
        must(t->shape[i] > 0);
    must((t->size > 0) == (linn_type_find(t->type) != NULL));
    if (t->size > 0) {
        const uint8_t *p = t->data;
        volatile uint8_t ends = (uint8_t)(p[0] + p[t->size - 1]);
        (void)ends;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linn_file *f;
    linn_error err = {0};
    if (linn_file_parse(&f, data, size, "image", &err) != LINN_OK) {
        must(f == NULL && err.code < 0 && err.message[0] != 0);
        return 0;
    }
    for (size_t i = 0; i < linn_file_keys(f); i++)
        look_at_key(f, i);
    for (size_t i = 0; i < linn_file_tensors(f); i++)
        look_at_tensor(f, linn_file_tensor_at(f, i));
    linn_file_close(f);
    return 0;
}
