#include "access/key_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char some_key[] = "fk_abcdefghij_"
                               "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst";

static void a_key_that_was_made_is_read_as_itself(void **state)
{
    (void)state;
    char text[KEY_TEXT_LEN + 1], other[KEY_TEXT_LEN + 1];
    struct key_digest made, read, second;
    key_text_make(text, &made);
    key_text_make(other, &second);
    assert_int_equal(strlen(text), KEY_TEXT_LEN);
    assert_true(key_text_is(str_from(text)));
    assert_true(key_text_read(str_from(text), &read));
    assert_string_equal(read.id, made.id);
    assert_true(key_id_valid(str_from(made.id)));
    assert_true(key_digest_equal(&made, &read));
    assert_false(key_digest_equal(&made, &second));
    assert_string_not_equal(text, other);
}

static void a_digest_is_the_sha256_of_the_text(void **state)
{
    (void)state;
    struct key_digest digest;
    uint8_t hash[HASH_SHA256_SIZE];
    hash_sha256(str_from(some_key), hash);
    assert_true(key_text_read(str_from(some_key), &digest));
    assert_memory_equal(digest.hash, hash, sizeof(hash));
    assert_string_equal(digest.id, "abcdefghij");
}

static void a_digest_is_read_as_it_was_written(void **state)
{
    (void)state;
    char text[KEY_DIGEST_LEN + 1];
    struct key_digest digest, again;
    assert_true(key_text_read(str_from(some_key), &digest));
    key_digest_write(&digest, text);
    assert_int_equal(strlen(text), KEY_DIGEST_LEN);
    assert_true(key_digest_read(str_from(text), &again));
    assert_true(key_digest_equal(&digest, &again));
    assert_false(key_text_read(str_from(text), &again));
}

/* Changes each character in turn to characters that a key cannot have there. */
static void a_text_with_any_wrong_character_is_refused(void **state)
{
    (void)state;
    static const char wrong[] = {'A', '0', '1', '8', '-', ' ', '\0', '\n', (char)0xc3};
    char key[KEY_TEXT_LEN + 1], digest_text[KEY_DIGEST_LEN + 1];
    struct key_digest digest;
    assert_true(key_text_read(str_from(some_key), &digest));
    key_digest_write(&digest, digest_text);
    for (size_t i = 0; i < KEY_TEXT_LEN; i++) {
        for (size_t j = 0; j < sizeof(wrong); j++) {
            memcpy(key, some_key, sizeof(key));
            key[i] = wrong[j];
            assert_false(key_text_read((struct str){key, KEY_TEXT_LEN}, &digest));
        }
    }
    for (size_t i = 0; i < KEY_DIGEST_LEN; i++) {
        char kept = digest_text[i];
        digest_text[i] = 'G';
        assert_false(key_digest_read((struct str){digest_text, KEY_DIGEST_LEN}, &digest));
        digest_text[i] = kept;
    }
}

static void a_text_of_another_length_is_refused(void **state)
{
    (void)state;
    char longer[KEY_TEXT_LEN + 2];
    struct key_digest digest;
    for (size_t len = 0; len < KEY_TEXT_LEN; len++)
        assert_false(key_text_read((struct str){some_key, len}, &digest));
    snprintf(longer, sizeof(longer), "%sa", some_key);
    assert_false(key_text_read(str_from(longer), &digest));
    assert_false(key_text_read(STR_NONE, &digest));
    assert_false(key_digest_read(STR_NONE, &digest));
}

static void a_token_is_no_key(void **state)
{
    (void)state;
    assert_false(key_text_is(STR("eyJhbGciOiJIUzI1NiJ9.e30.x")));
    assert_false(key_text_is(STR("fk")));
    assert_false(key_text_is(STR_NONE));
    assert_true(key_text_is(STR("fk_")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_was_made_is_read_as_itself),
        cmocka_unit_test(a_digest_is_the_sha256_of_the_text),
        cmocka_unit_test(a_digest_is_read_as_it_was_written),
        cmocka_unit_test(a_text_with_any_wrong_character_is_refused),
        cmocka_unit_test(a_text_of_another_length_is_refused),
        cmocka_unit_test(a_token_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
