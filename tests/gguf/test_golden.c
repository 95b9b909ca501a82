/* Files that others wrote open, and say what is known of them: the default family, and the
 * conformance data when they are here. */
#include "test.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

#include <glob.h>

/* Opens a file, looks at every key and tensor once, and closes it. */
static void look_into(const char *path)
{
    linn_error err = {0};
    linn_file *f;
    if (linn_file_open(&f, path, &err) != LINN_OK)
        fail_msg("%s", err.message);
    assert_true(linn_file_keys(f) > 0);
    for (size_t i = 0; i < linn_file_keys(f); i++) {
        assert_true(linn_file_has(f, linn_file_key(f, i)));
        assert_true(linn_file_value(f, i, SIZE_MAX, NULL, 0) > 0);
    }
    for (size_t i = 0; i < linn_file_tensors(f); i++) {
        const linn_tensor *t = linn_file_tensor_at(f, i);
        assert_ptr_equal(linn_file_find_tensor(f, t->name_z), t);
        assert_non_null(linn_type_find(t->type));
        assert_int_equal((uintptr_t)t->data % 32, 0);
    }
    linn_file_close(f);
}

static void family(void **state)
{
    (void)state;
    const char *models = getenv("LINN_MODELS");
    if (!models)
        skip();
    char path[4096], *names[] = {"river", "brook", "rill"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s.gguf", models, names[i]);
        look_into(path);
    }
}

static void golden(void **state)
{
    (void)state;
    const char *root = shared_path("golden/dev");
    if (!root)
        skip();
    char pattern[2][4200];
    snprintf(pattern[0], sizeof pattern[0], "%s/*.gguf", root);
    snprintf(pattern[1], sizeof pattern[1], "%s/*/*.gguf", root);
    glob_t found;
    assert_int_equal(glob(pattern[0], 0, NULL, &found), 0);
    assert_int_equal(glob(pattern[1], GLOB_APPEND, NULL, &found), 0);
    assert_true(found.gl_pathc >= 25);
    for (size_t i = 0; i < found.gl_pathc; i++)
        look_into(found.gl_pathv[i]);
    globfree(&found);
}

static void stories(void **state)
{
    (void)state;
    const char *path = shared_path("golden/dev/stories260K.gguf");
    if (!path)
        skip();
    linn_error err;
    linn_file *f;
    assert_int_equal(linn_file_open(&f, path, &err), LINN_OK);
    uint32_t layers = 0;
    assert_int_equal(linn_file_get_u32(f, "llama.block_count", &layers, &err), LINN_OK);
    assert_int_equal(layers, 5);
    linn_gguf_array tokens;
    assert_int_equal(
        linn_file_get_array(f, "tokenizer.ggml.tokens", LINN_GGUF_STRING, &tokens, &err), LINN_OK);
    assert_int_equal(tokens.n, 512);
    linn_string token;
    assert_true(linn_gguf_next_string(&tokens, &token));
    assert_int_equal(token.length, 5);
    assert_memory_equal(token.data, "<unk>", 5);
    size_t n = 1;
    while (linn_gguf_next_string(&tokens, &token))
        n++;
    assert_int_equal(n, 512);
    const linn_tensor *t = linn_file_find_tensor(f, "token_embd.weight");
    assert_non_null(t);
    assert_int_equal(t->type, LINN_TYPE_F32);
    assert_int_equal(t->shape[0], 64);
    assert_int_equal(t->shape[1], 512);
    linn_file_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(family), cmocka_unit_test(golden),
                                       cmocka_unit_test(stories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
