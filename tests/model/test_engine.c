/* Settings of an engine, LINN_CPU, and running out of memory while making one. */
#include "test.h"
#include "alloc_fail.h"
#include "base/pool.h"
#include "kernels/kernels.h"

static char saved_cpu[64]; /* of the run of tests; "" when there is none */

static int put_back(void **state)
{
    (void)state;
    return *saved_cpu ? setenv("LINN_CPU", saved_cpu, 1) : unsetenv("LINN_CPU");
}

/* Makes an engine with the default settings under LINN_CPU=word; its kernels, or NULL. */
static const char *kernels_of(const char *word, linn_error *err)
{
    static char name[32];
    setenv("LINN_CPU", word, 1);
    linn_engine_settings s = linn_engine_settings_default();
    s.threads = 1;
    linn_engine *e;
    if (linn_engine_create(&e, &s, err) != LINN_OK) {
        assert_null(e);
        return NULL;
    }
    snprintf(name, sizeof name, "%s", linn_engine_cpu(e));
    linn_engine_free(e);
    return name;
}

static void variable_forces_kernels(void **state)
{
    (void)state;
    linn_error err;
    assert_string_equal(kernels_of("c", &err), "c");
    assert_string_equal(kernels_of("", &err), linn_kernels_select(LINN_CPU_ANY)->name);
    if (linn_cpu_features() & LINN_CPU_AVX2)
        assert_string_equal(kernels_of("avx2", &err), "avx2");
}

static void unknown_values_are_errors(void **state)
{
    (void)state;
    static const char *const words[] = {"avx", "AVX2", "c ", "sse2", "0", "\n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        linn_error err = {0};
        assert_null(kernels_of(words[i], &err));
        assert_int_equal(err.code, LINN_EINVAL);
        assert_non_null(strstr(err.message, "LINN_CPU="));
        assert_non_null(strstr(err.message, "must be c, avx2, avx512 or neon"));
    }
    /* No processor has both. */
    linn_error err = {0};
    assert_null(kernels_of(linn_cpu_features() & LINN_CPU_NEON ? "avx2" : "neon", &err));
    assert_int_equal(err.code, LINN_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "this processor does not have it; it has: c"));
}

static void settings_are_checked(void **state)
{
    (void)state;
    linn_error err;
    linn_engine *e;
    unsetenv("LINN_CPU");
    linn_engine_settings s = linn_engine_settings_default();
    assert_int_equal(s.threads, 0);
    assert_int_equal(s.cpu, LINN_CPU_ANY);
    static const int bad[] = {-1, 1025, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        s.threads = bad[i];
        assert_int_equal(linn_engine_create(&e, &s, &err), LINN_EINVAL);
        assert_null(e);
    }
    s = (linn_engine_settings){.threads = 1, .cpu = 0x100};
    assert_int_equal(linn_engine_create(&e, &s, &err), LINN_EINVAL);
    assert_string_equal(err.message, "engine: 0x100 is no mask of LINN_CPU_* bits");
    s = (linn_engine_settings){.threads = 0, .cpu = LINN_CPU_C};
    assert_int_equal(linn_engine_create(&e, &s, &err), LINN_OK);
    assert_int_equal(linn_engine_threads(e), linn_processors());
    linn_engine_free(e);
    linn_engine_free(NULL);
}

static int attempt(void *arg)
{
    linn_engine *e;
    int rc = linn_engine_create(&e, arg, NULL);
    linn_engine_free(e);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    linn_engine_settings s = {.threads = 3, .cpu = LINN_CPU_ANY};
    assert_true(alloc_fail_each(attempt, &s) >= 3);
}

int main(void)
{
    const char *word = getenv("LINN_CPU");
    snprintf(saved_cpu, sizeof saved_cpu, "%s", word ? word : "");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(variable_forces_kernels, put_back),
        cmocka_unit_test_teardown(unknown_values_are_errors, put_back),
        cmocka_unit_test_teardown(settings_are_checked, put_back),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
