#include "log/store/sqlite/testing.h"

#include "base/say.h"

static char folder[] = "/tmp/freshet-segment-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_testing_remove(folder);
    return 0;
}

static struct segment *begin(uint64_t first)
{
    struct segment *segment = segment_new(folder, first);
    assert_int_equal(segment_make_spare(folder), 0);
    assert_int_equal(segment_take_spare(folder, segment), 0);
    return segment;
}

static int load(uint64_t first, bool *ret_sealed)
{
    struct segment *segment = segment_new(folder, first);
    int result = segment_load(segment);
    *ret_sealed = segment->sealed;
    segment_unref(segment);
    return result;
}

static void a_file_is_named_by_16_digits(void **state)
{
    (void)state;
    struct segment *segment = segment_new("/x", 42);
    assert_string_equal(segment->path, "/x/0000000000000042.db");
    segment_unref(segment);
}

static void a_spare_is_a_single_file_for_its_owner_only(void **state)
{
    (void)state;
    char path[128];
    struct stat info;
    assert_int_equal(segment_make_spare(folder), 0);
    assert_int_equal(segment_make_spare(folder), 0); /* the one that is there is kept */
    snprintf(path, sizeof(path), "%s/spare.db", folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    snprintf(path, sizeof(path), "%s/spare.new-wal", folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_fresh_file_is_not_sealed_and_has_nothing(void **state)
{
    (void)state;
    struct segment *segment = begin(7);
    assert_int_equal(segment_load(segment), 0);
    assert_false(segment->sealed);
    assert_int_equal(index_rows(segment->index), 0);
    assert_int_equal(atomic_load(&segment->newest), 0);
    segment_unref(segment);
}

static void a_file_that_is_no_database_is_an_error(void **state)
{
    (void)state;
    bool sealed;
    struct segment *segment = begin(8);
    FILE *file = fopen(segment->path, "w");
    fclose(file);
    assert_int_equal(load(8, &sealed), -EIO); /* empty */
    file = fopen(segment->path, "w");
    for (int i = 0; i < 500; i++)
        fputs("nothing of the kind ", file);
    fclose(file);
    assert_int_equal(load(8, &sealed), -EIO);
    segment_unref(segment);
}

static void a_database_of_another_kind_is_an_error(void **state)
{
    (void)state;
    bool sealed;
    sqlite3 *db;
    struct segment *segment = segment_new(folder, 9);
    assert_int_equal(db_create_file(segment->path), 0);
    assert_int_equal(db_open(segment->path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "CREATE TABLE event(id)"), 0);
    sqlite3_close(db);
    assert_int_equal(load(9, &sealed), -EIO);
    segment_unref(segment);
}

static void a_torn_file_is_an_error(void **state)
{
    (void)state;
    bool sealed;
    struct segment *segment = begin(10);
    assert_int_equal(truncate(segment->path, 5000), 0);
    assert_int_equal(load(10, &sealed), -EIO);
    segment_unref(segment);
}

static void a_file_of_a_newer_version_is_refused(void **state)
{
    (void)state;
    bool sealed;
    sqlite3 *db;
    struct segment *segment = begin(11);
    assert_int_equal(db_open(segment->path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "UPDATE meta SET value = 2 WHERE name = 'version'"), 0);
    sqlite3_close(db);
    assert_int_equal(load(11, &sealed), -ENOTSUP);
    segment_unref(segment);
}

static void a_channel_that_is_in_a_sealed_file_is_never_denied(void **state)
{
    (void)state;
    sqlite3 *db;
    char sql[128];
    struct segment *segment = begin(12);
    assert_int_equal(db_open(segment->path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "BEGIN"), 0);
    for (uint32_t n = 1; n <= 9000; n += 3) {
        snprintf(sql, sizeof(sql), "INSERT INTO channel(number, name) VALUES(%u, 'c')", n);
        assert_int_equal(db_exec(db, sql), 0);
    }
    assert_int_equal(db_exec(db, "COMMIT"), 0);
    assert_int_equal(segment_load_sealed(segment, db), 0);
    sqlite3_close(db);
    uint32_t denied = 0;
    for (uint32_t n = 1; n <= 9000; n++) {
        assert_true(n % 3 != 1 || segment_may_have(segment, n));
        denied += !segment_may_have(segment, n);
    }
    assert_true(denied > 5000); /* of 6,000 that are not there */
    segment_unref(segment);
}

static void a_file_goes_with_all_that_lies_beside_it(void **state)
{
    (void)state;
    char path[160];
    struct segment *segment = begin(13);
    snprintf(path, sizeof(path), "%s-wal", segment->path);
    assert_int_equal(db_create_file(path), 0);
    assert_int_equal(segment_unlink(segment), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(segment->path, F_OK), -1);
    assert_int_equal(segment_unlink(segment), 0);
    segment_unref(segment);
}

/* A sealed file of the channels 7, 14, 21 … */
static void make_channels(struct segment *segment, uint32_t channels)
{
    sqlite3 *db;
    char sql[256];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %u)"
             " INSERT INTO channel(number, name) SELECT n * 7, 'x' FROM c",
             channels);
    assert_int_equal(db_open(segment->path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, sql), 0);
    assert_int_equal(segment_load_sealed(segment, db), 0);
    sqlite3_close(db);
}

static void the_filter_lets_few_channels_through_that_are_not_in_the_file(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 100, 5000};
    for (uint64_t i = 0; i < 3; i++) {
        struct segment *segment = begin(500 + i);
        uint32_t through = 0;
        make_channels(segment, counts[i]);
        for (uint32_t n = 1; n <= counts[i]; n++)
            assert_true(segment_may_have(segment, n * 7));
        for (uint32_t n = 1; n < 100000; n++)
            through += n % 7 ? segment_may_have(segment, n) : 0;
        assert_true(through < 100000 / 500);
        segment_unref(segment);
    }
}

/* Another program that reads the file at the start keeps it from being made single. Later appends
 * must not go into it, because the table of its channels has been written. */
static void a_file_that_was_finished_is_not_appended_to(void **state)
{
    (void)state;
    struct place place;
    char file[128];
    sqlite3 *db, *stranger;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 1000);
    place_close(&place);
    snprintf(file, sizeof(file), "%s/log/0000000000000100.db", place.dir);
    assert_int_equal(db_open(file, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "UPDATE channel SET count = 10, bytes = 10000, first = 100,"
                                 " last = 109; UPDATE meta SET value = 1 WHERE name = 'sealed';"
                                 "CREATE INDEX event_by_channel ON event(channel)"),
                     0);
    assert_int_equal(db_open(file, DB_WRITE, &stranger), 0);
    assert_int_equal(db_exec(stranger, "BEGIN; SELECT * FROM event"), 0);
    place_open(&place);
    place_put(&place, 200, 5, 1, "a", 1000);
    assert_int_equal(place_files(&place, ".db"), 2);
    sqlite3_close(db);
    assert_int_equal(db_exec(stranger, "COMMIT"), 0);
    sqlite3_close(stranger);
    place_roll(&place);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_find(&place, "a")->count, 15);
    assert_int_equal(place_find(&place, "a")->last, 204);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_named_by_16_digits),
        cmocka_unit_test(a_spare_is_a_single_file_for_its_owner_only),
        cmocka_unit_test(a_fresh_file_is_not_sealed_and_has_nothing),
        cmocka_unit_test(a_file_that_is_no_database_is_an_error),
        cmocka_unit_test(a_database_of_another_kind_is_an_error),
        cmocka_unit_test(a_torn_file_is_an_error),
        cmocka_unit_test(a_file_of_a_newer_version_is_refused),
        cmocka_unit_test(a_channel_that_is_in_a_sealed_file_is_never_denied),
        cmocka_unit_test(a_file_that_was_finished_is_not_appended_to),
        cmocka_unit_test(a_file_goes_with_all_that_lies_beside_it),
        cmocka_unit_test(the_filter_lets_few_channels_through_that_are_not_in_the_file),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
