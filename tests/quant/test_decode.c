/* The type table, and every decoder against the recorded vectors, bit for bit. */
#include "test.h"
#include "quant/quant.h"

static void table_is_consistent(void **state)
{
    (void)state;
    int known = 0;
    for (uint32_t t = 0; t < LINN_TYPE_LIMIT + 10; t++) {
        const linn_type_info *info = linn_type_find(t);
        if (!info) {
            assert_int_equal(linn_type_by_name(linn_type_name(t)), -1);
            continue;
        }
        known++;
        assert_string_equal(info->name, linn_type_name(t));
        assert_int_equal(linn_type_by_name(info->name), t);
        assert_true(info->block == 1 || info->block == 32 || info->block == 256);
        assert_non_null(info->decode);
        assert_non_null(info->encode);
    }
    assert_int_equal(known, 15);
    assert_int_equal(linn_type_by_name("q4_k"), LINN_TYPE_Q4_K);
    assert_int_equal(linn_type_by_name("Q4_"), -1);
    assert_int_equal(linn_type_by_name(""), -1);
    assert_null(linn_type_find(UINT32_MAX));
    assert_string_equal(linn_type_name(16), "IQ2_XXS");
    assert_string_equal(linn_type_name(4), "unknown");
    assert_string_equal(linn_type_name(UINT32_MAX), "unknown");
}

static size_t read_all(const char *path, void *out, size_t capacity)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, capacity, f);
    fclose(f);
    return n;
}

enum { VALUES = 8 * 256 };

static void check_vector(const linn_type_info *info, const char *kind)
{
    static uint8_t raw[VALUES * 4 + 64];
    static float want[VALUES], got[VALUES + 1];
    char name[128];
    size_t n_blocks = VALUES / info->block, n_bytes = n_blocks * info->bytes;

    snprintf(name, sizeof name, "golden/dev/dequant/%s.%s.f32", info->name, kind);
    assert_non_null(shared_path(name));
    assert_int_equal(read_all(shared_path(name), want, sizeof want), sizeof want);
    snprintf(name, sizeof name, "golden/dev/dequant/%s.%s.raw", info->name, kind);
    assert_non_null(shared_path(name));
    /* at every offset: blocks need no alignment */
    for (size_t offset = 0; offset < 5; offset++) {
        assert_int_equal(read_all(shared_path(name), raw + offset, n_bytes + 1), n_bytes);
        memset(got, 0xa5, sizeof got);
        float guard = got[VALUES];
        info->decode(raw + offset, got, n_blocks);
        assert_memory_equal(got, want, sizeof want);
        assert_memory_equal(&got[VALUES], &guard, sizeof guard);
    }
    /* in pieces */
    memset(got, 0xa5, sizeof got);
    for (size_t i = 0; i < n_blocks; i++)
        info->decode(raw + 4 + i * info->bytes, got + i * info->block, 1);
    assert_memory_equal(got, want, sizeof want);
}

static void decodes_recorded_vectors(void **state)
{
    (void)state;
    if (!shared_path("golden/dev/dequant/Q8_0.random.raw"))
        skip();
    int checked = 0;
    for (uint32_t t = 0; t < LINN_TYPE_LIMIT; t++) {
        const linn_type_info *info = linn_type_find(t);
        if (!info || t == LINN_TYPE_F32)
            continue;
        check_vector(info, "quantized");
        check_vector(info, "random");
        checked++;
    }
    assert_int_equal(checked, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_consistent),
        cmocka_unit_test(decodes_recorded_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
