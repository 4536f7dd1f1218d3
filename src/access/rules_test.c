#include "access/rules.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { READ = 1 << ACTION_READ, PUBLISH = 1 << ACTION_PUBLISH };

static void the_longest_prefix_of_whole_segments_decides_alone(void **state)
{
    (void)state;
    const struct rule list[] = {{STR("a/b"), 0, READ},
                                {STR("a"), READ | PUBLISH, 0},
                                {STR("ab"), PUBLISH, 0},
                                {STR_NONE, READ, PUBLISH}};
    static const struct {
        const char *name;
        actions anybody, authenticated;
    } rows[] = {
        {"x", READ, READ | PUBLISH},
        {"x/y", READ, READ | PUBLISH},
        {"a", READ | PUBLISH, READ | PUBLISH},
        {"a/c/d", READ | PUBLISH, READ | PUBLISH},
        {"a/b", 0, READ},
        {"a/b/c", 0, READ},
        {"a/bc", READ | PUBLISH, READ | PUBLISH},
        {"ab", PUBLISH, PUBLISH},
        {"abc", READ, READ | PUBLISH},
        {"*", READ, READ | PUBLISH},
        {"a/*", READ | PUBLISH, READ | PUBLISH},
        {"$webhooks/1", 0, 0},
    };
    struct rules *rules = rules_new(list, sizeof(list) / sizeof(list[0]));
    assert_non_null(rules);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str name = str_from(rows[i].name);
        assert_int_equal(rules_actions(rules, false, name), rows[i].anybody);
        assert_int_equal(rules_actions(rules, true, name), rows[i].authenticated);
    }
    rules_free(rules);
}

static void no_rule_gives_nothing(void **state)
{
    (void)state;
    struct rules *rules = rules_new(NULL, 0);
    assert_non_null(rules);
    assert_int_equal(rules_actions(rules, true, STR("a")), ACTIONS_NONE);
    rules_free(rules);
}

static void open_rules_give_everything(void **state)
{
    (void)state;
    assert_int_equal(rules_actions(&rules_open, false, STR("a")), ACTIONS_ALL);
    assert_int_equal(rules_actions(&rules_open, false, STR("$webhooks/1")), ACTIONS_ALL);
}

static void a_lack_of_memory_makes_no_rules(void **state)
{
    (void)state;
    mem_fail_nth(1);
    assert_null(rules_new(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_prefix_of_whole_segments_decides_alone),
        cmocka_unit_test(no_rule_gives_nothing),
        cmocka_unit_test(open_rules_give_everything),
        cmocka_unit_test(a_lack_of_memory_makes_no_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
