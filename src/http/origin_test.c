#include "http/origin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static bool host(struct str text)
{
    struct str bytes = exact(text);
    bool loopback = http_host_is_loopback(bytes);
    exact_free(bytes);
    return loopback;
}

static bool origin(struct str text)
{
    struct str bytes = exact(text);
    bool loopback = http_origin_is_loopback(bytes);
    exact_free(bytes);
    return loopback;
}

static void an_authority_is_a_host_and_perhaps_a_port(void **state)
{
    (void)state;
    struct http_authority a;
    assert_int_equal(http_authority_parse(STR("a-b.c_d~1"), &a), 0);
    assert_str(a.host, "a-b.c_d~1");
    assert_false(a.has_port);
    assert_int_equal(http_authority_parse(STR("a:65535"), &a), 0);
    assert_str(a.host, "a");
    assert_true(a.has_port);
    assert_int_equal(a.port, 65535);
    assert_int_equal(http_authority_parse(STR("a:"), &a), 0);
    assert_false(a.has_port);
    assert_int_equal(http_authority_parse(STR("[2001:db8::1]:80"), &a), 0);
    assert_str(a.host, "[2001:db8::1]");
    assert_int_equal(a.port, 80);
}

static void a_malformed_authority_is_refused(void **state)
{
    (void)state;
    const struct str wrong[] = {
        STR(""),        STR(":80"),
        STR("a:65536"), STR("a:-1"),
        STR("a:8 0"),   STR("a:80:80"),
        STR("a b"),     STR("u@a"),
        STR("u:p@a:1"), STR("a/"),
        STR("a?"),      STR("a#"),
        STR("a%2e"),    STR("a,b"),
        STR("["),       STR("[]"),
        STR("[:]"),     STR("[::1"),
        STR("::1"),     STR("[::1]a"),
        STR("[g::1]"),  STR("[::1%25lo]"),
        STR("[::1]]"),  STR("\xc3\xa4"),
        STR("a\0"),     STR("a:99999999999999999999999"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct http_authority a;
        struct str bytes = exact(wrong[i]);
        assert_int_equal(http_authority_parse(bytes, &a), -EINVAL);
        exact_free(bytes);
    }
}

static void localhost_is_loopback_on_any_port(void **state)
{
    (void)state;
    assert_true(host(STR("localhost")));
    assert_true(host(STR("localhost:7070")));
    assert_true(host(STR("LocalHost:1")));
}

static void names_below_localhost_are_loopback(void **state)
{
    (void)state;
    assert_true(host(STR("app.localhost")));
    assert_true(host(STR("a.b.localhost:80")));
    assert_false(host(STR(".localhost")));
    assert_false(host(STR("a..localhost")));
    assert_false(host(STR("notlocalhost")));
}

static void the_whole_of_127_is_loopback(void **state)
{
    (void)state;
    assert_true(host(STR("127.0.0.1")));
    assert_true(host(STR("127.0.0.1:7070")));
    assert_true(host(STR("127.255.255.255")));
    assert_false(host(STR("128.0.0.1")));
    assert_false(host(STR("127.0.0.256")));
    assert_false(host(STR("0.0.0.0")));
}

static void ipv6_loopback_is_loopback_in_brackets(void **state)
{
    (void)state;
    assert_true(host(STR("[::1]")));
    assert_true(host(STR("[::1]:7070")));
    assert_false(host(STR("::1")));
    assert_false(host(STR("[::2]")));
    assert_false(host(STR("[::ffff:127.0.0.1]")));
    assert_false(host(STR("[::]")));
}

static void names_that_merely_look_like_loopback_are_not(void **state)
{
    (void)state;
    assert_false(host(STR("127.0.0.1.evil.com")));
    assert_false(host(STR("localhost.evil.com")));
    assert_false(host(STR("evil.com")));
    assert_false(host(STR("127.0.0.1.")));
    assert_false(host(STR("localhost.")));
    assert_false(host(STR("app.localhost.")));
    assert_false(host(STR("127.1")));
    assert_false(host(STR("127.0.0.01")));
    assert_false(host(STR("0127.0.0.1")));
    assert_false(host(STR("0x7f.0.0.1")));
    assert_false(host(STR("2130706433")));
    assert_false(host(STR("127.0.0.")));
    assert_false(host(STR("127...1")));
    assert_false(host(STR("evil.com@localhost")));
    assert_false(host(STR("localhost@evil.com")));
    assert_false(host(STR("localhost:80@evil.com")));
    assert_false(host(STR("localhost/evil.com")));
    assert_false(host(STR("localhost evil.com")));
    assert_false(host(STR("localhost\0.evil.com")));
    assert_false(host(STR("")));
}

static void an_origin_is_scheme_and_host_and_nothing_else(void **state)
{
    (void)state;
    assert_true(origin(STR("http://localhost")));
    assert_true(origin(STR("http://localhost:3000")));
    assert_true(origin(STR("https://app.localhost:3000")));
    assert_true(origin(STR("http://127.0.0.1:1")));
    assert_true(origin(STR("http://[::1]:1")));
    assert_false(origin(STR("http://localhost/")));
    assert_false(origin(STR("http://localhost:3000/a")));
    assert_false(origin(STR("localhost")));
    assert_false(origin(STR("//localhost")));
    assert_false(origin(STR("ftp://localhost")));
    assert_false(origin(STR("file://localhost")));
    assert_false(origin(STR("chrome-extension://localhost")));
    assert_false(origin(STR("http://")));
    assert_false(origin(STR("http://localhost http://evil.com")));
}

static void a_strange_origin_is_not_loopback(void **state)
{
    (void)state;
    assert_false(origin(STR("null")));
    assert_false(origin(STR("")));
    assert_false(origin(STR("http://evil.com")));
    assert_false(origin(STR("http://127.0.0.1.evil.com")));
    assert_false(origin(STR("http://localhost.evil.com")));
    assert_false(origin(STR("http://localhost.")));
    assert_false(origin(STR("http://evil.com@localhost")));
    assert_false(origin(STR("http://localhost@evil.com")));
}

static void assert_scanned(const char *head, const char *want)
{
    struct str found = http_origin_scan(str_from(head));
    assert_int_equal(found.len, strlen(want));
    assert_memory_equal(found.at ? found.at : "", want, found.len);
}

static void the_origin_of_a_head_that_is_refused_is_found(void **state)
{
    (void)state;
    assert_scanned("GET / HTTP/1.1\r\nOrigin: http://a\r\n\r\n", "http://a");
    assert_scanned("GET / HTTP/1.1\r\noRIGIN:http://a \t\r\nX", "http://a");
    assert_scanned("\r\nGET / HTTP/9\r\n\x01: y\r\nOrigin: http://a\n\n", "http://a");
    assert_scanned("GET / HTTP/1.1\r\nX: y\r\n\r\nOrigin: http://a\r\n", "");
    assert_scanned("GET / HTTP/1.1\r\nOrigin: http://a", "");
    assert_scanned("GET / HTTP/1.1\r\nOrigin: http://a\r\nOrigin: http://a\r\n\r\n", "");
    assert_scanned("Origin: http://a\r\nX: y\r\n\r\n", "");
    assert_scanned("GET / HTTP/1.1\r\nX-Origin: http://a\r\nOrigin : http://a\r\n\r\n", "");
    assert_scanned("", "");
}

static void a_configured_origin_is_written_as_browsers_write_it(void **state)
{
    (void)state;
    static const char *const good[] = {"https://app.example", "http://app.example:8080",
                                       "https://app.example:80", "http://[2001:db8::1]:3000",
                                       "http://10.0.0.1"};
    static const char *const bad[] = {"",
                                      "null",
                                      "*",
                                      "app.example",
                                      "https://",
                                      "HTTPS://a",
                                      "https://A",
                                      "https://a/",
                                      "https://a:443",
                                      "http://a:80",
                                      "https://a:",
                                      "https://a:01",
                                      "ftp://a",
                                      "https://*.a",
                                      "https://a:65536",
                                      "https://u@a",
                                      "https://a?b",
                                      "https://a ",
                                      "https://a, http://b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(http_origin_is_canonical(str_from(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(http_origin_is_canonical(str_from(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authority_is_a_host_and_perhaps_a_port),
        cmocka_unit_test(a_malformed_authority_is_refused),
        cmocka_unit_test(localhost_is_loopback_on_any_port),
        cmocka_unit_test(names_below_localhost_are_loopback),
        cmocka_unit_test(the_whole_of_127_is_loopback),
        cmocka_unit_test(ipv6_loopback_is_loopback_in_brackets),
        cmocka_unit_test(names_that_merely_look_like_loopback_are_not),
        cmocka_unit_test(an_origin_is_scheme_and_host_and_nothing_else),
        cmocka_unit_test(a_strange_origin_is_not_loopback),
        cmocka_unit_test(the_origin_of_a_head_that_is_refused_is_found),
        cmocka_unit_test(a_configured_origin_is_written_as_browsers_write_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
