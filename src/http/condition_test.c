#include "http/condition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static int if_match(struct str text, struct str *ret)
{
    struct str bytes = exact(text), rest = STR_NONE;
    int error = http_if_match(bytes, &rest);
    if (!error)
        *ret = (struct str){text.at + (rest.at - bytes.at), rest.len};
    exact_free(bytes);
    return error;
}

static void if_match_takes_a_single_strong_tag(void **state)
{
    (void)state;
    struct str tag;
    assert_int_equal(if_match(STR("\"1795459080123456\""), &tag), 0);
    assert_str(tag, "1795459080123456");
    assert_int_equal(if_match(STR(" \"a\" , "), &tag), 0);
    assert_str(tag, "a");
    assert_int_equal(if_match(STR("\"\""), &tag), 0);
    assert_int_equal(tag.len, 0);
}

static void any_other_if_match_is_refused(void **state)
{
    (void)state;
    struct str tag;
    const struct str wrong[] = {
        STR(""),        STR("*"),   STR("a"),           STR("W/\"a\""),     STR("w/\"a\""),
        STR("\"a"),     STR("a\""), STR("\"a\" \"b\""), STR("\"a\",\"b\""), STR("\"a\",b"),
        STR("\"a b\""), STR("W/"),  STR("\"a\"b"),      STR("\"")};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(if_match(wrong[i], &tag), -EINVAL);
}

static void a_list_of_tags_is_walked(void **state)
{
    (void)state;
    struct str rest = STR("\"a,b\" ,W/\"c\",, \"\"");
    struct http_etag tag;
    assert_int_equal(http_etag_next(&rest, &tag), 1);
    assert_str(tag.opaque, "a,b");
    assert_false(tag.weak);
    assert_int_equal(http_etag_next(&rest, &tag), 1);
    assert_str(tag.opaque, "c");
    assert_true(tag.weak);
    assert_int_equal(http_etag_next(&rest, &tag), 1);
    assert_int_equal(tag.opaque.len, 0);
    assert_int_equal(http_etag_next(&rest, &tag), 0);
}

static const char *key(struct str text)
{
    static char out[9];
    size_t len = 0;
    struct str bytes = exact(text);
    int error = http_idempotency_key(bytes, out, 8, &len);
    exact_free(bytes);
    if (error)
        return error == -EMSGSIZE ? "too long" : "wrong";
    out[len] = '\0';
    return out;
}

static void a_key_may_be_quoted_or_not(void **state)
{
    (void)state;
    assert_string_equal(key(STR("abc")), "abc");
    assert_string_equal(key(STR("\"abc\"")), "abc");
    assert_string_equal(key(STR("  \"a c\" ")), "a c");
    assert_string_equal(key(STR("a\"b\\")), "a\"b\\");
}

static void a_quoted_key_is_unescaped(void **state)
{
    (void)state;
    assert_string_equal(key(STR("\"a\\\"b\\\\\"")), "a\"b\\");
    assert_string_equal(key(STR("\"a\\b\"")), "wrong");
    assert_string_equal(key(STR("\"a\\\"")), "wrong");
}

static void a_badly_quoted_or_empty_key_is_refused(void **state)
{
    (void)state;
    assert_string_equal(key(STR("")), "wrong");
    assert_string_equal(key(STR("\"\"")), "wrong");
    assert_string_equal(key(STR("\"")), "wrong");
    assert_string_equal(key(STR("\"a")), "wrong");
    assert_string_equal(key(STR("\"a\"b")), "wrong");
    assert_string_equal(key(STR("\"a\";b=c")), "wrong");
    assert_string_equal(key(STR("\"\xc3\xa4\"")), "wrong");
    assert_string_equal(key(STR("\"\t\"")), "wrong");
}

static void a_key_is_bounded(void **state)
{
    (void)state;
    assert_string_equal(key(STR("12345678")), "12345678");
    assert_string_equal(key(STR("123456789")), "too long");
    assert_string_equal(key(STR("\"12345678\"")), "12345678");
    assert_string_equal(key(STR("\"123456789\"")), "too long");
    assert_string_equal(key(STR("\"1234567\\\\\"")), "1234567\\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_match_takes_a_single_strong_tag),
        cmocka_unit_test(any_other_if_match_is_refused),
        cmocka_unit_test(a_list_of_tags_is_walked),
        cmocka_unit_test(a_key_may_be_quoted_or_not),
        cmocka_unit_test(a_quoted_key_is_unescaped),
        cmocka_unit_test(a_badly_quoted_or_empty_key_is_refused),
        cmocka_unit_test(a_key_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
