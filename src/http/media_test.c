#include "http/media.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static int parse_result(struct str text)
{
    struct http_media media;
    struct str bytes = exact(text);
    int error = http_media_parse(bytes, &media);
    exact_free(bytes);
    return error;
}

static void a_media_type_is_taken_apart(void **state)
{
    (void)state;
    struct http_media media;
    assert_int_equal(http_media_parse(STR(" text/Plain ; charset=\"UTF-8\";a=b "), &media), 0);
    assert_str(media.full, "text/Plain");
    assert_str(media.type, "text");
    assert_str(media.subtype, "Plain");
    assert_str(http_media_param(&media, STR("charset")), "UTF-8");
    assert_str(http_media_param(&media, STR("a")), "b");
    assert_null(http_media_param(&media, STR("b")).at);
}

static void a_text_that_is_no_media_type_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_result(STR("application/vnd.a+json")), 0);
    assert_int_equal(parse_result(STR("text/plain;")), 0);
    const struct str wrong[] = {STR(""),         STR("text"),    STR("text/"),     STR("/a"),
                                STR("a/b/c"),    STR("a/b c"),   STR("a /b"),      STR("a/b;c"),
                                STR("a/b;c="),   STR("a/b,c/d"), STR("a/b;c=\"d"), STR("a/b;=d"),
                                STR("a/b;c=d e")};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(parse_result(wrong[i]), -EINVAL);
}

static bool utf8(struct str text)
{
    struct http_media media;
    assert_int_equal(http_media_parse(text, &media), 0);
    return http_media_is_utf8(&media);
}

static void a_charset_is_utf8_unless_it_says_otherwise(void **state)
{
    (void)state;
    assert_true(utf8(STR("text/plain")));
    assert_true(utf8(STR("text/plain; charset=utf-8")));
    assert_true(utf8(STR("text/plain; Charset=\"UTF-8\"")));
    assert_true(utf8(STR("text/plain; charset=US-ASCII")));
    assert_false(utf8(STR("text/plain; charset=iso-8859-1")));
    assert_false(utf8(STR("text/plain; charset=\"\"")));
}

static void json_that_says_more_is_told_from_plain_json(void **state)
{
    (void)state;
    const char *const special[] = {"application/ld+json", "application/problem+JSON",
                                   "application/vnd.api+json; ext=\"a\"", "image/svg+json"};
    const char *const others[] = {"application/json",  "application/json; charset=utf-8",
                                  "application/+json", "application/jsonld",
                                  "text/plain",        "application/ld+json-seq"};
    struct http_media media;
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        assert_int_equal(http_media_parse(str_from(special[i]), &media), 0);
        assert_true(http_media_is_special_json(&media));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(http_media_parse(str_from(others[i]), &media), 0);
        assert_false(http_media_is_special_json(&media));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_media_type_is_taken_apart),
        cmocka_unit_test(a_text_that_is_no_media_type_is_refused),
        cmocka_unit_test(a_charset_is_utf8_unless_it_says_otherwise),
        cmocka_unit_test(json_that_says_more_is_told_from_plain_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
