#include "fetch/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static void check(struct str secret, struct str id, int64_t at, struct str body,
                  const char *expected)
{
    struct sign_key key;
    struct buf out = {0};
    assert_int_equal(sign_key_read(secret, &key), 0);
    sign_add(&out, &key, id, at, body);
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, expected);
    buf_free(&out);
}

static void the_published_vectors_come_out(void **state)
{
    (void)state;
    check(STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), STR("msg_p5jXN8AQM9LWM0D4loKWxJek"),
          1614265330, STR("{\"test\": 2432232314}"),
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    check(STR("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), STR("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
          1674087231,
          STR("{\"type\":\"contact.created\",\"timestamp\":\"2022-11-03T20:26:10.344522Z\","
              "\"data\":{\"id\":\"1f81eb52-5198-4599-803e-771906343485\"}}"),
          "v1,Inw/unYkpAh6Njpdz4O+hnN82xYMXQ6NjnZIQN/mzIQ=");
}

static void a_made_key_is_shown_and_read_back(void **state)
{
    (void)state;
    struct sign_key key, other, read;
    struct buf text = {0};
    sign_key_make(&key);
    sign_key_make(&other);
    assert_int_equal(key.len, SIGN_KEY_MADE);
    assert_memory_not_equal(key.bytes, other.bytes, SIGN_KEY_MADE);
    sign_key_add(&text, &key);
    assert_int_equal(sign_key_read(buf_str(&text), &read), 0);
    assert_int_equal(read.len, key.len);
    assert_memory_equal(read.bytes, key.bytes, key.len);
    buf_free(&text);
}

static void a_key_has_24_to_64_bytes(void **state)
{
    (void)state;
    struct sign_key key;
    assert_int_equal(sign_key_read(STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &key), 0);
    assert_int_equal(key.len, 24);
    assert_int_not_equal(sign_key_read(STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), &key), 0);
    assert_int_equal(
        sign_key_read(STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
                      &key),
        0);
    assert_int_equal(key.len, 64);
    assert_int_not_equal(
        sign_key_read(STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                      &key),
        0);
}

static void a_text_that_is_no_secret_is_refused(void **state)
{
    (void)state;
    struct sign_key key;
    assert_int_not_equal(sign_key_read(STR(""), &key), 0);
    assert_int_not_equal(sign_key_read(STR("whsec_"), &key), 0);
    assert_int_not_equal(sign_key_read(STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &key), 0);
    assert_int_not_equal(sign_key_read(STR("whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &key), 0);
    assert_int_not_equal(sign_key_read(STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_"), &key), 0);
}

static const char *const seed = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
static const char *const both = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/"
                                "tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

static void the_vector_of_v1a_comes_out(void **state)
{
    (void)state;
    struct sign_pair pair;
    struct buf out = {0};
    assert_int_equal(sign_pair_read(str_from(seed), &pair), 0);
    sign_pair_add(&out, &pair, STR("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"), 1674087231,
                  STR("{\"type\":\"contact.created\",\"timestamp\":\"2022-11-03T20:26:10.344522Z\","
                      "\"data\":{\"id\":\"1f81eb52-5198-4599-803e-771906343485\"}}"));
    assert_true(str_eq(buf_str(&out), STR("v1a,pbpYBMlty2hExn4zt0UTGb6BaP2Vq5AfyzjB9GGV3x/"
                                          "wCJKd8UjOCf8Qhaji6TKY9C5eNMnlF0GG4udaO6B7Ag==")));
    buf_free(&out);
}

static void a_pair_is_read_with_and_without_its_public_key(void **state)
{
    (void)state;
    struct sign_pair pair, same;
    struct buf out = {0};
    assert_int_equal(sign_pair_read(str_from(seed), &pair), 0);
    assert_int_equal(sign_pair_read(str_from(both), &same), 0);
    assert_memory_equal(pair.open, same.open, sizeof(pair.open));
    sign_pair_add_public(&out, &pair);
    assert_true(str_eq(buf_str(&out), STR("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")));
    buf_free(&out);
}

static void a_text_that_is_no_key_pair_is_refused(void **state)
{
    (void)state;
    struct sign_pair pair;
    char other[128];
    snprintf(other, sizeof(other), "%s", both);
    other[60] = other[60] == 'A' ? 'B' : 'A'; /* another's public key */
    assert_int_not_equal(sign_pair_read(str_from(other), &pair), 0);
    assert_int_not_equal(sign_pair_read(STR("whsk_"), &pair), 0);
    assert_int_not_equal(sign_pair_read(STR("whsk_AAAA"), &pair), 0);
    assert_int_not_equal(
        sign_pair_read(STR("whsec_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="), &pair), 0);
}

static void made_pairs_differ(void **state)
{
    (void)state;
    struct sign_pair one, other;
    assert_int_equal(sign_pair_make(&one), 0);
    assert_int_equal(sign_pair_make(&other), 0);
    assert_memory_not_equal(one.open, other.open, sizeof(one.open));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(the_vector_of_v1a_comes_out),
        cmocka_unit_test(a_pair_is_read_with_and_without_its_public_key),
        cmocka_unit_test(a_text_that_is_no_key_pair_is_refused),
        cmocka_unit_test(made_pairs_differ),
        cmocka_unit_test(a_made_key_is_shown_and_read_back),
        cmocka_unit_test(a_key_has_24_to_64_bytes),
        cmocka_unit_test(a_text_that_is_no_secret_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
