#include "webhooks/endpoint/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static bool reads(const char *json, unsigned allowed, struct spec *spec)
{
    const char *why = NULL;
    struct buf room = {0};
    bool good = spec_read(str_from(json), allowed,
                          allowed == SPEC_CREATE ? SPEC_URL | SPEC_CHANNELS : 0, spec, &room, &why);
    assert_true(good == (why == NULL));
    buf_free(&room);
    return good;
}

static void a_member_that_is_not_known_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        unsigned allowed;
        const char *why;
    } cases[] = {
        {"{\"url\":\"http://a.example/\",\"channel\":[\"a\"]}", SPEC_CREATE,
         "unknown member \"channel\": did you mean channels?"},
        {"{\"type\":[\"a\"]}", SPEC_CHANGE, "unknown member \"type\": did you mean types?"},
        {"{\"afer\":\"now\"}", SPEC_AFTER, "unknown member \"afer\": did you mean after?"},
        {"{\"after\":\"now\",\"url\":1}", SPEC_AFTER,
         "unknown member \"url\": the known ones are after"},
        {"{\"after\":\"1\",\"after\":\"2\"}", SPEC_AFTER, "a member of the body is given twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spec spec;
        struct buf room = {0};
        const char *why = NULL;
        assert_false(spec_read(str_from(cases[i].json), cases[i].allowed, 0, &spec, &room, &why));
        assert_string_equal(why, cases[i].why);
        buf_free(&room);
    }
}

static void refused(const char *json)
{
    struct spec spec;
    if (!reads(json, SPEC_CREATE, &spec))
        return;
    spec_free(&spec);
    fail_msg("%s is accepted", json);
}

static void a_registration_is_read(void **state)
{
    (void)state;
    struct spec spec;
    assert_true(reads(
        "{\"url\":\"https://example.com/hook?x=1\",\"channels\":[\"a\", "
        "\"b/**\"],\"types\":[\"t\"],"
        "\"description\":\"gr\\u00fc\\u00dfe\",\"headers\":{\"X-Team\":\"red\"},\"verify\":true}",
        SPEC_CREATE, &spec));
    assert_string_equal(spec.url, "https://example.com/hook?x=1");
    assert_string_equal(spec.channels, "[\"a\",\"b/**\"]");
    assert_string_equal(spec.types, "[\"t\"]");
    assert_string_equal(spec.headers, "{\"X-Team\":\"red\"}");
    assert_true(spec.verify);
    assert_int_equal(spec.from.kind, POSITION_NOW);
    struct selection *selection = spec_selection(spec.channels, spec.types);
    assert_true(selection_has_channel(selection, STR("b/c")));
    assert_false(selection_has_channel(selection, STR("c")));
    assert_false(selection_has_type(selection, STR("u")));
    selection_unref(selection);
    spec_free(&spec);
}

static void a_body_that_is_no_registration_is_refused(void **state)
{
    (void)state;
    static const char *const list[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"url\":\"http://a/\"}",
        "{\"channels\":[\"a\"]}",
        "{\"url\":\"http://a/\",\"channels\":[]}",
        "{\"url\":\"http://a/\",\"channels\":\"a\"}",
        "{\"url\":\"http://a/\",\"channels\":[\"a//b\"]}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\",1]}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"types\":[\"a b\"]}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"after\":\"yesterday\"}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"after\":7}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"after\":\"9999999999999999\"}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"secret\":\"whsec_short\"}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"verify\":1}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"state\":\"paused\"}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"chanels\":[\"b\"]}",
        "{\"url\":\"http://a/\",\"url\":\"http://b/\",\"channels\":[\"a\"]}",
        "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"description\":\"a\\u0000b\"}",
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        refused(list[i]);
}

static void check_header(const char *name, const char *value, bool good)
{
    char json[2400];
    struct spec spec;
    snprintf(json, sizeof(json), "{\"headers\":{\"%s\":\"%s\"}}", name, value);
    bool read = reads(json, SPEC_CHANGE, &spec);
    if (read)
        spec_free(&spec);
    if (read != good)
        fail_msg("%s: %s is %s", name, value, read ? "accepted" : "refused");
}

static void headers_that_frame_or_sign_the_request_are_refused(void **state)
{
    (void)state;
    char longest[1100];
    check_header("Authorization", "Bearer 123", true);
    check_header("X-Empty", "", true);
    check_header("Host", "a", false);
    check_header("content-length", "0", false);
    check_header("Transfer-Encoding", "chunked", false);
    check_header("Webhook-Signature", "v1,x", false);
    check_header("webhook-anything", "x", false);
    check_header("X-A", "b\\r\\nX-C: d", false);
    check_header("X-A", "b\\nc", false);
    check_header("X A", "b", false);
    check_header("X-A: b\\r\\nX-C", "d", false);
    check_header("", "d", false);
    memset(longest, 'x', sizeof(longest));
    longest[SPEC_HEADER_VALUE_MAX] = '\0';
    check_header("X-Long", longest, true);
    longest[SPEC_HEADER_VALUE_MAX] = 'x';
    longest[SPEC_HEADER_VALUE_MAX + 1] = '\0';
    check_header("X-Long", longest, false);
}

static void a_header_is_named_once_in_whatever_case(void **state)
{
    (void)state;
    struct spec spec;
    assert_false(reads("{\"headers\":{\"X-A\":\"a\",\"x-a\":\"b\"}}", SPEC_CHANGE, &spec));
    assert_true(reads("{\"headers\":{\"X-A\":\"a\",\"X-B\":\"b\"}}", SPEC_CHANGE, &spec));
    spec_free(&spec);
}

static void after_is_an_id_a_time_or_a_word(void **state)
{
    (void)state;
    struct spec spec;
    const char *head = "{\"url\":\"http://a/\",\"channels\":[\"a\"],\"after\":";
    static const struct {
        const char *text;
        enum position_kind kind;
        uint64_t id;
        int64_t us;
    } list[] = {{"\"now\"}", POSITION_NOW, 0, 0},
                {"\"earliest\"}", POSITION_EARLIEST, 0, 0},
                {"\"0000000000000017\"}", POSITION_CURSOR, 17, 0},
                {"\"1970-01-01T00:00:01Z\"}", POSITION_TIME, 0, 1000000}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char json[128];
        snprintf(json, sizeof(json), "%s%s", head, list[i].text);
        assert_true(reads(json, SPEC_CREATE, &spec));
        assert_int_equal(spec.from.kind, list[i].kind);
        assert_int_equal(spec.from.id, list[i].id);
        assert_int_equal(spec.from.time_us, list[i].us);
        spec_free(&spec);
    }
}

static void a_change_has_only_what_it_changes(void **state)
{
    (void)state;
    struct spec spec;
    assert_true(reads("{\"state\":\"paused\"}", SPEC_CHANGE, &spec));
    assert_int_equal(spec.has, SPEC_STATE);
    assert_true(spec.paused);
    spec_free(&spec);
    assert_false(reads("{\"state\":\"disabled\"}", SPEC_CHANGE, &spec));
    assert_false(reads("{\"after\":\"now\"}", SPEC_CHANGE, &spec));
    assert_false(
        reads("{\"secret\":\"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", SPEC_CHANGE, &spec));
}

static void check_host(const char *url, const char *expected)
{
    char *host = spec_url_host(url);
    if (expected && (!host || strcmp(host, expected) != 0))
        fail_msg("the host of %s is %s", url, host ? host : "none");
    if (!expected && host)
        fail_msg("%s is accepted", url);
    free(host);
}

static void urls_that_can_never_connect_are_refused(void **state)
{
    (void)state;
    static const char *const never[] = {
        "http:///h",         "http:////h",       "http:/h",           "https:///h/x",
        "http://h:0/",       "http://h:00000/",  "http://[::1]:0/",   "http://256.1.1.1/",
        "http://1.2.3.4.5/", "http://1.2.3.999", "http://a.b.0x1g.1", "http://a..b/",
        "http://.a/",        "http://./",        "http://-a/",        "http://h:65536/",
        "http://a.123/",     "http://[::g]/",    "http://[1.2.3.4]/", "http://*.example.com/",
        "http://a.0xff/",
    };
    static const char *const good[] = {
        "http://h:1/",
        "http://h:/",
        "https://hooks.example.com.:443/x",
        "http://a_b/",
        "http://1.2.3.4/",
        "http://1a.2b/",
        "http://xn--bcher-kva.example/",
        "http://h/?x=http:///",
        "http://h/a://b",
    };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        check_host(never[i], NULL);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char *host = spec_url_host(good[i]);
        if (!host)
            fail_msg("%s is refused", good[i]);
        free(host);
    }
    char label[100], url[200];
    memset(label, 'a', 64);
    label[64] = 0;
    snprintf(url, sizeof(url), "http://%s/", label);
    check_host(url, NULL);
    snprintf(url, sizeof(url), "http://%s/", label + 1);
    check_host(url, label + 1);
}

static void urls_are_http_with_a_host_and_nothing_hidden(void **state)
{
    (void)state;
    check_host("http://example.com", "example.com");
    check_host("https://[::1]:8443/x", "[::1]");
    check_host("ftp://example.com/", NULL);
    check_host("file:///etc/passwd", NULL);
    check_host("javascript:alert(1)", NULL);
    check_host("gopher://127.0.0.1:11211/_x", NULL);
    check_host("/hook", NULL);
    check_host("", NULL);
    check_host("http://", NULL);
    check_host("http://me:secret@example.com/", NULL);
    check_host("http://me@example.com/", NULL);
    check_host("http://127.0.0.1:99999/", NULL);
    check_host("http://[fe80::1%25eth0]/", NULL);
    check_host("http://a/\r\nX-Evil: 1", NULL);
    check_host("http://a/b c", NULL);
    check_host("http://a/gr\xc3\xbc\xc3\x9f", NULL);
}

static void an_address_in_disguise_is_seen_through(void **state)
{
    (void)state;
    check_host("http://2130706433/", "127.0.0.1");
    check_host("http://0x7f.1/", "127.0.0.1");
    check_host("http://0177.0.0.1/", "127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_is_read),
        cmocka_unit_test(a_member_that_is_not_known_is_named),
        cmocka_unit_test(a_body_that_is_no_registration_is_refused),
        cmocka_unit_test(headers_that_frame_or_sign_the_request_are_refused),
        cmocka_unit_test(a_header_is_named_once_in_whatever_case),
        cmocka_unit_test(after_is_an_id_a_time_or_a_word),
        cmocka_unit_test(a_change_has_only_what_it_changes),
        cmocka_unit_test(urls_that_can_never_connect_are_refused),
        cmocka_unit_test(urls_are_http_with_a_host_and_nothing_hidden),
        cmocka_unit_test(an_address_in_disguise_is_seen_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
