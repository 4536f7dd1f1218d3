#include "log/store/sqlite/event_rows.h"

#include "log/store/sqlite/db.h"
#include "log/store/sqlite/rowsum.h"
#include "log/store/sqlite/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct event *add(struct batch *batch, uint64_t id, enum event_state state)
{
    struct event *event = batch_add(batch);
    assert_non_null(event);
    event->id = id;
    event->state = (uint8_t)state;
    event->number = 7;
    event->channel = STR("room");
    event->type = STR("message");
    event->data = STR("hello");
    event->kind = EVENT_TEXT;
    return event;
}

static sqlite3 *connect(struct event_rows *rows)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(event_rows_define(db, rows), 0);
    return db;
}

/* The ids that the table has, each with a space behind it. */
static void expect_ids(sqlite3 *db, const char *want)
{
    struct buf ids = {0};
    sqlite3_stmt *statement;
    assert_int_equal(db_prepare(db, "SELECT id FROM appended", &statement), 0);
    while (db_row(statement) == 1)
        buf_addf(&ids, "%lld ", (long long)db_id(statement, 0));
    sqlite3_finalize(statement);
    assert_true(str_eq(buf_str(&ids), str_from(want)));
    buf_free(&ids);
}

/* Selects as the writer does, run by run, and expects the ids of each. */
static void only_appended_events_are_rows_and_a_run_ends_where_ids_skip(void **state)
{
    (void)state;
    struct event_rows rows = {.most = SIZE_MAX};
    struct batch *batches[] = {batch_new(), batch_new(), batch_new()};
    sqlite3 *db = connect(&rows);
    add(batches[0], 0, EVENT_DUPLICATE);
    add(batches[0], 4, EVENT_APPENDED);
    add(batches[0], 4, EVENT_TRIM);
    add(batches[2], 5, EVENT_APPENDED);
    add(batches[2], 6, EVENT_APPENDED);
    add(batches[2], 9, EVENT_APPENDED);
    add(batches[2], 0, EVENT_PROPOSED);
    uint64_t last = 0;
    rows.first = event_place_begin(batches, 3);
    expect_ids(db, "4 5 6 ");
    rows.most = 1;
    expect_ids(db, "4 ");
    rows.first = event_rows_end(&rows, &last);
    assert_int_equal(last, 4);
    rows.most = 2;
    expect_ids(db, "5 6 ");
    rows.first = event_rows_end(&rows, &last);
    assert_int_equal(last, 6);
    expect_ids(db, "9 ");
    rows.first = event_rows_end(&rows, &last);
    assert_int_equal(last, 9);
    assert_null(event_at(&rows.first));
    expect_ids(db, "");
    sqlite3_close(db);
    for (size_t i = 0; i < 3; i++)
        batch_unref(batches[i]);
}

static void each_column_is_what_the_event_has(void **state)
{
    (void)state;
    static const struct event_key key = {.key = "0123456789abcde", .content = 0x0102030405060708};
    struct event_rows rows = {.most = SIZE_MAX};
    struct batch *batch = batch_new();
    sqlite3 *db = connect(&rows);
    struct event *event = add(batch, (UINT64_C(1) << 53) - 1, EVENT_APPENDED);
    event->prev = 3;
    event->time_us = 1790000000000000;
    event->hops = 2;
    event->kind = EVENT_BINARY;
    event->content_type = STR("image/png");
    event->from = STR("somebody");
    event->data = STR("\0\xff");
    event->key = &key;
    sqlite3_stmt *statement;
    rows.first = event_place_begin(&batch, 1);
    assert_int_equal(db_prepare(db, DB_SELECT(WRITER_ROW) "appended", &statement), 0);
    assert_int_equal(db_row(statement), 1);
    assert_int_equal(db_id(statement, 0), event->id);
    assert_int_equal(db_id(statement, 1), 7);
    assert_int_equal(db_id(statement, 2), event->time_us);
    assert_int_equal(db_id(statement, 3), 3);
    assert_int_equal(db_id(statement, 4), writer_kind(event));
    assert_true(str_eq(db_bytes(statement, 5), STR("message")));
    assert_true(str_eq(db_bytes(statement, 6), STR("image/png")));
    assert_true(str_eq(db_bytes(statement, 7), STR("somebody")));
    assert_true(str_eq(db_bytes(statement, 8), STR("0123456789abcde\0\1\2\3\4\5\6\7\10")));
    assert_int_equal((uint32_t)db_id(statement, 9), rowsum(event));
    assert_int_equal(sqlite3_column_type(statement, 10), SQLITE_BLOB);
    assert_true(str_eq(db_bytes(statement, 10), STR("\0\xff")));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    batch_unref(batch);
}

static void a_value_that_the_event_lacks_is_null_and_empty_data_is_not(void **state)
{
    (void)state;
    struct event_rows rows = {.most = SIZE_MAX};
    struct batch *batch = batch_new();
    sqlite3 *db = connect(&rows);
    add(batch, 1, EVENT_APPENDED)->data = STR_NONE;
    struct event *binary = add(batch, 2, EVENT_APPENDED);
    binary->kind = EVENT_BINARY;
    binary->data = STR_NONE;
    sqlite3_stmt *statement;
    rows.first = event_place_begin(&batch, 1);
    assert_int_equal(
        db_prepare(db, "SELECT content_type, sender, key, data FROM appended", &statement), 0);
    static const int types[] = {SQLITE_TEXT, SQLITE_BLOB};
    for (size_t row = 0; row < 2; row++) {
        assert_int_equal(db_row(statement), 1);
        for (int i = 0; i < 3; i++)
            assert_int_equal(sqlite3_column_type(statement, i), SQLITE_NULL);
        assert_int_equal(sqlite3_column_type(statement, 3), types[row]);
        assert_int_equal(sqlite3_column_bytes(statement, 3), 0);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    batch_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_appended_events_are_rows_and_a_run_ends_where_ids_skip),
        cmocka_unit_test(each_column_is_what_the_event_has),
        cmocka_unit_test(a_value_that_the_event_lacks_is_null_and_empty_data_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
