#include "base/unknown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_said(const char *name, const char *known, const char *expected)
{
    struct buf out = {0};
    unknown_add_name(&out, "parameter", str_from(name), str_from(known));
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, expected);
    buf_free(&out);
}

static void a_misspelled_name_is_corrected(void **state)
{
    (void)state;
    assert_said("afer", "after before", "unknown parameter \"afer\": did you mean after?");
    assert_said("After", "after before", "unknown parameter \"After\": did you mean after?");
    assert_said("befor", "after before", "unknown parameter \"befor\": did you mean before?");
}

static void a_name_that_is_near_to_none_is_answered_with_all(void **state)
{
    (void)state;
    assert_said("zzz", "after before",
                "unknown parameter \"zzz\": the known ones are after, before");
    assert_said("zzz", "", "unknown parameter \"zzz\": there is no parameter here");
    assert_said("", "a", "unknown parameter \"\": the known ones are a");
}

static void a_text_is_cut_and_shown_as_ascii(void **state)
{
    (void)state;
    assert_said("a\x01\xff\"", "", "unknown parameter \"a??\"\": there is no parameter here");
    assert_said("0123456789012345678901234567890123456789X", "",
                "unknown parameter \"0123456789012345678901234567890123456789...\": there is no "
                "parameter here");
}

static void a_name_that_is_there_twice_is_shown(void **state)
{
    (void)state;
    struct buf out = {0};
    unknown_add_twice(&out, "member", STR("data"));
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, "the member \"data\" is there twice, and only one can count");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misspelled_name_is_corrected),
        cmocka_unit_test(a_name_that_is_near_to_none_is_answered_with_all),
        cmocka_unit_test(a_text_is_cut_and_shown_as_ascii),
        cmocka_unit_test(a_name_that_is_there_twice_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
