#include "webhooks/endpoint/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { TOTAL = 100 };

static const unsigned percent[POOL_CLASSES] = {
    [POOL_SLOW] = 25, [POOL_NEW] = 25, [POOL_FAILING] = 12, [POOL_ASKED] = 12};

/* An endpoint that the test plays: it wants `wants` seats, and gives none back by itself. */
struct peer {
    struct pool *pool;
    struct pool_waiter waiter;
    struct pool_seat seats[TOTAL];
    enum pool_class class;
    unsigned wants;
    unsigned calls;
    int64_t overdue_ns;
};

static void give_way(struct pool_seat *seat)
{
    struct peer *peer = container_of(seat->holder, struct peer, waiter);
    pool_rise(peer->pool, seat);
}

static void take(struct peer *peer)
{
    for (unsigned i = 0; i < TOTAL && peer->waiter.held < peer->wants; i++) {
        if (list_linked(&peer->seats[i].node))
            continue;
        if (!pool_ask(peer->pool, &peer->waiter, peer->class))
            return;
        peer->seats[i].give_way = give_way;
        pool_sit(peer->pool, &peer->seats[i], &peer->waiter, peer->class,
                 peer->overdue_ns ? peer->overdue_ns : INT64_MAX);
    }
}

static void called(struct pool_waiter *waiter)
{
    struct peer *peer = container_of(waiter, struct peer, waiter);
    peer->calls++;
    take(peer);
}

static struct peer *peers(struct pool *pool, unsigned count, enum pool_class class, unsigned wants)
{
    struct peer *all = calloc(count, sizeof(*all));
    for (unsigned i = 0; i < count; i++) {
        all[i].pool = pool;
        all[i].class = class;
        all[i].wants = wants;
        all[i].waiter.call = called;
    }
    return all;
}

static void take_all(struct peer *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        take(&all[i]);
}

static void leave_all(struct peer *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pool_forget(all[i].pool, &all[i].waiter);
        for (unsigned j = 0; j < TOTAL; j++)
            pool_rise(all[i].pool, &all[i].seats[j]);
    }
    free(all);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void no_class_but_the_quick_exceeds_its_share(void **state)
{
    struct pool pool;
    struct peer *all[POOL_CLASSES];
    (void)state;
    pool_init(&pool, TOTAL, percent);
    for (unsigned i = POOL_SLOW; i < POOL_CLASSES; i++) {
        all[i] = peers(&pool, 900, (enum pool_class)i, 1);
        take_all(all[i], 900);
        pool_call(&pool);
        assert_int_equal(pool.used_by[i], percent[i]);
    }
    /* The reserve is the rest. */
    all[POOL_QUICK] = peers(&pool, 100, POOL_QUICK, 1);
    take_all(all[POOL_QUICK], 100);
    assert_int_equal(pool.used_by[POOL_QUICK], 26);
    assert_int_equal(pool.used, TOTAL);
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        leave_all(all[i], i == POOL_QUICK ? 100 : 900);
    assert_int_equal(pool.used, 0);
    assert_false(pool_is_crowded(&pool));
}

static void a_few_that_want_many_leave_room_for_one_more(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *greedy = peers(&pool, 16, POOL_QUICK, TOTAL);
    struct peer *modest = peers(&pool, 1, POOL_QUICK, 1);
    take(&greedy[0]);
    assert_int_equal(greedy[0].waiter.held, TOTAL / 2);
    for (unsigned round = 0; round < TOTAL; round++)
        take_all(greedy, 16);
    take(modest);
    assert_int_equal(modest->waiter.held, 1);
    leave_all(greedy, 16);
    leave_all(modest, 1);
}

static void an_endpoint_that_wants_more_seats_gets_them_when_others_leave(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *first = peers(&pool, 1, POOL_QUICK, TOTAL);
    struct peer *second = peers(&pool, 1, POOL_QUICK, TOTAL);
    take(first);
    take(second);
    assert_true(second->waiter.held < TOTAL / 2);
    leave_all(first, 1);
    pool_call(&pool);
    assert_int_equal(second->waiter.held, TOTAL / 2);
    leave_all(second, 1);
}

static void nobody_overtakes_those_that_wait(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *all = peers(&pool, 30, POOL_NEW, 1);
    struct peer *late = peers(&pool, 1, POOL_NEW, 1);
    take_all(all, 30);
    assert_int_equal(pool.waiting[POOL_NEW], 5);
    pool_rise(&pool, &all[0].seats[0]);
    take(late);
    assert_int_equal(late->waiter.held, 0);
    pool_call(&pool);
    assert_int_equal(all[25].waiter.held, 1);
    assert_int_equal(late->waiter.held, 0);
    for (unsigned i = 1; i <= 5; i++)
        pool_rise(&pool, &all[i].seats[0]);
    pool_call(&pool);
    assert_int_equal(late->waiter.held, 1);
    leave_all(all, 30);
    leave_all(late, 1);
}

static void a_seat_is_kept_for_one_that_was_called_until_it_declines(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *all = peers(&pool, 26, POOL_NEW, 1);
    struct peer *late = peers(&pool, 1, POOL_NEW, 1);
    take_all(all, 26);
    all[25].wants = 0;
    pool_rise(&pool, &all[0].seats[0]);
    pool_call(&pool);
    assert_int_equal(all[25].calls, 1);
    take(late);
    assert_int_equal(late->waiter.held, 0);
    pool_forget(&pool, &all[25].waiter);
    pool_call(&pool);
    assert_int_equal(late->waiter.held, 1);
    leave_all(all, 26);
    leave_all(late, 1);
    assert_int_equal(pool.kept, 0);
}

static void overdue_requests_give_way_to_those_that_wait_and_to_nobody_else(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *hang = peers(&pool, 25, POOL_NEW, 1);
    for (unsigned i = 0; i < 25; i++)
        hang[i].overdue_ns = 100 + i;
    take_all(hang, 25);
    pool_press(&pool, 1000);
    assert_int_equal(pool.used, 25);
    struct peer *well = peers(&pool, 3, POOL_NEW, 1);
    take_all(well, 3);
    assert_int_equal(pool_press(&pool, 99), 100);
    assert_int_equal(pool.used, 25);
    pool_press(&pool, 101);
    assert_int_equal(pool.gave_way, 2);
    pool_call(&pool);
    assert_int_equal(well[1].waiter.held, 1);
    assert_int_equal(well[2].waiter.held, 0);
    pool_press(&pool, 1000);
    pool_call(&pool);
    assert_int_equal(pool.gave_way, 3);
    assert_int_equal(well[2].waiter.held, 1);
    pool_press(&pool, 1000);
    assert_int_equal(pool.gave_way, 3);
    leave_all(hang, 25);
    leave_all(well, 3);
}

/* All endpoints were quick and hang at once: the requests that fill the pool give way. */
static void the_quick_that_begin_to_hang_give_way_to_every_class(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *hang = peers(&pool, TOTAL, POOL_QUICK, 1);
    for (unsigned i = 0; i < TOTAL; i++)
        hang[i].overdue_ns = 100;
    take_all(hang, TOTAL);
    assert_int_equal(pool.used, TOTAL);
    struct peer *quick = peers(&pool, 1, POOL_QUICK, 1), *fresh = peers(&pool, 1, POOL_NEW, 1);
    take(quick);
    take(fresh);
    assert_true(pool_is_crowded(&pool));
    pool_press(&pool, 100);
    pool_call(&pool);
    assert_int_equal(quick->waiter.held, 1);
    assert_int_equal(fresh->waiter.held, 1);
    assert_false(pool_is_crowded(&pool));
    assert_int_equal(pool.gave_way, 2);
    leave_all(hang, TOTAL);
    leave_all(quick, 1);
    leave_all(fresh, 1);
}

static void an_endpoint_whose_class_changes_waits_in_its_new_class(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, TOTAL, percent);
    struct peer *all = peers(&pool, 26, POOL_NEW, 1);
    take_all(all, 26);
    assert_int_equal(pool.waiting[POOL_NEW], 1);
    all[25].class = POOL_QUICK;
    take(&all[25]);
    assert_int_equal(all[25].waiter.held, 1);
    assert_int_equal(pool.waiting[POOL_NEW], 0);
    leave_all(all, 26);
}

static void a_small_pool_has_a_seat_for_every_class(void **state)
{
    struct pool pool;
    (void)state;
    pool_init(&pool, 1, percent);
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        assert_true(pool_has_room(&pool, (enum pool_class)i));
    assert_int_equal(pool.total, POOL_TOTAL_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_class_but_the_quick_exceeds_its_share),
        cmocka_unit_test(a_few_that_want_many_leave_room_for_one_more),
        cmocka_unit_test(an_endpoint_that_wants_more_seats_gets_them_when_others_leave),
        cmocka_unit_test(nobody_overtakes_those_that_wait),
        cmocka_unit_test(a_seat_is_kept_for_one_that_was_called_until_it_declines),
        cmocka_unit_test(overdue_requests_give_way_to_those_that_wait_and_to_nobody_else),
        cmocka_unit_test(the_quick_that_begin_to_hang_give_way_to_every_class),
        cmocka_unit_test(an_endpoint_whose_class_changes_waits_in_its_new_class),
        cmocka_unit_test(a_small_pool_has_a_seat_for_every_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
