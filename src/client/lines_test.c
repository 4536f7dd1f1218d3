#include "client/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void join(void *context, struct str line)
{
    buf_add_str(context, line);
    buf_add_char(context, '|');
}

static void lines_are_cut_wherever_the_bytes_are(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct buf seen = {0};
    lines_feed(&lines, STR("a"), join, &seen);
    lines_feed(&lines, STR("b\nc\n\nd"), join, &seen);
    lines_feed(&lines, STR("\n"), join, &seen);
    assert_true(str_eq(buf_str(&seen), STR("ab|c||d|")));
    buf_free(&seen);
    buf_free(&lines.partial);
}

static void an_sse_record_ends_with_an_empty_line(void **state)
{
    (void)state;
    struct sse_record record = {0};
    assert_false(sse_record_line(&record, STR("id: 7")));
    assert_false(sse_record_line(&record, STR("data: a")));
    assert_false(sse_record_line(&record, STR("data:  b")));
    assert_true(sse_record_line(&record, STR("")));
    assert_true(str_eq(buf_str(&record.id), STR("7")));
    assert_true(str_eq(buf_str(&record.data), STR("a\n b")));
    sse_record_clear(&record);
    assert_false(sse_record_line(&record, STR("retry: 5")));
    assert_false(sse_record_line(&record, STR("")));
    buf_free(&record.id);
    buf_free(&record.data);
}

static void members_of_a_line_of_json_are_found(void **state)
{
    (void)state;
    struct str line = STR("{\"id\":\"7\",\"data\":{\"id\":\"8\"}}");
    assert_true(str_eq(json_plain(line, STR("id")), STR("7")));
    assert_true(str_eq(json_member(line, STR("data")), STR("{\"id\":\"8\"}")));
    assert_null(json_plain(line, STR("data")).at);
    assert_null(json_member(line, STR("op")).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_wherever_the_bytes_are),
        cmocka_unit_test(an_sse_record_ends_with_an_empty_line),
        cmocka_unit_test(members_of_a_line_of_json_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
