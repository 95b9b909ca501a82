/* The allocation-failure helper sees what the library allocates, and output files and thread teams
 * survive each failure. */
#include "test.h"
#include "alloc_fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"

static int take(void *arg)
{
    (void)arg;
    void *a = linn_alloc(3, 5);
    char *b = a ? strdup("x") : NULL;
    char *c = b ? realloc(b, 1000) : NULL;
    free(a);
    free(c ? c : b);
    return c ? LINN_OK : LINN_ENOMEM;
}

static int output(void *arg)
{
    linn_output out;
    int rc = linn_output_open(&out, arg, NULL);
    linn_output_discard(&out);
    return rc;
}

static int mapping(void *arg)
{
    linn_mapping m;
    int rc = linn_mapping_open(&m, arg, NULL);
    linn_mapping_close(&m);
    return rc;
}

static int team(void *arg)
{
    linn_pool *p;
    int rc = linn_pool_create(&p, *(int *)arg, NULL);
    linn_pool_free(p);
    return rc;
}

static void counted(void **state)
{
    (void)state;
    assert_int_equal(alloc_fail_each(take, NULL), 3);
    size_t before = alloc_fail_count();
    free(linn_alloc(1, 1));
    assert_int_equal(alloc_fail_count(), before + 1);
    alloc_fail_at(2);
    free(linn_alloc(1, 1));
    assert_false(alloc_fail_hit());
    assert_null(linn_alloc(1, 1));
    assert_true(alloc_fail_hit());
    alloc_fail_at(0);
}

static void base_layer(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(output, "/tmp/linn-test-alloc") >= 2);
    assert_int_equal(alloc_fail_each(mapping, "/proc/self/exe"), 1);
    int members = 3;
    assert_true(alloc_fail_each(team, &members) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counted), cmocka_unit_test(base_layer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
