#include "http/fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/testing.h"

static const struct http_limits limits = {.line_max = 20, .fields_max = 3, .section_max = 40};

/* Scans the text at once and byte by byte; both must give the same result. */
static int scan(struct str text, struct http_extent *ret)
{
    struct http_scan at_once = {0}, trickle = {0};
    struct http_extent extent;
    struct str bytes = exact(text);
    int result = http_scan(&at_once, bytes, &limits, ret);
    int step = -EAGAIN;
    for (size_t len = 1; len <= bytes.len && step == -EAGAIN; len++) {
        struct str prefix = exact((struct str){bytes.at, len});
        step = http_scan(&trickle, prefix, &limits, &extent);
        exact_free(prefix);
    }
    assert_int_equal(result, step);
    if (!result)
        assert_memory_equal(ret, &extent, sizeof(extent));
    exact_free(bytes);
    return result;
}

static int scan_result(struct str text)
{
    struct http_extent extent;
    return scan(text, &extent);
}

static int parse(struct str lines, struct http_fields *ret)
{
    struct str bytes = exact(lines);
    int result = http_fields_parse(bytes, &limits, ret);
    for (size_t i = 0; !result && i < ret->count; i++) { /* point into the test's own text */
        ret->at[i].name.at = lines.at + (ret->at[i].name.at - bytes.at);
        ret->at[i].value.at = lines.at + (ret->at[i].value.at - bytes.at);
    }
    exact_free(bytes);
    return result;
}

static int parse_result(struct str lines)
{
    struct http_fields fields;
    return parse(lines, &fields);
}

static int framing(struct str lines, int minor, struct http_framing *ret)
{
    struct http_fields fields;
    assert_int_equal(parse(lines, &fields), 0);
    return http_framing_read(&fields, minor, ret);
}

static void a_head_ends_at_its_empty_line(void **state)
{
    (void)state;
    struct http_extent extent;
    assert_int_equal(scan(STR("X / Y\r\nA: b\r\n\r\n"), &extent), 0);
    assert_int_equal(extent.start, 0);
    assert_int_equal(extent.fields, 7);
    assert_int_equal(extent.size, 15);
    assert_int_equal(scan(STR("X / Y\r\n\r\n"), &extent), 0);
    assert_int_equal(extent.size, 9);
}

static void bytes_after_a_head_are_not_part_of_it(void **state)
{
    (void)state;
    struct http_scan position = {0};
    struct http_extent extent;
    assert_int_equal(http_scan(&position, STR("X / Y\r\n\r\nZ / Y\r\n\r\n"), &limits, &extent), 0);
    assert_int_equal(extent.size, 9);
    assert_int_equal(position.at, 0);
    assert_int_equal(position.fields, 0);
}

static void a_few_empty_lines_before_a_head_are_passed_over(void **state)
{
    (void)state;
    struct http_extent extent;
    assert_int_equal(scan(STR("\r\n\r\n\r\n\r\nX\r\n\r\n"), &extent), 0);
    assert_int_equal(extent.start, 8);
    assert_int_equal(extent.fields, 11);
    assert_int_equal(extent.size, 13);
    assert_int_equal(scan_result(STR("\r\n\r\n\r\n\r\n\r\nX\r\n\r\n")), HTTP_E_EMPTY_LINES);
    assert_int_equal(scan_result(STR("\nX\r\n\r\n")), HTTP_E_LINE_END);
    assert_int_equal(scan_result(STR("\rX\r\n\r\n")), HTTP_E_LINE_END);
}

static void an_unfinished_head_asks_for_more(void **state)
{
    (void)state;
    assert_int_equal(scan_result(STR("X")), -EAGAIN);
    assert_int_equal(scan_result(STR("\r\n")), -EAGAIN);
    assert_int_equal(scan_result(STR("X / Y\r\n\r")), -EAGAIN);
    assert_int_equal(scan_result(STR("X / Y\r\nA: b\r\n")), -EAGAIN);
}

static void nothing_at_all_asks_for_more(void **state)
{
    (void)state;
    struct http_scan position = {0};
    struct http_extent extent;
    assert_int_equal(http_scan(&position, STR_NONE, &limits, &extent), -EAGAIN);
}

static void a_bare_line_feed_is_refused_as_soon_as_it_comes(void **state)
{
    (void)state;
    assert_int_equal(scan_result(STR("X / Y\n")), HTTP_E_LINE_END);
    assert_int_equal(scan_result(STR("X / Y\r\nA: b\n")), HTTP_E_LINE_END);
    assert_int_equal(scan_result(STR("X / Y\r\nA: b\r\n\n")), HTTP_E_LINE_END);
}

static void another_protocol_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    assert_int_equal(scan_result(STR("\x16\x03\x01")), HTTP_E_START_LINE);
    assert_int_equal(scan_result(STR(" X")), HTTP_E_START_LINE);
}

static void a_first_line_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    assert_int_equal(scan_result(STR("12345678901234567890\r\n\r\n")), 0);
    assert_int_equal(scan_result(STR("123456789012345678901\r\n\r\n")), HTTP_E_LINE_TOO_LONG);
    assert_int_equal(scan_result(STR("1234567890123456789012")), HTTP_E_LINE_TOO_LONG);
}

static void a_header_section_may_be_as_large_as_the_limit(void **state)
{
    (void)state;
    assert_int_equal(scan_result(STR("X\r\nA: 34567890123456789012345678901234\r\n\r\n")), 0);
    assert_int_equal(scan_result(STR("X\r\nA: 3456789012345678901234567890123456\r\n\r\n")),
                     HTTP_E_TOO_LARGE);
    assert_int_equal(scan_result(STR("X\r\n1234567890123456789012345678901234567890")),
                     HTTP_E_TOO_LARGE);
}

static void a_head_that_trickles_in_is_searched_only_once(void **state)
{
    (void)state;
    struct http_scan position = {0};
    struct http_extent extent;
    char *bytes = malloc(1000);
    assert_non_null(bytes);
    memset(bytes, 'x', 1000);
    const struct http_limits wide = {.line_max = 5000, .section_max = 5000};
    assert_int_equal(http_scan(&position, (struct str){bytes, 1000}, &wide, &extent), -EAGAIN);
    assert_int_equal(position.at, 1000);
    /* The scan must not look at bytes again that it has searched: an end written into them now is
     * not seen. */
    bytes[500] = bytes[502] = '\r';
    bytes[501] = bytes[503] = '\n';
    assert_int_equal(http_scan(&position, (struct str){bytes, 1000}, &wide, &extent), -EAGAIN);
    free(bytes);
}

static void fields_come_in_order_without_the_space_around_values(void **state)
{
    (void)state;
    struct http_fields fields;
    assert_int_equal(parse(STR("Host:a\r\nX-Y: \t b c \t\r\nEmpty:\r\n"), &fields), 0);
    assert_int_equal(fields.count, 3);
    assert_str(fields.at[0].name, "Host");
    assert_str(fields.at[0].value, "a");
    assert_str(fields.at[1].value, "b c");
    assert_int_equal(fields.at[2].value.len, 0);
    assert_non_null(fields.at[2].value.at);
}

/* Names of one length with the same ends share a bit of http_fields.names. */
static void a_name_is_found_in_any_case_and_not_taken_for_a_similar_one(void **state)
{
    (void)state;
    struct http_fields fields;
    assert_int_equal(parse(STR("HOST:a\r\nX-Key-1:b\r\nx-KEY-1:c\r\n"), &fields), 0);
    assert_str(http_fields_get(&fields, STR("host")), "a");
    assert_str(http_fields_get(&fields, STR("x-key-1")), "b");
    assert_true(http_fields_repeat(&fields, STR("x-key-1")));
    assert_null(http_fields_get(&fields, STR("hurt")).at);
    assert_null(http_fields_get(&fields, STR("origin")).at);
    assert_int_equal(parse(STR(""), &fields), 0);
    assert_null(http_fields_get(&fields, STR("host")).at);
}

static void more_fields_than_the_limit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_result(STR("A:1\r\nB:2\r\nC:3\r\n")), 0);
    assert_int_equal(parse_result(STR("A:1\r\nB:2\r\nC:3\r\nD:4\r\n")), HTTP_E_TOO_MANY);
}

static void a_limit_above_what_there_is_room_for_is_no_overflow(void **state)
{
    (void)state;
    static const struct http_limits wide = {.fields_max = 1000};
    struct http_fields fields;
    char lines[(HTTP_FIELDS_MAX + 1) * 5 + 1];
    for (size_t i = 0; i <= HTTP_FIELDS_MAX; i++)
        memcpy(lines + 5 * i, "A:1\r\n", 6);
    struct str all = {lines, (size_t)5 * HTTP_FIELDS_MAX};
    assert_int_equal(http_fields_parse(all, &wide, &fields), 0);
    all.len += 5;
    assert_int_equal(http_fields_parse(all, &wide, &fields), HTTP_E_TOO_MANY);
}

static void a_folded_line_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_result(STR("A: b\r\n c\r\n")), HTTP_E_FOLDED);
    assert_int_equal(parse_result(STR("A: b\r\n\tc\r\n")), HTTP_E_FOLDED);
    assert_int_equal(parse_result(STR(" A: b\r\n")), HTTP_E_FOLDED);
}

static void white_space_before_the_colon_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_result(STR("A : b\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("A\t: b\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("A b: c\r\n")), HTTP_E_NAME);
}

static void a_name_must_be_a_token(void **state)
{
    (void)state;
    assert_int_equal(parse_result(STR(": b\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("A\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("A(b): c\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("A\0: c\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("\xc3\xa4: c\r\n")), HTTP_E_NAME);
    assert_int_equal(parse_result(STR("A")), HTTP_E_NAME);
}

static void control_characters_in_a_value_are_refused(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char line[] = "A: bxc\r\n";
        line[4] = (char)c;
        int wanted = c == '\r' || c == '\n'                 ? HTTP_E_LINE_END
                     : c != '\t' && (c < 0x20 || c == 0x7f) ? HTTP_E_VALUE
                                                            : 0;
        assert_int_equal(parse_result((struct str){line, 8}), wanted);
    }
}

static void a_line_that_does_not_end_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_result(STR("A: b")), HTTP_E_VALUE);
    assert_int_equal(parse_result(STR("A: b\r")), HTTP_E_LINE_END);
}

static void names_are_compared_without_case(void **state)
{
    (void)state;
    struct http_fields fields;
    assert_int_equal(parse(STR("ETag: a\r\nX: 1\r\netag: b\r\n"), &fields), 0);
    assert_str(http_fields_get(&fields, STR("etag")), "a");
    assert_null(http_fields_get(&fields, STR("eta")).at);
    struct str value = STR_NONE;
    size_t pos = 0;
    assert_true(http_fields_next(&fields, STR("etag"), &pos, &value));
    assert_str(value, "a");
    assert_true(http_fields_next(&fields, STR("etag"), &pos, &value));
    assert_str(value, "b");
    assert_false(http_fields_next(&fields, STR("etag"), &pos, &value));
}

static void a_list_spans_all_fields_of_its_name(void **state)
{
    (void)state;
    struct http_fields fields;
    assert_int_equal(parse(STR("V: a, b\r\nv:,C ,\r\nW: d\r\n"), &fields), 0);
    assert_true(http_fields_list_has(&fields, STR("v"), STR("b")));
    assert_true(http_fields_list_has(&fields, STR("v"), STR("c")));
    assert_false(http_fields_list_has(&fields, STR("v"), STR("d")));
    assert_false(http_fields_list_has(&fields, STR("v"), STR("")));
}

static void a_content_length_is_digits_that_fit(void **state)
{
    (void)state;
    struct http_framing f;
    assert_int_equal(framing(STR("Content-Length: 18446744073709551615\r\n"), 1, &f), 0);
    assert_true(f.has_content_length && f.content_length == UINT64_MAX);
    assert_int_equal(framing(STR("content-length: 0\r\n"), 1, &f), 0);
    assert_true(f.has_content_length && f.content_length == 0);
    assert_int_equal(framing(STR("Content-Length: 18446744073709551616\r\n"), 1, &f),
                     HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length: 99999999999999999999999\r\n"), 1, &f),
                     HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length: -1\r\n"), 1, &f), HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length: +1\r\n"), 1, &f), HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length: 0x10\r\n"), 1, &f), HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length: 1 2\r\n"), 1, &f), HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length: 1, 1\r\n"), 1, &f), HTTP_E_LENGTH);
    assert_int_equal(framing(STR("Content-Length:\r\n"), 1, &f), HTTP_E_LENGTH);
}

static void the_connection_lives_on_by_version_and_wish(void **state)
{
    (void)state;
    struct http_framing f;
    assert_int_equal(framing(STR(""), 1, &f), 0);
    assert_true(f.keep_alive);
    assert_int_equal(framing(STR(""), 0, &f), 0);
    assert_false(f.keep_alive);
    assert_int_equal(framing(STR("Connection: upgrade, Close\r\n"), 1, &f), 0);
    assert_false(f.keep_alive);
    assert_int_equal(framing(STR("Connection: Keep-Alive\r\n"), 0, &f), 0);
    assert_true(f.keep_alive);
    assert_int_equal(framing(STR("Connection: keep-alive\r\nConnection: close\r\n"), 1, &f), 0);
    assert_false(f.keep_alive);
}

static void higher_minor_versions_are_read_as_1_1(void **state)
{
    (void)state;
    int minor;
    assert_int_equal(http_version_parse(STR("HTTP/1.0"), &minor), 0);
    assert_int_equal(minor, 0);
    assert_int_equal(http_version_parse(STR("HTTP/1.1"), &minor), 0);
    assert_int_equal(minor, 1);
    assert_int_equal(http_version_parse(STR("HTTP/1.9"), &minor), 0);
    assert_int_equal(minor, 1);
    assert_int_equal(http_version_parse(STR("HTTP/2.0"), &minor), HTTP_E_VERSION);
    assert_int_equal(http_version_parse(STR("HTTP/0.9"), &minor), HTTP_E_VERSION);
    assert_int_equal(http_version_parse(STR("http/1.1"), &minor), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(http_version_parse(STR("HTTP/1.1 "), &minor), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(http_version_parse(STR("HTTP/1.x"), &minor), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(http_version_parse(STR("HTTP/11"), &minor), HTTP_E_VERSION_SYNTAX);
}

static void every_error_has_a_status_and_a_sentence(void **state)
{
    (void)state;
    for (int error = 1; error < HTTP_E_COUNT; error++) {
        assert_in_range(http_head_error_status(error), 400, 505);
        struct str detail = http_head_error_detail(error);
        assert_true(detail.len > 10);
        assert_int_equal(detail.at[detail.len - 1], '.');
    }
    assert_int_equal(http_head_error_status(HTTP_E_LINE_TOO_LONG), 414);
    assert_int_equal(http_head_error_status(HTTP_E_TOO_MANY), 431);
    assert_int_equal(http_head_error_status(HTTP_E_TOO_LARGE), 431);
    assert_int_equal(http_head_error_status(HTTP_E_VERSION), 505);
    assert_int_equal(http_head_error_status(12345), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_at_its_empty_line),
        cmocka_unit_test(bytes_after_a_head_are_not_part_of_it),
        cmocka_unit_test(a_few_empty_lines_before_a_head_are_passed_over),
        cmocka_unit_test(an_unfinished_head_asks_for_more),
        cmocka_unit_test(nothing_at_all_asks_for_more),
        cmocka_unit_test(a_bare_line_feed_is_refused_as_soon_as_it_comes),
        cmocka_unit_test(another_protocol_is_refused_at_its_first_byte),
        cmocka_unit_test(a_first_line_may_be_as_long_as_the_limit),
        cmocka_unit_test(a_header_section_may_be_as_large_as_the_limit),
        cmocka_unit_test(a_head_that_trickles_in_is_searched_only_once),
        cmocka_unit_test(fields_come_in_order_without_the_space_around_values),
        cmocka_unit_test(a_name_is_found_in_any_case_and_not_taken_for_a_similar_one),
        cmocka_unit_test(more_fields_than_the_limit_are_refused),
        cmocka_unit_test(a_limit_above_what_there_is_room_for_is_no_overflow),
        cmocka_unit_test(a_folded_line_is_refused),
        cmocka_unit_test(white_space_before_the_colon_is_refused),
        cmocka_unit_test(a_name_must_be_a_token),
        cmocka_unit_test(control_characters_in_a_value_are_refused),
        cmocka_unit_test(a_line_that_does_not_end_is_refused),
        cmocka_unit_test(names_are_compared_without_case),
        cmocka_unit_test(a_list_spans_all_fields_of_its_name),
        cmocka_unit_test(a_content_length_is_digits_that_fit),
        cmocka_unit_test(the_connection_lives_on_by_version_and_wish),
        cmocka_unit_test(higher_minor_versions_are_read_as_1_1),
        cmocka_unit_test(every_error_has_a_status_and_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
