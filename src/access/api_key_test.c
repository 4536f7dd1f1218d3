#include "access/api_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000000)

static const char good[] =
    "{\"name\":\"site\",\"grants\":[{\"channels\":[\"chat/**\"],\"may\":[\"read\"]}]}";

static struct api_key *request(const char *body)
{
    char text[KEY_TEXT_LEN + 1];
    struct api_key *key = NULL;
    const char *fault = api_key_request(str_from(body), NOW, STR("root"), text, &key);
    assert_int_equal(fault == NULL, key != NULL);
    return key;
}

static void a_request_makes_a_key_whose_text_it_returns(void **state)
{
    (void)state;
    char text[KEY_TEXT_LEN + 1];
    struct api_key *key = NULL;
    struct key_digest digest;
    assert_null(api_key_request(str_from(good), NOW, STR("root"), text, &key));
    assert_true(key_text_read(str_from(text), &digest));
    assert_true(key_digest_equal(&digest, &key->digest));
    assert_string_equal(key->made_by, "root");
    assert_true(str_eq(key->caller->facts.subject, STR("site")));
    assert_true(str_eq(key->caller->facts.key_id, str_from(digest.id)));
    assert_int_equal(key->caller->facts.kind, CALLER_KEY);
    assert_true(key->caller->facts.expires_us == 0);
    api_key_free(key);
}

static void a_request_with_anything_unknown_or_wrong_is_refused(void **state)
{
    (void)state;
#define GRANTS "\"grants\":[{\"channels\":[\"a\"],\"may\":[\"read\"]}]"
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"name\":\"a\"}",
        "{" GRANTS "}",
        "{\"name\":\"\"," GRANTS "}",
        "{\"name\":7," GRANTS "}",
        "{\"name\":\"a\\nb\"," GRANTS "}",
        "{\"name\":\"a\",\"name\":\"b\"," GRANTS "}",
        "{\"name\":\"a\",\"id\":\"abcdefghij\"," GRANTS "}",
        "{\"name\":\"a\",\"expires\":\"2001-01-01T00:00:00Z\"," GRANTS "}",
        "{\"name\":\"a\",\"expires\":17," GRANTS "}",
        "{\"name\":\"a\",\"expires_in_s\":0," GRANTS "}",
        "{\"name\":\"a\",\"expires_in_s\":1.5," GRANTS "}",
        "{\"name\":\"a\",\"expires_in_s\":9223372036854775807," GRANTS "}",
        "{\"name\":\"a\",\"expires_in_s\":\"60\"," GRANTS "}",
        "{\"name\":\"a\",\"expires\":\"2100-01-01T00:00:00Z\",\"expires_in_s\":60," GRANTS "}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_null(request(wrong[i]));
}

static void an_expiry_is_a_time_or_a_duration(void **state)
{
    (void)state;
    struct api_key *key = request("{\"name\":\"a\",\"expires_in_s\":60," GRANTS "}");
    assert_true(key->caller->facts.expires_us == NOW + 60000000);
    api_key_free(key);
    key = request("{\"name\":\"a\",\"expires\":\"2100-01-01T00:00:00Z\"," GRANTS "}");
    assert_true(key->caller->facts.expires_us == INT64_C(4102444800000000));
    api_key_free(key);
    key = request("{\"name\":\"a\",\"expires\":null," GRANTS "}");
    assert_true(key->caller->facts.expires_us == 0);
    api_key_free(key);
#undef GRANTS
}

static void a_record_gives_the_same_key_again(void **state)
{
    (void)state;
    struct buf record = {0}, again = {0};
    struct api_key *key = request(good);
    atomic_store(&key->used_us, NOW + 5);
    api_key_write_record(&record, key);
    struct api_key *copy = api_key_read_record(buf_str(&record));
    assert_non_null(copy);
    api_key_write_record(&again, copy);
    assert_true(str_eq(buf_str(&record), buf_str(&again)));
    assert_true(key_digest_equal(&key->digest, &copy->digest));
    assert_true(atomic_load(&copy->used_us) == NOW + 5);
    api_key_free(copy);
    /* A record that was cut at any byte makes no key. */
    for (size_t len = 0; len < record.len; len++)
        assert_null(api_key_read_record((struct str){record.at, len}));
    api_key_free(key);
    buf_free(&record);
    buf_free(&again);
}

static void people_never_see_a_hash(void **state)
{
    (void)state;
    char digest[KEY_DIGEST_LEN + 1];
    struct buf shown = {0};
    struct json_writer writer = json_writer(&shown);
    struct api_key *key = request(good);
    key_digest_write(&key->digest, digest);
    json_object_begin(&writer);
    api_key_show(&writer, key);
    json_object_end(&writer);
    buf_add_char(&shown, '\0');
    assert_null(strstr(shown.at, digest + 3 + KEY_ID_LEN + 1));
    assert_non_null(strstr(shown.at, "\"id\":"));
    buf_free(&shown);
    api_key_free(key);
}

/* Whether somebody who has `grant` alone may make a key with `grants`. */
static bool may_make(const struct grant *grant, const char *grants)
{
    struct buf body = {0};
    struct refusal refusal;
    struct rules *rules = rules_new(NULL, 0);
    const struct caller_facts facts = {.kind = CALLER_KEY, .grants = grant, .grants_count = 1};
    const struct access maker = {.rules = rules, .caller = caller_new(&facts), .now_us = NOW};
    buf_addf(&body, "{\"name\":\"a\",\"grants\":%s}", grants);
    buf_add_char(&body, '\0');
    struct api_key *key = request(body.at);
    assert_non_null(key);
    bool may = api_key_is_within(key, &maker, &refusal);
    assert_true(may || refusal.problem == PROBLEM_FORBIDDEN);
    api_key_free(key);
    caller_unref((struct caller *)(uintptr_t)maker.caller);
    rules_unref(rules);
    buf_free(&body);
    return may;
}

static void a_key_grants_no_more_than_its_maker_has(void **state)
{
    (void)state;
    const struct str patterns[] = {STR("chat/**")};
    const struct grant grant = {patterns, 1, action_bit(ACTION_READ) | action_bit(ACTION_PUBLISH)};
    static const struct {
        const char *grants;
        bool may;
    } rows[] = {
        {"[{\"channels\":[\"chat/**\"],\"may\":[\"read\",\"publish\"]}]", true},
        {"[{\"channels\":[\"chat/a\",\"chat/*\"],\"may\":[\"read\"]}]", true},
        {"[{\"channels\":[\"chat/a\",\"news\"],\"may\":[\"read\"]}]", false},
        {"[{\"channels\":[\"**\"],\"may\":[\"read\"]}]", false},
        {"[{\"channels\":[\"chat/**\"],\"may\":[\"read\",\"admin\"]}]", false},
        {"[{\"channels\":[\"chat/a\"],\"may\":[\"read\"]},"
         "{\"channels\":[\"$audit\"],\"may\":[\"read\"]}]",
         false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(may_make(&grant, rows[i].grants), rows[i].may);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_makes_a_key_whose_text_it_returns),
        cmocka_unit_test(a_request_with_anything_unknown_or_wrong_is_refused),
        cmocka_unit_test(an_expiry_is_a_time_or_a_duration),
        cmocka_unit_test(a_record_gives_the_same_key_again),
        cmocka_unit_test(people_never_see_a_hash),
        cmocka_unit_test(a_key_grants_no_more_than_its_maker_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
