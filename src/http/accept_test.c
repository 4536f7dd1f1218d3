#include "http/accept.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

/* Fields `name: value`, a field for each line of `values`. */
static struct http_fields fields_of(struct str name, struct str values)
{
    struct http_fields fields = {0};
    while (values.at) {
        struct str line = str_cut(&values, '\n');
        unsigned sort = http_field_sort(name);
        fields.at[fields.count++] = (struct http_field){name, line, sort};
        fields.sorts |= UINT64_C(1) << sort;
    }
    return fields;
}

static unsigned quality(struct str accept, struct str type)
{
    struct str bytes = exact(accept);
    struct http_fields fields = fields_of(STR("Accept"), bytes);
    unsigned found = http_accept_quality(&fields, type, NULL);
    exact_free(bytes);
    return found;
}

enum { PAGE, SSE, NDJSON };

static int best(struct str accept)
{
    static const char *const offers[] = {"application/json", "text/event-stream",
                                         "application/x-ndjson"};
    struct str list[3];
    for (size_t i = 0; i < 3; i++)
        list[i] = str_from(offers[i]);
    struct http_fields fields = fields_of(STR("Accept"), accept);
    return http_accept_best(&fields, list, 3);
}

static void the_table_of_rfc_9110_holds(void **state)
{
    (void)state;
    struct str accept = STR("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed,"
                            "text/plain;format=fixed;q=0.4, */*;q=0.5");
    assert_int_equal(quality(accept, STR("text/plain;format=flowed")), 1000);
    assert_int_equal(quality(accept, STR("text/plain")), 700);
    assert_int_equal(quality(accept, STR("text/html")), 300);
    assert_int_equal(quality(accept, STR("image/jpeg")), 500);
    assert_int_equal(quality(accept, STR("text/plain;format=fixed")), 400);
    assert_int_equal(quality(accept, STR("text/html;level=3")), 300);
}

static void without_accept_the_first_offer_is_best(void **state)
{
    (void)state;
    assert_int_equal(best(STR_NONE), PAGE);
    assert_int_equal(best(STR("")), PAGE);
    assert_int_equal(best(STR("*/*")), PAGE);
}

static void a_format_named_in_accept_is_chosen(void **state)
{
    (void)state;
    assert_int_equal(best(STR("text/event-stream")), SSE);
    assert_int_equal(best(STR("Text/Event-Stream")), SSE);
    assert_int_equal(best(STR("application/x-ndjson")), NDJSON);
    assert_int_equal(best(STR("text/event-stream;charset=utf-8")), SSE);
    assert_int_equal(best(STR("text/*")), SSE);
}

static void a_name_beats_a_wildcard_of_the_same_quality(void **state)
{
    (void)state;
    assert_int_equal(best(STR("text/event-stream, */*")), SSE);
    assert_int_equal(best(STR("*/*, application/x-ndjson")), NDJSON);
    assert_int_equal(best(STR("*/*, text/event-stream;q=0.9")), PAGE);
}

static void a_browser_gets_a_page(void **state)
{
    (void)state;
    assert_int_equal(best(STR("text/html,application/xhtml+xml,application/xml;q=0.9,"
                              "image/avif,image/webp,*/*;q=0.8")),
                     PAGE);
}

static void quality_decides_then_the_order_of_offers(void **state)
{
    (void)state;
    assert_int_equal(best(STR("application/json;q=0.5, text/event-stream;q=0.501")), SSE);
    assert_int_equal(best(STR("text/event-stream, application/json")), PAGE);
    assert_int_equal(best(STR("application/x-ndjson;Q=1.000, text/event-stream;q=0.999")), NDJSON);
}

static void several_accept_fields_are_one_list(void **state)
{
    (void)state;
    assert_int_equal(best(STR("application/json;q=0.1\ntext/event-stream;q=0.2")), SSE);
}

static void the_better_of_two_equal_ranges_counts(void **state)
{
    (void)state;
    assert_int_equal(quality(STR("a/b;q=0.1, a/b;q=0.2"), STR("a/b")), 200);
    assert_int_equal(quality(STR("a/b;q=0.2, a/b;q=0.1"), STR("a/b")), 200);
}

static void quality_zero_refuses(void **state)
{
    (void)state;
    assert_int_equal(best(STR("application/json;q=0, */*;q=0.1")), SSE);
    assert_int_equal(best(STR("*/*;q=0")), -1);
    assert_int_equal(best(STR("image/png")), -1);
    assert_int_equal(best(STR("application/json;q=0.000, application/*")), NDJSON);
}

static void unreadable_elements_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(best(STR("text/event-stream;q=2, application/x-ndjson")), NDJSON);
    assert_int_equal(best(STR("garbage, application/x-ndjson")), NDJSON);
    assert_int_equal(best(STR("garbage")), PAGE);
    assert_int_equal(quality(STR("a/b;q=1.001, c/d"), STR("a/b")), 0);
    assert_int_equal(quality(STR("a/b;q=0.1234, c/d"), STR("a/b")), 0);
    assert_int_equal(quality(STR("a/b;q=.5, c/d"), STR("a/b")), 0);
    assert_int_equal(quality(STR("a/b;q=1., c/d"), STR("a/b")), 1000);
    assert_int_equal(quality(STR("a/b;q=, c/d"), STR("a/b")), 0);
    assert_int_equal(quality(STR("*/b, c/d"), STR("a/b")), 0);
}

static bool wait_of(struct str prefer, uint32_t *ret)
{
    struct str bytes = exact(prefer);
    struct http_fields fields = fields_of(STR("Prefer"), bytes);
    bool found = http_prefer_wait(&fields, ret);
    exact_free(bytes);
    return found;
}

static void wait_is_found_however_it_is_written(void **state)
{
    (void)state;
    uint32_t seconds = 0;
    const struct str ways[] = {
        STR("wait=25"),          STR("Wait=25"),
        STR("wait = 25"),        STR("wait=\"25\""),
        STR("a, wait=25"),       STR("respond-async, wait=25; b"),
        STR("a\nwait=25"),       STR("x=\",wait=1\", wait=25"),
        STR("wait=25, wait=10"), STR("wait=25\nwait=10"),
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        seconds = 0;
        assert_true(wait_of(ways[i], &seconds));
        assert_int_equal(seconds, 25);
    }
}

static void a_wait_that_is_no_number_is_ignored(void **state)
{
    (void)state;
    uint32_t seconds;
    const struct str wrong[] = {STR("wait"),           STR("wait="),     STR("wait=a"),
                                STR("wait=-1"),        STR("wait=2.5"),  STR("wait=\"\""),
                                STR("waiting=25"),     STR("a;wait=25"), STR(""),
                                STR("wait=x, wait=25")};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(wait_of(wrong[i], &seconds));
    struct http_fields none = {0};
    assert_false(http_prefer_wait(&none, &seconds));
}

static void a_wait_beyond_all_measure_is_the_longest(void **state)
{
    (void)state;
    uint32_t seconds;
    assert_true(wait_of(STR("wait=4294967296"), &seconds));
    assert_int_equal(seconds, UINT32_MAX);
    assert_true(wait_of(STR("wait=99999999999999999999999"), &seconds));
    assert_int_equal(seconds, UINT32_MAX);
}

static void a_preference_may_have_no_value(void **state)
{
    (void)state;
    struct str value;
    struct http_fields fields = fields_of(STR("prefer"), STR("respond-async, return=minimal"));
    assert_true(http_prefer(&fields, STR("respond-async"), &value));
    assert_int_equal(value.len, 0);
    assert_true(http_prefer(&fields, STR("return"), &value));
    assert_str(value, "minimal");
    assert_false(http_prefer(&fields, STR("minimal"), &value));
}

#define LITERAL(text)                                                                              \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void gzip_is_used_as_the_client_wishes(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        enum http_gzip_wish want;
    } rows[] = {
        {LITERAL("gzip"), HTTP_GZIP_YES},
        {LITERAL("GZip"), HTTP_GZIP_YES},
        {LITERAL("x-gzip"), HTTP_GZIP_YES},
        {LITERAL("gzip, deflate, br, zstd"), HTTP_GZIP_YES},
        {LITERAL("br;q=1.0, gzip;q=0.8, *;q=0.1"), HTTP_GZIP_YES},
        {LITERAL("deflate, gzip ; q=0.001"), HTTP_GZIP_YES},
        {LITERAL("*"), HTTP_GZIP_YES},
        {LITERAL("br, *;q=0.5"), HTTP_GZIP_YES},
        {LITERAL("gzip;q=0.5, identity;q=0.5"), HTTP_GZIP_YES},
        {LITERAL("gzip, identity;q=0"), HTTP_GZIP_ONLY},
        {LITERAL("identity;q=0, *;q=0.5"), HTTP_GZIP_ONLY},
        {LITERAL("gzip, *;q=0"), HTTP_GZIP_ONLY},
        {LITERAL(""), HTTP_GZIP_NO},
        {LITERAL("identity"), HTTP_GZIP_NO},
        {LITERAL("br, deflate"), HTTP_GZIP_NO},
        {LITERAL("gzip;q=0"), HTTP_GZIP_NO},
        {LITERAL("gzip;q=0.000"), HTTP_GZIP_NO},
        {LITERAL("gzip;q=0, *"), HTTP_GZIP_NO},
        {LITERAL("*;q=0"), HTTP_GZIP_NO},
        {LITERAL("identity;q=0"), HTTP_GZIP_NO},
        {LITERAL("gzip;q=0.4, identity;q=0.5"), HTTP_GZIP_NO},
        {LITERAL("gzip;q=2"), HTTP_GZIP_NO},
        {LITERAL("gzip;q=x"), HTTP_GZIP_NO},
        {LITERAL("gzip;level=9"), HTTP_GZIP_NO},
        {LITERAL("gzip;"), HTTP_GZIP_NO},
        {LITERAL("gzippy"), HTTP_GZIP_NO},
        {LITERAL(";q=1"), HTTP_GZIP_NO},
    };
    struct http_fields none = {0};
    assert_int_equal(http_accept_gzip(&none), HTTP_GZIP_NO);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_fields fields = fields_of(STR("Accept-Encoding"), rows[i].value);
        if ((int)http_accept_gzip(&fields) != (int)rows[i].want)
            fail_msg("%.*s", STR_FMT(rows[i].value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_rfc_9110_holds),
        cmocka_unit_test(without_accept_the_first_offer_is_best),
        cmocka_unit_test(a_format_named_in_accept_is_chosen),
        cmocka_unit_test(a_name_beats_a_wildcard_of_the_same_quality),
        cmocka_unit_test(a_browser_gets_a_page),
        cmocka_unit_test(quality_decides_then_the_order_of_offers),
        cmocka_unit_test(several_accept_fields_are_one_list),
        cmocka_unit_test(the_better_of_two_equal_ranges_counts),
        cmocka_unit_test(quality_zero_refuses),
        cmocka_unit_test(unreadable_elements_are_passed_over),
        cmocka_unit_test(wait_is_found_however_it_is_written),
        cmocka_unit_test(a_wait_that_is_no_number_is_ignored),
        cmocka_unit_test(a_wait_beyond_all_measure_is_the_longest),
        cmocka_unit_test(a_preference_may_have_no_value),
        cmocka_unit_test(gzip_is_used_as_the_client_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
