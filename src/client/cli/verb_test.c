#include "client/cli/verb.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/command_line.h"

static void check(const char *name, int result, const char *told)
{
    struct buf why = {0};
    assert_int_equal(verb_refuse(name, "create ls revoke", &why), result);
    buf_add_char(&why, '\0');
    assert_non_null(strstr(why.at, told));
    buf_free(&why);
}

static void a_missing_verb_is_asked_for(void **state)
{
    (void)state;
    check(NULL, -EINVAL, "say a verb");
}

static void an_unknown_verb_comes_with_the_nearest(void **state)
{
    (void)state;
    check("creat", -EINVAL, "unknown verb \"creat\": did you mean create?");
    check("xyzzy", -EINVAL, "revoke");
}

static void help_is_no_unknown_verb(void **state)
{
    (void)state;
    check("--help", COMMAND_LINE_HELP, "");
    check("-h", COMMAND_LINE_HELP, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_verb_is_asked_for),
        cmocka_unit_test(an_unknown_verb_comes_with_the_nearest),
        cmocka_unit_test(help_is_no_unknown_verb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
