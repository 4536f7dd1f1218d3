/* Tests of the table of keys as a whole. config_test.c tests the values of each key. */
#include "server/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_key_is_there_once_and_says_what_it_is_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < keys_count; i++) {
        struct str name = str_from(keys[i].name);
        assert_ptr_equal(key_find(name), &keys[i]);
        assert_true(keys[i].help && *keys[i].help);
        assert_true(keys[i].kind == KEY_LIST ? keys[i].items_max > 0 : keys[i].size > 0);
        assert_true(keys[i].kind == KEY_BOOLEAN || keys[i].kind == KEY_LIST || keys[i].most > 0);
    }
    assert_null(key_find(STR("limits")));
    assert_null(key_find(STR("")));
    assert_null(key_find(STR("limits.")));
}

/* Whether the last part of a name sounds like that of a secret. */
static bool sounds_secret(struct str name)
{
    static const char *const words[] = {"secret", "password", "passphrase", "credential",
                                        "token",  "private",  "pin"};
    struct str part = STR_NONE;
    for (struct str rest = name; rest.at;)
        part = str_cut(&rest, '.');
    bool sounds = str_eq(part, STR("key"));
    for (struct str rest = part; rest.at;) {
        struct str word = str_cut(&rest, '_');
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            sounds = sounds || str_starts(word, str_from(words[i]));
    }
    return sounds;
}

/* A new key whose value is a secret must say so, or GET /configuration would tell it. */
static void a_key_that_sounds_like_a_secret_is_marked_as_one(void **state)
{
    (void)state;
    unsigned marked = 0;
    for (size_t i = 0; i < keys_count; i++) {
        struct str name = str_from(keys[i].name);
        bool is_text = keys[i].kind == KEY_TEXT || keys[i].kind == KEY_LIST;
        bool is_file = str_eq(name, STR("tls.certificates.key")); /* the name of one */
        marked += keys[i].secret;
        if (is_text && !is_file && !key_is_section(name) && sounds_secret(name) && !keys[i].secret)
            fail_msg("%s sounds like a secret: set `secret`, or list it here", keys[i].name);
    }
    assert_true(marked >= 5);
}

static void a_section_is_what_has_keys_below_it(void **state)
{
    (void)state;
    static const char *const sections[] = {"limits", "namespaces", "namespaces.retention",
                                           "listen"};
    static const char *const none[] = {"", "limit", "limits.", "data",
                                       "namespaces.retention.age_s"};
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        assert_true(key_is_section(str_from(sections[i])));
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(key_is_section(str_from(none[i])));
}

static void a_misspelled_key_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *wrong, *right;
    } cases[] = {
        {"lsiten", "listen"},
        {"limits.bodymax", "limits.body_max"},
        {"limits.body-max", "limits.body_max"},
        {"limits.idel_ms", "limits.idle_ms"},
        {"idle_ms", "limits.idle_ms"},
        {"limits.roll_s", "log.roll_s"},
        {"namespaces.age_s", "namespaces.retention.age_s"},
        {"webhooks.timeout", "webhooks.timeout_ms"},
        {"limts", "limits"},
        {"webhook", "webhooks"},
        {"retention", "namespaces.retention"},
        {"namespaces.retentoin", "namespaces.retention"},
        {"foo", ""},
        {"nothing_like_it", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str nearest = key_nearest(str_from(cases[i].wrong));
        if (!str_eq(nearest, str_from(cases[i].right)))
            fail_msg("%s: %.*s", cases[i].wrong, STR_FMT(nearest));
    }
}

static void the_table_is_printed_with_a_line_for_each_key(void **state)
{
    (void)state;
    struct buf out = {0};
    size_t lines = 0, sections = 0;
    keys_print(&out);
    for (size_t i = 0; i < out.len; i++)
        lines += out.at[i] == '\n';
    for (size_t i = 0; i < keys_count; i++)
        sections += key_is_section(str_from(keys[i].name));
    assert_int_equal(lines, 1 + keys_count - sections);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_there_once_and_says_what_it_is_for),
        cmocka_unit_test(a_key_that_sounds_like_a_secret_is_marked_as_one),
        cmocka_unit_test(a_section_is_what_has_keys_below_it),
        cmocka_unit_test(a_misspelled_key_is_found),
        cmocka_unit_test(the_table_is_printed_with_a_line_for_each_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
