#include "http2/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 1000 };

static void add(struct http2_head *head, const char *name, const char *value)
{
    http2_head_add(head, str_from(name), str_from(value), MOST);
}

static void begin(struct http2_head *head, const char *method, const char *path)
{
    *head = (struct http2_head){.bytes = 0};
    add(head, ":method", method);
    add(head, ":scheme", "http");
    add(head, ":path", path);
    add(head, ":authority", "localhost:7070");
}

static void expect(struct http2_head *head, const char *text, bool tunnel)
{
    bool is_tunnel;
    struct str got = http2_head_end(head, &is_tunnel);
    assert_int_equal(got.len, strlen(text));
    assert_memory_equal(got.at, text, got.len);
    assert_int_equal(is_tunnel, tunnel);
    http2_head_free(head);
}

static void expect_broken(struct http2_head *head)
{
    bool is_tunnel;
    assert_int_equal(http2_head_end(head, &is_tunnel).len, 0);
    http2_head_free(head);
}

static void a_request_reads_as_http_1_1(void **state)
{
    (void)state;
    struct http2_head head;
    begin(&head, "GET", "/events?channel=a");
    add(&head, "accept", "text/event-stream");
    expect(&head,
           "GET /events?channel=a HTTP/1.1\r\nhost: localhost:7070\r\n"
           "accept: text/event-stream\r\n\r\n",
           false);
}

static void crumbs_of_a_cookie_are_joined(void **state)
{
    (void)state;
    struct http2_head head;
    begin(&head, "GET", "/");
    add(&head, "cookie", "a=1");
    add(&head, "accept", "*/*");
    add(&head, "cookie", "b=2");
    expect(&head,
           "GET / HTTP/1.1\r\nhost: localhost:7070\r\naccept: */*\r\ncookie: a=1; b=2\r\n\r\n",
           false);
}

static void a_host_like_the_authority_is_said_once_and_another_twice(void **state)
{
    (void)state;
    struct http2_head head;
    begin(&head, "GET", "/");
    add(&head, "host", "localhost:7070");
    expect(&head, "GET / HTTP/1.1\r\nhost: localhost:7070\r\n\r\n", false);
    begin(&head, "GET", "/");
    add(&head, "host", "evil");
    expect(&head, "GET / HTTP/1.1\r\nhost: localhost:7070\r\nhost: evil\r\n\r\n", false);
}

static void a_websocket_becomes_an_upgrade(void **state)
{
    (void)state;
    struct http2_head head;
    begin(&head, "CONNECT", "/events");
    add(&head, ":protocol", "websocket");
    add(&head, "sec-websocket-version", "13");
    expect(&head,
           "GET /events HTTP/1.1\r\nhost: localhost:7070\r\nconnection: upgrade\r\n"
           "upgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n",
           true);
}

static void a_host_may_differ_from_the_authority_in_case_alone(void **state)
{
    (void)state;
    struct http2_head head;
    begin(&head, "GET", "/");
    add(&head, "host", "LOCALhost:7070");
    expect(&head, "GET / HTTP/1.1\r\nhost: localhost:7070\r\n\r\n", false);
    begin(&head, "GET", "/");
    add(&head, "host", "localhost:7071");
    expect(&head, "GET / HTTP/1.1\r\nhost: localhost:7070\r\nhost: localhost:7071\r\n\r\n", false);
}

static void other_tunnels_stay_a_connect(void **state)
{
    (void)state;
    struct http2_head head = {.bytes = 0};
    add(&head, ":method", "CONNECT");
    add(&head, ":authority", "other:80");
    expect(&head, "CONNECT other:80 HTTP/1.1\r\nhost: other:80\r\n\r\n", false);
}

static void another_protocol_than_websocket_is_foreign(void **state)
{
    static const char *const protocols[] = {"websocket", "connect-udp", "WebSocket", "websockets"};
    (void)state;
    struct http2_head head;
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        begin(&head, "CONNECT", "/events");
        add(&head, ":protocol", protocols[i]);
        assert_int_equal(http2_head_is_foreign(&head), i > 0);
        http2_head_free(&head);
    }
    begin(&head, "CONNECT", "/events");
    assert_false(http2_head_is_foreign(&head));
    http2_head_free(&head);
}

static void lines_cannot_be_forged(void **state)
{
    static const char *const forged[] = {"a\r\nb: c", "a\nb", "a\rb", "\x01"};
    (void)state;
    struct http2_head head;
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        begin(&head, "GET", forged[i]);
        expect_broken(&head);
        begin(&head, forged[i], "/");
        expect_broken(&head);
        begin(&head, "GET", "/");
        add(&head, "x", forged[i]);
        expect_broken(&head);
        begin(&head, "GET", "/");
        add(&head, forged[i], "x");
        expect_broken(&head);
        begin(&head, "GET", "/");
        add(&head, "cookie", forged[i]);
        expect_broken(&head);
    }
}

/* An absolute target would be read in place of the authority. */
static void a_path_names_no_authority(void **state)
{
    static const char *const paths[] = {"http://evil/", "https://evil", "evil:80", "x", "?a=b"};
    (void)state;
    struct http2_head head;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        begin(&head, "GET", paths[i]);
        expect_broken(&head);
        begin(&head, "CONNECT", paths[i]);
        add(&head, ":protocol", "websocket");
        expect_broken(&head);
    }
    begin(&head, "OPTIONS", "*");
    expect(&head, "OPTIONS * HTTP/1.1\r\nhost: localhost:7070\r\n\r\n", false);
}

static void repeated_and_unknown_pseudo_fields_are_broken(void **state)
{
    static const char *const names[] = {":method", ":path", ":authority", ":scheme", ":status"};
    (void)state;
    struct http2_head head;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        begin(&head, "GET", "/");
        add(&head, names[i], "x");
        expect_broken(&head);
    }
}

static void a_large_head_keeps_no_more_than_the_limit(void **state)
{
    (void)state;
    struct http2_head head;
    begin(&head, "GET", "/");
    for (int i = 0; i < 1000; i++)
        add(&head, "name", "value");
    assert_true(head.is_large);
    assert_true(head.fields.len <= MOST);
    http2_head_clear(&head);
    assert_false(head.is_large);
    http2_head_free(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_reads_as_http_1_1),
        cmocka_unit_test(crumbs_of_a_cookie_are_joined),
        cmocka_unit_test(a_host_like_the_authority_is_said_once_and_another_twice),
        cmocka_unit_test(a_websocket_becomes_an_upgrade),
        cmocka_unit_test(a_host_may_differ_from_the_authority_in_case_alone),
        cmocka_unit_test(other_tunnels_stay_a_connect),
        cmocka_unit_test(another_protocol_than_websocket_is_foreign),
        cmocka_unit_test(lines_cannot_be_forged),
        cmocka_unit_test(a_path_names_no_authority),
        cmocka_unit_test(repeated_and_unknown_pseudo_fields_are_broken),
        cmocka_unit_test(a_large_head_keeps_no_more_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
