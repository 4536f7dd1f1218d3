#include "http/head_memo.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/testing.h"

static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

static int setup(void **state)
{
    struct http_memo *memo = mem_alloc(sizeof(*memo));
    *memo = (struct http_memo){.last = 0};
    *state = memo;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void are_equal(struct str a, struct str b)
{
    assert_int_equal(!a.at, !b.at);
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.at, b.at, a.len);
}

static void heads_are_equal(const struct http_head *a, const struct http_head *b)
{
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->method, b->method);
    are_equal(a->method_raw, b->method_raw);
    are_equal(a->target, b->target);
    are_equal(a->path, b->path);
    are_equal(a->query, b->query);
    assert_int_equal(a->minor, b->minor);
    are_equal(a->host, b->host);
    if (a->host.at) {
        are_equal(a->authority.host, b->authority.host);
        assert_int_equal(a->authority.has_port, b->authority.has_port);
        assert_int_equal(a->authority.port, b->authority.port);
    }
    assert_int_equal(a->framing.content_length, b->framing.content_length);
    assert_int_equal(a->framing.has_content_length, b->framing.has_content_length);
    assert_int_equal(a->framing.chunked, b->framing.chunked);
    assert_int_equal(a->framing.keep_alive, b->framing.keep_alive);
    assert_int_equal(a->expect_continue, b->expect_continue);
    assert_int_equal(a->upgrade_websocket, b->upgrade_websocket);
    assert_int_equal(a->fields.count, b->fields.count);
    assert_true(a->fields.sorts == b->fields.sorts);
    assert_true(a->fields.repeats == b->fields.repeats);
    for (size_t i = 0; i < a->fields.count; i++) {
        are_equal(a->fields.at[i].name, b->fields.at[i].name);
        are_equal(a->fields.at[i].value, b->fields.at[i].value);
        assert_int_equal(a->fields.at[i].sort, b->fields.at[i].sort);
    }
}

/* Reads a head with the memo and without, and compares: what was read before must not show. */
static int read_both(struct http_memo *memo, struct str text)
{
    struct http_scan scan = {0}, plain_scan = {0};
    struct http_head plain;
    const struct http_head *head;
    struct str bytes = exact(text);
    int expected = http_head_parse(bytes, &limits, &plain_scan, &plain);
    int result = http_memo_parse(memo, bytes, &limits, &scan, &head);
    assert_int_equal(result, expected);
    assert_int_equal(scan.at, plain_scan.at);
    assert_int_equal(scan.fields, plain_scan.fields);
    if (!result)
        heads_are_equal(head, &plain);
    exact_free(bytes);
    return result;
}

#define LINES "Host: localhost:7070\r\nX-Empty:\r\nContent-Type: text/plain \r\n"

static void a_head_with_another_path_and_number_is_remembered(void **state)
{
    struct http_memo *memo = *state;
    struct str next = STR("POST /channels/b?type=x HTTP/1.1\r\n" LINES
                          "Content-Length: 12345\r\nAccept: */*\r\n\r\nrest");
    read_both(memo, STR("POST /channels/a HTTP/1.1\r\n" LINES
                        "Content-Length: 7\r\nAccept: */*\r\n\r\n"));
    assert_int_equal(read_both(memo, next), 0);
    assert_int_equal(memo->next, 1); /* the second head was not remembered anew */
}

static void each_byte_that_differs_is_seen(void **state)
{
    struct http_memo *memo = *state;
    const char head[] = "POST /channels/a HTTP/1.1\r\n" LINES "Content-Length: 12\r\n\r\n";
    static const char others[] = {' ', '0', '\r', '\n', ':', 'x', '\x01', '/'};
    char text[sizeof(head)];
    for (size_t at = 0; at + 1 < sizeof(head); at++) {
        for (size_t i = 0; i < sizeof(others); i++) {
            read_both(memo,
                      STR("POST /channels/a HTTP/1.1\r\n" LINES "Content-Length: 12\r\n\r\n"));
            memcpy(text, head, sizeof(head));
            text[at] = others[i];
            read_both(memo, (struct str){text, sizeof(text) - 1});
        }
    }
}

static void a_remembered_head_may_come_in_pieces(void **state)
{
    struct http_memo *memo = *state;
    struct str head = STR("POST /channels/a HTTP/1.1\r\n" LINES "Content-Length: 12\r\n\r\n");
    assert_int_equal(read_both(memo, head), 0);
    for (size_t len = 0; len < head.len; len++)
        assert_int_equal(read_both(memo, (struct str){head.at, len}), -EAGAIN);
}

static void heads_that_mean_more_than_their_lines_are_read_anew(void **state)
{
    struct http_memo *memo = *state;
    static const char *const heads[] = {
        "POST http://example.com/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n",
        "POST /a HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        assert_int_equal(read_both(memo, str_from(heads[i])), 0);
        assert_int_equal(memo->next, 0);
    }
}

static void lines_that_were_read_for_one_request_serve_no_unlike_one(void **state)
{
    struct http_memo *memo = *state;
    static const char lines[] = "Host: localhost\r\nContent-Length: 0\r\nUpgrade: websocket\r\n"
                                "Connection: upgrade\r\n\r\n";
    static const char *const starts[] = {
        "POST /a HTTP/1.1",     "POST /a HTTP/1.0",   "POST http://example.com:80/a HTTP/1.1",
        "GET /b?c HTTP/1.1",    "OPTIONS * HTTP/1.1", "CONNECT a:1 HTTP/1.1",
        "POST  /a HTTP/1.1",    "POST /a HTTP/2.0",   "P@ST /a HTTP/1.1",
        "\r\nPOST /a HTTP/1.1",
    };
    char text[256];
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        read_both(memo, STR("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                            "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"));
        int len = snprintf(text, sizeof(text), "%s\r\n%s", starts[i], lines);
        read_both(memo, (struct str){text, (size_t)len});
    }
}

static void a_number_of_any_length_is_read_as_without_the_memo(void **state)
{
    struct http_memo *memo = *state;
    static const char *const numbers[] = {"1",
                                          "0",
                                          "00",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "999999999999999999",
                                          "-1",
                                          "",
                                          "1 ",
                                          "1,1",
                                          "0x1"};
    char text[256];
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        read_both(memo, STR("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"));
        int len = snprintf(text, sizeof(text),
                           "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\n\r\n",
                           numbers[i]);
        read_both(memo, (struct str){text, (size_t)len});
    }
}

static void a_number_that_makes_the_lines_too_long_is_refused(void **state)
{
    struct http_memo *memo = *state;
    const struct http_limits few = {.line_max = 100, .fields_max = 4, .section_max = 38};
    const struct http_head *head;
    struct http_scan scan = {0};
    struct str heads[] = {STR("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"),
                          STR("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 55\r\n\r\n")};
    assert_int_equal(http_memo_parse(memo, heads[0], &few, &scan, &head), 0);
    assert_int_equal(memo->next, 1);
    assert_int_equal(http_memo_parse(memo, heads[1], &few, &scan, &head), HTTP_E_TOO_LARGE);
}

static bool holds(const struct http_memo *memo, const char *text)
{
    for (size_t i = 0; i < HTTP_MEMO_HEADS; i++)
        if (memmem(memo->at[i].lines, HTTP_MEMO_BYTES, text, strlen(text)))
            return true;
    return false;
}

static void a_full_memo_takes_a_new_client_before_long(void **state)
{
    struct http_memo *memo = *state;
    struct str late = STR("POST /a HTTP/1.1\r\nHost: localhost\r\nUser-Agent: late\r\n\r\n");
    char text[256];
    for (int client = 0; client < HTTP_MEMO_HEADS; client++) {
        int len = snprintf(text, sizeof(text),
                           "POST /a HTTP/1.1\r\nHost: localhost\r\nA%d: b\r\n\r\n", client);
        read_both(memo, (struct str){text, (size_t)len});
    }
    for (int i = 0; i < 100; i++)
        read_both(memo, late);
    assert_true(holds(memo, "late"));
    assert_int_equal(memo->next, HTTP_MEMO_HEADS + 1);
}

static void clients_with_different_lines_are_remembered_side_by_side(void **state)
{
    struct http_memo *memo = *state;
    char text[256];
    for (int round = 0; round < 2; round++) {
        for (int client = 0; client < HTTP_MEMO_HEADS; client++) {
            int len =
                snprintf(text, sizeof(text),
                         "POST /a HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %d\r\n\r\n", client);
            assert_int_equal(read_both(memo, (struct str){text, (size_t)len}), 0);
        }
        assert_int_equal(memo->next, HTTP_MEMO_HEADS);
    }
}

static void values_that_change_or_may_be_secret_are_read_anew(void **state)
{
    struct http_memo *memo = *state;
    static const char *const values[] = {"one-secret", " one-secret\t ", "",     "  ",
                                         "two",        "a\x01z",         "a\rb", "a\nb",
                                         "a\r\nX: y",  "\xff\xfe"};
    char text[256];
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        int len = snprintf(text, sizeof(text),
                           "POST /a HTTP/1.1\r\nAuthorization: Bearer %s\r\nHost: localhost\r\n"
                           "Idempotency-Key:%s\r\nContent-Length: 5\r\nX-Last:%s\r\n\r\n",
                           values[i], values[i], values[i]);
        read_both(memo, (struct str){text, (size_t)len});
    }
    assert_true(holds(memo, "Idempotency-Key:\r\n"));
    assert_false(holds(memo, "one-secret"));
    assert_false(holds(memo, "Bearer"));
}

static void more_values_than_a_memo_leaves_out_are_not_remembered(void **state)
{
    struct http_memo *memo = *state;
    struct str head = STR("POST /a HTTP/1.1\r\nHost: localhost\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"
                          "E: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\n\r\n");
    assert_int_equal(read_both(memo, head), 0);
    assert_int_equal(read_both(memo, head), 0);
    assert_int_equal(memo->next, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_head_with_another_path_and_number_is_remembered),
        TEST(each_byte_that_differs_is_seen),
        TEST(a_remembered_head_may_come_in_pieces),
        TEST(heads_that_mean_more_than_their_lines_are_read_anew),
        TEST(lines_that_were_read_for_one_request_serve_no_unlike_one),
        TEST(a_number_of_any_length_is_read_as_without_the_memo),
        TEST(a_number_that_makes_the_lines_too_long_is_refused),
        TEST(values_that_change_or_may_be_secret_are_read_anew),
        TEST(more_values_than_a_memo_leaves_out_are_not_remembered),
        TEST(a_full_memo_takes_a_new_client_before_long),
        TEST(clients_with_different_lines_are_remembered_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
