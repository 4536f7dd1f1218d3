#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/exchange.h"

static char dir[] = "/tmp/freshet-exchange-XXXXXX";
static const char event_file[] = "log/0000000000001000.db";

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

static const char *path_in(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(path_in(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void check(const char *name, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(path_in(name), "r");
    assert_true((file != NULL) == (text != NULL));
    if (!file || !text)
        return;
    assert_true(fgets(found, sizeof(found), file) || !*text);
    assert_string_equal(found, text);
    fclose(file);
}

/* A damaged file with what SQLite laid beside it, and the copy. */
static void fill(void **state)
{
    (void)remove_dir(state);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(mkdir(path_in("log"), 0700), 0);
    assert_int_equal(mkdir(path_in("damaged"), 0700), 0);
    put(event_file, "damaged");
    put("log/0000000000001000.db-wal", "wal");
    put("log/0000000000001000.db-shm", "shm");
    put("copy", "copy");
}

enum { NAMES = 256 };

static int add(void *context, const char *name)
{
    char *names = context;
    size_t len = strlen(names);
    snprintf(names + len, NAMES - len, "%s ", name);
    return 0;
}

static void check_begun(const char *names)
{
    char found[NAMES] = "";
    assert_int_equal(exchange_each(dir, add, found), 0);
    assert_string_equal(found, names);
}

static void a_copy_takes_the_place_and_the_damaged_bytes_keep_a_name(void **state)
{
    fill(state);
    assert_false(exchange_is_begun(path_in(event_file)));
    assert_int_equal(exchange_begin(path_in(event_file), path_in("copy")), 0);
    assert_true(exchange_is_begun(path_in(event_file)));
    check_begun("log/0000000000001000.db ");
    check(event_file, "damaged");
    assert_int_equal(exchange_finish(path_in(event_file), path_in("damaged/x")), 0);
    check_begun("");
    check(event_file, "copy");
    check("log/0000000000001000.db-wal", NULL);
    check("log/0000000000001000.db-shm", NULL);
    check("damaged/x", "damaged");
    check("damaged/x-wal", "wal");
}

static void without_a_copy_nothing_takes_the_place(void **state)
{
    static const char *const copies[] = {NULL, "none"};
    for (size_t i = 0; i < 2; i++) {
        fill(state);
        const char *copy = copies[i] ? path_in(copies[i]) : NULL;
        assert_int_equal(exchange_begin(path_in(event_file), copy), 0);
        check_begun("log/0000000000001000.db ");
        assert_int_equal(exchange_finish(path_in(event_file), path_in("damaged/x")), 0);
        check_begun("");
        check(event_file, NULL);
        check("damaged/x", "damaged");
        check("damaged/x-wal", "wal");
    }
}

/* The file and its write-ahead log may be gone by then, each by itself. */
static void an_exchange_is_finished_from_each_step(void **state)
{
    static const char *const gone[][2] = {
        {"none", "none"},
        {"none", "log/0000000000001000.db-wal"},
        {"log/0000000000001000.db", "none"},
        {"log/0000000000001000.db", "log/0000000000001000.db-wal"}};
    for (size_t i = 0; i < 4; i++) {
        fill(state);
        assert_int_equal(exchange_begin(path_in(event_file), path_in("copy")), 0);
        unlink(path_in(gone[i][0]));
        unlink(path_in(gone[i][1]));
        assert_int_equal(exchange_finish(path_in(event_file), path_in("damaged/x")), 0);
        check_begun("");
        check(event_file, "copy");
        check("log/0000000000001000.db-wal", NULL);
    }
}

static void a_folder_in_place_of_the_file_is_moved(void **state)
{
    fill(state);
    unlink(path_in(event_file));
    assert_int_equal(mkdir(path_in(event_file), 0700), 0);
    assert_int_equal(exchange_begin(path_in(event_file), path_in("copy")), 0);
    assert_int_equal(exchange_finish(path_in(event_file), path_in("damaged/x")), 0);
    check(event_file, "copy");
    assert_int_equal(rmdir(path_in("damaged/x")), 0);
}

static void only_names_of_the_log_count(void **state)
{
    static const char *const others[] = {
        "notes.repaired",        ".repaired",
        "state.db.repaired.bak", "log/notes.repaired",
        "log/state.db.repaired", "log/0000000000000000.db.repaired",
        "log/1000.db.repaired"};
    fill(state);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        put(others[i], "x");
    check_begun("");
    put("sums.db.repaired", "");
    put("state.db.repaired", "x");
    check_begun("state.db sums.db ");
}

static void a_name_that_is_taken_is_not_overwritten(void **state)
{
    fill(state);
    put("damaged/x", "earlier");
    assert_int_equal(exchange_begin(path_in(event_file), path_in("copy")), 0);
    assert_int_equal(exchange_finish(path_in(event_file), path_in("damaged/x")), -EEXIST);
    check("damaged/x", "earlier");
    check(event_file, "damaged");
    assert_int_equal(exchange_finish(path_in(event_file), path_in("damaged/y")), 0);
    check(event_file, "copy");
    check("damaged/y-wal", "wal");
}

static void a_folder_that_is_not_there_has_nothing_begun(void **state)
{
    (void)state;
    char names[NAMES] = "";
    assert_int_equal(exchange_each("/proc/nowhere", add, names), 0);
    assert_string_equal(names, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_takes_the_place_and_the_damaged_bytes_keep_a_name),
        cmocka_unit_test(without_a_copy_nothing_takes_the_place),
        cmocka_unit_test(an_exchange_is_finished_from_each_step),
        cmocka_unit_test(a_folder_in_place_of_the_file_is_moved),
        cmocka_unit_test(only_names_of_the_log_count),
        cmocka_unit_test(a_name_that_is_taken_is_not_overwritten),
        cmocka_unit_test(a_folder_that_is_not_there_has_nothing_begun),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
