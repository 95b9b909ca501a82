/* Output files appear whole or not at all; mappings name what is wrong. */
#include "test.h"
#include "base/file.h"

#include <sys/stat.h>

static char dir[] = "/tmp/linn-test-file-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* fails if a test left a file behind */
}

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void committed(void **state)
{
    (void)state;
    linn_error err;
    linn_output out;
    assert_int_equal(linn_output_open(&out, in_dir("a"), &err), LINN_OK);
    fputs("hello", out.stream);
    assert_int_equal(access(in_dir("a"), F_OK), -1);
    assert_int_equal(linn_output_commit(&out, &err), LINN_OK);
    linn_mapping m;
    assert_int_equal(linn_mapping_open(&m, in_dir("a"), &err), LINN_OK);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "hello", 5);
    linn_mapping_close(&m);
    unlink(in_dir("a"));
}

static void discarded(void **state)
{
    (void)state;
    linn_error err;
    linn_output out;
    assert_int_equal(linn_output_open(&out, in_dir("b"), &err), LINN_OK);
    fputs("half", out.stream);
    linn_output_discard(&out);
    assert_int_equal(access(in_dir("b"), F_OK), -1);
}

/* What is expected or given back reads as before. */
static void advice_changes_nothing(void **state)
{
    (void)state;
    enum { WORDS = 5000 };
    linn_error err;
    linn_output out;
    assert_int_equal(linn_output_open(&out, in_dir("c"), &err), LINN_OK);
    for (uint32_t i = 0; i < WORDS; i++)
        fwrite(&i, sizeof i, 1, out.stream);
    assert_int_equal(linn_output_commit(&out, &err), LINN_OK);
    linn_mapping m;
    assert_int_equal(linn_mapping_open(&m, in_dir("c"), &err), LINN_OK);
    linn_mapping_expect(m.data + 7, m.size - 7, false);
    linn_mapping_expect(m.data + 7, m.size - 7, true);
    linn_mapping_expect(m.data, 0, true);
    linn_mapping_release(m.data + 1, m.size - 1);
    for (uint32_t i = 0; i < WORDS; i++)
        assert_memory_equal(m.data + i * sizeof i, &i, sizeof i);
    linn_mapping_close(&m);
    unlink(in_dir("c"));
}

static void errors(void **state)
{
    (void)state;
    linn_error err;
    linn_mapping m;
    assert_int_equal(linn_mapping_open(&m, in_dir("missing"), &err), LINN_EIO);
    assert_non_null(strstr(err.message, "missing: cannot open"));
    assert_int_equal(linn_mapping_open(&m, dir, &err), LINN_EIO);
    assert_non_null(strstr(err.message, "is a directory"));
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_int_equal(linn_mapping_open(&m, in_dir("fifo"), &err), LINN_EIO);
    unlink(in_dir("fifo"));
    linn_output out;
    assert_int_equal(linn_output_open(&out, in_dir("no/where"), &err), LINN_EIO);
    assert_int_equal(linn_output_open(&out, dir, &err), LINN_EIO);
    assert_non_null(strstr(err.message, "is a directory"));
    if (access("/dev/null", W_OK) == 0) { /* not to be replaced by a file */
        assert_int_equal(linn_output_open(&out, "/dev/null", &err), LINN_EIO);
        assert_non_null(strstr(err.message, "is a device"));
    }
    if (access("/dev/full", W_OK) == 0) { /* a full disk */
        assert_int_equal(linn_output_open(&out, in_dir("full"), &err), LINN_OK);
        assert_non_null(freopen("/dev/full", "wb", out.stream));
        for (int i = 0; i < 100000; i++)
            fputc('x', out.stream);
        assert_int_equal(linn_output_commit(&out, &err), LINN_EIO);
        assert_non_null(strstr(err.message, "cannot write"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(committed), cmocka_unit_test(discarded),
                                       cmocka_unit_test(advice_changes_nothing),
                                       cmocka_unit_test(errors)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
