#include "transport/ending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void each_reason_is_one_word_that_no_other_ending_has(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ENDINGS_COUNT; i++) {
        struct str reason = ending_reason((enum ending)i);
        assert_true(reason.len > 0);
        for (size_t k = 0; k < reason.len; k++)
            assert_true(reason.at[k] >= 'a' && reason.at[k] <= 'z');
        for (unsigned k = 0; k < i; k++)
            assert_false(str_eq(reason, ending_reason((enum ending)k)));
    }
}

static void an_ending_that_the_credential_has_caused_closes_with_its_problem(void **state)
{
    (void)state;
    assert_int_equal(ending_problem(ENDING_EXPIRED), PROBLEM_BAD_CREDENTIAL);
    assert_int_equal(ending_problem(ENDING_REVOKED), PROBLEM_BAD_CREDENTIAL);
    assert_int_equal(ending_problem(ENDING_RULES), PROBLEM_FORBIDDEN);
    assert_true(str_eq(ending_words(ENDING_EXPIRED), STR("the credential has expired")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_is_one_word_that_no_other_ending_has),
        cmocka_unit_test(an_ending_that_the_credential_has_caused_closes_with_its_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
