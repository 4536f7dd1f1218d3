#include "log/store/sqlite/testing.h"

#include <dirent.h>
#include <sys/resource.h>

static char folder[] = "/tmp/freshet-reader-XXXXXX";

enum { SEGMENTS = 6, IDLE = 3 };

static struct segment *segments[SEGMENTS];

static int make_segments(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    for (uint64_t i = 0; i < SEGMENTS; i++) {
        segments[i] = segment_new(folder, i + 1);
        if (segment_make_spare(folder) || segment_take_spare(folder, segments[i]))
            return -1;
    }
    return 0;
}

static int remove_segments(void **state)
{
    (void)state;
    for (int i = 0; i < SEGMENTS; i++)
        segment_unref(segments[i]);
    folder_testing_remove(folder);
    return 0;
}

/* Descriptors that this process has open. */
static size_t open_files(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static struct reader *take(struct readers *readers, struct segment *segment)
{
    struct reader *reader;
    sqlite3_stmt *statement;
    assert_int_equal(reader_take(readers, segment, &reader), 0);
    assert_int_equal(reader_statement(reader, READER_NAME, &statement), 0);
    sqlite3_bind_int(statement, 1, 1);
    assert_int_equal(db_row(statement), 0);
    return reader;
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    struct readers *readers = readers_new(IDLE, NULL);
    struct reader *first = take(readers, segments[0]);
    reader_give(readers, first, false);
    struct reader *again = take(readers, segments[0]);
    assert_ptr_equal(again, first);
    struct reader *second = take(readers, segments[0]); /* the first is in use */
    assert_ptr_not_equal(second, first);
    reader_give(readers, again, false);
    reader_give(readers, second, false);
    readers_free(readers);
}

static void no_more_than_so_many_stay_open(void **state)
{
    (void)state;
    struct readers *readers = readers_new(IDLE, NULL);
    size_t most = 0, before = open_files();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SEGMENTS; i++)
            reader_give(readers, take(readers, segments[i]), false);
        most = open_files() - before;
        assert_true(most <= (size_t)IDLE * 3); /* file, write-ahead log, its index */
    }
    readers_free(readers);
    assert_int_equal(open_files(), before);
}

static void the_least_recently_used_reader_is_closed_first(void **state)
{
    (void)state;
    struct readers *readers = readers_new(2, NULL);
    struct reader *kept = take(readers, segments[0]);
    reader_give(readers, kept, false);
    for (int i = 1; i < SEGMENTS; i++) {
        reader_give(readers, take(readers, segments[i]), false);
        struct reader *again = take(readers, segments[0]);
        assert_ptr_equal(again, kept);
        reader_give(readers, again, false);
    }
    readers_free(readers);
}

static void a_dropped_segment_keeps_no_connection(void **state)
{
    (void)state;
    struct readers *readers = readers_new(IDLE, NULL);
    size_t before = open_files();
    struct reader *busy = take(readers, segments[0]);
    reader_give(readers, take(readers, segments[0]), false);
    readers_drop(readers, segments[0]);
    reader_give(readers, busy, false);
    assert_int_equal(open_files(), before);
    readers_free(readers);
}

static void more_idle_connections_than_descriptors_are_closed(void **state)
{
    (void)state;
    struct readers *readers = readers_new(SEGMENTS, NULL);
    struct rlimit was, few;
    for (int i = 0; i < SEGMENTS - 1; i++)
        reader_give(readers, take(readers, segments[i]), false);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = (struct rlimit){.rlim_cur = open_files() - 2, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    reader_give(readers, take(readers, segments[SEGMENTS - 1]), false);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    readers_free(readers);
}

static void few_descriptors_allow_few_idle_connections(void **state)
{
    (void)state;
    struct rlimit was, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = (struct rlimit){.rlim_cur = 256, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(readers_affordable(), 256 / READERS_DESCRIPTORS_SHARE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static void a_reader_that_failed_is_not_used_again(void **state)
{
    (void)state;
    struct readers *readers = readers_new(IDLE, NULL);
    size_t before = open_files();
    reader_give(readers, take(readers, segments[0]), true);
    assert_int_equal(open_files(), before);
    readers_free(readers);
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct readers *readers = readers_new(IDLE, NULL);
    struct segment *missing = segment_new(folder, 999);
    struct reader *reader;
    assert_int_equal(reader_take(readers, missing, &reader), -EIO);
    segment_unref(missing);
    readers_free(readers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(no_more_than_so_many_stay_open),
        cmocka_unit_test(the_least_recently_used_reader_is_closed_first),
        cmocka_unit_test(a_dropped_segment_keeps_no_connection),
        cmocka_unit_test(more_idle_connections_than_descriptors_are_closed),
        cmocka_unit_test(few_descriptors_allow_few_idle_connections),
        cmocka_unit_test(a_reader_that_failed_is_not_used_again),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_segments, remove_segments);
}
