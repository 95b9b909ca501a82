/* The thread team: every piece of a stage is done once, whoever helps; shares cover all work. */
#include "test.h"
#include "base/pool.h"

#include <stdatomic.h>
#include <unistd.h>

enum { ROUNDS = 500, MOST = 40 };

typedef struct job {
    linn_pool *pool;
    int n_pieces;
    atomic_int done[MOST];        /* [n_pieces] */
    atomic_int busy[8];           /* [threads] pieces that run as this member */
    atomic_int wrong, by_members; /* pieces done by others than the caller */
    int delay, member_delay;      /* of a piece, in microseconds; besides for members */
} job;

static void piece_of(void *arg, int piece, int member)
{
    job *j = arg;
    if (atomic_fetch_add(&j->busy[member], 1) != 0)
        atomic_fetch_add(&j->wrong, 1);
    atomic_fetch_add(&j->done[piece], 1);
    if (member > 0)
        atomic_fetch_add(&j->by_members, 1);
    int delay = j->delay + (member > 0 ? j->member_delay : 0);
    if (delay)
        usleep((useconds_t)delay);
    atomic_fetch_sub(&j->busy[member], 1);
}

static void check_once(job *j)
{
    for (int i = 0; i < j->n_pieces; i++) {
        assert_int_equal(j->done[i], 1);
        j->done[i] = 0;
    }
    assert_int_equal(j->wrong, 0);
}

/* Every piece is done once before the stage ends, for any number of pieces and members. */
static void stages(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++) {
        linn_error err;
        job j = {0};
        assert_int_equal(linn_pool_create(&j.pool, n, &err), LINN_OK);
        for (int i = 0; i < ROUNDS; i++) {
            linn_pool_begin(j.pool);
            for (j.n_pieces = 0; j.n_pieces < MOST; j.n_pieces += 1 + i % 3) {
                linn_pool_stage(j.pool, j.n_pieces, piece_of, &j);
                check_once(&j);
            }
            linn_pool_end(j.pool);
        }
        linn_pool_free(j.pool);
    }
}

/* The others help with pieces that take long; and when they hold the caller up, as a member without
 * a processor does, all pieces are done the same. */
static void helpers(void **state)
{
    (void)state;
    job j = {.n_pieces = MOST, .delay = 20};
    assert_int_equal(linn_pool_create(&j.pool, 3, NULL), LINN_OK);
    for (int i = 0; i < 10000 && j.by_members < 20; i++) {
        linn_pool_run(j.pool, j.n_pieces, piece_of, &j);
        check_once(&j);
    }
    assert_true(j.by_members >= 20);
    j.member_delay = 3000;
    for (int i = 0; i < 50; i++) {
        linn_pool_run(j.pool, j.n_pieces, piece_of, &j);
        check_once(&j);
    }
    linn_pool_free(j.pool);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(stages), cmocka_unit_test(helpers),
                                       cmocka_unit_test(shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
