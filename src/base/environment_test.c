/* An empty variable counts as one that is not set. */
#include "base/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void an_empty_variable_counts_as_unset(void **state)
{
    (void)state;
    unsetenv("FRESHET_TEST_X");
    assert_null(environment("FRESHET_TEST_X"));
    setenv("FRESHET_TEST_X", "", 1);
    assert_null(environment("FRESHET_TEST_X"));
    setenv("FRESHET_TEST_X", "0", 1);
    assert_string_equal(environment("FRESHET_TEST_X"), "0");
    unsetenv("FRESHET_TEST_X");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_empty_variable_counts_as_unset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
