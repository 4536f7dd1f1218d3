#include "base/json.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

/* json_check() of a copy that ends with its last byte, so that a sanitizer sees any read beyond
 * it. */
static int check_at(struct str text, size_t *ret_at)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.at, text.len);
    size_t at;
    int result = json_check((struct str){copy, text.len}, JSON_DEPTH_MAX, &at);
    free(copy);
    /* A check that pauses as often as possible must give the same result. */
    struct json_scan scan;
    json_scan_begin(&scan, JSON_DEPTH_MAX);
    while (!json_scan_some(&scan, text, 1))
        ;
    assert_int_equal(scan.error, result);
    assert_int_equal(scan.at, at);
    if (ret_at)
        *ret_at = at;
    return result;
}

static int check(struct str text)
{
    return check_at(text, NULL);
}

static void expect_all(const struct str *texts, size_t count, int want)
{
    for (size_t i = 0; i < count; i++) {
        int got = check(texts[i]);
        if (got != want)
            fail_msg("%d instead of %d: %.*s", got, want, STR_FMT(texts[i]));
    }
}

#define EXPECT_ALL(want, ...)                                                                      \
    expect_all((const struct str[]){__VA_ARGS__},                                                  \
               sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str), (want))

static void values_of_every_kind_are_json(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_OK, STR("null"), STR("true"), STR("false"), STR("0"), STR("\"\""), STR("\"a\""),
               STR("[]"), STR("{}"), STR("[[]]"), STR("[{}]"), STR("{\"a\":{}}"), STR("{\"a\":[]}"),
               STR("[1,2,3]"), STR("[null,true,false,0,\"\",[],{}]"), STR("{\"a\":1,\"b\":2}"),
               STR("{\"\":0}"), STR("{\"a\":1,\"a\":2}"), STR("{\"a\":1,\"a\":1}"),
               STR("{\"a\\u0000b\":1}"), STR("[[1],[2,[3]],{\"a\":[{\"b\":[4]}]}]"),
               STR("{\"a\":[],\"b\":{},\"c\":[{},[]]}"));
}

static void white_space_may_stand_between_all_tokens(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_OK, STR(" 1"), STR("1 "), STR("\t1\n"), STR("\r\n1\r\n"), STR("[ ]"),
               STR("{ }"), STR(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n"),
               STR(" { \"a\" : 1 , \"b\" : [ ] } "), STR("[\n]"), STR("{\r\n\"a\"\r\n:\r\n1\r\n}"));
}

static void other_space_is_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("[\f]"), STR("[\v]"), STR("\f1"), STR("1\f"), STR("[\xc2\xa0]"),
               STR("[\xe2\x81\xa0]"), STR("\xe2\x80\xa8\x31"), STR("[1\0]"), STR("1\0"),
               STR("\0\x31"));
}

static void numbers_have_any_size(void **state)
{
    (void)state;
    EXPECT_ALL(
        JSON_OK, STR("0"), STR("-0"), STR("-1"), STR("1"), STR("10"), STR("123456789"), STR("0.5"),
        STR("-0.0"), STR("1.0"), STR("1.000000000000000000000000000000000000000000001"), STR("1e5"),
        STR("1E5"), STR("1e+5"), STR("1E-5"), STR("1.5e10"), STR("0e1"), STR("0e+1"), STR("0E0"),
        STR("1e00"), STR("1e400"), STR("-1e400"), STR("1e-400"), STR("1e999999999999999999999999"),
        STR("123456789012345678901234567890123456789012345"), STR("-9223372036854775809"),
        STR("18446744073709551616"), STR("[1,-2,3.5e1]"), STR("{\"a\":-1.5E-3}"), STR("[0 ]"),
        STR("[-1\n]"));
}

static void malformed_numbers_are_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("01"), STR("-01"), STR("00"), STR("1."), STR("-1."), STR("0."),
               STR(".5"), STR("-.5"), STR("+1"), STR("-"), STR("--1"), STR("+-1"), STR("1e"),
               STR("1e+"), STR("1e-"), STR("1E"), STR("1.e1"), STR("1.5e"), STR("1e1.5"), STR("0e"),
               STR("0.e1"), STR("1.2.3"), STR("1ee1"), STR("0x10"), STR("0b1"), STR("1_000"),
               STR("1 000"), STR("1a"), STR("1,"), STR("NaN"), STR("-NaN"), STR("Infinity"),
               STR("-Infinity"), STR("inf"), STR("1f"), STR("- 1"), STR("1 e5"), STR("[1.]"),
               STR("[-]"), STR("[.5]"), STR("[01]"), STR("[+1]"), STR("[1e]"), STR("{\"a\":01}"),
               STR("[2.e3]"), STR("[0e+]"), STR("[1e1e1]"), STR("[-foo]"), STR("\xef\xbc\x91"),
               STR("[1\xef\xbc\x91]"), STR("1/2"), STR("1:"));
}

static void strings_hold_any_escape_of_the_grammar(void **state)
{
    (void)state;
    EXPECT_ALL(
        JSON_OK, STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("\"\\u0000\""), STR("\"\\u001f\""),
        STR("\"\\u00e9\\u00E9\\uabcd\\uABCD\\uFfFf\""), STR("\"\\ud83d\\ude00\""),
        STR("\"\\ud800\""), STR("\"\\udfff\""), STR("\"\\ud800\\ud800\""),
        STR("\"\\udc00\\ud800\""), STR("\"\\ud800abc\""), STR("\"\\ud800\\n\""),
        STR("\"\\\\u0000\""), STR("\"\\\\\""), STR("\"\\\"\""), STR("\"\\\\\\\"\""), STR("\"/\""),
        STR("\"\x7f\""), STR("\"\xc2\x80\""), STR("\"\xe2\x80\xa8\xe2\x80\xa9\""),
        STR("\"\xf4\x8f\xbf\xbf\""), STR("\"\xef\xbb\xbf\""), STR("\"\xef\xbf\xbf\""),
        STR("\"caf\xc3\xa9 and \\n and \xe2\x82\xac and \xf0\x9f\x98\x80\""), STR("\"'[{]},:\""));
}

static void malformed_strings_are_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("\""), STR("\"a"), STR("a\""), STR("'a'"), STR("\"\\\""),
               STR("\"\\"), STR("\"\\a\""), STR("\"\\x00\""), STR("\"\\0\""), STR("\"\\'\""),
               STR("\"\\v\""), STR("\"\\ \""), STR("\"\\U0041\""), STR("\"\\u\""), STR("\"\\u0\""),
               STR("\"\\u00\""), STR("\"\\u004\""), STR("\"\\u004g\""), STR("\"\\u 041\""),
               STR("\"\\u+041\""), STR("\"\\u-041\""), STR("\"\\u{41}\""), STR("\"\\ud800\\u\""),
               STR("\"\\ud800\\u1\""), STR("\"\\u"), STR("\"\\u12"), STR("\"\\\0\""),
               STR("\"\\\n\""), STR("\"\\\xc3\xa9\""), STR("\"a\"b"), STR("\"a\"\"b\""),
               STR("[\"a]"), STR("[\"a"), STR("\"a\\"), STR("[\"\\\xf0\x9f\x98\x80\"]"),
               STR("\\u0022a\\u0022"),
               STR("\xe2\x80\x9c"
                   "a\xe2\x80\x9d"),
               STR("`a`"));
}

static void a_raw_control_character_in_a_string_is_refused(void **state)
{
    (void)state;
    for (int c = 0; c < 0x20; c++) {
        for (size_t at = 1; at < 20; at++) {
            char text[] = "\"aaaaaaaaaaaaaaaaaaa\"";
            text[at] = (char)c;
            size_t fault = 0;
            assert_int_equal(check_at(str_from("\"aaaaaaaaaaaaaaaaaaa\""), NULL), JSON_OK);
            assert_int_equal(check_at((struct str){text, sizeof(text) - 1}, &fault), JSON_E_SYNTAX);
            assert_int_equal(fault, at);
        }
    }
}

static void invalid_utf8_has_an_error_of_its_own(void **state)
{
    (void)state;
    EXPECT_ALL(
        JSON_E_UTF8, STR("\"\x80\""), STR("\"\xff\""), STR("\"\xe9\""), STR("\"\xc0\xaf\""),
        STR("\"\xc3\""), STR("\"\xe2\x82\""), STR("\"\xf0\x9f\x98\""), STR("\"\xed\xa0\x80\""),
        STR("\"\xed\xa0\xbd\xed\xb8\x80\""), STR("\"\xf4\x90\x80\x80\""), STR("\"\xe0\x80\x80\""),
        STR("\"\xf8\x88\x80\x80\x80\""), STR("{\"\xe9\":1}"), STR("{\"a\":\"\xe9\"}"),
        STR("[\"a\",\"b\xff\"]"), STR("\"plain bytes, then \xff and more\""),
        STR("\"\xc3\\n\xa9\""), STR("\"\xe2\x82"), STR("\"\xff"), STR("\"\xff\n\""),
        STR("\"\\u00\xff\""), STR("\xff"), STR("[\xff]"), STR("[1,\xe9]"), STR("\xc3"),
        STR("\xff\xfe[\0]\0"), STR("1\x80"), STR("\"\\\xff\""), STR("[1\xff]"), STR("{\xff}"));
}

static void words_are_spelled_out_in_lower_case(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("nul"), STR("tru"), STR("fals"), STR("n"), STR("t"), STR("f"),
               STR("nulll"), STR("truee"), STR("True"), STR("TRUE"), STR("NULL"), STR("None"),
               STR("undefined"), STR("nan"), STR("[nul]"), STR("[truefalse]"), STR("[true false]"),
               STR("{\"a\":nul}"), STR("true1"), STR("null\"\""), STR("true[]"), STR("nul\0"));
}

static void arrays_that_are_not_well_formed_are_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("["), STR("]"), STR("[1"), STR("[1,"), STR("[1,]"), STR("[,]"),
               STR("[,1]"), STR("[1,,2]"), STR("[1 2]"), STR("[1:2]"), STR("[\"a\":1]"), STR("[1}"),
               STR("[}"), STR("[[]"), STR("[]]"), STR("[1;2]"), STR("[[1]"), STR("[1],"),
               STR("[1][2]"), STR("[\""), STR("[*]"), STR("[1, /* no */ 2]"), STR("[1] // no"),
               STR("#\n[]"), STR("[...]"), STR("[\"a\",\n4\n,1,"), STR("(1)"), STR("<null>"),
               STR("[<null>]"));
}

static void objects_that_are_not_well_formed_are_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("{"), STR("}"), STR("{1"), STR("{\"a\""), STR("{\"a\":"),
               STR("{\"a\":1"), STR("{\"a\":1,"), STR("{\"a\":1,}"), STR("{,}"), STR("{,\"a\":1}"),
               STR("{\"a\"}"), STR("{\"a\":}"), STR("{:1}"), STR("{1:1}"), STR("{a:1}"),
               STR("{'a':1}"), STR("{null:1}"), STR("{\"a\":1,,\"b\":2}"), STR("{\"a\":1 \"b\":2}"),
               STR("{\"a\",1}"), STR("{\"a\"::1}"), STR("{\"a\":1:2}"), STR("{\"a\" 1}"),
               STR("{\"a\":1]"), STR("{]"), STR("{\"a\":1}}"), STR("{}{}"), STR("{\"a\":1;}"),
               STR("{[]:1}"), STR("{\"a\":b}"), STR("{\"a\":1,\"b\"}"), STR("{\"a\":1,2}"),
               STR("{\"a\"=1}"), STR("{\"a\":1,\"b\":}"), STR("{\"a\":/**/1}"),
               STR("[{\"a\":1],2}"), STR("{\"a\":[1}]"), STR("{{}:1}"));
}

static void text_after_the_value_is_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("1 2"), STR("[]1"), STR("{}a"), STR("{} {}"), STR("null,"),
               STR("\"a\" ,"), STR("[]\0"), STR("{}\n{}"), STR("[] ]"), STR("1\"\""),
               STR("{\"a\":1}#"), STR("[],[]"));
}

static void nothing_but_white_space_is_empty(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_EMPTY, STR(""), STR(" "), STR("\n"), STR("\r\n\t "));
    assert_int_equal(json_check(STR_NONE, JSON_DEPTH_MAX, NULL), JSON_E_EMPTY);
}

static void a_byte_order_mark_is_refused(void **state)
{
    (void)state;
    EXPECT_ALL(JSON_E_SYNTAX, STR("\xef\xbb\xbf"), STR("\xef\xbb\xbf{}"), STR("\xef\xbb\xbf 1"),
               STR("{}\xef\xbb\xbf"));
}

static void every_text_cut_short_is_refused(void **state)
{
    (void)state;
    struct str whole =
        STR("{\"a\":[1,-2.5e+10,\"x\\u00e9\\n\",true,false,null],\"b\":{\"c\":\"\"}}");
    assert_int_equal(check(whole), JSON_OK);
    for (size_t len = 1; len < whole.len; len++) {
        size_t at = 0;
        assert_int_equal(check_at((struct str){whole.at, len}, &at), JSON_E_SYNTAX);
        assert_int_equal(at, len);
    }
}

/* `depth` opening halves, then as many closing ones. */
static int check_nested(const char *opening, const char *inside, const char *closing, size_t depth,
                        unsigned depth_max)
{
    struct buf text = {0};
    for (size_t i = 0; i < depth; i++)
        buf_add_str(&text, str_from(opening));
    buf_add_str(&text, str_from(inside));
    for (size_t i = 0; i < depth; i++)
        buf_add_str(&text, str_from(closing));
    assert_false(buf_failed(&text));
    int result = json_check(buf_str(&text), depth_max, NULL);
    buf_free(&text);
    return result;
}

static void nesting_ends_at_128(void **state)
{
    (void)state;
    assert_int_equal(check_nested("[", "", "]", 128, JSON_DEPTH_MAX), JSON_OK);
    assert_int_equal(check_nested("[", "", "]", 129, JSON_DEPTH_MAX), JSON_E_DEPTH);
    assert_int_equal(check_nested("{\"a\":", "1", "}", 128, JSON_DEPTH_MAX), JSON_OK);
    assert_int_equal(check_nested("{\"a\":", "1", "}", 129, JSON_DEPTH_MAX), JSON_E_DEPTH);
    assert_int_equal(check_nested("[{\"a\":", "1", "}]", 64, JSON_DEPTH_MAX), JSON_OK);
    assert_int_equal(check_nested("[{\"a\":", "[]", "}]", 64, JSON_DEPTH_MAX), JSON_E_DEPTH);
}

static void a_limit_above_the_greatest_depth_is_lowered(void **state)
{
    (void)state;
    assert_int_equal(check_nested("[", "", "]", JSON_DEPTH_LIMIT, 1000000), JSON_OK);
    assert_int_equal(check_nested("[", "", "]", JSON_DEPTH_LIMIT + 1, 1000000), JSON_E_DEPTH);
}

static void a_lower_limit_holds(void **state)
{
    (void)state;
    assert_int_equal(check_nested("[", "", "]", 2, 2), JSON_OK);
    assert_int_equal(check_nested("[", "", "]", 3, 2), JSON_E_DEPTH);
    assert_int_equal(check_nested("[", "", "]", 1, 0), JSON_E_DEPTH);
    assert_int_equal(json_check(STR("1"), 0, NULL), JSON_OK);
}

static void a_million_brackets_end_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(check_nested("[", "", "", 1000000, JSON_DEPTH_MAX), JSON_E_DEPTH);
    assert_int_equal(check_nested("{\"\":", "", "", 1000000, JSON_DEPTH_MAX), JSON_E_DEPTH);
}

static void depth_counts_open_containers_only(void **state)
{
    (void)state;
    assert_int_equal(check_nested("[],", "0", "", 1, 128), JSON_E_SYNTAX);
    assert_int_equal(json_check(STR("[[],[],{},[{}]]"), 3, NULL), JSON_OK);
    assert_int_equal(json_check(STR("[[],[],{},[{}]]"), 2, NULL), JSON_E_DEPTH);
}

static void each_level_remembers_whether_it_is_an_array_or_an_object(void **state)
{
    (void)state;
    assert_int_equal(check_nested("[{\"a\":", "1", "}]", 63, JSON_DEPTH_MAX), JSON_OK);
    assert_int_equal(check_nested("[{\"a\":", "1", "]}", 63, JSON_DEPTH_MAX), JSON_E_SYNTAX);
    assert_int_equal(check(STR("[{\"a\":[]},{\"b\":1},[2]]")), JSON_OK);
    assert_int_equal(check(STR("[{\"a\":[]},{\"b\":1},\"c\":2]")), JSON_E_SYNTAX);
    assert_int_equal(check(STR("{\"a\":[{}],\"b\":1}")), JSON_OK);
    assert_int_equal(check(STR("{\"a\":[{}],1}")), JSON_E_SYNTAX);
}

static void the_offset_says_where_the_fault_is(void **state)
{
    (void)state;
    const struct {
        struct str text;
        size_t at;
    } cases[] = {
        {STR("{\"a\":x}"), 5},
        {STR("[1,]"), 3},
        {STR("01"), 1},
        {STR("[1 2]"), 3},
        {STR("\"a\nb\""), 2},
        {STR("\"abcdefghi\\q\""), 11},
        {STR("nul!"), 3},
        {STR("[] x"), 3},
        {STR("\"ok\xc3\xa9\xff\""), 5},
        {STR("\"12345678\xe2\x82\""), 9},
        {STR("[[[]"), 4},
        {STR("\xef\xbb\xbf{}"), 0},
        {STR("  "), 2},
        {STR("\"\\ud83\""), 6},
        {STR("[\"\xff\n\"]"), 2},
        {STR("{\"a\" 1}"), 5},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t at = SIZE_MAX;
        assert_int_not_equal(check_at(cases[i].text, &at), JSON_OK);
        if (at != cases[i].at)
            fail_msg("%zu instead of %zu: %.*s", at, cases[i].at, STR_FMT(cases[i].text));
    }
}

static void the_offset_of_a_bracket_too_deep_is_its_own(void **state)
{
    (void)state;
    size_t at = 0;
    assert_int_equal(json_check(STR("[ [ [1] ] ]"), 2, &at), JSON_E_DEPTH);
    assert_int_equal(at, 4);
}

static void a_string_of_any_length_may_end_anywhere_in_a_word(void **state)
{
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        char text[64];
        memset(text, 'x', sizeof(text));
        text[0] = text[len + 1] = '"';
        assert_int_equal(check((struct str){text, len + 2}), JSON_OK);
        assert_int_equal(check((struct str){text, len + 1}), JSON_E_SYNTAX);
    }
}

static void json_one_line_replaces_line_ends_by_spaces(void **state)
{
    (void)state;
    char text[] = "{\r\n\"a\":\t\"\\n\\r\",\n\r\"b\" : [\n\n]}\n";
    json_one_line(text, sizeof(text) - 1);
    assert_string_equal(text, "{  \"a\":\t\"\\n\\r\",  \"b\" : [  ]} ");
    json_one_line(NULL, 0);
}

static void json_one_line_stays_within_its_length(void **state)
{
    (void)state;
    char text[] = "\n\r\n\r";
    json_one_line(text, 2);
    assert_string_equal(text, "  \n\r");
}

static void media_types_of_json_are_known(void **state)
{
    (void)state;
    assert_true(json_media_type(STR("application/json")));
    assert_true(json_media_type(STR("Application/JSON")));
    assert_true(json_media_type(STR("application/problem+json")));
    assert_true(json_media_type(STR("application/vnd.api+JSON")));
    assert_true(json_media_type(STR("model/gltf+json")));
}

static void other_media_types_are_not_json(void **state)
{
    (void)state;
    const struct str types[] = {STR(""),
                                STR("json"),
                                STR("text/json"),
                                STR("application/jsonp"),
                                STR("application/json5"),
                                STR("application/x-ndjson"),
                                STR("application/json-seq"),
                                STR("application/+json"),
                                STR("+json"),
                                STR("/+json"),
                                STR("/a+json"),
                                STR("a+json"),
                                STR("application/a+jsonx"),
                                STR("application/json; charset=utf-8"),
                                STR("application"),
                                STR("application/")};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (json_media_type(types[i]))
            fail_msg("%.*s", STR_FMT(types[i]));
    assert_false(json_media_type(STR_NONE));
}

/* Walks `container` and writes `key=value;` for each member, for comparison. */
static void expect_members(struct str container, const char *want)
{
    assert_int_equal(json_check(container, JSON_DEPTH_MAX, NULL), JSON_OK);
    struct buf got = {0};
    struct str key, value;
    size_t pos = 0;
    while (json_next(container, &pos, &key, &value)) {
        if (key.at)
            buf_addf(&got, "%.*s=", STR_FMT(key));
        buf_add_str(&got, value);
        buf_add_char(&got, ';');
    }
    assert_int_equal(json_next(container, &pos, &key, &value), 0);
    buf_add_char(&got, '\0');
    assert_false(buf_failed(&got));
    assert_string_equal(got.at, want);
    buf_free(&got);
}

static void members_come_out_raw_and_in_order(void **state)
{
    (void)state;
    expect_members(STR("{\"a\":1,\"b\":\"x\",\"c\":[1,2],\"d\":{\"e\":null}}"),
                   "a=1;b=\"x\";c=[1,2];d={\"e\":null};");
    expect_members(STR(" {\n \"a\" : 1.50e1 ,\r\"a\"\t: true } "), "a=1.50e1;a=true;");
    expect_members(STR("{\"\":\"\",\"\\\"\\u003a\":\"\\\\\"}"), "=\"\";\\\"\\u003a=\"\\\\\";");
}

static void elements_come_out_raw_and_without_a_key(void **state)
{
    (void)state;
    expect_members(STR("[1,\"a\",[2, 3],{\"b\":4},null,-0.5E3]"),
                   "1;\"a\";[2, 3];{\"b\":4};null;-0.5E3;");
    expect_members(STR("\n[ 1 , \"a:b\" , \"c\" ]\n"), "1;\"a:b\";\"c\";");
    expect_members(STR("[\"a\\\":\",[\"]\"],{\"}\":\"{\"}]"), "\"a\\\":\";[\"]\"];{\"}\":\"{\"};");
}

static void a_member_is_found_by_its_name_the_first_of_two(void **state)
{
    (void)state;
    struct str object = STR("{\"a\":{\"b\":1},\"b\":[2],\"b\":3,\"\":4}");
    assert_true(str_eq(json_find(object, STR("b")), STR("[2]")));
    assert_true(str_eq(json_find(object, STR("")), STR("4")));
    assert_null(json_find(object, STR("c")).at);
    assert_null(json_find(STR("{}"), STR("a")).at);
    assert_null(json_find(STR("[\"a\"]"), STR("a")).at);
}

static void an_empty_container_has_no_members(void **state)
{
    (void)state;
    expect_members(STR("{}"), "");
    expect_members(STR("[]"), "");
    expect_members(STR(" [ \n ] "), "");
    expect_members(STR("{ }"), "");
}

static void a_value_without_parts_has_no_members(void **state)
{
    (void)state;
    expect_members(STR("1"), "");
    expect_members(STR("\"[1]\""), "");
    expect_members(STR("null"), "");
}

static void an_empty_key_differs_from_none(void **state)
{
    (void)state;
    struct str key, value;
    size_t pos = 0;
    assert_int_equal(json_next(STR("{\"\":1}"), &pos, &key, &value), 1);
    assert_non_null(key.at);
    assert_int_equal(key.len, 0);
    pos = 0;
    assert_int_equal(json_next(STR("[\"\"]"), &pos, &key, &value), 1);
    assert_null(key.at);
}

static void walking_unchecked_text_ends_within_the_text(void **state)
{
    (void)state;
    struct str whole = STR("[{\"a\":[1,{\"b\":\"\\\"\"}],\"c\":-1e5},\"\\\\\",]:,}[{\"d\"::}");
    for (size_t start = 0; start < whole.len; start++) {
        for (size_t len = 0; len <= whole.len - start; len++) {
            char *copy = malloc(len ? len : 1);
            assert_non_null(copy);
            if (len)
                memcpy(copy, whole.at + start, len);
            struct str key, value;
            size_t pos = 0, steps = 0;
            while (json_next((struct str){copy, len}, &pos, &key, &value))
                assert_true(++steps <= len);
            free(copy);
        }
    }
}

static void expect_unescaped(struct str raw, struct str want)
{
    struct buf out = {0};
    assert_int_equal(json_unescape(raw, &out), 0);
    assert_true(str_eq(buf_str(&out), want));
    buf_free(&out);
}

static void escapes_are_decoded_to_utf8(void **state)
{
    (void)state;
    expect_unescaped(STR("\"\""), STR(""));
    expect_unescaped(STR("\"plain\""), STR("plain"));
    expect_unescaped(STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("\"\\/\b\f\n\r\t"));
    expect_unescaped(STR("\"a\\u0000b\""), STR("a\0b"));
    expect_unescaped(STR("\"\\u0041\\u007f\\u0080\\u07ff\""), STR("A\x7f\xc2\x80\xdf\xbf"));
    expect_unescaped(STR("\"\\u0800\\uffff\\ud7ff\\ue000\""),
                     STR("\xe0\xa0\x80\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80"));
    expect_unescaped(STR("\"\\uD83D\\uDE00\""), STR("\xf0\x9f\x98\x80"));
    expect_unescaped(STR("\"\\ud800\\udc00\\udbff\\udfff\""),
                     STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
    expect_unescaped(STR("\"caf\xc3\xa9\\n\xe2\x82\xac\""), STR("caf\xc3\xa9\n\xe2\x82\xac"));
    expect_unescaped(STR("\"\\\\u0041\""), STR("\\u0041"));
}

static void expect_not_unescaped(struct str raw, int want)
{
    struct buf out = {0};
    buf_add_lit(&out, "before");
    assert_int_equal(json_unescape(raw, &out), want);
    assert_true(str_eq(buf_str(&out), STR("before")));
    buf_free(&out);
}

static void lone_surrogates_cannot_be_decoded(void **state)
{
    (void)state;
    const struct str raws[] = {STR("\"\\ud800\""),        STR("\"\\udfff\""),
                               STR("\"ab\\ud83d\""),      STR("\"\\ud83dx\""),
                               STR("\"\\ud83d\\n\""),     STR("\"\\ud83d\\u0041\""),
                               STR("\"\\ud83d\\ud83d\""), STR("\"\\ude00\\ud83d\""),
                               STR("\"\\ud83d\\ue000\""), STR("\"\\ud83d\\\\ude00\"")};
    for (size_t i = 0; i < sizeof(raws) / sizeof(*raws); i++)
        expect_not_unescaped(raws[i], -EINVAL);
}

static void only_a_json_string_can_be_unescaped(void **state)
{
    (void)state;
    const struct str raws[] = {STR(""),          STR("\""),       STR("a"),      STR("1"),
                               STR("null"),      STR("[\"a\"]"),  STR("\"a"),    STR("a\""),
                               STR("\"a\"b"),    STR("\"a\" "),   STR(" \"a\""), STR("\"\\\""),
                               STR("\"\\u12\""), STR("\"\xff\""), STR("\"\n\""), STR("\"a\"\"")};
    for (size_t i = 0; i < sizeof(raws) / sizeof(*raws); i++)
        expect_not_unescaped(raws[i], -EINVAL);
    expect_not_unescaped(STR_NONE, -EINVAL);
}

static void a_lack_of_memory_is_reported(void **state)
{
    (void)state;
    struct buf out = {0};
    mem_fail_nth(1);
    assert_int_equal(json_unescape(STR("\"abc\\n\""), &out), -ENOMEM);
    mem_fail_nth(0);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void strings_of_buf_add_json_are_valid_and_decode_to_the_original(void **state)
{
    (void)state;
    char every[256];
    size_t len = 0;
    for (int c = 0; c < 0x80; c++)
        every[len++] = (char)c;
    struct buf raw = {0}, back = {0};
    buf_add_json(&raw, (struct str){every, len});
    assert_int_equal(check(buf_str(&raw)), JSON_OK);
    assert_int_equal(json_unescape(buf_str(&raw), &back), 0);
    assert_true(str_eq(buf_str(&back), (struct str){every, len}));
    buf_free(&raw);
    buf_free(&back);
}

static void a_check_pauses_after_as_many_bytes_as_it_was_given(void **state)
{
    (void)state;
    struct buf text = {0};
    struct json_scan scan;
    unsigned pieces = 0;
    for (int i = 0; i < 1000; i++)
        buf_add_str(&text, i ? STR(",\"a\\n\"") : STR("[0"));
    buf_add_char(&text, ']');
    json_scan_begin(&scan, JSON_DEPTH_MAX);
    do {
        size_t before = scan.at;
        bool done = json_scan_some(&scan, buf_str(&text), 100);
        assert_true(scan.at <= before + 106);
        pieces++;
        if (done)
            break;
    } while (true);
    assert_int_equal(scan.error, JSON_OK);
    assert_true(pieces >= text.len / 106);
    buf_free(&text);
}

static void
the_end_of_the_depth_allowed_for_data_is_reported_when_deeper_text_is_allowed(void **state)
{
    (void)state;
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 2; depth++) {
        struct buf text = {0};
        struct json_scan scan;
        for (size_t i = 0; i < depth; i++)
            buf_add_char(&text, '[');
        for (size_t i = 0; i < depth; i++)
            buf_add_char(&text, ']');
        json_scan_begin(&scan, JSON_DEPTH_LIMIT);
        assert_true(json_scan_some(&scan, buf_str(&text), SIZE_MAX));
        assert_int_equal(scan.error, JSON_OK);
        assert_int_equal(scan.deep_at, depth > JSON_DEPTH_MAX ? JSON_DEPTH_MAX : JSON_NOT_DEEP);
        buf_free(&text);
    }
}

static void white_space_in_front_is_skipped(void **state)
{
    (void)state;
    assert_true(str_eq(json_skip_space(STR(" \t\r\n{} ")), STR("{} ")));
    assert_true(str_eq(json_skip_space(STR("\f{}")), STR("\f{}")));
    assert_int_equal(json_skip_space(STR(" \n")).len, 0);
    assert_int_equal(json_skip_space(STR_NONE).len, 0);
}

/* Walks the containers in `array` from where they begin, and writes the size of each. */
static void inner_containers_are_walked_without_their_end(void **state)
{
    (void)state;
    struct str array = STR(" [ {\"a\":[1,{}],\"b\":\"]}\"} ,{}, [2 ,3 ] ] ");
    struct str key, value;
    struct buf sizes = {0};
    assert_int_equal(json_check(array, JSON_DEPTH_MAX, NULL), JSON_OK);
    for (size_t pos = 0, size; json_next_begins(array, &pos); pos += size) {
        size = 0;
        while (json_next(str_skip(array, pos), &size, &key, &value))
            ;
        buf_addf(&sizes, "%zu ", size);
    }
    assert_true(str_eq(buf_str(&sizes), STR("21 2 7 ")));
    buf_free(&sizes);
}

/* Checks `array` with notes, walks its elements' members with them, and writes down the values. */
static void walk_noted(struct str array, struct buf *out)
{
    struct json_notes notes;
    struct json_scan scan;
    struct str key, value;
    json_notes_begin(&notes, 2);
    json_scan_begin(&scan, JSON_DEPTH_MAX);
    scan.notes = &notes;
    assert_true(json_scan_some(&scan, array, SIZE_MAX));
    assert_int_equal(scan.error, JSON_OK);
    for (size_t pos = 0, size; json_next_begins(array, &pos); pos += size) {
        size = 0;
        while (json_next_noted(str_skip(array, pos), &size, &notes, &key, &value))
            buf_addf(out, "%.*s;", STR_FMT(value));
    }
    assert_int_equal(notes.used, notes.count);
}

static void a_walk_by_notes_finds_the_same_values(void **state)
{
    (void)state;
    struct buf out = {0};
    walk_noted(STR(" [{\"a\":{\"b\":[{}]},\"c\":1}, {} , [[],\"]\",{\"d\":{}}],{\"e\" : [ ] }]"),
               &out);
    assert_true(str_eq(buf_str(&out), STR("{\"b\":[{}]};1;[];\"]\";{\"d\":{}};[ ];")));
    buf_free(&out);
}

static void values_beyond_the_notes_are_found_without_them(void **state)
{
    (void)state;
    struct buf array = {0}, out = {0}, want = {0};
    for (int i = 0; i < JSON_NOTES_MAX + 50; i++) {
        buf_addf(&array, "%c{\"a\":{\"b\":[%d]}}", i ? ',' : '[', i);
        buf_addf(&want, "{\"b\":[%d]};", i);
    }
    buf_add_char(&array, ']');
    walk_noted(buf_str(&array), &out);
    assert_true(str_eq(buf_str(&out), buf_str(&want)));
    buf_free(&array);
    buf_free(&out);
    buf_free(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind_are_json),
        cmocka_unit_test(a_walk_by_notes_finds_the_same_values),
        cmocka_unit_test(values_beyond_the_notes_are_found_without_them),
        cmocka_unit_test(white_space_may_stand_between_all_tokens),
        cmocka_unit_test(other_space_is_refused),
        cmocka_unit_test(numbers_have_any_size),
        cmocka_unit_test(malformed_numbers_are_refused),
        cmocka_unit_test(strings_hold_any_escape_of_the_grammar),
        cmocka_unit_test(malformed_strings_are_refused),
        cmocka_unit_test(a_raw_control_character_in_a_string_is_refused),
        cmocka_unit_test(invalid_utf8_has_an_error_of_its_own),
        cmocka_unit_test(words_are_spelled_out_in_lower_case),
        cmocka_unit_test(arrays_that_are_not_well_formed_are_refused),
        cmocka_unit_test(objects_that_are_not_well_formed_are_refused),
        cmocka_unit_test(text_after_the_value_is_refused),
        cmocka_unit_test(nothing_but_white_space_is_empty),
        cmocka_unit_test(a_byte_order_mark_is_refused),
        cmocka_unit_test(every_text_cut_short_is_refused),
        cmocka_unit_test(nesting_ends_at_128),
        cmocka_unit_test(a_limit_above_the_greatest_depth_is_lowered),
        cmocka_unit_test(a_lower_limit_holds),
        cmocka_unit_test(a_million_brackets_end_at_the_limit),
        cmocka_unit_test(depth_counts_open_containers_only),
        cmocka_unit_test(each_level_remembers_whether_it_is_an_array_or_an_object),
        cmocka_unit_test(the_offset_says_where_the_fault_is),
        cmocka_unit_test(the_offset_of_a_bracket_too_deep_is_its_own),
        cmocka_unit_test(a_check_pauses_after_as_many_bytes_as_it_was_given),
        cmocka_unit_test(
            the_end_of_the_depth_allowed_for_data_is_reported_when_deeper_text_is_allowed),
        cmocka_unit_test(a_string_of_any_length_may_end_anywhere_in_a_word),
        cmocka_unit_test(json_one_line_replaces_line_ends_by_spaces),
        cmocka_unit_test(json_one_line_stays_within_its_length),
        cmocka_unit_test(media_types_of_json_are_known),
        cmocka_unit_test(other_media_types_are_not_json),
        cmocka_unit_test(members_come_out_raw_and_in_order),
        cmocka_unit_test(elements_come_out_raw_and_without_a_key),
        cmocka_unit_test(a_member_is_found_by_its_name_the_first_of_two),
        cmocka_unit_test(an_empty_container_has_no_members),
        cmocka_unit_test(a_value_without_parts_has_no_members),
        cmocka_unit_test(an_empty_key_differs_from_none),
        cmocka_unit_test(inner_containers_are_walked_without_their_end),
        cmocka_unit_test(walking_unchecked_text_ends_within_the_text),
        cmocka_unit_test(escapes_are_decoded_to_utf8),
        cmocka_unit_test(lone_surrogates_cannot_be_decoded),
        cmocka_unit_test(only_a_json_string_can_be_unescaped),
        cmocka_unit_test(a_lack_of_memory_is_reported),
        cmocka_unit_test(white_space_in_front_is_skipped),
        cmocka_unit_test(strings_of_buf_add_json_are_valid_and_decode_to_the_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
