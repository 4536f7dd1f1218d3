#include "presence/store.h"

#include "base/folder_testing.h"
#include "log/store/sqlite/db.h"
#include "log/store/sqlite/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char found[1024];

static void note(void *context, const struct save_row *row)
{
    size_t len = strlen(found);
    (void)context;
    snprintf(found + len, sizeof(found) - len, "%d:%.*s:%.*s:%d:%lld:%llu:%.*s ", (int)row->kind,
             STR_FMT(row->channel), STR_FMT(row->name), row->verified, (long long)row->since_ms,
             (unsigned long long)row->read, STR_FMT(row->state));
}

/* Writes some changes, each of which has the next. */
static int write_all(struct presence_store *store, struct save_row *rows, size_t count,
                     uint64_t position)
{
    for (size_t i = 0; i + 1 < count; i++)
        rows[i].next = &rows[i + 1];
    return presence_store_write(store, rows, position);
}

static void changes_survive_a_restart_and_a_mark_never_goes_back(void **state)
{
    char dir[] = "/tmp/presence_store.XXXXXX";
    struct presence_store *store;
    uint64_t position;
    struct save_row rows[] = {
        {.kind = SAVE_MARK, .channel = STR("c"), .name = STR("a"), .read = 7},
        {.kind = SAVE_MARK, .channel = STR("c"), .name = STR("a"), .verified = true, .read = 5},
        {.kind = SAVE_MARK, .channel = STR("c"), .name = STR("a"), .read = 3},
        {.kind = SAVE_MARK, .channel = STR("d"), .name = STR("a"), .read = 9},
        {.kind = SAVE_OCCUPIED, .channel = STR("c")},
        {.kind = SAVE_OCCUPIED, .channel = STR("c")},
        {.kind = SAVE_MEMBER, .channel = STR("c"), .name = STR("a"), .since_ms = 1},
        {.kind = SAVE_MEMBER, .channel = STR("c"), .name = STR("b"), .since_ms = 2},
        {.kind = SAVE_MEMBER,
         .channel = STR("c"),
         .name = STR("b"),
         .since_ms = 2,
         .state = STR("{}")},
        {.kind = DROP_MEMBER, .channel = STR("c"), .name = STR("a")},
        {.kind = DROP_MARKS, .channel = STR("d")},
    };
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(presence_store_open(dir, &store), 0);
    assert_int_equal(write_all(store, rows, sizeof(rows) / sizeof(rows[0]), 77), 0);
    presence_store_close(store);
    assert_int_equal(presence_store_open(dir, &store), 0);
    assert_int_equal(presence_store_load(store, note, NULL, &position), 0);
    assert_string_equal(found, "4:c:a:0:0:7: 4:c:a:1:0:5: 2:c::0:0:0: 0:c:b:0:2:0:{} ");
    assert_int_equal(position, 77);
    presence_store_close(store);
    folder_testing_remove(dir);
}

/* Whether the folder, as kill -9 would leave it now, has a mark of this channel. */
static bool has_mark_after_crash(const char *dir, const char *channel)
{
    char crashed[] = "/tmp/presence_store.XXXXXX", command[256], text[32];
    struct presence_store *store;
    uint64_t position;
    assert_non_null(mkdtemp(crashed));
    snprintf(command, sizeof(command), "cp %s/presence.db* %s && rm -f %s/*-shm", dir, crashed,
             crashed);
    assert_int_equal(system(command), 0);
    found[0] = '\0';
    assert_int_equal(presence_store_open(crashed, &store), 0);
    assert_int_equal(presence_store_load(store, note, NULL, &position), 0);
    presence_store_close(store);
    folder_testing_remove(crashed);
    snprintf(text, sizeof(text), "4:%s:", channel);
    return strstr(found, text) != NULL;
}

static int write_mark(struct presence_store *store, const char *channel)
{
    struct save_row row = {
        .kind = SAVE_MARK, .channel = str_from(channel), .name = STR("a"), .read = 7};
    return presence_store_write(store, &row, 1);
}

static void a_mark_that_was_refused_does_not_come_back_after_a_crash(void **state)
{
    char dir[] = "/tmp/presence_store.XXXXXX", channel[8];
    struct presence_store *store;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(presence_store_open(dir, &store), 0);
    for (unsigned long nth = 1; nth < 6; nth++) {
        snprintf(channel, sizeof(channel), "c%lu", nth);
        faults_set(nth, 1, SQLITE_IOERR_FSYNC);
        int result = write_mark(store, channel);
        faults_set(0, 0, 0);
        assert_int_equal(has_mark_after_crash(dir, channel), !result);
    }
    presence_store_close(store);
    folder_testing_remove(dir);
}

static void a_mark_that_may_come_back_is_told_as_that_until_it_cannot(void **state)
{
    char dir[] = "/tmp/presence_store.XXXXXX", channel[8];
    struct presence_store *store;
    unsigned unknown = 0;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(presence_store_open(dir, &store), 0);
    for (unsigned long nth = 1; nth < 6; nth++) {
        snprintf(channel, sizeof(channel), "c%lu", nth);
        faults_set(nth, 1000, SQLITE_IOERR_FSYNC);
        int result = write_mark(store, channel);
        unknown += result == PRESENCE_STORE_E_FATE_UNKNOWN;
        if (result == PRESENCE_STORE_E_FATE_UNKNOWN)
            assert_int_equal(write_mark(store, "other"), PRESENCE_STORE_E_FATE_UNKNOWN);
        faults_set(0, 0, 0);
        assert_int_equal(write_mark(store, "other"), 0);
        if (result)
            assert_false(has_mark_after_crash(dir, channel));
    }
    assert_true(unknown > 0);
    presence_store_close(store);
    folder_testing_remove(dir);
}

/* docs/operations.md: SQLite lays these files beside a database that is open. */
static void a_store_that_was_closed_is_one_file(void **state)
{
    char dir[] = "/tmp/presence_store.XXXXXX", path[100];
    struct presence_store *store;
    struct save_row row = {.kind = SAVE_MARK, .channel = STR("c"), .name = STR("a"), .read = 7};
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(presence_store_open(dir, &store), 0);
    assert_int_equal(presence_store_write(store, &row, 1), 0);
    presence_store_close(store);
    snprintf(path, sizeof(path), "%s/presence.db", dir);
    assert_int_equal(access(path, F_OK), 0);
    for (size_t i = 0; i < DB_SIDES; i++) {
        snprintf(path, sizeof(path), "%s/presence.db%s", dir, db_sides[i]);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    folder_testing_remove(dir);
}

int main(void)
{
    faults_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_survive_a_restart_and_a_mark_never_goes_back),
        cmocka_unit_test(a_mark_that_was_refused_does_not_come_back_after_a_crash),
        cmocka_unit_test(a_mark_that_may_come_back_is_told_as_that_until_it_cannot),
        cmocka_unit_test(a_store_that_was_closed_is_one_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
