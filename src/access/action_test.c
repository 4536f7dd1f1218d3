#include "access/action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_word_adds_its_action(void **state)
{
    (void)state;
    actions all = ACTIONS_NONE;
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        actions set = ACTIONS_NONE;
        assert_true(actions_add(&set, str_from(action_word((enum action)i))));
        assert_int_equal(set, action_bit((enum action)i));
        all |= set;
    }
    assert_int_equal(all, ACTIONS_ALL);
}

static void other_words_add_nothing(void **state)
{
    (void)state;
    static const struct str words[] = {{"", 0}, {"rea", 3}, {"READ", 4}, {"read ", 5}, {"*", 1}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        actions set = action_bit(ACTION_ADMIN);
        assert_false(actions_add(&set, words[i]));
        assert_int_equal(set, action_bit(ACTION_ADMIN));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_adds_its_action),
        cmocka_unit_test(other_words_add_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
