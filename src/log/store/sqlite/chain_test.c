#include "log/store/sqlite/testing.h"

#include "base/say.h"

static void a_file_is_rolled_when_it_has_its_size(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place.config.roll_bytes = 200000;
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 1000);
    place_upkeep(&place);
    place_put(&place, 110, 10, 1, "a", 1000);
    assert_int_equal(place_files(&place, "db"), 1);
    place_put(&place, 120, 200, 1, "a", 1000);
    place_upkeep(&place);
    place_put(&place, 500, 10, 1, "a", 1000);
    assert_int_equal(place_files(&place, "db"), 2);
    assert_int_equal(place_count(&place, 1), 230);
    place_deinit(&place);
}

static void a_file_is_rolled_when_it_has_its_age(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    clock_fake_advance(&place.clock, place.config.roll_us - 1);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "wal"), 1);
    clock_fake_advance(&place.clock, 1);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "wal"), 0);
    place_deinit(&place);
}

static void the_age_of_a_file_is_that_of_its_first_event_after_a_restart_too(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    clock_fake_advance(&place.clock, place.config.roll_us / 2);
    place_close(&place);
    place_open(&place);
    place_put(&place, 110, 10, 1, "a", 10);
    assert_int_equal(place_files(&place, "db"), 1);
    clock_fake_advance(&place.clock, place.config.roll_us / 2);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "wal"), 0);
    place_deinit(&place);
}

static void a_clock_that_jumps_rolls_no_file_and_keeps_none(void **state)
{
    static const int64_t jumps_us[] = {INT64_C(172800000000), -INT64_C(172800000000)};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct place place;
        place_init(&place);
        place_open(&place);
        place.clock.wall_us += jumps_us[i];
        place_put(&place, 100, 10, 1, "a", 10);
        place.clock.wall_us -= jumps_us[i];
        place_upkeep(&place);
        assert_int_equal(place_files(&place, "wal"), 1);
        place.clock.wall_us += jumps_us[i];
        place_upkeep(&place);
        assert_int_equal(place_files(&place, "wal"), 1);
        place.clock.wall_us -= jumps_us[i];
        clock_fake_advance(&place.clock, place.config.roll_us);
        place_upkeep(&place);
        assert_int_equal(place_files(&place, "wal"), 0);
        place_deinit(&place);
    }
}

static void nothing_appended_is_nothing_rolled(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_roll(&place);
    place_roll(&place);
    struct batch *none = batch_new();
    assert_int_equal(place_append(&place, none), 0);
    assert_int_equal(place_files(&place, "db"), 0);
    place_deinit(&place);
}

static void a_file_is_named_by_its_first_event(void **state)
{
    (void)state;
    struct place place;
    char path[128];
    place_init(&place);
    place_open(&place);
    place_put(&place, 1795459080123456, 1, 1, "a", 10);
    snprintf(path, sizeof(path), "%s/log/1795459080123456.db", place.dir);
    assert_int_equal(access(path, F_OK), 0);
    place_deinit(&place);
}

static void ids_that_do_not_rise_overwrite_no_file(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    place_roll(&place);
    assert_int_equal(place_append(&place, place_batch(100, 1, 1, "a", 10)), -EIO);
    assert_int_equal(place_count(&place, 1), 10);
    place_deinit(&place);
}

static void a_deletion_alone_is_as_durable_as_an_event(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    place_roll(&place);
    place_delete(&place, 1, "a", 109); /* in a file that has nothing else */
    assert_int_equal(place_count(&place, 1), 0);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_count(&place, 1), 0);
    assert_int_equal(place_find(&place, "a")->trimmed, 109);
    place_put(&place, 110, 1, 1, "a", 10); /* the next file may want the same name */
    assert_int_equal(place_count(&place, 1), 1);
    place_deinit(&place);
}

static void leftovers_of_a_crash_beside_the_files_are_cleared_away(void **state)
{
    (void)state;
    static const char *const names[] = {"spare.new", "spare.db", "0000000000000100.db.new",
                                        "0000000000000007.db-wal", "0000000000000007.db-shm"};
    struct place place;
    char path[128];
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    place_close(&place);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/log/%s", place.dir, names[i]);
        assert_int_equal(db_create_file(path), 0);
    }
    snprintf(path, sizeof(path), "%s/log/notes.txt", place.dir);
    assert_int_equal(db_create_file(path), 0);
    place_open(&place);
    assert_int_equal(access(path, F_OK), 0); /* not ours */
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/log/%s", place.dir, names[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_int_equal(place_count(&place, 1), 10);
    place_deinit(&place);
}

static void the_bytes_of_the_chain_are_those_of_its_folder(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 100, 1, "a", 1000);
    uint64_t bytes = place.store->ops->bytes(place.store);
    assert_true(bytes > 100000 && bytes < 250000);
    place_roll(&place);
    bytes = place.store->ops->bytes(place.store);
    assert_true(bytes > 100000 && bytes < 180000);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place.store->ops->bytes(place.store), bytes);
    place_deinit(&place);
}

static void a_clean_end_leaves_one_file(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 100, 1, "a", 1000);
    assert_int_equal(place_count(&place, 1), 100);
    place_close(&place);
    assert_int_equal(place_files(&place, "db"), 1);
    assert_int_equal(place_files(&place, "wal"), 0);
    place_open(&place);
    assert_int_equal(place_count(&place, 1), 100);
    place_deinit(&place);
}

/* Lays a copy of the only file beside it, from the second of its two runs of events on: then the
 * first has events that are the second's. */
static void split_file(const struct place *place, uint64_t first, uint64_t second)
{
    char from[128], to[128], sql[512], command[300];
    sqlite3 *db;
    snprintf(from, sizeof(from), "%s/log/%016llu.db", place->dir, (unsigned long long)first);
    snprintf(to, sizeof(to), "%s/log/%016llu.db", place->dir, (unsigned long long)second);
    snprintf(command, sizeof(command), "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
    snprintf(sql, sizeof(sql),
             "DELETE FROM event WHERE id < %llu; UPDATE channel SET count ="
             " (SELECT count(*) FROM event WHERE channel = number), bytes = 20 * 1000,"
             " first = %llu WHERE count NOTNULL",
             (unsigned long long)second, (unsigned long long)second);
    assert_int_equal(db_open(to, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, sql), 0);
    sqlite3_close(db);
}

static void check_removal(bool sealed)
{
    struct place place;
    uint64_t ids[100] = {0};
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 1000);
    place_put(&place, 110, 3, 3, "c", 1000);
    place_put(&place, 500, 20, 1, "a", 1000);
    if (sealed)
        place_roll(&place);
    place_close(&place);
    split_file(&place, 100, 500);
    for (int again = 0; again < 2; again++) {
        place_open(&place);
        assert_int_equal(place_ids(&place, 1, ids, 100), 30);
        assert_int_equal(ids[9], 109);
        assert_int_equal(ids[10], 500);
        assert_int_equal(place_find(&place, "a")->count, 30);
        assert_int_equal(place_find(&place, "a")->bytes, 30000);
        assert_int_equal(place_find(&place, "a")->last, 519);
        assert_int_equal(place_find(&place, "c")->count, 3);
        assert_int_equal(place.newest.id, 519);
        place_upkeep(&place);
        place_close(&place);
    }
    place_deinit(&place);
}

static void rows_with_ids_of_the_next_file_are_removed(void **state)
{
    (void)state;
    say_set_level((enum say_level)(SAY_ERROR + 1));
    check_removal(false);
    check_removal(true);
    say_set_level(SAY_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_rolled_when_it_has_its_size),
        cmocka_unit_test(a_file_is_rolled_when_it_has_its_age),
        cmocka_unit_test(the_age_of_a_file_is_that_of_its_first_event_after_a_restart_too),
        cmocka_unit_test(a_clock_that_jumps_rolls_no_file_and_keeps_none),
        cmocka_unit_test(nothing_appended_is_nothing_rolled),
        cmocka_unit_test(a_file_is_named_by_its_first_event),
        cmocka_unit_test(ids_that_do_not_rise_overwrite_no_file),
        cmocka_unit_test(a_deletion_alone_is_as_durable_as_an_event),
        cmocka_unit_test(leftovers_of_a_crash_beside_the_files_are_cleared_away),
        cmocka_unit_test(rows_with_ids_of_the_next_file_are_removed),
        cmocka_unit_test(the_bytes_of_the_chain_are_those_of_its_folder),
        cmocka_unit_test(a_clean_end_leaves_one_file),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
