#include "http/token.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static void a_token_is_made_of_tchar(void **state)
{
    (void)state;
    const char *others = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool wanted = alnum || (c && strchr(others, c));
        assert_int_equal(http_char_is((char)c, HTTP_CHAR_TOKEN), wanted);
    }
}

/* http_value_len() or http_target_len() of texts of all lengths up to three times sixteen, each of
 * which has each byte at each place. */
static void expect_runs(size_t (*len_of)(struct str s), int class)
{
    char text[48];
    for (size_t len = 1; len <= sizeof(text); len++) {
        memset(text, 'a', sizeof(text));
        for (size_t place = 0; place < len; place++) {
            for (int c = 0; c < 256; c++) {
                text[place] = (char)c;
                struct str copy = exact((struct str){text, len});
                assert_int_equal(len_of(copy), http_char_is((char)c, class) ? len : place);
                exact_free(copy);
            }
            text[place] = 'a';
        }
    }
    assert_int_equal(len_of(STR_NONE), 0);
}

static void a_run_of_a_class_ends_at_the_first_other_byte(void **state)
{
    (void)state;
    expect_runs(http_value_len, HTTP_CHAR_VALUE);
    expect_runs(http_target_len, HTTP_CHAR_TARGET);
}

static void nothing_is_not_all_of_a_class(void **state)
{
    (void)state;
    assert_false(http_all(STR(""), HTTP_CHAR_TOKEN));
    assert_false(http_all(STR_NONE, HTTP_CHAR_TOKEN));
    assert_true(http_all(STR("a"), HTTP_CHAR_TOKEN));
    assert_false(http_all(STR("a b"), HTTP_CHAR_TOKEN));
}

static void a_hexadecimal_digit_has_a_value(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *found = c ? strchr(digits, c) : NULL;
        long wanted = found ? found - digits : -1;
        assert_int_equal(http_hex((char)c), wanted > 15 ? wanted - 6 : wanted);
    }
}

/* The elements of a list, each in brackets. */
static const char *list(struct str text)
{
    static char out[200];
    size_t len = 0;
    struct str rest = exact(text), whole = rest, element;
    out[0] = '\0';
    while (http_list_next(&rest, &element))
        len += (size_t)snprintf(out + len, sizeof(out) - len, "[%.*s]", STR_FMT(element));
    exact_free(whole);
    return out;
}

static void a_list_is_split_at_its_commas(void **state)
{
    (void)state;
    assert_string_equal(list(STR("a,b ,\tc d ")), "[a][b][c d]");
    assert_string_equal(list(STR("a")), "[a]");
    assert_string_equal(list(STR("")), "");
}

static void empty_list_elements_are_passed_over(void **state)
{
    (void)state;
    assert_string_equal(list(STR(",, a, ,b,")), "[a][b]");
    assert_string_equal(list(STR(" , ")), "");
}

static void a_comma_between_quotes_does_not_separate(void **state)
{
    (void)state;
    assert_string_equal(list(STR("a=\"x,y\",b")), "[a=\"x,y\"][b]");
    assert_string_equal(list(STR("a=\"x\\\",y\",b")), "[a=\"x\\\",y\"][b]");
    assert_string_equal(list(STR("a=\"x,y")), "[a=\"x,y]");
    assert_string_equal(list(STR("a=\"x\\")), "[a=\"x\\]");
}

/* The parameters of a value, each in brackets; `!` where a parameter is invalid. */
static const char *params(struct str text)
{
    static char out[200];
    size_t len = 0;
    struct str rest = exact(text), whole = rest, name, value;
    int more;
    out[0] = '\0';
    while ((more = http_param_next(&rest, &name, &value)) > 0)
        len += (size_t)snprintf(out + len, sizeof(out) - len, value.at ? "[%.*s=%.*s]" : "[%.*s]",
                                STR_FMT(name), STR_FMT(value));
    if (more < 0)
        snprintf(out + len, sizeof(out) - len, "!");
    exact_free(whole);
    return out;
}

static void parameters_are_read_one_by_one(void **state)
{
    (void)state;
    assert_string_equal(params(STR(";a=b; c = d ;e")), "[a=b][c=d][e]");
    assert_string_equal(params(STR(" ;; a=1;")), "[a=1]");
    assert_string_equal(params(STR("")), "");
}

static void a_quoted_parameter_loses_its_quotes(void **state)
{
    (void)state;
    assert_string_equal(params(STR(";a=\"b;c\";d=\"\"")), "[a=b;c][d=]");
    assert_string_equal(params(STR(";a=\"x\\\"y\"")), "[a=x\\\"y]");
}

static void a_malformed_parameter_is_an_error(void **state)
{
    (void)state;
    assert_string_equal(params(STR("a=b")), "!");
    assert_string_equal(params(STR(";a=")), "!");
    assert_string_equal(params(STR(";=b")), "!");
    assert_string_equal(params(STR(";a=b c")), "[a=b]!");
    assert_string_equal(params(STR(";a=\"b")), "!");
    assert_string_equal(params(STR(";a=\"b\\")), "!");
    assert_string_equal(params(STR(";a=\"b\"c")), "[a=b]!");
    assert_string_equal(params(STR(";a=\"\x01\"")), "!");
    assert_string_equal(params(STR(";a,b")), "[a]!");
}

static void a_number_is_digits_that_fit(void **state)
{
    (void)state;
    uint64_t n;
    assert_int_equal(http_number(STR("007"), &n), 0);
    assert_int_equal(n, 7);
    assert_int_equal(http_number(STR("18446744073709551615"), &n), 0);
    assert_true(n == UINT64_MAX);
    assert_int_equal(http_number(STR("18446744073709551616"), &n), -ERANGE);
    assert_int_equal(http_number(STR("184467440737095516150"), &n), -ERANGE);
    assert_int_equal(http_number(STR(""), &n), -EINVAL);
    assert_int_equal(http_number(STR("-1"), &n), -EINVAL);
    assert_int_equal(http_number(STR(" 1"), &n), -EINVAL);
    assert_int_equal(http_number(STR("99999999999999999999x"), &n), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_made_of_tchar),
        cmocka_unit_test(a_run_of_a_class_ends_at_the_first_other_byte),
        cmocka_unit_test(nothing_is_not_all_of_a_class),
        cmocka_unit_test(a_hexadecimal_digit_has_a_value),
        cmocka_unit_test(a_list_is_split_at_its_commas),
        cmocka_unit_test(empty_list_elements_are_passed_over),
        cmocka_unit_test(a_comma_between_quotes_does_not_separate),
        cmocka_unit_test(parameters_are_read_one_by_one),
        cmocka_unit_test(a_quoted_parameter_loses_its_quotes),
        cmocka_unit_test(a_malformed_parameter_is_an_error),
        cmocka_unit_test(a_number_is_digits_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
