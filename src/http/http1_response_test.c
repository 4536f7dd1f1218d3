#include "http/http1_response.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

static void a_response_is_written_line_by_line(void **state)
{
    (void)state;
    struct buf buf = {0};
    http1_response_start(&buf, 201);
    http1_response_header(&buf, STR("Content-Type"), STR("application/json"));
    http1_response_header_u64(&buf, STR("Cursor"), UINT64_MAX);
    http1_response_body(&buf, STR("{}"));
    assert_str(buf_str(&buf), "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                              "Cursor: 18446744073709551615\r\nContent-Length: 2\r\n\r\n{}");
    buf_free(&buf);
}

static void a_status_without_a_reason_keeps_its_space(void **state)
{
    (void)state;
    struct buf buf = {0};
    http1_response_start(&buf, 299);
    http1_response_end(&buf);
    assert_str(buf_str(&buf), "HTTP/1.1 299 \r\n\r\n");
    buf_free(&buf);
}

static void continue_is_a_whole_head(void **state)
{
    (void)state;
    struct buf buf = {0};
    http1_response_continue(&buf);
    assert_str(buf_str(&buf), "HTTP/1.1 100 Continue\r\n\r\n");
    buf_free(&buf);
}

static void no_value_can_forge_a_header(void **state)
{
    (void)state;
    struct buf buf = {0};
    http1_response_header(&buf, STR("X"), STR("a\r\nSet-Cookie: b\0c\x7f\x1b[0m\td\xff"));
    assert_str(buf_str(&buf), "X: a  Set-Cookie: b c  [0m\td\xff\r\n");
    buf_clear(&buf);
    http1_response_header(&buf, STR("X"), STR(""));
    assert_str(buf_str(&buf), "X: \r\n");
    buf_free(&buf);
}

static void a_name_that_is_no_token_is_never_written(void **state)
{
    (void)state;
    const struct str names[] = {STR(""), STR("A:"), STR("A B"), STR("A\r\nB")};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct buf buf = {0};
        http1_response_header(&buf, names[i], STR("x"));
        assert_true(buf_failed(&buf));
        assert_int_equal(buf.len, 0);
        buf_free(&buf);
    }
}

static void all_errors_of_the_parser_have_reasons(void **state)
{
    (void)state;
    for (int error = 0; error < HTTP_E_COUNT; error++)
        assert_true(http_reason(http_head_error_status(error)).len > 0);
    assert_str(http_reason(410), "Gone");
    assert_int_equal(http_reason(999).len, 0);
}

static int parse(struct str text, struct http_status *ret)
{
    struct http_scan scan = {0};
    struct str bytes = exact(text);
    int error = http_status_parse(bytes, &limits, &scan, ret);
    exact_free(bytes);
    scan = (struct http_scan){0};
    return error ? error : http_status_parse(text, &limits, &scan, ret);
}

static void a_response_is_taken_apart(void **state)
{
    (void)state;
    struct http_status status;
    assert_int_equal(
        parse(STR("HTTP/1.1 410 Gone for good\r\nContent-Length: 2\r\nCursor: 7\r\n\r\n{}"),
              &status),
        0);
    assert_int_equal(status.size, 60);
    assert_int_equal(status.status, 410);
    assert_int_equal(status.minor, 1);
    assert_str(status.reason, "Gone for good");
    assert_int_equal(status.framing.content_length, 2);
    assert_true(status.framing.keep_alive);
    assert_false(status.no_body);
    assert_str(http_fields_get(&status.fields, STR("cursor")), "7");
}

static void a_reason_may_be_empty(void **state)
{
    (void)state;
    struct http_status status;
    assert_int_equal(parse(STR("HTTP/1.0 200 \r\n\r\n"), &status), 0);
    assert_int_equal(status.reason.len, 0);
    assert_int_equal(status.minor, 0);
    assert_false(status.framing.keep_alive);
}

static void some_statuses_never_have_a_body(void **state)
{
    (void)state;
    struct http_status status;
    assert_int_equal(parse(STR("HTTP/1.1 101 Up\r\n\r\n"), &status), 0);
    assert_true(status.no_body);
    assert_int_equal(parse(STR("HTTP/1.1 204 No\r\n\r\n"), &status), 0);
    assert_true(status.no_body);
    assert_int_equal(parse(STR("HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n"), &status), 0);
    assert_true(status.no_body);
}

static void a_malformed_response_is_refused(void **state)
{
    (void)state;
    struct http_status status;
    assert_int_equal(parse(STR("HTTP/1.1 200\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1 20 OK\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1 2000 OK\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1 099 OK\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1 600 OK\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1  200 OK\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/1.1 200 O\0K\r\n\r\n"), &status), HTTP_E_STATUS);
    assert_int_equal(parse(STR("HTTP/2 200 OK\r\n\r\n"), &status), HTTP_E_VERSION_SYNTAX);
    assert_int_equal(parse(STR("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), &status), HTTP_E_NAME);
    assert_int_equal(
        parse(STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
              &status),
        HTTP_E_ENCODING_AND_LENGTH);
    assert_int_equal(parse(STR("HTTP/1.1 200 OK\r\n"), &status), -EAGAIN);
}

static void a_written_response_can_be_parsed(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct http_status status;
    struct http_scan scan = {0};
    http1_response_start(&buf, 507);
    http1_response_header(&buf, STR("X"), STR("a\nb"));
    http1_response_body(&buf, STR("hello"));
    assert_int_equal(http_status_parse(buf_str(&buf), &limits, &scan, &status), 0);
    assert_str(status.reason, "Insufficient Storage");
    assert_str(http_fields_get(&status.fields, STR("x")), "a b");
    assert_int_equal(status.size + status.framing.content_length, buf.len);
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_is_written_line_by_line),
        cmocka_unit_test(a_status_without_a_reason_keeps_its_space),
        cmocka_unit_test(continue_is_a_whole_head),
        cmocka_unit_test(no_value_can_forge_a_header),
        cmocka_unit_test(a_name_that_is_no_token_is_never_written),
        cmocka_unit_test(all_errors_of_the_parser_have_reasons),
        cmocka_unit_test(a_response_is_taken_apart),
        cmocka_unit_test(a_reason_may_be_empty),
        cmocka_unit_test(some_statuses_never_have_a_body),
        cmocka_unit_test(a_malformed_response_is_refused),
        cmocka_unit_test(a_written_response_can_be_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
