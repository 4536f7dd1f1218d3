#include "presence/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_name_of_ones_own_is_text_without_control_characters(void **state)
{
    static char long_name[PRESENCE_NAME_MAX + 1];
    struct refusal refusal;
    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    assert_true(presence_as_check(STR_NONE, STR_NONE, &refusal));
    assert_true(presence_as_check(STR("Zoë"), STR_NONE, &refusal));
    assert_true(presence_as_check((struct str){long_name, PRESENCE_NAME_MAX}, STR_NONE, &refusal));
    assert_false(presence_as_check(STR(""), STR_NONE, &refusal));
    assert_false(presence_as_check(STR("a\n"), STR_NONE, &refusal));
    assert_false(presence_as_check(STR("\xff"), STR_NONE, &refusal));
    assert_false(
        presence_as_check((struct str){long_name, PRESENCE_NAME_MAX + 1}, STR_NONE, &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_PARAMETER);
}

static void a_subject_may_not_go_by_another_name(void **state)
{
    struct refusal refusal;
    (void)state;
    assert_true(presence_as_check(STR("alice"), STR("alice"), &refusal));
    assert_false(presence_as_check(STR("bob"), STR("alice"), &refusal));
    struct presence_who who = presence_who(STR("alice"), STR_NONE);
    assert_true(who.verified);
    assert_false(presence_who(STR_NONE, STR("alice")).verified);
}

static void names_of_the_two_spaces_are_two_persons(void **state)
{
    (void)state;
    assert_int_equal(presence_who_cmp((struct presence_who){STR("a"), false},
                                      (struct presence_who){STR("a"), true}),
                     -1);
    assert_int_equal(presence_who_cmp((struct presence_who){STR("b"), false},
                                      (struct presence_who){STR("a"), true}),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_ones_own_is_text_without_control_characters),
        cmocka_unit_test(a_subject_may_not_go_by_another_name),
        cmocka_unit_test(names_of_the_two_spaces_are_two_persons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
