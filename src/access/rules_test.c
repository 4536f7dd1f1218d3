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
    rules_unref(rules);
}

static void no_rule_gives_nothing(void **state)
{
    (void)state;
    struct rules *rules = rules_new(NULL, 0);
    assert_non_null(rules);
    assert_int_equal(rules_actions(rules, true, STR("a")), ACTIONS_NONE);
    rules_unref(rules);
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

static void rules_are_equal_if_they_give_the_same(void **state)
{
    static const struct rule lists[][2] = {
        {{{"a", 1}, 1, 0}, {{"b", 1}, 1, 2}},
        {{{"b", 1}, 1, 2}, {{"a", 1}, 1, 0}}, /* the same in another order */
        {{{"a", 1}, 1, 0}, {{"b", 1}, 1, 0}},
        {{{"a", 1}, 1, 0}, {{"c", 1}, 1, 2}},
    };
    (void)state;
    struct rules *first = rules_new(lists[0], 2), *shorter = rules_new(lists[0], 1);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct rules *other = rules_new(lists[i], 2);
        assert_int_equal(rules_equal(first, other), i < 2);
        rules_unref(other);
    }
    assert_false(rules_equal(first, shorter));
    assert_false(rules_equal(first, &rules_open));
    assert_true(rules_equal(&rules_open, &rules_open));
    assert_ptr_equal(rules_ref(first), first);
    rules_unref(first);
    rules_unref(first);
    rules_unref(shorter);
    rules_unref(rules_ref(&rules_open));
    rules_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_prefix_of_whole_segments_decides_alone),
        cmocka_unit_test(no_rule_gives_nothing),
        cmocka_unit_test(open_rules_give_everything),
        cmocka_unit_test(a_lack_of_memory_makes_no_rules),
        cmocka_unit_test(rules_are_equal_if_they_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
