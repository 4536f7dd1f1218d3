#include "http/forwarded.h"

#include "http/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *lines;
    const char *want; /* addresses from the last to the first, each with a '|' behind it */
};

static void check(const struct row *row, bool is_standard)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_fields fields;
    struct str bytes = exact(str_from(row->lines)), address;
    char got[500] = "";
    size_t len = 0;
    assert_int_equal(http_fields_parse(bytes, &limits, &fields), 0);
    struct http_forwarded walk = http_forwarded_walk(&fields, is_standard);
    while (http_forwarded_before(&walk, &address))
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s|", STR_FMT(address));
    assert_string_equal(got, row->want);
    exact_free(bytes);
}

static void addresses_are_read_from_the_end(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1|"},
        {"x-forwarded-for: 192.0.2.1 , 198.51.100.2,203.0.113.3\r\n",
         "203.0.113.3|198.51.100.2|192.0.2.1|"},
        {"X-Forwarded-For: 192.0.2.1\r\nA: b\r\nX-Forwarded-For: 198.51.100.2\r\n",
         "198.51.100.2|192.0.2.1|"},
        {"X-Forwarded-For: 192.0.2.1:80, [2001:db8::1]:443, [2001:db8::2], 2001:db8::3\r\n",
         "2001:db8::3|2001:db8::2|2001:db8::1|192.0.2.1|"},
        {"X-Forwarded-For: \"evil, 192.0.2.1\r\n", "192.0.2.1|\"evil|"},
        {"X-Forwarded-For: , ,192.0.2.1, ,\r\n", "192.0.2.1|"},
        {"X-Forwarded-For: unknown, [2001:db8::1, [::1]x, 192.0.2.1:x, a:b:c\r\n",
         "a:b:c||||unknown|"},
        {"X-Forwarded-For:\r\n", ""},
        {"X-Forwarded-For: ,,,\r\n", ""},
        {"Forwarded: for=192.0.2.1\r\n", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i], false);
}

static void elements_of_forwarded_are_read_from_the_end(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"Forwarded: for=192.0.2.1\r\n", "192.0.2.1|"},
        {"Forwarded: proto=https;FOR=\"192.0.2.1:80\";by=_x, for=\"[2001:db8::1]:443\"\r\n",
         "2001:db8::1|192.0.2.1|"},
        {"Forwarded: for=\"evil, for=192.0.2.1\r\n", "192.0.2.1||"},
        {"Forwarded: proto=http;host=\"a;for=evil;b\";for=192.0.2.1\r\n", "192.0.2.1|"},
        {"Forwarded: host=\"a\\\";for=evil;b\\\"\";for=192.0.2.1\r\n", "192.0.2.1|"},
        {"Forwarded: host=\"a, for=evil, b\";for=192.0.2.1\r\n", "192.0.2.1|"},
        {"Forwarded: host=\"a\\\", for=evil, b\\\"\";for=192.0.2.1\r\n", "192.0.2.1|"},
        {"Forwarded: for=evil;x=\", host=\"\\\"\";for=192.0.2.1\r\n", "192.0.2.1||"},
        {"Forwarded: for=evil;x=\"\\, host=\"\\\\\";for=192.0.2.1\r\n", "192.0.2.1||"},
        {"Forwarded: for=evil, host=\"a;for=192.0.2.1\r\n", "|"},
        {"Forwarded: for=evil;host=\";for=192.0.2.1\r\n", "|"},
        {"Forwarded: for=a;x=\"b, for=c\", for=192.0.2.1\r\n", "192.0.2.1|a|"},
        {"Forwarded: for=192.0.2.1\r\nForwarded: for=unknown, proto=http, for=_hidden\r\n",
         "_hidden||unknown|192.0.2.1|"},
        {"Forwarded: for, for=, =for, ;;\r\n", "||||"},
        {"Forwarded: for=\"192.0.2.1:_p\", for=\"[2001:db8::1]:_a.b-1\"\r\n",
         "2001:db8::1|192.0.2.1|"},
        {"Forwarded: for=\"192.0.2.1:p\", for=\"192.0.2.1:_p q\", for=\"192.0.2.1:\"\r\n", "|||"},
        {"X-Forwarded-For: 192.0.2.1\r\n", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i], true);
}

/* How the client has called, as the proxy says that is so many steps away. */
static void the_scheme_and_the_host_are_those_of_the_proxy_that_the_client_has_reached(void **state)
{
    (void)state;
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    static const struct {
        const char *lines;
        bool is_standard;
        unsigned steps;
        const char *proto, *host;
    } rows[] = {
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n", false, 1, "https",
         "a.example"},
        {"X-Forwarded-Proto: https\r\n", false, 3, "https", ""},
        {"X-Forwarded-Proto: https, http\r\n", false, 1, "http", ""},
        {"X-Forwarded-Proto: forged, https, http\r\n", false, 2, "https", ""},
        {"X-Forwarded-Proto: https\r\nA: b\r\nX-Forwarded-Proto: http\r\n", false, 2, "https", ""},
        {"Forwarded: proto=https;host=a.example\r\n", false, 1, "", ""},
        {"X-Forwarded-Proto: https\r\n", true, 1, "", ""},
        {"Forwarded: for=192.0.2.1;Proto=https;host=\"a.example:8443\", "
         "for=10.0.0.1;proto=http\r\n",
         true, 2, "https", "a.example:8443"},
        {"Forwarded: for=192.0.2.1;proto=https, for=10.0.0.1\r\n", true, 1, "", ""},
        {"Forwarded: host=\"open;proto=https\r\n", true, 1, "", ""},
        {"A: b\r\n", true, 1, "", ""},
        {"X-Forwarded-Proto: https\r\n", false, 0, "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_fields fields;
        struct str bytes = exact(str_from(rows[i].lines));
        assert_int_equal(http_fields_parse(bytes, &limits, &fields), 0);
        struct str proto = http_forwarded_proto(&fields, rows[i].is_standard, rows[i].steps);
        struct str host = http_forwarded_host(&fields, rows[i].is_standard, rows[i].steps);
        if (!str_eq(proto, str_from(rows[i].proto)) || !str_eq(host, str_from(rows[i].host)))
            fail_msg("%s: %.*s %.*s", rows[i].lines, STR_FMT(proto), STR_FMT(host));
        exact_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_scheme_and_the_host_are_those_of_the_proxy_that_the_client_has_reached),
        cmocka_unit_test(addresses_are_read_from_the_end),
        cmocka_unit_test(elements_of_forwarded_are_read_from_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
