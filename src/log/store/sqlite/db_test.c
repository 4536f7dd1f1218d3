#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/db.h"

#include <fcntl.h>

static char dir[] = "/tmp/freshet-db-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    folder_testing_remove(dir);
    return 0;
}

static sqlite3 *open_new(const char *name, char *path, size_t size)
{
    sqlite3 *db;
    snprintf(path, size, "%s/%s", dir, name);
    assert_int_equal(db_create_file(path), 0);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    return db;
}

static void a_file_is_made_for_its_owner_only_and_once(void **state)
{
    (void)state;
    char path[256];
    struct stat info;
    snprintf(path, sizeof(path), "%s/new", dir);
    assert_int_equal(db_create_file(path), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(db_create_file(path), -EEXIST);
}

static void a_path_may_hold_what_means_something_in_a_uri(void **state)
{
    (void)state;
    char path[256];
    int64_t number = 0;
    sqlite3 *db = open_new("a?mode=memory#b%20c d", path, sizeof(path));
    assert_int_equal(db_exec(db, "CREATE TABLE t(n); INSERT INTO t VALUES(7)"), 0);
    sqlite3_close(db);
    assert_int_equal(db_open(path, DB_IMMUTABLE, &db), 0);
    assert_int_equal(db_number(db, "SELECT n FROM t", &number), 0);
    assert_int_equal(number, 7);
    sqlite3_close(db);
}

static void a_file_that_is_not_there_is_not_made(void **state)
{
    (void)state;
    char path[256];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/absent", dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), -EIO);
    assert_null(db);
    assert_int_equal(access(path, F_OK), -1);
}

static void an_immutable_connection_does_not_write(void **state)
{
    (void)state;
    char path[256];
    sqlite3 *db = open_new("fixed", path, sizeof(path));
    assert_int_equal(db_exec(db, "CREATE TABLE t(n)"), 0);
    sqlite3_close(db);
    assert_int_equal(db_open(path, DB_IMMUTABLE, &db), 0);
    assert_int_equal(db_exec(db, "INSERT INTO t VALUES(1)"), -EIO);
    sqlite3_close(db);
}

static void no_row_is_no_number(void **state)
{
    (void)state;
    char path[256];
    int64_t number = 3;
    sqlite3 *db = open_new("empty", path, sizeof(path));
    assert_int_equal(db_exec(db, "CREATE TABLE t(n)"), 0);
    assert_int_equal(db_number(db, "SELECT n FROM t", &number), -ENOENT);
    assert_int_equal(db_number(db, "SELECT n FROM nothing", &number), -EIO);
    assert_int_equal(number, 3);
    sqlite3_close(db);
}

static void text_and_blobs_come_back_byte_for_byte(void **state)
{
    (void)state;
    char path[256];
    sqlite3_stmt *statement;
    sqlite3 *db = open_new("bytes", path, sizeof(path));
    assert_int_equal(db_prepare(db, "SELECT ?1", &statement), 0);
    db_bind_text(statement, 1, (struct str){"a\0b\xc3\xa4", 5});
    assert_int_equal(db_row(statement), 1);
    assert_true(str_eq(db_bytes(statement, 0), (struct str){"a\0b\xc3\xa4", 5}));
    assert_int_equal(db_row(statement), 0);
    db_bind_text(statement, 1, STR_NONE);
    assert_int_equal(db_row(statement), 1);
    assert_int_equal(sqlite3_column_type(statement, 0), SQLITE_TEXT);
    assert_int_equal(db_bytes(statement, 0).len, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void a_database_that_may_not_grow_has_no_space(void **state)
{
    (void)state;
    char path[256];
    sqlite3 *db = open_new("full", path, sizeof(path));
    assert_int_equal(db_exec(db, "CREATE TABLE t(n); PRAGMA max_page_count = 3"), 0);
    assert_int_equal(db_exec(db, "INSERT INTO t VALUES(zeroblob(100000))"), -ENOSPC);
    sqlite3_close(db);
}

static void a_database_goes_with_all_that_lies_beside_it(void **state)
{
    (void)state;
    char path[256], side[280];
    sqlite3_close(open_new("goes", path, sizeof(path)));
    for (size_t i = 0; i < DB_SIDES; i++) {
        snprintf(side, sizeof(side), "%s%s", path, db_sides[i]);
        assert_int_equal(db_create_file(side), 0);
    }
    assert_int_equal(db_unlink(path), 0);
    assert_int_equal(access(path, F_OK), -1);
    for (size_t i = 0; i < DB_SIDES; i++) {
        snprintf(side, sizeof(side), "%s%s", path, db_sides[i]);
        assert_int_equal(access(side, F_OK), -1);
    }
    assert_int_equal(db_unlink(path), 0);
}

static void the_first_failure_to_unlink_is_told_and_the_rest_goes(void **state)
{
    (void)state;
    char path[256], side[280];
    sqlite3_close(open_new("stays", path, sizeof(path)));
    snprintf(side, sizeof(side), "%s-wal", path);
    assert_int_equal(mkdir(side, 0700), 0);
    assert_int_equal(db_unlink(path), -EISDIR);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(side), 0);
}

/* Reading from it would never end. */
static void a_path_to_anything_but_a_file_is_not_opened(void **state)
{
    (void)state;
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char path[256], side[280];
    sqlite3 *db = open_new("x", path, sizeof(path));
    sqlite3_close(db);
    for (size_t i = 0; i < 4; i++) {
        snprintf(side, sizeof(side), "%s%s", path, ends[i]);
        unlink(side);
        assert_true(db_is_plain(side));
        assert_int_equal(mkfifo(side, 0600), 0);
        assert_false(db_is_plain(side));
        assert_int_equal(db_open(path, DB_WRITE, &db), -EISDIR);
        assert_null(db);
        assert_int_equal(db_open(path, DB_READ, &db), -EISDIR);
        assert_int_equal(db_open_file(side, O_RDONLY), -EISDIR);
        assert_int_equal(db_open_file(side, O_RDWR), -EISDIR);
        assert_int_equal(db_open_file(side, O_WRONLY), -ENXIO);
        unlink(side);
        if (i == 0)
            assert_int_equal(db_create_file(path), 0);
    }
    assert_int_equal(db_open_file(dir, O_RDONLY), -EISDIR);
    assert_int_equal(db_open_file(side, O_RDONLY), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_made_for_its_owner_only_and_once),
        cmocka_unit_test(a_path_may_hold_what_means_something_in_a_uri),
        cmocka_unit_test(a_file_that_is_not_there_is_not_made),
        cmocka_unit_test(an_immutable_connection_does_not_write),
        cmocka_unit_test(no_row_is_no_number),
        cmocka_unit_test(text_and_blobs_come_back_byte_for_byte),
        cmocka_unit_test(a_database_that_may_not_grow_has_no_space),
        cmocka_unit_test(a_database_goes_with_all_that_lies_beside_it),
        cmocka_unit_test(the_first_failure_to_unlink_is_told_and_the_rest_goes),
        cmocka_unit_test(a_path_to_anything_but_a_file_is_not_opened),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
