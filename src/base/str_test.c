#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void a_literal_is_measured_with_its_zero_bytes(void **state)
{
    (void)state;
    assert_int_equal(STR("").len, 0);
    assert_int_equal(STR("abc").len, 3);
    assert_int_equal(STR("a\0b").len, 3);
    assert_int_equal(str_from("abc").len, 3);
}

static void equality_looks_at_every_byte(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("abc"), STR("ABC")));
}

static void nothing_equals_the_empty_one(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq(STR_NONE, STR_NONE));
    assert_false(str_eq(STR_NONE, STR("a")));
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
}

static void a_prefix_is_no_longer_than_the_whole(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("abc")));
    assert_true(str_starts(STR("abc"), STR_NONE));
    assert_true(str_starts(STR_NONE, STR("")));
    assert_false(str_starts(STR("abc"), STR("abcd")));
    assert_false(str_starts(STR("abc"), STR("b")));
}

static void order_is_by_unsigned_byte_then_by_length(void **state)
{
    (void)state;
    const struct str sorted[] = {STR(""),   STR("\0"), STR("A"),    STR("a"),
                                 STR("ab"), STR("b"),  STR("\x80"), STR("\xff")};
    const int count = sizeof(sorted) / sizeof(*sorted);
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            int order = str_cmp(sorted[i], sorted[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

static void skipping_stops_at_the_end(void **state)
{
    (void)state;
    assert_true(str_eq(str_skip(STR("abc"), 0), STR("abc")));
    assert_true(str_eq(str_skip(STR("abc"), 2), STR("c")));
    assert_int_equal(str_skip(STR("abc"), 3).len, 0);
    assert_int_equal(str_skip(STR("abc"), SIZE_MAX).len, 0);
}

static void only_ascii_letters_have_a_case(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        int want = c >= 'A' && c <= 'Z' ? c + 32 : c;
        assert_int_equal((unsigned char)ascii_lower((char)c), want);
    }
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("[\\]^"), STR("{|}~")));
    assert_false(str_eq_nocase(STR("\xc4"), STR("\xe4")));
    assert_false(str_eq_nocase(STR("abc"), STR("ab")));
    assert_true(str_eq_nocase(STR_NONE, STR("")));
}

static void trimming_takes_spaces_and_tabs_at_both_ends_alone(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \ta b\t ")), STR("a b")));
    assert_true(str_eq(str_trim(STR("a")), STR("a")));
    assert_true(str_eq(str_trim(STR("\r\na\v")), STR("\r\na\v")));
    assert_int_equal(str_trim(STR(" \t ")).len, 0);
    assert_int_equal(str_trim(STR_NONE).len, 0);
}

static void cutting_gives_one_part_after_the_other(void **state)
{
    (void)state;
    struct str rest = STR("a,,bc,");
    assert_true(str_eq(str_cut(&rest, ','), STR("a")));
    assert_true(str_eq(str_cut(&rest, ','), STR("")));
    assert_true(str_eq(str_cut(&rest, ','), STR("bc")));
    assert_non_null(rest.at);
    assert_true(str_eq(str_cut(&rest, ','), STR("")));
    assert_null(rest.at);
}

static void cutting_without_a_separator_takes_all(void **state)
{
    (void)state;
    struct str rest = STR("abc");
    assert_true(str_eq(str_cut(&rest, ','), STR("abc")));
    assert_null(rest.at);
    assert_int_equal(str_cut(&rest, ',').len, 0);
    assert_null(rest.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_is_measured_with_its_zero_bytes),
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(nothing_equals_the_empty_one),
        cmocka_unit_test(a_prefix_is_no_longer_than_the_whole),
        cmocka_unit_test(order_is_by_unsigned_byte_then_by_length),
        cmocka_unit_test(skipping_stops_at_the_end),
        cmocka_unit_test(only_ascii_letters_have_a_case),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_at_both_ends_alone),
        cmocka_unit_test(cutting_gives_one_part_after_the_other),
        cmocka_unit_test(cutting_without_a_separator_takes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
