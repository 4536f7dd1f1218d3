#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/salvage.h"

#include <fcntl.h>

enum { PAGE = 4096, ROWS = 2000 };

static char dir[] = "/tmp/freshet-salvage-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "%s/x.db", mkdtemp(dir) ? dir : "");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    folder_testing_remove(dir);
    return 0;
}

static void run(sqlite3 *db, const char *sql)
{
    if (db_exec(db, sql))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* A table of many pages, beside one without rowids and an empty one. */
static void fill(void)
{
    sqlite3 *db;
    unlink(path);
    assert_int_equal(db_create_file(path), 0);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, \"a \"\"b\", c);"
            "CREATE TABLE pair(x, y, PRIMARY KEY(x, y)) WITHOUT ROWID;"
            "CREATE TABLE none(x);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO t SELECT i * 10, i, hex(randomblob(50)) FROM n;"
            "INSERT INTO pair VALUES(1, 2), (3, 4)");
    sqlite3_close(db);
}

static void spoil_page(off_t number, int byte)
{
    char page[PAGE];
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    memset(page, byte, sizeof(page));
    assert_int_equal(pwrite(fd, page, PAGE, number * PAGE), PAGE);
    close(fd);
}

static off_t pages(void)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_size / PAGE;
}

/* Into a table with its columns in another order. */
static sqlite3 *target(void)
{
    sqlite3 *db;
    assert_int_equal(db_open(":memory:", DB_WRITE, &db), 0);
    run(db, "CREATE TABLE t(c, id INTEGER PRIMARY KEY, \"a \"\"b\");"
            "CREATE TABLE pair(x, y, PRIMARY KEY(x, y)) WITHOUT ROWID;"
            "CREATE TABLE none(x); BEGIN");
    return db;
}

static struct salvaged salvage(sqlite3 *to, const char *table, int want)
{
    struct salvaged salvaged;
    struct salvage salvage = {.to = to};
    assert_int_equal(salvage_open(path, &salvage.from), 0);
    assert_int_equal(salvage_table(&salvage, table, &salvaged), want);
    sqlite3_close(salvage.from);
    return salvaged;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    int64_t number = -1;
    assert_int_equal(db_number(db, sql, &number), 0);
    return number;
}

static void a_table_that_is_whole_is_copied_whole(void **state)
{
    (void)state;
    fill();
    sqlite3 *to = target();
    struct salvaged salvaged = salvage(to, "t", 0);
    assert_true(salvaged.whole);
    assert_int_equal(salvaged.rows, ROWS);
    assert_int_equal(number(to, "SELECT count(*) FROM t WHERE id = \"a \"\"b\" * 10"), ROWS);
    assert_int_equal(number(to, "SELECT sum(length(c)) FROM t"), ROWS * 100);
    salvaged = salvage(to, "pair", 0);
    assert_true(salvaged.whole);
    assert_int_equal(number(to, "SELECT sum(x * 10 + y) FROM pair"), 46);
    salvaged = salvage(to, "none", 0);
    assert_true(salvaged.whole);
    assert_int_equal(salvaged.rows, 0);
    sqlite3_close(to);
}

static void rows_before_and_behind_a_damaged_page_are_copied(void **state)
{
    (void)state;
    static const int bytes[] = {0, 0xff, 'x'};
    for (size_t i = 0; i < 3; i++) {
        fill();
        spoil_page(pages() / 2, bytes[i]);
        sqlite3 *to = target();
        struct salvaged salvaged = salvage(to, "t", 0);
        assert_false(salvaged.whole);
        assert_true(salvaged.rows > ROWS * 9 / 10 && salvaged.rows < ROWS);
        assert_int_equal(number(to, "SELECT count(*) FROM t"), salvaged.rows);
        assert_true(salvaged.low > 10 && salvaged.high < ROWS * 10L);
        /* No row is missing outside of what is said to be lost. */
        assert_int_equal((salvaged.high - salvaged.low) / 10 - 1, ROWS - salvaged.rows);
        sqlite3_close(to);
    }
}

static void between_two_damaged_pages_nothing_is_copied(void **state)
{
    (void)state;
    fill();
    spoil_page(pages() / 4, 0);
    spoil_page(pages() * 3 / 4, 0);
    sqlite3 *to = target();
    struct salvaged salvaged = salvage(to, "t", 0);
    assert_false(salvaged.whole);
    assert_int_equal((salvaged.high - salvaged.low) / 10 - 1, ROWS - salvaged.rows);
    sqlite3_close(to);
}

static void a_table_that_cannot_be_read_at_all_is_no_error(void **state)
{
    (void)state;
    fill();
    sqlite3 *to = target();
    struct salvaged salvaged = salvage(to, "nowhere", 0);
    assert_false(salvaged.whole);
    spoil_page(1, 0); /* the root of the table */
    salvaged = salvage(to, "t", 0);
    assert_false(salvaged.whole);
    assert_int_equal(salvaged.rows, 0);
    assert_int_equal(salvaged.low, 0);
    assert_true(salvaged.high == INT64_MAX);
    spoil_page(0, 0);
    assert_false(salvage(to, "t", 0).whole);
    sqlite3_close(to);
}

static void a_page_of_another_place_ends_the_reading(void **state)
{
    (void)state;
    char page[PAGE];
    fill();
    off_t at = pages() / 2;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, page, PAGE, (at - 5) * PAGE), PAGE);
    assert_int_equal(pwrite(fd, page, PAGE, at * PAGE), PAGE);
    close(fd);
    sqlite3 *to = target();
    struct salvaged salvaged = salvage(to, "t", 0);
    assert_false(salvaged.whole);
    assert_int_equal(number(to, "SELECT count(*) FROM t"), salvaged.rows);
    sqlite3_close(to);
}

static bool takes_even(void *context, sqlite3_stmt *row)
{
    ++*(unsigned *)context;
    return sqlite3_column_int64(row, SALVAGE_FIRST) % 20 == 0;
}

static void a_row_may_be_refused(void **state)
{
    (void)state;
    unsigned asked = 0;
    fill();
    struct salvage salvage = {.to = target(), .takes = takes_even, .context = &asked};
    struct salvaged salvaged;
    assert_int_equal(salvage_open(path, &salvage.from), 0);
    assert_int_equal(salvage_table(&salvage, "t", &salvaged), 0);
    assert_true(salvaged.whole);
    assert_int_equal(asked, ROWS);
    assert_int_equal(salvaged.rows, ROWS / 2);
    sqlite3_close(salvage.from);
    sqlite3_close(salvage.to);
}

static void a_row_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    fill();
    sqlite3 *to = target();
    run(to, "PRAGMA max_page_count = 20");
    salvage(to, "t", -ENOSPC);
    sqlite3_close(to);
}

static void reading_alone_says_how_much_there_is(void **state)
{
    (void)state;
    fill();
    struct salvaged salvaged = salvage(NULL, "t", 0);
    assert_true(salvaged.whole);
    assert_int_equal(salvaged.rows, ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_is_whole_is_copied_whole),
        cmocka_unit_test(rows_before_and_behind_a_damaged_page_are_copied),
        cmocka_unit_test(between_two_damaged_pages_nothing_is_copied),
        cmocka_unit_test(a_table_that_cannot_be_read_at_all_is_no_error),
        cmocka_unit_test(a_page_of_another_place_ends_the_reading),
        cmocka_unit_test(a_row_may_be_refused),
        cmocka_unit_test(a_row_that_cannot_be_written_is_an_error),
        cmocka_unit_test(reading_alone_says_how_much_there_is),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
