#include "base/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_members(const struct refusal *refusal, const char *text)
{
    struct buf out = {0};
    struct json_writer writer = json_members_writer(&out);
    refusal_write(&writer, refusal);
    buf_add(&out, "", 1);
    assert_string_equal(out.at, text);
    buf_free(&out);
}

static void a_problem_has_the_members_that_help_to_mend_it(void **state)
{
    (void)state;
    struct refusal refusal;
    assert_false(refusal_set(&refusal, PROBLEM_BAD_TYPE, "why"));
    assert_string_equal(refusal.detail, "why");
    assert_members(&refusal, "");
    assert_members(&(struct refusal){.problem = PROBLEM_BAD_JSON, .at = 7}, "\"at\":7");
    assert_members(&(struct refusal){.problem = PROBLEM_NOT_NEWEST, .newest = 42},
                   "\"newest\":\"0000000000000042\"");
    assert_members(
        &(struct refusal){.problem = PROBLEM_NOT_NEWEST, .newest = 42, .hides_newest = true}, "");
    assert_members(&(struct refusal){.problem = PROBLEM_TOO_LARGE, .most = 100}, "\"max\":100");
    assert_members(&(struct refusal){.problem = PROBLEM_TOO_LARGE}, "");
    assert_members(
        &(struct refusal){.problem = PROBLEM_FORBIDDEN, .may = "read", .term = STR("a/**")},
        "\"may\":\"read\",\"channel\":\"a/**\"");
}

static void a_lack_of_memory_may_be_tried_again(void **state)
{
    (void)state;
    struct refusal refusal;
    assert_false(refusal_no_memory(&refusal));
    assert_int_equal(refusal.problem, PROBLEM_UNAVAILABLE);
    assert_members(&refusal, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_has_the_members_that_help_to_mend_it),
        cmocka_unit_test(a_lack_of_memory_may_be_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
