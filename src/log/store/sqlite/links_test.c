#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/links.h"

static const struct links all = {
    .log = 11, .rescued = 1, .before = {100, 119, 20, UINT64_MAX - 5}, .own = {0, 229, 30, 7}};

static sqlite3 *open_empty(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(segment_make_schema(db), 0);
    return db;
}

static void assert_same(const struct links *a, const struct links *b)
{
    assert_memory_equal(a, b, sizeof(*a));
}

static void links_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct links links;
    sqlite3 *db = open_empty();
    assert_int_equal(links_read(db, &links), 0);
    assert_same(&links, &(struct links){.log = 0});
    assert_int_equal(links_write(db, &all), 0);
    assert_int_equal(links_read(db, &links), 0);
    assert_same(&links, &all);
    sqlite3_close(db);
}

static void unknown_links_leave_the_written_ones(void **state)
{
    (void)state;
    struct links links, later = {.before = {.digest = 9}};
    sqlite3 *db = open_empty();
    assert_int_equal(links_write(db, &all), 0);
    assert_int_equal(links_write(db, &later), 0);
    assert_int_equal(links_read(db, &links), 0);
    assert_int_equal(links.before.digest, 9);
    assert_int_equal(links.before.count, 20);
    assert_int_equal(links.log, 11);
    sqlite3_close(db);
}

static void bytes_of_another_length_give_no_links(void **state)
{
    (void)state;
    struct str bytes = links_bytes(&all);
    struct links back = links_of_bytes(bytes);
    assert_same(&back, &all);
    bytes.len--;
    back = links_of_bytes(bytes);
    assert_int_equal(back.log, 0);
    back = links_of_bytes(STR_NONE);
    assert_int_equal(back.log, 0);
}

static void the_digest_is_of_ids_and_checksums(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE event SET checksum = 6 WHERE id = 2", "UPDATE event SET id = 3 WHERE id = 2",
        "DELETE FROM event WHERE id = 1", "UPDATE event SET checksum = NULL WHERE id = 2"};
    sqlite3 *db = open_empty();
    assert_int_equal(
        db_exec(db, "INSERT INTO event(id, channel, time, prev, kind, type, checksum, data)"
                    " VALUES(1, 1, 1, 0, 0, 'm', 4, 'x'), (2, 1, 1, 0, 0, 'm', 5, 'y')"),
        0);
    uint64_t digest, other;
    assert_int_equal(links_digest(db, &digest), 0);
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        assert_int_equal(db_exec(db, "SAVEPOINT s"), 0);
        assert_int_equal(db_exec(db, changes[i]), 0);
        assert_int_equal(links_digest(db, &other), 0);
        assert_int_not_equal(other, digest);
        assert_int_equal(db_exec(db, "ROLLBACK TO s; RELEASE s"), 0);
    }
    sqlite3_close(db);
}

static void a_file_is_held_against_what_is_known_of_it(void **state)
{
    (void)state;
    static const struct {
        struct link expected;
        struct link found;
        enum link_fit fit;
    } cases[] = {
        {{100, 119, 20, 7}, {100, 119, 20, 7}, LINK_FITS},
        {{100, 119, 20, 0}, {100, 119, 20, 7}, LINK_FITS},
        {{100, 119, 20, 7}, {100, 0, 0, 0}, LINK_FITS}, /* older than links are */
        {{100, 119, 0, 0}, {100, 119, 20, 7}, LINK_FITS},
        {{100, 119, 20, 7}, {100, 119, 20, 8}, LINK_IS_OTHER},
        {{100, 119, 20, 0}, {100, 118, 19, 0}, LINK_FALLS_SHORT},
        {{100, 119, 20, 0}, {100, 119, 19, 0}, LINK_FALLS_SHORT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(link_fit(&cases[i].expected, &cases[i].found), cases[i].fit);
}

static void a_log_has_a_number_of_its_own(void **state)
{
    (void)state;
    uint64_t log = links_make_log();
    assert_true(log && log <= INT64_MAX);
    assert_int_not_equal(log, links_make_log());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_come_back_as_they_were_written),
        cmocka_unit_test(unknown_links_leave_the_written_ones),
        cmocka_unit_test(bytes_of_another_length_give_no_links),
        cmocka_unit_test(the_digest_is_of_ids_and_checksums),
        cmocka_unit_test(a_file_is_held_against_what_is_known_of_it),
        cmocka_unit_test(a_log_has_a_number_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
