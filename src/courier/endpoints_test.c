#include "courier/endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct endpoint_row loaded;
static int loaded_count;

static void keep(void *context, struct endpoint_row *row)
{
    (void)context;
    if (loaded_count++)
        endpoint_row_free(&loaded);
    loaded = *row;
}

static struct endpoint_row sample(void)
{
    static char url[] = "http://a/", channels[] = "[\"a\"]", types[] = "[]", description[] = "";
    struct endpoint_row row = {.id = "wh_1",
                               .url = url,
                               .channels = channels,
                               .types = types,
                               .description = description,
                               .cursor = 7,
                               .created_us = 1};
    sign_key_make(&row.key);
    return row;
}

static void what_is_inserted_is_loaded(void **state)
{
    (void)state;
    struct sqlite3 *db;
    struct endpoint_row row = sample();
    loaded_count = 0;
    assert_int_equal(endpoints_open(NULL, &db), 0);
    assert_int_equal(endpoints_insert(db, &row), 0);
    assert_int_equal(endpoints_load(db, keep, NULL), 0);
    assert_int_equal(loaded_count, 1);
    assert_string_equal(loaded.url, row.url);
    assert_int_equal(loaded.cursor, 7);
    assert_memory_equal(loaded.key.bytes, row.key.bytes, row.key.len);
    endpoint_row_free(&loaded);
    endpoints_close(db);
}

static void a_cursor_moves_and_a_deleted_endpoint_is_gone(void **state)
{
    (void)state;
    struct sqlite3 *db;
    struct endpoint_row row = sample();
    loaded_count = 0;
    assert_int_equal(endpoints_open(NULL, &db), 0);
    assert_int_equal(endpoints_insert(db, &row), 0);
    row.cursor = 9;
    row.state = ENDPOINT_DISABLED;
    assert_int_equal(endpoints_begin(db), 0);
    assert_int_equal(endpoints_update(db, &row), 0);
    assert_int_equal(endpoints_commit(db), 0);
    assert_int_equal(endpoints_load(db, keep, NULL), 0);
    assert_int_equal(loaded.cursor, 9);
    assert_int_equal(loaded.state, ENDPOINT_DISABLED);
    assert_int_equal(endpoints_delete(db, row.id), 0);
    assert_int_equal(endpoints_load(db, keep, NULL), 0);
    assert_int_equal(loaded_count, 1);
    endpoint_row_free(&loaded);
    endpoints_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_inserted_is_loaded),
        cmocka_unit_test(a_cursor_moves_and_a_deleted_endpoint_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
