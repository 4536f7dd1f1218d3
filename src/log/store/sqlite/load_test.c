#include "log/store/sqlite/testing.h"

#include "base/say.h"

static void an_empty_folder_has_nothing_to_tell(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    assert_int_equal(place.loaded.count, 0);
    assert_int_equal(place.newest.id, 0);
    assert_int_equal(place.newest.number, 0);
    place_deinit(&place);
}

static void a_channel_is_counted_over_all_files_above_its_trim(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 7, "a", 3);
    place_roll(&place);
    place_put(&place, 200, 10, 7, "a", 5);
    place_roll(&place);
    place_put(&place, 300, 10, 7, "a", 7);
    place_trim(&place, 7, "a", 309, 205);
    place_close(&place);
    place_open(&place);
    const struct store_channel *channel = place_find(&place, "a");
    assert_int_equal(channel->number, 7);
    assert_int_equal(channel->last, 309);
    assert_int_equal(channel->trimmed, 205);
    assert_int_equal(channel->count, 4 + 10);
    assert_int_equal(channel->bytes, 4 * 5 + 10 * 7);
    assert_int_equal(place.newest.number, 7);
    assert_int_equal(place.newest.id, 309);
    place_deinit(&place);
}

/* Three files, an event with a key in each, an hour apart. */
static void put_keys(struct place *place)
{
    static const struct event_key key = {{1, 2, 3}, 4};
    place_init(place);
    place_open(place);
    for (uint64_t file = 0; file < 3; file++) {
        struct batch *batch = place_batch(100 + file * 100, 3, 1, "a", 3);
        batch->events[1].key = &key;
        assert_int_equal(place_append(place, batch), 0);
        clock_fake_advance(&place->clock, 1000);
        batch = place_batch(110 + file * 100, 3, 1, "a", 3);
        batch->events[2].key = &key;
        assert_int_equal(place_append(place, batch), 0);
        if (file < 2)
            place_roll(place);
    }
    place_close(place);
}

static void keys_are_told_that_are_young_enough(void **state)
{
    (void)state;
    struct place place;
    put_keys(&place);
    place_open(&place);
    assert_int_equal(place.loaded.keys, 6);
    assert_int_equal(place.loaded.key_ids[0], 101);
    assert_int_equal(place.loaded.key_ids[5], 312);
    place_close(&place);
    place.keys_since_us = place.clock.wall_us - place.config.roll_us - 1000;
    place_open(&place);
    assert_int_equal(place.loaded.keys, 3);
    assert_int_equal(place.loaded.key_ids[0], 212);
    place_close(&place);
    place.keys_since_us = place.clock.wall_us + 1;
    place_open(&place);
    assert_int_equal(place.loaded.keys, 0);
    place_deinit(&place);
}

static int refuse_channel(void *context, const struct store_channel *channel)
{
    (void)context;
    (void)channel;
    return -ENOSPC;
}

static void a_loader_that_refuses_ends_the_opening(void **state)
{
    (void)state;
    struct place place;
    struct store_loader loader = {refuse_channel, place_key, &place.loaded, 0, NULL, NULL};
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 7, "a", 3);
    place_close(&place);
    assert_int_equal(store_sqlite_open(&place.config, &loader, &place.store, &place.newest),
                     -ENOSPC);
    place.store = NULL;
    place_open(&place); /* and lets go of the lock */
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_folder_has_nothing_to_tell),
        cmocka_unit_test(a_channel_is_counted_over_all_files_above_its_trim),
        cmocka_unit_test(keys_are_told_that_are_young_enough),
        cmocka_unit_test(a_loader_that_refuses_ends_the_opening),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
