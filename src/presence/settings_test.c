#include "presence/settings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_longest_prefix_decides(void **state)
{
    const struct presence_rule rules[] = {
        {.prefix = STR("chat"), .on = true, .grace_ms = 1},
        {.prefix = STR("chat/quiet"), .on = false},
        {.prefix = STR("chat/quiet/loud"), .on = true, .grace_ms = 2},
    };
    (void)state;
    const struct presence_settings *settings = presence_settings_new(rules, 3);
    assert_int_equal(presence_settings_find(settings, STR("chat"))->grace_ms, 1);
    assert_int_equal(presence_settings_find(settings, STR("chat/a/b"))->grace_ms, 1);
    assert_null(presence_settings_find(settings, STR("chat/quiet/x")));
    assert_int_equal(presence_settings_find(settings, STR("chat/quiet/loud"))->grace_ms, 2);
    assert_null(presence_settings_find(settings, STR("chatter")));
    assert_null(presence_settings_find(settings, STR("other")));
    presence_settings_unref(settings);
}

static void the_empty_prefix_has_all_channels_but_those_of_the_server(void **state)
{
    static char name[PRESENCE_CHANNEL_MAX + 1];
    const struct presence_rule rule = {.prefix = STR(""), .on = true};
    (void)state;
    memset(name, 'a', sizeof(name));
    const struct presence_settings *settings = presence_settings_new(&rule, 1);
    assert_true(presence_settings_any(settings));
    assert_non_null(presence_settings_find(settings, STR("a/b")));
    assert_null(presence_settings_find(settings, STR("$presence/a")));
    assert_non_null(presence_settings_find(settings, (struct str){name, PRESENCE_CHANNEL_MAX}));
    assert_null(presence_settings_find(settings, (struct str){name, PRESENCE_CHANNEL_MAX + 1}));
    presence_settings_unref(settings);
}

static void settings_without_presence_find_nothing(void **state)
{
    const struct presence_rule rule = {.prefix = STR("a"), .on = false};
    (void)state;
    const struct presence_settings *settings = presence_settings_new(&rule, 1);
    const struct presence_settings *none = presence_settings_new(NULL, 0);
    assert_false(presence_settings_any(settings));
    assert_false(presence_settings_any(none));
    assert_false(presence_settings_any(NULL));
    assert_null(presence_settings_find(settings, STR("a")));
    assert_false(presence_settings_equal(settings, none));
    assert_true(presence_settings_equal(none, none));
    presence_settings_unref(settings);
    presence_settings_unref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_prefix_decides),
        cmocka_unit_test(the_empty_prefix_has_all_channels_but_those_of_the_server),
        cmocka_unit_test(settings_without_presence_find_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
