#include "api/sites.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct str hosts[] = {STR("rt.example.org"), STR("*.live.example.org"),
                                   STR("2001.example"), STR("10.1.2.3")};
static const struct str origins[] = {STR("https://app.example"), STR("http://app.example:8080"),
                                     STR("https://*.shop.example"),
                                     STR("http://*.dev.example:3000")};

static const struct str everything = STR("*");

static struct sites sites_of(enum sites_trust trust)
{
    return (struct sites){.trust = trust,
                          .hosts = hosts,
                          .hosts_count = COUNT_OF(hosts),
                          .origins = origins,
                          .origins_count = COUNT_OF(origins)};
}

/* The head of a GET with these lines; its bytes are in `text`. */
static struct http_head head_of(char *text, size_t size, const char *lines)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_scan scan = {0};
    struct http_head head;
    int len = snprintf(text, size, "GET / HTTP/1.1\r\n%s\r\n", lines);
    assert_int_equal(http_head_parse((struct str){text, (size_t)len}, &limits, &scan, &head), 0);
    return head;
}

static void a_host_is_a_configured_name_a_loopback_one_or_with_rules_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool local, named;
    } rows[] = {
        {"rt.example.org", true, true},
        {"RT.Example.ORG", true, true},
        {"rt.example.org:443", true, true},
        {"rt.example.org:", true, true},
        {"rt.example.org.", true, true},
        {"rt.example.org.:8080", true, true},
        {"rt.example.org..", false, false},
        {"a.rt.example.org", false, false},
        {"example.org", false, false},
        {"rt.example.org.evil.com", false, false},
        {"evil-rt.example.org", false, false},
        {"rt-example.org", false, false},
        {"a.live.example.org", true, true},
        {"a.b.LIVE.example.org:1", true, true},
        {"live.example.org", false, false},
        {".live.example.org", false, false},
        {"a..live.example.org", false, false},
        {"alive.example.org", false, false},
        {"a.live.example.org.evil.com", false, false},
        {"localhost", true, true},
        {"LocalHost:7070", true, true},
        {"app.localhost", true, true},
        {"127.0.0.1:7070", true, true},
        {"127.8.9.1", true, true},
        {"[::1]:7070", true, true},
        {"localhost.evil.com", false, false},
        {"127.0.0.1.evil.com", false, false},
        {"127.0.0.1.nip.io", false, false},
        {"10.1.2.3:80", true, true},
        {"192.168.1.1", false, true},
        {"0.0.0.0:7070", false, true},
        {"[2001:db8::1]", false, true},
        {"[2001:DB8::1]:7070", false, true},
        {"[::ffff:8.8.8.8]", false, true},
        {"8.8.8.8.evil.com", false, false},
        {"1.2.3", false, false},
        {"1.2.3.4.5", false, false},
        {"1.2.3.256", false, false},
        {"01.2.3.4", false, false},
        {"3232235777", false, false},
        {"0xc0.0xa8.1.1", false, false},
        {"evil.com", false, false},
        {"evil", false, false},
        {"null", false, false},
    };
    struct sites local = sites_of(SITES_LOCAL), named = sites_of(SITES_NAMED),
                 any = sites_of(SITES_ANY);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[200], lines[120];
        snprintf(lines, sizeof(lines), "Host: %s\r\n", rows[i].host);
        struct http_head head = head_of(text, sizeof(text), lines);
        if (sites_have_host(&local, &head) != rows[i].local ||
            sites_have_host(&named, &head) != rows[i].named || !sites_have_host(&any, &head))
            fail_msg("%s", rows[i].host);
    }
}

static void a_host_that_is_no_host_never_gets_this_far(void **state)
{
    (void)state;
    static const char *const wrong[] = {"user@rt.example.org",
                                        "rt.example.org@evil.com",
                                        "rt.example.org/x",
                                        "rt.example.org, evil.com",
                                        "::1",
                                        "[::1",
                                        "",
                                        "rt.example.org:80:80"};
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[120];
        struct http_scan scan = {0};
        struct http_head head;
        int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", wrong[i]);
        struct str bytes = {text, (size_t)len};
        assert_int_equal(http_head_parse(bytes, &limits, &scan, &head), HTTP_E_HOST);
    }
}

static void an_origin_has_the_rights_that_are_written_for_it(void **state)
{
    (void)state;
    static const struct {
        const char *origin;
        enum admission admission;
    } rows[] = {
        {"https://app.example", ADMITS_CREDENTIALS},
        {"http://app.example:8080", ADMITS_CREDENTIALS},
        {"http://app.example", ADMITS_NOBODY},
        {"https://app.example:8080", ADMITS_NOBODY},
        {"https://app.example.", ADMITS_NOBODY},
        {"https://app.example/", ADMITS_NOBODY},
        {"https://app.example.evil.com", ADMITS_NOBODY},
        {"https://evil.com/https://app.example", ADMITS_NOBODY},
        {"https://user@app.example", ADMITS_NOBODY},
        {"https://a.shop.example", ADMITS},
        {"https://a.b.shop.example", ADMITS},
        {"https://shop.example", ADMITS_NOBODY},
        {"https://.shop.example", ADMITS_NOBODY},
        {"https://a..shop.example", ADMITS_NOBODY},
        {"https://workshop.example", ADMITS_NOBODY},
        {"http://a.shop.example", ADMITS_NOBODY},
        {"https://a.shop.example:8443", ADMITS_NOBODY},
        {"https://evil.com/.shop.example", ADMITS_NOBODY},
        {"https://evil.com?.shop.example", ADMITS_NOBODY},
        {"https://evil.com#.shop.example", ADMITS_NOBODY},
        {"https://evil.com:80.shop.example", ADMITS_NOBODY},
        {"https://evil.com@a.shop.example", ADMITS_NOBODY},
        {"https://a.shop.example.evil.com", ADMITS_NOBODY},
        {"http://a.dev.example:3000", ADMITS},
        {"http://a.dev.example", ADMITS_NOBODY},
        {"http://a.dev.example:30000", ADMITS_NOBODY},
        {"http://localhost:3000", ADMITS},
        {"http://[::1]", ADMITS},
        {"null", ADMITS_NOBODY},
        {"*", ADMITS_NOBODY},
        {"https://*.shop.example", ADMITS_NOBODY},
        {"", ADMITS_NOBODY},
        {"file://", ADMITS_NOBODY},
        {"https://evil.com", ADMITS_NOBODY},
    };
    struct sites sites = sites_of(SITES_NAMED), any = sites_of(SITES_ANY);
    struct sites every = {.trust = SITES_NAMED, .origins = &everything, .origins_count = 1};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str origin = str_from(rows[i].origin);
        if (sites_admit(&sites, origin) != rows[i].admission || !sites_admit(&any, origin) ||
            sites_admit(&every, origin) != ADMITS)
            fail_msg("%s", rows[i].origin);
    }
    assert_int_equal(sites_admit(&any, STR_NONE), ADMITS_NOBODY);
}

static void a_page_is_taken_if_it_is_admitted_or_one_of_this_servers_own(void **state)
{
    (void)state;
    static const struct {
        const char *host, *lines;
        bool taken;
    } rows[] = {
        {"rt.example.org", "", true},
        {"rt.example.org", "Origin: https://app.example\r\n", true},
        {"127.0.0.1:7070", "Origin: https://a.shop.example\r\n", true},
        {"rt.example.org", "Origin: https://evil.com\r\n", false},
        {"rt.example.org", "Origin: null\r\n", false},
        {"rt.example.org", "Origin: \r\n", false},
        {"rt.example.org", "Origin: https://app.example\r\nOrigin: https://app.example\r\n", false},
        /* pages of the server itself */
        {"rt.example.org", "Origin: https://rt.example.org\r\n", true},
        {"rt.example.org:443", "Origin: https://rt.example.org\r\n", true},
        {"rt.example.org:8443", "Origin: https://rt.example.org:8443\r\n", true},
        {"RT.example.org", "Origin: http://rt.example.org\r\n", true},
        {"rt.example.org", "Origin: https://rt.example.org:8443\r\n", false},
        {"192.168.1.1:7070", "Origin: http://192.168.1.1:7070\r\n", true},
        {"192.168.1.1:7070", "Origin: http://192.168.1.1\r\n", false},
        {"[2001:db8::1]:7070", "Origin: http://[2001:db8::1]:7070\r\n", true},
        /* and behind a proxy that puts its own Host there */
        {"127.0.0.1:7070", "Origin: https://rt.example.org\r\n", true},
        {"127.0.0.1:7070", "Origin: https://a.live.example.org\r\n", true},
        {"127.0.0.1:7070", "Origin: https://rt.example.org:8443\r\n", false},
        {"127.0.0.1:7070", "Origin: https://rt.example.org:8443\r\nSec-Fetch-Site: same-origin\r\n",
         true},
        {"rt.example.org", "Origin: ftp://rt.example.org\r\n", false},
        {"rt.example.org", "Origin: rt.example.org\r\n", false},
        {"rt.example.org", "Origin: https://rt.example.org/\r\n", false},
        {"rt.example.org", "Origin: https://rt.example.org@evil.com\r\n", false},
        {"rt.example.org", "Origin: https://evil.com\r\nSec-Fetch-Site: same-site\r\n", false},
        {"rt.example.org", "Origin: https://evil.com\r\nSec-Fetch-Site: none\r\n", false},
        /* pages on this machine may use this machine's server, and no other */
        {"localhost:7070", "Origin: http://localhost:3000\r\n", true},
        {"127.0.0.1:7070", "Origin: http://app.localhost\r\n", true},
        {"rt.example.org", "Origin: http://localhost:3000\r\n", false},
    };
    struct sites named = sites_of(SITES_NAMED), local = sites_of(SITES_LOCAL),
                 any = sites_of(SITES_ANY);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[400], lines[300];
        snprintf(lines, sizeof(lines), "Host: %s\r\n%s", rows[i].host, rows[i].lines);
        struct http_head head = head_of(text, sizeof(text), lines);
        const struct outside plain = {.authority = head.authority};
        if (sites_take_page(&named, &head, &plain) != rows[i].taken ||
            sites_take_page(&local, &head, &plain) != rows[i].taken ||
            !sites_take_page(&any, &head, &plain))
            fail_msg("row %zu: %s %s", i, rows[i].host, rows[i].lines);
    }
}

/* A page without TLS may have been written by anybody on its way. */
static void a_page_without_tls_is_no_page_of_a_server_that_was_called_with_tls(void **state)
{
    (void)state;
    static const struct {
        const char *host, *forwarded_host, *origin;
        bool is_secure, taken;
    } rows[] = {
        {"rt.example.org", "", "https://rt.example.org", true, true},
        {"rt.example.org", "", "http://rt.example.org", true, false},
        {"rt.example.org:8443", "", "https://rt.example.org:8443", true, true},
        {"rt.example.org:8443", "", "http://rt.example.org:8443", true, false},
        /* a proxy that speaks TLS may stand in front, and not say so */
        {"rt.example.org", "", "https://rt.example.org", false, true},
        {"rt.example.org", "", "http://rt.example.org", false, true},
        /* a proxy that puts its own Host there, and says which one the client has called */
        {"10.0.0.1:7070", "public.example", "https://public.example", true, true},
        {"10.0.0.1:7070", "public.example", "http://public.example", true, false},
        {"10.0.0.1:7070", "public.example", "http://public.example", false, true},
        {"10.0.0.1:7070", "public.example", "https://other.example", true, false},
        {"10.0.0.1:7070", "public.example:8443", "https://public.example:8443", true, true},
        {"10.0.0.1:7070", "public.example", "https://public.example:8443", true, false},
    };
    struct sites sites = sites_of(SITES_NAMED);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[400], lines[300];
        snprintf(lines, sizeof(lines), "Host: %s\r\nOrigin: %s\r\n", rows[i].host, rows[i].origin);
        struct http_head head = head_of(text, sizeof(text), lines);
        struct outside outside = {.is_secure = rows[i].is_secure, .authority = head.authority};
        struct str forwarded = str_from(rows[i].forwarded_host);
        if (forwarded.len)
            assert_int_equal(http_authority_parse(forwarded, &outside.authority), 0);
        if (sites_take_page(&sites, &head, &outside) != rows[i].taken)
            fail_msg("row %zu: %s %s", i, rows[i].host, rows[i].origin);
    }
}

static void a_load_by_another_site_is_crossed_but_for_a_link(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool crossed;
    } rows[] = {
        {"", false},
        {"Sec-Fetch-Site: none\r\n", false},
        {"Sec-Fetch-Site: same-origin\r\n", false},
        {"Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n", false},
        {"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", true},
        {"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"
         "Sec-Fetch-User: ?1\r\n",
         true},
        {"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
         "Sec-Fetch-User: ?1\r\n",
         false},
        {"Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n", false},
    };
    struct sites named = sites_of(SITES_NAMED), any = sites_of(SITES_ANY);
    struct sites every = {.trust = SITES_NAMED, .origins = &everything, .origins_count = 1};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[400], lines[300];
        snprintf(lines, sizeof(lines), "Host: rt.example.org\r\n%s", rows[i].lines);
        struct http_head head = head_of(text, sizeof(text), lines);
        assert_int_equal(sites_are_crossed(&named, &head), rows[i].crossed);
        assert_false(sites_are_crossed(&any, &head));
        assert_false(sites_are_crossed(&every, &head));
    }
}

static void an_item_that_can_match_nothing_or_too_much_is_not_valid(void **state)
{
    (void)state;
    static const char *const good_hosts[] = {"rt.example.org", "RT.example.org", "rt",
                                             "10.0.0.1",       "[2001:db8::1]",  "*.example.org"};
    static const char *const bad_hosts[] = {"",
                                            "*",
                                            "*.",
                                            "*.org",
                                            "*.org.",
                                            "a.*.org",
                                            "*example.org",
                                            "**.a.org",
                                            "rt.example.org.",
                                            ".example.org",
                                            "rt:80",
                                            "rt:",
                                            "u@rt",
                                            "https://rt.example.org",
                                            "rt/x",
                                            "a b",
                                            "::1",
                                            "*.[::1]",
                                            "*.a..b",
                                            "a\xc3\xa4"};
    static const char *const good_origins[] = {"*",
                                               "https://app.example",
                                               "http://a:8080",
                                               "https://*.a.example",
                                               "http://*.a.example:8080",
                                               "http://[::1]:8443"};
    static const char *const bad_origins[] = {"",
                                              "null",
                                              "app.example",
                                              "https://*",
                                              "https://*.org",
                                              "https://*.a.b/",
                                              "*.example.org",
                                              "https://*.A.example",
                                              "https://*.a.example:443",
                                              "https://a.*.example",
                                              "https://**.a.b",
                                              "https://*a.example.org",
                                              "*://a.example",
                                              "https://*.*.a.example",
                                              "ftp://*.a.example",
                                              "https://app.example/",
                                              "https://*.[::1]",
                                              "https://*.u@a.example"};
    for (size_t i = 0; i < COUNT_OF(good_hosts); i++)
        assert_true(sites_host_valid(str_from(good_hosts[i])));
    for (size_t i = 0; i < COUNT_OF(bad_hosts); i++)
        assert_false(sites_host_valid(str_from(bad_hosts[i])));
    for (size_t i = 0; i < COUNT_OF(good_origins); i++)
        assert_true(sites_origin_valid(str_from(good_origins[i])));
    for (size_t i = 0; i < COUNT_OF(bad_origins); i++)
        if (sites_origin_valid(str_from(bad_origins[i])))
            fail_msg("%s", bad_origins[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_a_configured_name_a_loopback_one_or_with_rules_an_address),
        cmocka_unit_test(a_host_that_is_no_host_never_gets_this_far),
        cmocka_unit_test(an_origin_has_the_rights_that_are_written_for_it),
        cmocka_unit_test(a_page_is_taken_if_it_is_admitted_or_one_of_this_servers_own),
        cmocka_unit_test(a_page_without_tls_is_no_page_of_a_server_that_was_called_with_tls),
        cmocka_unit_test(a_load_by_another_site_is_crossed_but_for_a_link),
        cmocka_unit_test(an_item_that_can_match_nothing_or_too_much_is_not_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
