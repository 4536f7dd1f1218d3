#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/rowcheck.h"

/* A file of ten events in two channels, closed, and a connection to it. */
static sqlite3 *open_filled(struct place *place)
{
    sqlite3 *db;
    char path[128];
    place_init(place);
    place_open(place);
    place_put(place, 100, 5, 1, "a", 10);
    place_put(place, 105, 5, 2, "b", 10);
    place_close(place);
    snprintf(path, sizeof(path), "%s/log/0000000000000100.db", place->dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    return db;
}

static uint64_t found(sqlite3 *db)
{
    uint64_t id = 1;
    assert_int_equal(rowcheck_find(db, &id), 0);
    return id;
}

static void events_are_found_as_they_were_written(void **state)
{
    (void)state;
    struct place place;
    sqlite3 *db = open_filled(&place);
    assert_int_equal(found(db), 0);
    sqlite3_close(db);
    place_deinit(&place);
}

static void every_change_to_an_event_is_found(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE event SET data = 'y' WHERE id = 107",
        "UPDATE event SET channel = 1 WHERE id = 107",
        "UPDATE event SET time = time + 1 WHERE id = 107",
        "UPDATE event SET prev = prev + 1 WHERE id = 107",
        "UPDATE event SET kind = kind + 256 WHERE id = 107",
        "UPDATE event SET type = 'other' WHERE id = 107",
        "UPDATE event SET content_type = 'x/y' WHERE id = 107",
        "UPDATE event SET sender = 'me' WHERE id = 107",
        "UPDATE event SET key = zeroblob(24) WHERE id = 107",
        "UPDATE event SET checksum = -checksum WHERE id = 107",
    };
    struct place place;
    sqlite3 *db = open_filled(&place);
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        assert_int_equal(db_exec(db, "BEGIN"), 0);
        assert_int_equal(db_exec(db, changes[i]), 0);
        assert_int_equal(found(db), 107);
        assert_int_equal(db_exec(db, "ROLLBACK"), 0);
    }
    assert_int_equal(db_exec(db, "UPDATE channel SET name = 'c' WHERE number = 2"), 0);
    assert_int_equal(found(db), 105);
    sqlite3_close(db);
    place_deinit(&place);
}

static void events_of_older_versions_count_as_they_are(void **state)
{
    (void)state;
    struct place place;
    sqlite3 *db = open_filled(&place);
    assert_int_equal(
        db_exec(db, "UPDATE event SET checksum = NULL; UPDATE event SET data = 'y' WHERE id = 101"),
        0);
    assert_int_equal(found(db), 0);
    assert_int_equal(db_exec(db, "ALTER TABLE event DROP COLUMN checksum"), 0);
    assert_int_equal(found(db), 0);
    sqlite3_close(db);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_found_as_they_were_written),
        cmocka_unit_test(every_change_to_an_event_is_found),
        cmocka_unit_test(events_of_older_versions_count_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
