#include "log/store/sqlite/testing.h"

#include "base/say.h"

static char folder[] = "/tmp/freshet-sums-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/sums.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_testing_remove(folder);
    return 0;
}

static struct sums *open_sums(void)
{
    struct sums *sums;
    assert_int_equal(sums_open(path, &sums), 0);
    return sums;
}

static void put(struct sums *sums, struct sums_row row)
{
    assert_int_equal(sums_begin(sums), 0);
    assert_int_equal(sums_end(sums, sums_put(sums, &row)), 0);
}

static void check(struct sums *sums, uint32_t number, uint64_t last, uint64_t count)
{
    struct sums_row row;
    assert_int_equal(sums_get(sums, number, &row), last != 0);
    if (!last)
        return;
    assert_int_equal(row.last, last);
    assert_int_equal(row.count, count);
}

static void a_row_that_was_put_is_there_when_it_is_opened_again(void **state)
{
    (void)state;
    struct sums *sums = open_sums();
    struct sums_row row;
    put(sums, (struct sums_row){STR("a/b"), 7, 100, 50, 3, 30});
    sums_close(sums);
    sums = open_sums();
    assert_int_equal(sums_get(sums, 7, &row), 1);
    assert_true(str_eq(row.name, STR("a/b")));
    assert_int_equal(row.trimmed, 50);
    assert_int_equal(row.bytes, 30);
    check(sums, 7, 100, 3);
    check(sums, 8, 0, 0);
    assert_int_equal(sums_discard(sums, path), 0);
}

static void a_row_is_added_to_only_at_its_floor_and_name(void **state)
{
    (void)state;
    struct sums *sums = open_sums();
    struct sums_row row = {STR("a"), 1, 100, 50, 3, 30}, more = {STR("a"), 1, 200, 50, 2, 20};
    assert_int_equal(sums_begin(sums), 0);
    assert_int_equal(sums_add(sums, &row), 0);
    assert_int_equal(sums_add(sums, &more), 0);
    more.trimmed = 60;
    assert_int_equal(sums_add(sums, &more), 1);
    more.trimmed = 50;
    more.name = STR("b");
    assert_int_equal(sums_add(sums, &more), 1);
    assert_int_equal(sums_end(sums, 0), 0);
    check(sums, 1, 200, 5);
    assert_int_equal(sums_discard(sums, path), 0);
}

static void a_transaction_that_ends_with_an_error_is_taken_back(void **state)
{
    (void)state;
    struct sums *sums = open_sums();
    struct sums_row row = {STR("a"), 1, 100, 50, 3, 30};
    assert_int_equal(sums_begin(sums), 0);
    assert_int_equal(sums_put(sums, &row), 0);
    assert_int_equal(sums_end(sums, -EIO), -EIO);
    check(sums, 1, 0, 0);
    assert_int_equal(sums_discard(sums, path), 0);
}

static int first_file(void *context, const struct sums_file *file)
{
    *(struct sums_file *)context = *file;
    assert_true(str_eq(file->filter, STR("filter")));
    assert_true(str_eq(file->links, STR("links")));
    return 1;
}

static void a_file_is_told_as_it_was_put(void **state)
{
    (void)state;
    struct sums *sums = open_sums();
    struct sums_file file = {100, 3, 101, 110, -5, 6, 105, 4, STR("filter"), STR("links")};
    struct sums_file got = {0};
    assert_int_equal(sums_begin(sums), 0);
    assert_int_equal(sums_end(sums, sums_put_file(sums, &file)), 0);
    assert_int_equal(sums_each_file(sums, first_file, &got), 1);
    assert_int_equal(got.first, 100);
    assert_int_equal(got.stamp, 3);
    assert_int_equal(got.oldest_time_us, -5);
    assert_int_equal(got.keyed, 105);
    assert_int_equal(got.channels, 4);
    assert_int_equal(sums_begin(sums), 0);
    assert_int_equal(sums_end(sums, sums_drop_file(sums, 100)), 0);
    assert_int_equal(sums_each_file(sums, first_file, &got), 0);
    assert_int_equal(sums_discard(sums, path), 0);
}

static int count_file(void *context, const struct sums_file *file)
{
    ++*(int *)context;
    assert_int_equal(file->first, 100);
    assert_int_equal(file->links.len, 0);
    return 0;
}

static void a_database_from_before_there_were_links_is_kept(void **state)
{
    (void)state;
    int files = 0;
    sqlite3 *db;
    struct sums *sums = open_sums();
    struct sums_file file = {100, 3, 101, 110, -5, 6, 105, 4, STR("filter"), STR_NONE};
    assert_int_equal(sums_begin(sums), 0);
    assert_int_equal(sums_end(sums, sums_put_file(sums, &file)), 0);
    put(sums, (struct sums_row){STR("a"), 1, 100, 50, 3, 30});
    sums_close(sums);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "ALTER TABLE file DROP COLUMN links; PRAGMA user_version = 1"), 0);
    sqlite3_close(db);
    for (int again = 0; again < 2; again++) {
        sums = open_sums();
        assert_int_equal(sums_each_file(sums, count_file, &files), 0);
        assert_int_equal(files, again + 1);
        check(sums, 1, 100, 3);
        sums_close(sums);
    }
    assert_int_equal(sums_discard(NULL, path), 0);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_database_that_cannot_be_used_is_replaced_by_an_empty_one(void **state)
{
    (void)state;
    sqlite3 *db;
    write_file(
        "this is no database, and is longer than the header of one would be: 100 bytes ......."
        "....................................................................");
    struct sums *sums = open_sums();
    put(sums, (struct sums_row){STR("a"), 1, 100, 50, 3, 30});
    sums_close(sums);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "PRAGMA user_version = 99"), 0);
    sqlite3_close(db);
    sums = open_sums(); /* a newer version's */
    check(sums, 1, 0, 0);
    assert_int_equal(sums_discard(sums, path), 0);
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_was_put_is_there_when_it_is_opened_again),
        cmocka_unit_test(a_row_is_added_to_only_at_its_floor_and_name),
        cmocka_unit_test(a_transaction_that_ends_with_an_error_is_taken_back),
        cmocka_unit_test(a_file_is_told_as_it_was_put),
        cmocka_unit_test(a_database_from_before_there_were_links_is_kept),
        cmocka_unit_test(a_database_that_cannot_be_used_is_replaced_by_an_empty_one),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
