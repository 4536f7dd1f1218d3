#include "access/grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_grant_reaches_the_names_of_its_patterns(void **state)
{
    (void)state;
    static const struct str patterns[] = {{"a", 1}, {"b/*", 3}, {"c/**", 4}, {"$w/*", 4}};
    const struct grant grants[] = {{patterns, 4, action_bit(ACTION_READ)}};
    static const struct {
        const char *name;
        enum grant_reach reach;
    } rows[] = {
        {"a", GRANT_NAME},    {"a/b", GRANT_NONE},    {"b", GRANT_NONE},    {"b/x", GRANT_NAME},
        {"b/*", GRANT_NAME},  {"b/x/y", GRANT_NONE},  {"c", GRANT_NONE},    {"c/x", GRANT_BELOW},
        {"c/*", GRANT_BELOW}, {"c/x/y", GRANT_BELOW}, {"$w/1", GRANT_NAME}, {"*", GRANT_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str name = str_from(rows[i].name);
        assert_int_equal(grants_reach(grants, 1, ACTION_READ, name), rows[i].reach);
        assert_int_equal(grants_reach(grants, 1, ACTION_PUBLISH, name), GRANT_NONE);
        assert_int_equal(grants_reach(NULL, 0, ACTION_READ, name), GRANT_NONE);
    }
}

static void the_widest_of_several_grants_counts(void **state)
{
    (void)state;
    static const struct str narrow[] = {{"a/*", 3}}, wide[] = {{"**", 2}};
    const struct grant grants[] = {{narrow, 1, ACTIONS_ALL},
                                   {wide, 1, action_bit(ACTION_READ)},
                                   {narrow, 1, action_bit(ACTION_READ)}};
    assert_int_equal(grants_reach(grants, 3, ACTION_READ, STR("a/x")), GRANT_BELOW);
    assert_int_equal(grants_reach(grants, 3, ACTION_PUBLISH, STR("a/x")), GRANT_NAME);
    assert_int_equal(grants_reach(grants, 3, ACTION_PUBLISH, STR("b/x")), GRANT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_reaches_the_names_of_its_patterns),
        cmocka_unit_test(the_widest_of_several_grants_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
