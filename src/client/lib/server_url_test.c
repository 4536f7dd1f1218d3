#include "client/lib/server_url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static void an_address_is_taken_apart(void **state)
{
    (void)state;
    struct server_url url;
    assert_int_equal(server_url_parse("http://127.0.0.1:7070", &url), 0);
    assert_str(url.host, "127.0.0.1");
    assert_str(url.port, "7070");
    assert_str(url.path, "");
    assert_false(url.tls);
    assert_true(server_url_is_loopback(&url));
    assert_int_equal(server_url_parse("https://api.example/base/x//", &url), 0);
    assert_str(url.text, "https://api.example/base/x");
    assert_str(url.host, "api.example");
    assert_int_equal(url.port.len, 0);
    assert_str(url.path, "/base/x");
    assert_true(url.tls);
    assert_false(server_url_is_loopback(&url));
}

static void a_websocket_address_is_that_of_http(void **state)
{
    (void)state;
    static const struct {
        const char *text, *http, *port;
        bool ws;
    } rows[] = {{"http://h", "http://h", "80", false},
                {"https://h/b/", "https://h/b", "443", false},
                {"ws://h:1", "http://h:1", "1", true},
                {"wss://[::1]/b", "https://[::1]/b", "443", true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct server_url url;
        struct buf http = {0};
        assert_int_equal(server_url_parse(rows[i].text, &url), 0);
        server_url_add(&http, &url);
        assert_true(str_eq(buf_str(&http), str_from(rows[i].http)));
        assert_true(str_eq(server_url_port(&url), str_from(rows[i].port)));
        assert_int_equal(url.ws, rows[i].ws);
        buf_free(&http);
    }
}

static void an_ipv6_address_loses_its_brackets(void **state)
{
    (void)state;
    struct server_url url;
    assert_int_equal(server_url_parse("http://[::1]:80/", &url), 0);
    assert_str(url.host, "::1");
    assert_str(url.port, "80");
    assert_str(url.authority, "[::1]:80");
    assert_int_equal(server_url_parse("http://[::1]", &url), 0);
    assert_int_equal(url.port.len, 0);
}

static void a_url_that_is_no_plain_address_is_refused(void **state)
{
    (void)state;
    struct server_url url;
    static const char *const wrong[] = {
        "",           "127.0.0.1:7070", "ftp://x",        "http://",          "http://:80",
        "http://x:",  "http://x:0",     "http://x:65536", "http://x:1a",      "http://u@x",
        "http://x?a", "http://x#a",     "http://x /a",    "http://x\r\nA: b", "http://[::1",
        "http://[]",  "http://[::1]80", "http://[::1]:"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(server_url_parse(wrong[i], &url), -EINVAL);
}

static void a_url_is_refused_without_its_password(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"https://me:PASSWORD@x.example", "\"https://***@x.example\" is not the URL"},
        {"me:PASSWORD@x.example/?t=PASSWORD", "\"***@x.example/?t=***\" is not the URL"},
        {"http://x#a", "\"http://x#a\" is not the URL"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct server_url url;
        struct buf why = {0};
        assert_int_equal(server_url_read(wrong[i][0], false, &url, &why), -EINVAL);
        assert_true(str_starts(buf_str(&why), str_from(wrong[i][1])));
        buf_free(&why);
    }
}

static void segments_are_encoded_and_the_slashes_stay(void **state)
{
    (void)state;
    struct buf out = {0};
    server_url_add_channel(&out, STR("a b/c?d/%/é/"));
    assert_str(buf_str(&out), "/channels/a%20b/c%3Fd/%25/%C3%A9/");
    buf_free(&out);
}

static void a_query_begins_once(void **state)
{
    (void)state;
    struct buf out = {0};
    server_url_add_query(&out, "channel", STR("a/**"));
    server_url_add_query(&out, "after", STR("2026-01-01T00:00:00+01:00"));
    assert_str(buf_str(&out), "?channel=a%2F%2A%2A&after=2026-01-01T00%3A00%3A00%2B01%3A00");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_taken_apart),
        cmocka_unit_test(a_websocket_address_is_that_of_http),
        cmocka_unit_test(an_ipv6_address_loses_its_brackets),
        cmocka_unit_test(a_url_that_is_no_plain_address_is_refused),
        cmocka_unit_test(a_url_is_refused_without_its_password),
        cmocka_unit_test(segments_are_encoded_and_the_slashes_stay),
        cmocka_unit_test(a_query_begins_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
