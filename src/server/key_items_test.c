#include "server/key_items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct api_key *make(struct key_item *item, unsigned *ret_faults)
{
    struct faults faults = {0};
    struct api_key *key = key_item_make(item, &(struct place){0}, &faults);
    *ret_faults = faults.count;
    assert_true((key != NULL) == (faults.count == 0));
    faults_free(&faults);
    return key;
}

static void a_key_or_its_hash_makes_the_same_key(void **state)
{
    (void)state;
    char text[KEY_TEXT_LEN + 1], digest_text[KEY_DIGEST_LEN + 1];
    struct key_digest digest;
    struct grant_item grant = {.may = action_bit(ACTION_READ)};
    unsigned faults;
    key_text_make(text, &digest);
    key_digest_write(&digest, digest_text);
    setenv("FRESHET_TEST_KEY", text, 1);
    assert_null(grant_item_add_channel(&grant, STR("chat/**")));
    const char *const said[] = {text, digest_text, "env:FRESHET_TEST_KEY"};
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct key_item item = {
            .name = "site", .key = said[i], .grants = {&grant}, .grants_count = 1};
        struct api_key *key = make(&item, &faults);
        assert_non_null(key);
        assert_true(key_digest_equal(&key->digest, &digest));
        assert_true(key->is_configured);
        assert_int_equal(key->caller->facts.grants_count, 1);
        api_key_free(key);
    }
    unsetenv("FRESHET_TEST_KEY");
}

static void an_item_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    static const char digest[] =
        "fk_abcdefghij:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct grant_item grant = {.may = action_bit(ACTION_READ)}, empty = {.may = 1};
    unsigned faults;
    assert_null(grant_item_add_channel(&grant, STR("a")));
    struct key_item wrong[] = {
        {.key = digest, .grants = {&grant}, .grants_count = 1},
        {.name = "a", .grants = {&grant}, .grants_count = 1},
        {.name = "a", .key = digest, .grants = {&empty}, .grants_count = 1},
        {.name = "a", .key = "secret", .grants = {&grant}, .grants_count = 1},
        {.name = "a", .key = "env:FRESHET_TEST_NONE", .grants = {&grant}, .grants_count = 1},
        {.name = "a", .key = digest, .expires = "soon", .grants = {&grant}, .grants_count = 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_null(make(&wrong[i], &faults));
}

static void a_grant_takes_patterns_and_actions_alone(void **state)
{
    (void)state;
    struct grant_item grant = {0};
    assert_null(grant_item_add_action(&grant, STR("read")));
    assert_non_null(grant_item_add_action(&grant, STR("write")));
    assert_non_null(grant_item_add_channel(&grant, STR("a//b")));
    for (int i = 0; i < GRANT_PATTERNS_MAX; i++)
        assert_null(grant_item_add_channel(&grant, STR("a")));
    assert_non_null(grant_item_add_channel(&grant, STR("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_or_its_hash_makes_the_same_key),
        cmocka_unit_test(an_item_that_is_not_whole_is_refused),
        cmocka_unit_test(a_grant_takes_patterns_and_actions_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
