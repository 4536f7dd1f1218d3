#include "client/lib/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static void an_envelope_is_an_event_with_its_id_as_cursor(void **state)
{
    (void)state;
    struct record record = record_read(STR("{\"id\":\"0000000000000017\",\"channel\":\"a\","
                                           "\"type\":\"t\",\"data\":{\"op\":\"beat\"}}"));
    assert_int_equal(record.kind, RECORD_EVENT);
    assert_str(record.cursor, "0000000000000017");
    assert_str(record.type, "t");
}

static void an_ephemeral_event_has_no_cursor(void **state)
{
    (void)state;
    struct record record = record_read(STR("{\"channel\":\"a\",\"type\":\"t\",\"data\":1}"));
    assert_int_equal(record.kind, RECORD_EVENT);
    assert_int_equal(record.cursor.len, 0);
}

static void control_records_are_told_apart_by_op(void **state)
{
    (void)state;
    struct record record = record_read(STR("{\"op\":\"beat\",\"cursor\":\"12\"}"));
    assert_int_equal(record.kind, RECORD_CURSOR);
    assert_str(record.cursor, "12");
    record = record_read(STR("{\"op\":\"ok\",\"ref\":1,\"cursor\":\"13\"}"));
    assert_int_equal(record.kind, RECORD_CURSOR);
    assert_str(record.cursor, "13");
    record = record_read(STR("{\"op\":\"bye\",\"cursor\":\"14\",\"retry_ms\":1234}"));
    assert_int_equal(record.kind, RECORD_BYE);
    assert_int_equal(record.retry_ms, 1234);
    assert_int_equal(record_read(STR("{\"op\":\"gap\",\"after\":\"1\"}")).kind, RECORD_GAP);
    assert_int_equal(record_read(STR("{\"op\":\"later\"}")).kind, RECORD_OTHER);
}

static void an_event_of_the_protocol_is_its_envelope(void **state)
{
    (void)state;
    struct record record = record_read(STR("{\"op\":\"event\",\"event\":{\"id\":\"5\"}}"));
    assert_int_equal(record.kind, RECORD_EVENT);
    assert_str(record.envelope, "{\"id\":\"5\"}");
    assert_str(record.cursor, "5");
    assert_int_equal(record_read(STR("{\"op\":\"event\",\"event\":[]}")).kind, RECORD_BROKEN);
    assert_int_equal(record_read(STR("{\"op\":\"event\"}")).kind, RECORD_BROKEN);
}

static void a_record_that_is_no_object_is_broken(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "[]", "1", "{", "{\"a\":}", "\"x\"", "{} {}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(record_read(str_from(wrong[i])).kind, RECORD_BROKEN);
}

static void a_cursor_is_up_to_16_digits(void **state)
{
    (void)state;
    assert_true(record_is_cursor(STR("0")));
    assert_true(record_is_cursor(STR("1795459080123456")));
    assert_false(record_is_cursor(STR("")));
    assert_false(record_is_cursor(STR("17954590801234567")));
    assert_false(record_is_cursor(STR("12&x=1")));
    assert_int_equal(record_read(STR("{\"op\":\"beat\",\"cursor\":\"1 2\"}")).cursor.len, 0);
}

static void a_page_gives_its_events_in_order(void **state)
{
    (void)state;
    struct record_page page;
    struct record record;
    assert_int_equal(record_read_page(STR("{\"events\":[{\"id\":\"1\"}, {\"id\":\"2\"}],"
                                          "\"cursor\":\"9\",\"more\":false}\n"),
                                      &page),
                     0);
    assert_str(page.cursor, "9");
    assert_int_equal(page.told.len, 0);
    size_t pos = 0;
    assert_true(record_next_event(&page, &pos, &record));
    assert_str(record.cursor, "1");
    assert_true(record_next_event(&page, &pos, &record));
    assert_str(record.cursor, "2");
    assert_false(record_next_event(&page, &pos, &record));
}

static void a_page_and_a_gap_say_up_to_where_gaps_were_told(void **state)
{
    (void)state;
    struct record_page page;
    struct str cursor, told;
    assert_int_equal(
        record_read_page(STR("{\"events\":[],\"cursor\":\"9\",\"told\":\"12\"}"), &page), 0);
    assert_str(page.told, "12");
    assert_int_equal(
        record_read_gap(
            STR("{\"earliest\":\"5\",\"next\":\"?after=3&told=5&wait=25&channel=a%2F**\"}"),
            &cursor, &told),
        0);
    assert_str(cursor, "3");
    assert_str(told, "5");
    static const char *const none[] = {"{\"earliest\":\"5\"}",
                                       "{\"next\":\"\"}",
                                       "{\"next\":7}",
                                       "{\"next\":\"?after=3\"}",
                                       "{\"next\":\"?after=x&told=5\"}",
                                       "[]"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(record_read_gap(str_from(none[i]), &cursor, &told), -EINVAL);
}

static void a_page_without_events_or_cursor_is_none(void **state)
{
    (void)state;
    struct record_page page;
    assert_int_equal(record_read_page(STR("{\"events\":[]}"), &page), -EINVAL);
    assert_int_equal(record_read_page(STR("{\"events\":{},\"cursor\":\"1\"}"), &page), -EINVAL);
    assert_int_equal(record_read_page(STR("<html>"), &page), -EINVAL);
}

static void assert_data(const char *envelope, struct str expected)
{
    struct buf out = {0};
    assert_int_equal(record_data(str_from(envelope), &out), 0);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.at, expected.at, expected.len);
    buf_free(&out);
}

static void data_comes_out_as_what_was_published(void **state)
{
    (void)state;
    assert_data("{\"data\":\"a\\n\\u00e9\"}", STR("a\n\xc3\xa9"));
    assert_data("{\"data\":{\"a\": 1e400}}", STR("{\"a\": 1e400}"));
    assert_data("{\"data\":\"\\ud800\"}", STR("\"\\ud800\""));
    assert_data("{\"content_type\":\"x/y\",\"data_base64\":\"AAEC\"}", STR("\0\1\2"));
    struct buf out = {0};
    assert_int_equal(record_data(STR("{\"id\":\"1\"}"), &out), -EINVAL);
    assert_int_equal(record_data(STR("{\"data_base64\":\"?\"}"), &out), -EINVAL);
    buf_free(&out);
}

static void a_problem_cannot_drive_the_terminal(void **state)
{
    (void)state;
    struct buf out = {0};
    record_add_problem(STR("{\"title\":\"t\",\"detail\":\"a\\u001b[2J\\nb\"}"), &out);
    assert_str(buf_str(&out), "a [2J b");
    buf_clear(&out);
    record_add_problem(STR("{\"title\":\"t\"}"), &out);
    assert_str(buf_str(&out), "t");
    buf_clear(&out);
    record_add_problem(STR("<html>"), &out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

/* The buffer has no memory yet, and gets none. */
static void an_empty_problem_adds_nothing_to_an_empty_buffer(void **state)
{
    static const char *const bodies[] = {"{\"title\":\"\"}", "{\"title\":\"t\",\"detail\":\"\"}",
                                         "{\"title\":\"\",\"next\":\"?told=2\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct buf out = {0};
        record_add_problem(str_from(bodies[i]), &out);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
}

static void a_control_record_is_told_without_its_envelope(void **state)
{
    (void)state;
    struct buf out = {0};
    record_add_control(
        &out, "$gap",
        STR("{\"op\":\"gap\",\"after\":\"1\",\"earliest\":\"5\",\"reason\":\"trimmed\"}"));
    assert_str(buf_str(&out), "$gap {\"after\":\"1\",\"earliest\":\"5\",\"reason\":\"trimmed\"}");
    buf_clear(&out);
    record_add_control(&out, "$bye", STR("nonsense"));
    assert_str(buf_str(&out), "$bye {}");
    buf_free(&out);
}

static void a_receipt_has_an_id_unless_the_event_was_ephemeral(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_int_equal(record_receipt_id(STR("{\"id\":\"17\",\"channel\":\"a\"}\n"), &out), 0);
    assert_str(buf_str(&out), "17");
    assert_int_equal(record_receipt_id(STR("{\"channel\":\"a\"}"), &out), -EINVAL);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_is_an_event_with_its_id_as_cursor),
        cmocka_unit_test(an_ephemeral_event_has_no_cursor),
        cmocka_unit_test(control_records_are_told_apart_by_op),
        cmocka_unit_test(an_event_of_the_protocol_is_its_envelope),
        cmocka_unit_test(a_record_that_is_no_object_is_broken),
        cmocka_unit_test(a_cursor_is_up_to_16_digits),
        cmocka_unit_test(a_page_gives_its_events_in_order),
        cmocka_unit_test(a_page_and_a_gap_say_up_to_where_gaps_were_told),
        cmocka_unit_test(a_page_without_events_or_cursor_is_none),
        cmocka_unit_test(data_comes_out_as_what_was_published),
        cmocka_unit_test(a_problem_cannot_drive_the_terminal),
        cmocka_unit_test(an_empty_problem_adds_nothing_to_an_empty_buffer),
        cmocka_unit_test(a_control_record_is_told_without_its_envelope),
        cmocka_unit_test(a_receipt_has_an_id_unless_the_event_was_ephemeral),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
