#include "hub/testing.h"

#include <stdio.h>

/* ---- from the window ------------------------------------------------------------------------ */

static void a_page_of_the_window_is_encoded_once_for_all_its_subscribers(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "b", "- ");
    world_publish(world, "a", "two ");
    struct reader *readers[10];
    for (int i = 0; i < 10; i++) {
        readers[i] = reader_new(world, "a", NULL, start);
        reader_drain(readers[i]);
        reader_got(readers[i], "one two ");
        assert_true(sub_is_live(&readers[i]->sub));
    }
    assert_int_equal(world->encoded, 2);
    assert_true(list_empty(&world->jobs));
    for (int i = 0; i < 10; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void pages_of_a_turn_are_bounded_and_the_rest_is_put_off(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "text ");
    world_turn(world);
    many_views(world, readers, true);
    for (int i = 0; i < VIEWS; i++) {
        hub_unsubscribe(&world->hub, &readers[i]->sub);
        reader_begin(readers[i], 0, start, 0);
    }
    unsigned encoded = world->encoded, left = VIEWS;
    for (int turns = 0; left; turns++) {
        assert_true(turns <= VIEWS);
        hub_turn(&world->hub);
        for (int i = 0; i < VIEWS; i++)
            left -= !sub_is_live(&readers[i]->sub) && reader_drain(readers[i]) == TAKE_NOTHING;
        assert_in_range(world->encoded - encoded, 1, 1);
        encoded = world->encoded;
        for (int i = 0; i < VIEWS; i++) /* put off, but not a read of the store */
            assert_false(hub_sub_reads_store(&world->hub, &readers[i]->sub));
    }
    for (int i = 0; i < VIEWS; i++) {
        reader_got(readers[i], "text ");
        reader_free(readers[i]);
    }
    world_free(world);
}

static void without_memory_for_a_page_the_taker_is_told(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < 20; i++)
        world_publish(world, "a", "0123456789 ");
    for (unsigned long nth = 1; nth <= 8; nth++) {
        struct reader *reader = reader_new(world, "a", NULL, start);
        struct taken taken = {0};
        mem_fail_nth(nth);
        enum take take = hub_take(&world->hub, &reader->sub, &taken);
        mem_fail_nth(0);
        assert_true(take == TAKE_FAILED || take == TAKE_BYTES);
        if (take == TAKE_BYTES)
            reader_send(reader, &taken, &(size_t){SIZE_MAX});
        assert_int_equal(reader_drain(reader), TAKE_NOTHING);
        assert_int_equal(reader->got.len, 20 * 11);
        reader_free(reader);
    }
    world_free(world);
}

/* ---- from the store ------------------------------------------------------------------------- */

static void below_the_window_the_store_is_read_once_for_equal_cursors(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < 10; i++)
        world_publish(world, i % 2 ? "b" : "a", i % 2 ? "b " : "a ");
    struct reader *readers[10];
    for (int i = 0; i < 10; i++) {
        readers[i] = reader_new(world, "a", NULL, start);
        assert_int_equal(reader_drain(readers[i]), TAKE_WAIT);
        assert_int_equal(reader_drain(readers[i]), TAKE_WAIT);
        assert_true(hub_sub_reads_store(&world->hub, &readers[i]->sub));
    }
    assert_int_equal(world->asker.open, 1);
    assert_int_equal(world_run_jobs(world), 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(readers[i]->wakes, 1);
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "a a a a a ");
        assert_true(sub_is_live(&readers[i]->sub));
    }
    assert_int_equal(world->encoded, 5);
    for (int i = 0; i < 10; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void a_subscriber_that_takes_few_events_has_no_more_of_them_read(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < 10; i++)
        world_publish(world, "a", "a ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    reader->sub.most = 3;
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    assert_int_equal(world_run_jobs(world), 1);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    reader_got(reader, "a a a ");
    assert_int_equal(world->encoded, 3);
    reader_free(reader);
    world_free(world);
}

static void reads_wait_while_others_have_found_too_much(void **state)
{
    enum { READERS = 6 };
    (void)state;
    struct world *world = world_new(tight, BIG);
    world->asker.most = 1;
    struct reader *readers[READERS];
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < READERS; i++)
        world_publish(world, (char[]){(char)('a' + i), '\0'}, "one ");
    world_publish(world, "last", "");
    for (int i = 0; i < READERS; i++) {
        readers[i] = reader_new(world, (char[]){(char)('a' + i), '\0'}, NULL, start);
        assert_int_equal(reader_drain(readers[i]), TAKE_WAIT);
    }
    assert_int_equal(world_run_jobs(world), READERS);
    assert_int_equal(readers[0]->wakes, 1);
    assert_int_equal(readers[READERS - 1]->wakes, 0);
    assert_true(asker_put_off(&world->asker) >= READERS - 1);
    while (world_run_jobs(world))
        ;
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "one ");
        reader_free(readers[i]);
    }
    assert_int_equal(asker_held(&world->asker), 0);
    world_free(world);
}

static void a_long_history_comes_page_by_page(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    struct buf want = {0};
    for (int i = 0; i < 200; i++) {
        char data[16];
        snprintf(data, sizeof(data), "%d,", i);
        world_publish(world, "a", data);
        buf_add_str(&want, str_from(data));
    }
    buf_add_char(&want, '\0');
    struct reader *reader = reader_new(world, "a", NULL, start);
    unsigned reads = 0;
    while (reader_drain(reader) == TAKE_WAIT) {
        assert_int_equal(world_run_jobs(world), 1);
        reads++;
    }
    assert_true(reads > 3);
    reader_got(reader, want.at);
    buf_free(&want);
    reader_free(reader);
    world_free(world);
}

static void a_read_that_fails_is_told_and_can_be_tried_again(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    for (unsigned long nth = 1;; nth++) {
        unsigned failures = reader->failures;
        assert_int_equal(reader_drain(reader), TAKE_WAIT);
        mem_fail_nth(nth);
        world_run_jobs(world);
        mem_fail_nth(0);
        if (reader_drain(reader) == TAKE_NOTHING)
            break;
        assert_true(reader->failures > failures || reader->last == TAKE_WAIT);
        world_run_jobs(world);
        hub_turn_end(&world->hub);
        assert_int_equal(reader->got.len, 0);
    }
    assert_true(reader->failures >= 3);
    reader_got(reader, "one two ");
    reader_free(reader);
    world_free(world);
}

/* ---- leaving -------------------------------------------------------------------------------- */

static void a_view_can_go_while_its_read_is_under_way(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    hub_unsubscribe(&world->hub, &reader->sub);
    assert_int_equal(world->hub.views_count, 0);
    assert_int_equal(world->asker.open, 1);
    /* The same view begins again, with a read of its own. */
    reader_begin(reader, 0, start, 0);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    assert_int_equal(world->asker.open, 2);
    assert_int_equal(world_run_jobs(world), 2);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    reader_got(reader, "one two ");
    assert_int_equal(world->asker.open, 0);
    reader_free(reader);
    world_free(world);
}

static void a_read_is_cancelled_when_its_last_subscriber_leaves(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *stays = reader_new(world, "a", NULL, hub_applied(&world->hub));
    struct reader *first = reader_new(world, "a", NULL, start);
    struct reader *second = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(first), TAKE_WAIT);
    assert_int_equal(reader_drain(second), TAKE_WAIT);
    reader_free(first);
    assert_int_equal(world->cancelled, 0);
    reader_free(second);
    assert_int_equal(world->cancelled, 1);
    /* Another subscriber that comes before the mail does not wait for the cancelled read. */
    struct reader *third = reader_new(world, "a", NULL, start);
    assert_int_equal(reader_drain(third), TAKE_WAIT);
    assert_int_equal(world->asker.open, 2);
    assert_int_equal(world_run_jobs(world), 2);
    assert_int_equal(reader_drain(third), TAKE_NOTHING);
    reader_got(third, "one two ");
    reader_free(third);
    reader_free(stays);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_the_window_is_encoded_once_for_all_its_subscribers),
        cmocka_unit_test(pages_of_a_turn_are_bounded_and_the_rest_is_put_off),
        cmocka_unit_test(without_memory_for_a_page_the_taker_is_told),
        cmocka_unit_test(below_the_window_the_store_is_read_once_for_equal_cursors),
        cmocka_unit_test(a_subscriber_that_takes_few_events_has_no_more_of_them_read),
        cmocka_unit_test(reads_wait_while_others_have_found_too_much),
        cmocka_unit_test(a_long_history_comes_page_by_page),
        cmocka_unit_test(a_read_that_fails_is_told_and_can_be_tried_again),
        cmocka_unit_test(a_view_can_go_while_its_read_is_under_way),
        cmocka_unit_test(a_read_is_cancelled_when_its_last_subscriber_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
