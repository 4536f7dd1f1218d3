#include "http/target.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

/* Decodes into a buffer; "!N" for error N. */
static const char *decoded(int (*decode)(struct str, struct buf *), struct str raw)
{
    static char text[100];
    struct buf out = {0};
    buf_add_lit(&out, "<");
    struct str bytes = exact(raw);
    int error = decode(bytes, &out);
    exact_free(bytes);
    if (error)
        assert_int_equal(out.len, 1);
    if (error)
        snprintf(text, sizeof(text), "!%d", error);
    else
        snprintf(text, sizeof(text), "%.*s>", STR_FMT(buf_str(&out)));
    buf_free(&out);
    return text;
}

static const char *segments(struct str path)
{
    static char out[100];
    size_t len = 0;
    struct str rest = exact(path), whole = rest, segment;
    out[0] = '\0';
    while (http_path_next(&rest, &segment))
        len += (size_t)snprintf(out + len, sizeof(out) - len, "[%.*s]", STR_FMT(segment));
    exact_free(whole);
    return out;
}

static const char *pairs(struct str query)
{
    static char out[100];
    size_t len = 0;
    struct str rest = exact(query), whole = rest, name, value;
    out[0] = '\0';
    while (http_query_next(&rest, &name, &value))
        len += (size_t)snprintf(out + len, sizeof(out) - len, value.at ? "[%.*s=%.*s]" : "[%.*s]",
                                STR_FMT(name), STR_FMT(value));
    exact_free(whole);
    return out;
}

static void a_path_is_split_before_it_is_decoded(void **state)
{
    (void)state;
    assert_string_equal(segments(STR("/channels/a%2Fb/c")), "[channels][a%2Fb][c]");
    assert_string_equal(segments(STR("/a")), "[a]");
}

static void empty_segments_are_told(void **state)
{
    (void)state;
    assert_string_equal(segments(STR("/")), "[]");
    assert_string_equal(segments(STR("/a/")), "[a][]");
    assert_string_equal(segments(STR("//a")), "[][a]");
}

static void a_path_is_decoded_segment_by_segment(void **state)
{
    (void)state;
    assert_string_equal(decoded(http_path_decode, STR("/chat/a%20b/%c3%A4")),
                        "<chat/a b/\xc3\xa4>");
    assert_string_equal(decoded(http_path_decode, STR("/a")), "<a>");
    assert_string_equal(decoded(http_path_decode, STR("//a/")), "</a/>");
    assert_string_equal(decoded(http_path_decode, STR("/")), "<>");
    assert_string_equal(decoded(http_path_decode, STR("")), "<>");
    struct buf out = {0};
    assert_int_equal(http_path_decode(STR("/a/b%2Fc/d"), &out), HTTP_TARGET_E_SLASH);
    assert_true(str_eq(buf_str(&out), STR("a/")));
    buf_free(&out);
}

static void a_target_that_is_no_path_has_no_segments(void **state)
{
    (void)state;
    assert_string_equal(segments(STR("")), "");
    assert_string_equal(segments(STR("*")), "");
    struct str none = STR_NONE, segment;
    assert_false(http_path_next(&none, &segment));
}

static void percent_encoding_is_undone_once(void **state)
{
    (void)state;
    assert_string_equal(decoded(http_segment_decode, STR("a%20b%c3%A4")), "<a b\xc3\xa4>");
    assert_string_equal(decoded(http_segment_decode, STR("%2541")), "<%41>");
    assert_string_equal(decoded(http_segment_decode, STR("a+b")), "<a+b>");
    assert_string_equal(decoded(http_segment_decode, STR("")), "<>");
}

static void broken_percent_encoding_is_refused(void **state)
{
    (void)state;
    const struct str wrong[] = {STR("%"),   STR("a%"),   STR("%4"),  STR("%4g"),
                                STR("%g4"), STR("%%41"), STR("%-1"), STR("% 1")};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_string_equal(decoded(http_segment_decode, wrong[i]), "!1");
        assert_string_equal(decoded(http_query_decode, wrong[i]), "!1");
    }
}

static void a_segment_hides_neither_slash_nor_nul(void **state)
{
    (void)state;
    assert_string_equal(decoded(http_segment_decode, STR("a%2fb")), "!3");
    assert_string_equal(decoded(http_segment_decode, STR("a%2Fb")), "!3");
    assert_string_equal(decoded(http_segment_decode, STR("a%00")), "!2");
    assert_string_equal(decoded(http_segment_decode, STR("a+%252f")), "<a+%2f>");
}

static void a_plus_in_a_query_is_a_space(void **state)
{
    (void)state;
    assert_string_equal(decoded(http_query_decode, STR("a+b%2Bc%2f")), "<a b+c/>");
    assert_string_equal(decoded(http_query_decode, STR("%00")), "!2");
}

static void a_query_is_split_before_it_is_decoded(void **state)
{
    (void)state;
    assert_string_equal(pairs(STR("a=b&c=d%26e")), "[a=b][c=d%26e]");
    assert_string_equal(pairs(STR("a=b=c")), "[a=b=c]");
    assert_string_equal(pairs(STR("a&b=&=c")), "[a][b=][=c]");
    assert_string_equal(pairs(STR("&&a&")), "[a]");
    assert_string_equal(pairs(STR("")), "");
}

static void a_query_name_is_compared_decoded(void **state)
{
    (void)state;
    assert_true(http_query_name_is(STR("after"), STR("after")));
    assert_true(http_query_name_is(STR("%61fter"), STR("after")));
    assert_true(http_query_name_is(STR("a+b"), STR("a b")));
    assert_false(http_query_name_is(STR("afte"), STR("after")));
    assert_false(http_query_name_is(STR("afterx"), STR("after")));
    assert_false(http_query_name_is(STR("After"), STR("after")));
    assert_false(http_query_name_is(STR("%6"), STR("a")));
    assert_true(http_query_name_is(STR(""), STR("")));
}

static void encoded_bytes_decode_to_the_original(void **state)
{
    (void)state;
    struct buf encoded = {0}, out = {0};
    char all[255]; /* a query has no NUL */
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)(i + 1);
    http_percent_encode(&encoded, (struct str){all, sizeof(all)});
    assert_null(memchr(encoded.at, '+', encoded.len));
    assert_null(memchr(encoded.at, '&', encoded.len));
    assert_null(memchr(encoded.at, '/', encoded.len));
    assert_int_equal(http_query_decode(buf_str(&encoded), &out), 0);
    assert_true(str_eq(buf_str(&out), (struct str){all, sizeof(all)}));
    buf_clear(&encoded);
    http_percent_encode(&encoded, STR("a/b c\xc3\xa4~"));
    assert_str(buf_str(&encoded), "a%2Fb%20c%C3%A4~");
    buf_free(&encoded);
    buf_free(&out);
}

static void secrets_in_a_url_are_hidden(void **state)
{
    (void)state;
    static const char *const urls[][2] = {
        {"", ""},
        {"https://example.com", "https://example.com"},
        {"https://example.com:8443/a/b@c", "https://example.com:8443/a/b@c"},
        {"https://user:password@example.com/", "https://***@example.com/"},
        {"https://token@example.com?a=b", "https://***@example.com?a=***"},
        {"https://a@b@example.com/", "https://***@example.com/"},
        {"https://a:b\\c@example.com/", "https://***@example.com/"},
        {"https://example.com/h?token=s3cret&n=1", "https://example.com/h?token=***&n=***"},
        {"https://example.com/h?a=b=c&&d=", "https://example.com/h?a=***&&d=***"},
        {"https://example.com/h?s3cret", "https://example.com/h?***"},
        {"https://example.com/h?", "https://example.com/h?"},
        {"https://example.com/h?a=http://u:p@x/?y#s3cret", "https://example.com/h?a=***"},
        {"https://example.com/h#s3cret?a=b", "https://example.com/h"},
        {"//user@example.com", "//***@example.com"},
        {"user:password@example.com/x", "***@example.com/x"},
        {"?a=b", "?a=***"},
        {"example.com/h?token=s3cret&next=http://x", "example.com/h?token=***&next=***"},
        {"user:password@example.com?a=//b", "***@example.com?a=***"},
        {"https:/user:password@example.com/", "https:/***@example.com/"},
        {"https:///user:password@example.com/", "https:///***@example.com/"},
        {"#//s3cret", ""},
    };
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        struct buf out = {0};
        struct str url = exact(str_from(urls[i][0]));
        http_url_hide(&out, url);
        exact_free(url);
        buf_add_char(&out, '\0');
        assert_string_equal(out.at, urls[i][1]);
        buf_free(&out);
    }
}

static void a_text_is_hidden_in_part_if_it_is_a_url(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"https://user:s3cret@example.com/?a=s3cret", "https://***@example.com/?a=***"},
        {"me@example.com", "me@example.com"},
        {"a?b=c#d", "a?b=c#d"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct buf out = {0};
        struct str text = exact(str_from(texts[i][0]));
        http_text_hide(&out, text);
        exact_free(text);
        assert_true(str_eq(buf_str(&out), str_from(texts[i][1])));
        buf_free(&out);
    }
}

static void a_lack_of_memory_is_reported(void **state)
{
    (void)state;
    struct buf out = {0};
    mem_fail_nth(1);
    assert_int_equal(http_query_decode(STR("a"), &out), -ENOMEM);
    mem_fail_nth(0);
    buf_free(&out);
}

static void every_error_has_a_sentence(void **state)
{
    (void)state;
    for (int error = 1; error < HTTP_TARGET_E_COUNT; error++)
        assert_true(http_target_error_detail(error).len > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_split_before_it_is_decoded),
        cmocka_unit_test(empty_segments_are_told),
        cmocka_unit_test(a_path_is_decoded_segment_by_segment),
        cmocka_unit_test(a_target_that_is_no_path_has_no_segments),
        cmocka_unit_test(percent_encoding_is_undone_once),
        cmocka_unit_test(broken_percent_encoding_is_refused),
        cmocka_unit_test(a_segment_hides_neither_slash_nor_nul),
        cmocka_unit_test(a_plus_in_a_query_is_a_space),
        cmocka_unit_test(a_query_is_split_before_it_is_decoded),
        cmocka_unit_test(a_query_name_is_compared_decoded),
        cmocka_unit_test(encoded_bytes_decode_to_the_original),
        cmocka_unit_test(secrets_in_a_url_are_hidden),
        cmocka_unit_test(a_text_is_hidden_in_part_if_it_is_a_url),
        cmocka_unit_test(a_lack_of_memory_is_reported),
        cmocka_unit_test(every_error_has_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
