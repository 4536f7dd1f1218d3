#include "log/store/sqlite/summing_testing.h"

static void an_opening_reads_no_file_that_is_in_the_sums(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    reopen(&place);
    assert_int_equal(files_summed(&place), FILES);
    check_whole(&place);
    /* A single reader opens, to find the oldest event. */
    assert_int_equal(readers_opened(sqlite_chain(place.store)->readers), 1);
    assert_int_equal(place_count(&place, 1), FILES * EVENTS);
    place_deinit(&place);
}

static void a_file_that_is_not_in_the_sums_yet_is_read(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    chain_roll(sqlite_chain(place.store));
    place_put(&place, 4000, 5, 3, "c", 1);
    reopen(&place);
    assert_int_equal(files_summed(&place), FILES);
    check(&place, "a", 3004, FILES * EVENTS + 5);
    assert_int_equal(place_find(&place, "c")->count, 5);
    place_deinit(&place);
}

static void a_folder_without_sums_is_upgraded(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    remove_file(&place, "sums.db");
    place_open(&place);
    assert_int_equal(files_summed(&place), 0);
    check_whole(&place);
    place_upkeep(&place);
    reopen(&place);
    assert_int_equal(files_summed(&place), FILES);
    check_whole(&place);
    place_deinit(&place);
}

static void trims_are_subtracted(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_trim(&place, 1, "a", A_LAST, 1205);
    place_trim(&place, 2, "b", B_LAST, B_LAST);
    reopen(&place);
    assert_int_equal(files_summed(&place), FILES);
    check(&place, "a", A_LAST, FILES * EVENTS - 2 * EVENTS - 6);
    check(&place, "b", B_LAST, 0);
    place_upkeep(&place);
    place_trim(&place, 1, "a", A_LAST, 1305);
    place_upkeep(&place);
    reopen(&place);
    check(&place, "a", A_LAST, FILES * EVENTS - 3 * EVENTS - 6);
    place_deinit(&place);
}

/* The store is left as if the process had ended between the two writes. */
static void a_trim_that_the_sums_do_not_have_is_made_up_for(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "state.db", "INSERT INTO trim VALUES('a', 1, 1419, 1205)");
    for (int round = 0; round < 3; round++) {
        place_open(&place);
        /* After upkeep there is one less: it had nothing but what was trimmed. */
        assert_int_equal(files_summed(&place), FILES - (round == 2));
        check(&place, "a", A_LAST, FILES * EVENTS - 2 * EVENTS - 6);
        if (round == 1)
            place_upkeep(&place);
        place_close(&place);
    }
    place_deinit(&place);
}

static void trims_that_are_older_than_the_sums_drop_them(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_trim(&place, 1, "a", A_LAST, 1205);
    place_close(&place);
    run_sql(&place, "state.db", "UPDATE trim SET trimmed = 1003");
    place_open(&place);
    assert_int_equal(files_summed(&place), 0);
    check(&place, "a", A_LAST, FILES * EVENTS - 4);
    check(&place, "b", B_LAST, (FILES + 1) / 2 * EVENTS);
    place_upkeep(&place);
    clock_fake_advance(&place.clock, INT64_C(100000000));
    place_upkeep(&place);
    assert_int_equal(files_summed(&place), FILES);
    place_deinit(&place);
}

/* A forgotten channel may have had the number before, without any trace now. */
static void a_floor_that_fell_where_nothing_was_is_no_harm(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "sums.db", "UPDATE channel SET floor = 999 WHERE number = 1");
    for (int round = 0; round < 2; round++) {
        place_open(&place);
        assert_int_equal(files_summed(&place), FILES);
        check_whole(&place);
        place_upkeep(&place);
        place_close(&place);
    }
    place_deinit(&place);
}

static void a_file_that_is_missing_drops_the_sums(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    remove_file(&place, "log/0000000000001200.db");
    place_open(&place);
    assert_int_equal(files_summed(&place), 0);
    check(&place, "a", A_LAST, (FILES - 1) * EVENTS);
    place_deinit(&place);
}

static void a_file_of_another_stamp_drops_the_sums(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "log/0000000000001200.db",
            "PRAGMA user_version = 5; DELETE FROM event WHERE channel = 1;"
            "DELETE FROM channel WHERE number = 1");
    place_open(&place);
    assert_int_equal(files_summed(&place), 0);
    check(&place, "a", A_LAST, (FILES - 1) * EVENTS);
    place_deinit(&place);
}

static void a_file_that_was_cut_short_is_refused(void **state)
{
    (void)state;
    struct place place;
    char path[128];
    make_files(&place);
    place_close(&place);
    snprintf(path, sizeof(path), "%s/log/0000000000001200.db", place.dir);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(place_try_open(&place), -EIO);
    place.store = NULL;
    place_deinit(&place);
}

static void files_that_are_rewritten_or_unlinked_leave_the_sums_right(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_delete(&place, 2, "b", B_LAST);
    for (int turn = 0; turn < 4; turn++) {
        place_upkeep(&place);
        clock_fake_advance(&place.clock, INT64_C(100000000));
    }
    place_trim(&place, 1, "a", A_LAST, 1310);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, ".db"), FILES - 3 + 1);
    reopen(&place);
    assert_int_equal(files_summed(&place), FILES - 3);
    check(&place, "a", A_LAST, (FILES - 4) * EVENTS + 9);
    check(&place, "b", B_LAST, 0);
    place_deinit(&place);
}

static void a_forgotten_channel_does_not_come_back(void **state)
{
    (void)state;
    struct place place;
    uint32_t number = 2;
    struct store_trim space = {.trimmed = B_LAST, .name = STR("*")};
    make_files(&place);
    place_trim(&place, 2, "b", B_LAST, B_LAST);
    assert_int_equal(place.store->ops->forget(place.store, &space, 1, &number, 1), 0);
    for (int turn = 0; turn < 3; turn++) {
        reopen(&place);
        assert_null(place_find(&place, "b"));
        check(&place, "a", A_LAST, FILES * EVENTS);
        place_upkeep(&place);
    }
    place_trim(&place, 1, "a", A_LAST, A_LAST); /* no file is left that could have the channel */
    place_upkeep(&place);
    place_upkeep(&place);
    reopen(&place);
    assert_null(place_find(&place, "b"));
    place_deinit(&place);
}

static void keys_of_files_in_the_sums_are_told(void **state)
{
    (void)state;
    static const struct event_key key = {{1, 2, 3}, 4};
    struct place place;
    make_files(&place);
    struct batch *batch = place_batch(5000, 3, 1, "a", 10);
    batch->events[1].key = &key;
    assert_int_equal(place_append(&place, batch), 0);
    place_roll(&place);
    reopen(&place);
    assert_int_equal(files_summed(&place), FILES + 1);
    assert_int_equal(place.loaded.keys, 1);
    assert_int_equal(place.loaded.key_ids[0], 5001);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_opening_reads_no_file_that_is_in_the_sums),
        cmocka_unit_test(a_file_that_is_not_in_the_sums_yet_is_read),
        cmocka_unit_test(a_folder_without_sums_is_upgraded),
        cmocka_unit_test(trims_are_subtracted),
        cmocka_unit_test(a_trim_that_the_sums_do_not_have_is_made_up_for),
        cmocka_unit_test(trims_that_are_older_than_the_sums_drop_them),
        cmocka_unit_test(a_floor_that_fell_where_nothing_was_is_no_harm),
        cmocka_unit_test(a_file_that_is_missing_drops_the_sums),
        cmocka_unit_test(a_file_of_another_stamp_drops_the_sums),
        cmocka_unit_test(a_file_that_was_cut_short_is_refused),
        cmocka_unit_test(files_that_are_rewritten_or_unlinked_leave_the_sums_right),
        cmocka_unit_test(a_forgotten_channel_does_not_come_back),
        cmocka_unit_test(keys_of_files_in_the_sums_are_told),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
