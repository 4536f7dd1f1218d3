#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "log/store/sqlite/faults.h"

static sqlite3 *open_file(const struct place *place, const char *name)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/log/%s", place->dir, name);
    assert_int_equal(db_open(path, DB_IMMUTABLE, &db), 0);
    return db;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    int64_t result = -1;
    assert_int_equal(db_number(db, sql, &result), 0);
    return result;
}

static void a_sealed_file_is_single_and_tells_what_is_in_it(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_put(&place, 110, 20, 2, "b", 7);
    place_roll(&place);
    assert_int_equal(place_files(&place, "wal"), 0);
    assert_int_equal(place_files(&place, "shm"), 0);
    sqlite3 *db = open_file(&place, "0000000000000100.db");
    assert_int_equal(number(db, "SELECT value FROM meta WHERE name = 'sealed'"), 1);
    assert_int_equal(number(db, "SELECT count FROM channel WHERE name = 'b'"), 20);
    assert_int_equal(number(db, "SELECT bytes FROM channel WHERE name = 'b'"), 140);
    assert_int_equal(number(db, "SELECT first FROM channel WHERE name = 'b'"), 110);
    assert_int_equal(number(db, "SELECT last FROM channel WHERE name = 'b'"), 129);
    assert_int_equal(number(db, "SELECT count(*) FROM history WHERE channel = 'a'"), 10);
    sqlite3_close(db);
    assert_int_equal(place_count(&place, 2), 20);
    place_deinit(&place);
}

/* Ask SQLite's planner: a wrong index would only be slow. */
static void a_line_is_read_by_the_index_alone_and_in_order(void **state)
{
    (void)state;
    struct place place;
    sqlite3_stmt *plan;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_roll(&place);
    sqlite3 *db = open_file(&place, "0000000000000100.db");
    assert_int_equal(
        db_prepare(db,
                   "EXPLAIN QUERY PLAN SELECT id FROM event WHERE channel = 1 AND id > 5 AND "
                   "id <= 9 ORDER BY id LIMIT 3",
                   &plan),
        0);
    assert_int_equal(db_row(plan), 1);
    assert_non_null(strstr((const char *)sqlite3_column_text(plan, 3), "USING COVERING INDEX"));
    assert_non_null(strstr((const char *)sqlite3_column_text(plan, 3), "rowid>?"));
    assert_int_equal(db_row(plan), 0); /* no sort */
    sqlite3_finalize(plan);
    sqlite3_close(db);
    place_deinit(&place);
}

static void another_process_that_reads_the_file_only_delays_the_seal(void **state)
{
    (void)state;
    struct place place;
    char path[128];
    sqlite3 *stranger;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    snprintf(path, sizeof(path), "%s/log/0000000000000100.db", place.dir);
    assert_int_equal(db_open(path, DB_READ, &stranger), 0);
    assert_int_equal(db_exec(stranger, "BEGIN; SELECT count(*) FROM event"), 0);
    place_roll(&place);
    assert_int_equal(place_files(&place, "wal"), 1);
    assert_int_equal(place_count(&place, 1), 10);
    place_put(&place, 200, 10, 1, "a", 5);
    sqlite3_close(stranger);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "wal"), 1); /* of the next */
    assert_int_equal(place_count(&place, 1), 20);
    place_deinit(&place);
}

/* Fails each operation of a turn that seals and rewrites; every read stays right, and a later turn
 * gets it done. */
static bool fail_nth_of_turn(unsigned long nth, unsigned long fail_for)
{
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 500);
    place_put(&place, 110, 10, 2, "b", 500);
    place_delete(&place, 1, "a", 105);
    place_put(&place, 120, 10, 1, "a", 500);
    faults_set(nth, fail_for, SQLITE_IOERR_WRITE);
    (void)place.store->ops->upkeep(place.store);
    bool hit = faults.count >= nth;
    faults_set(0, 0, 0);
    assert_int_equal(place_count(&place, 1), 14);
    assert_int_equal(place_count(&place, 2), 10);
    place_put(&place, 130, 10, 2, "b", 500);
    clock_fake_advance(&place.clock, 61000000);
    place_upkeep(&place);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(place_count(&place, 1), 14);
        assert_int_equal(place_count(&place, 2), 20);
        place_close(&place);
        place_open(&place);
        assert_int_equal(place_find(&place, "a")->trimmed, 105);
    }
    place_deinit(&place);
    return hit;
}

static void a_turn_that_fails_anywhere_loses_nothing(void **state)
{
    (void)state;
    unsigned long nth = 1;
    while (fail_nth_of_turn(nth, 1))
        nth += STRIDE;
    assert_true(nth > 30);
    for (nth = 1; fail_nth_of_turn(nth, 100000);)
        nth += 3UL * STRIDE;
}

static void deleted_events_leave_the_disk(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    for (uint64_t file = 0; file < 3; file++) {
        struct batch *batch = place_batch(100 + file * 100, 2, 1, "a", 5);
        batch->events[1].data = STR("needle-in-a");
        assert_int_equal(place_append(&place, batch), 0);
        place_put(&place, 110 + file * 100, 20, 2, "b", 50);
        if (file < 2)
            place_roll(&place);
    }
    assert_true(place_has_bytes(&place, "needle-in-a"));
    place_delete(&place, 1, "a", 301);
    place_upkeep(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place_files(&place, "db"), 3);
    assert_int_equal(place_count(&place, 1), 0);
    assert_int_equal(place_count(&place, 2), 60);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_find(&place, "a")->last, 301);
    assert_int_equal(place_find(&place, "a")->trimmed, 301);
    assert_int_equal(place_count(&place, 2), 60);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_file_is_single_and_tells_what_is_in_it),
        cmocka_unit_test(a_line_is_read_by_the_index_alone_and_in_order),
        cmocka_unit_test(another_process_that_reads_the_file_only_delays_the_seal),
        cmocka_unit_test(a_turn_that_fails_anywhere_loses_nothing),
        cmocka_unit_test(deleted_events_leave_the_disk),
    };
    say_set_level(SAY_ERROR);
    faults_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
