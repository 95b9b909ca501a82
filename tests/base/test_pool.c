/* The thread team: every member runs, barriers hold, shares cover all work once. */
#include "test.h"
#include "base/pool.h"

#include <stdatomic.h>

enum { ROUNDS = 2000 };

typedef struct job {
    linn_pool *pool;
    atomic_int arrived;
    atomic_int wrong;
} job;

static void region(void *arg, int member, int n)
{
    job *j = arg;
    (void)member;
    atomic_fetch_add(&j->arrived, 1);
    linn_pool_barrier(j->pool);
    if (atomic_load(&j->arrived) % n != 0)
        atomic_fetch_add(&j->wrong, 1);
    linn_pool_barrier(j->pool);
}

static void barriers(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++) {
        linn_error err;
        job j = {0};
        assert_int_equal(linn_pool_create(&j.pool, n, &err), LINN_OK);
        for (int i = 0; i < ROUNDS; i++)
            linn_pool_run(j.pool, region, &j);
        assert_int_equal(j.arrived, n * ROUNDS);
        assert_int_equal(j.wrong, 0);
        linn_pool_free(j.pool);
    }
}

static void shares(void **state)
{
    (void)state;
    for (int n = 0; n < 70; n++)
        for (int grain = 1; grain <= 16; grain *= 2)
            for (int members = 1; members <= 5; members++) {
                int at = 0;
                for (int i = 0; i < members; i++) {
                    int begin, end;
                    linn_share(n, grain, i, members, &begin, &end);
                    assert_int_equal(begin, at);
                    assert_true(end >= begin && (end == n || end % grain == 0));
                    at = end;
                }
                assert_int_equal(at, n);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(barriers), cmocka_unit_test(shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
