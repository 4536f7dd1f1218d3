#include "log/store/sqlite/testing.h"

#include "base/say.h"

static void a_file_of_which_nothing_is_retained_is_unlinked(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_roll(&place);
    place_put(&place, 200, 10, 1, "a", 5);
    place_trim(&place, 1, "a", 209, 108);
    place_keep_house(&place);
    assert_int_equal(place_files(&place, "db"), 2);
    place_trim(&place, 1, "a", 209, 109);
    place_keep_house(&place);
    assert_int_equal(place_files(&place, "db"), 1);
    assert_int_equal(place_count(&place, 1), 10);
    place_deinit(&place);
}

static void the_active_file_stays_though_nothing_in_it_is_retained(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_trim(&place, 1, "a", 109, 109);
    place_keep_house(&place);
    assert_int_equal(place_files(&place, "db"), 1);
    place_put(&place, 110, 10, 1, "a", 5);
    assert_int_equal(place_count(&place, 1), 10);
    place_deinit(&place);
}

static void what_is_known_of_a_channel_outlives_its_last_file(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    int64_t put_us = place.clock.wall_us;
    place_trim(&place, 1, "a", 109, 109);
    place_roll(&place);
    assert_int_equal(place_files(&place, "db"), 0);
    assert_int_equal(place.store->ops->oldest(place.store), 0);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place.newest.id, 109);
    assert_int_equal(place.newest.time_us, put_us);
    assert_int_equal(place.newest.number, 1);
    assert_int_equal(place_find(&place, "a")->last, 109);
    assert_int_equal(place_find(&place, "a")->trimmed, 109);
    assert_int_equal(place_find(&place, "a")->count, 0);
    place_deinit(&place);
}

/* Two files: the oldest, which is treated in its own way, and one to look at. */
static void two_files(struct place *place)
{
    place_init(place);
    place_open(place);
    place_put(place, 100, 10, 3, "c", 5);
    place_roll(place);
    place_put(place, 200, 100, 1, "a", 500);
    place_put(place, 300, 30, 2, "b", 500);
    place_roll(place);
}

static void a_file_more_than_half_dead_is_rewritten(void **state)
{
    (void)state;
    struct place place;
    two_files(&place);
    uint64_t before = place.store->ops->bytes(place.store);
    place_trim(&place, 2, "b", 329, 329);
    place_keep_house(&place);
    assert_int_equal(place.store->ops->bytes(place.store), before); /* not half */
    place_trim(&place, 1, "a", 299, 60);                            /* removes none of these */
    place_keep_house(&place);
    assert_int_equal(place.store->ops->bytes(place.store), before);
    place_trim(&place, 1, "a", 299, 280);
    place_keep_house(&place);
    assert_true(place.store->ops->bytes(place.store) < before - 30000);
    assert_int_equal(place_count(&place, 1), 19);
    place_deinit(&place);
}

static void the_oldest_file_is_left_to_die(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 200, 100, 1, "a", 500);
    place_roll(&place);
    uint64_t before = place.store->ops->bytes(place.store);
    place_trim(&place, 1, "a", 299, 290);
    place_keep_house(&place);
    assert_int_equal(place.store->ops->bytes(place.store), before);
    place_trim(&place, 1, "a", 299, 299);
    place_keep_house(&place);
    assert_int_equal(place.store->ops->bytes(place.store), 0);
    place_deinit(&place);
}

static void a_file_found_dead_at_the_start_goes_too(void **state)
{
    (void)state;
    struct place place;
    two_files(&place);
    place_trim(&place, 1, "a", 299, 299);
    place_trim(&place, 2, "b", 329, 329);
    place_trim(&place, 3, "c", 109, 109);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_files(&place, "db"), 2);
    place_keep_house(&place);
    assert_int_equal(place_files(&place, "db"), 0);
    place_deinit(&place);
}

static void deletions_are_erased_in_passes_a_minute_apart(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 1, 1, "a", 5);
    place_put(&place, 101, 50, 2, "b", 5);
    place_delete(&place, 1, "a", 100);
    place_keep_house(&place);
    assert_int_equal(place_files(&place, "wal"), 0); /* rolled and rewritten */
    struct batch *batch = place_batch(200, 1, 1, "a", 5);
    batch->events[0].data = STR("needle-in-a");
    assert_int_equal(place_append(&place, batch), 0);
    place_delete(&place, 1, "a", 200);
    place_keep_house(&place);
    assert_true(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place_count(&place, 1), 0);
    clock_fake_advance(&place.clock, 61000000);
    place_keep_house(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    place_deinit(&place);
}

static void a_channel_deleted_many_times_is_noted_a_few_times(void **state)
{
    (void)state;
    enum { DELETES = 500, MOST = 64 * 16 };
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 1, 1, "a", 5);
    place_put(&place, 101, 50, 2, "b", 5);
    place_delete(&place, 1, "a", 100);
    place_keep_house(&place); /* begins a pass: the next is a minute away */
    uint64_t before = place.store->ops->memory(place.store).trims;
    struct batch *batch = place_batch(200, 1, 1, "a", 5);
    batch->events[0].data = STR("needle-in-a");
    assert_int_equal(place_append(&place, batch), 0);
    for (int i = 0; i < DELETES; i++)
        place_delete(&place, 1, "a", 200);
    place_keep_house(&place);
    assert_in_range(place.store->ops->memory(place.store).trims, before + 1, before + MOST);
    clock_fake_advance(&place.clock, 61000000);
    place_keep_house(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place.store->ops->memory(place.store).trims, before);
    place_deinit(&place);
}

static void a_deletion_not_erased_yet_is_erased_after_the_next_start(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    struct batch *batch = place_batch(100, 1, 1, "a", 5);
    batch->events[0].data = STR("needle-in-a");
    assert_int_equal(place_append(&place, batch), 0);
    place_put(&place, 101, 50, 2, "b", 5);
    place_roll(&place);
    place_delete(&place, 1, "a", 100);
    place_close(&place);
    place_open(&place);
    assert_true(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place_count(&place, 1), 0);
    place_keep_house(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    place_deinit(&place);
}

static void what_came_after_a_deletion_stays(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_delete(&place, 1, "a", 109);
    place_put(&place, 110, 10, 1, "a", 5);
    place_keep_house(&place);
    assert_int_equal(place_count(&place, 1), 10);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_count(&place, 1), 10);
    assert_int_equal(place_find(&place, "a")->count, 10);
    place_deinit(&place);
}

static void a_forgotten_channel_does_not_come_back(void **state)
{
    (void)state;
    struct place place;
    uint32_t number = 1;
    struct store_trim folded = {0, STR("*rooms"), 0, 109};
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_put(&place, 110, 10, 2, "b", 5);
    place_trim(&place, 1, "a", 109, 109);
    assert_int_equal(place.store->ops->forget(place.store, &folded, 1, &number, 1), 0);
    for (int again = 0; again < 3; again++) {
        place_close(&place);
        place_open(&place);
        assert_null(place_find(&place, "a"));
        assert_int_equal(place_find(&place, "*rooms")->trimmed, 109);
        assert_int_equal(place_find(&place, "*rooms")->number, 0);
        assert_int_equal(place_find(&place, "b")->count, 10);
        assert_true(place.newest.number >= 2);
        place_roll(&place);
    }
    /* The name may be used again, under another number. */
    place_put(&place, 200, 5, 3, "a", 5);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_find(&place, "a")->number, 3);
    assert_int_equal(place_find(&place, "a")->count, 5);
    assert_int_equal(place_count(&place, 1), 0);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_which_nothing_is_retained_is_unlinked),
        cmocka_unit_test(the_active_file_stays_though_nothing_in_it_is_retained),
        cmocka_unit_test(what_is_known_of_a_channel_outlives_its_last_file),
        cmocka_unit_test(a_file_more_than_half_dead_is_rewritten),
        cmocka_unit_test(the_oldest_file_is_left_to_die),
        cmocka_unit_test(a_file_found_dead_at_the_start_goes_too),
        cmocka_unit_test(deletions_are_erased_in_passes_a_minute_apart),
        cmocka_unit_test(a_channel_deleted_many_times_is_noted_a_few_times),
        cmocka_unit_test(a_deletion_not_erased_yet_is_erased_after_the_next_start),
        cmocka_unit_test(what_came_after_a_deletion_stays),
        cmocka_unit_test(a_forgotten_channel_does_not_come_back),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
