#include "publish/event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct conn_names conn_names = {{17, 4}};

/* The members of an object that was checked. */
static struct event_json members_of(const char *object)
{
    static const struct str names[EVENT_JSON_COUNT] = {
#define NAME(name) {#name, sizeof(#name) - 1},
        EVENT_JSON_MEMBERS(NAME)
#undef NAME
    };
    struct event_json json = {.may_be_deep = false};
    struct str key, value;
    assert_int_equal(json_check(str_from(object), JSON_DEPTH_LIMIT, NULL), 0);
    for (size_t pos = 0; json_next(str_from(object), &pos, &key, &value);)
        for (size_t i = 0; i < EVENT_JSON_COUNT; i++)
            if (str_eq(names[i], key))
                json.at[i] = value;
    return json;
}

static void assert_refused(const char *object, enum problem problem)
{
    struct event_json json = members_of(object);
    struct event_json_room room = {.data = {0}};
    struct proposal proposal;
    struct refusal refusal = {.problem = PROBLEM_COUNT};
    assert_false(event_json_read(&json, &conn_names, &room, &proposal, &refusal));
    assert_int_equal(refusal.problem, problem);
    assert_non_null(refusal.detail);
    event_json_room_free(&room);
}

static struct proposal read_event(const char *object, struct event_json_room *room)
{
    struct event_json json = members_of(object);
    struct proposal proposal;
    struct refusal refusal;
    assert_true(event_json_read(&json, &conn_names, room, &proposal, &refusal));
    return proposal;
}

static void a_string_is_text_and_any_other_value_is_json(void **state)
{
    (void)state;
    struct event_json_room room = {.data = {0}};
    struct proposal proposal = read_event("{\"channel\":\"a\",\"data\":\"x\"}", &room);
    assert_true(str_eq(proposal.channel, STR("a")));
    assert_true(str_eq(proposal.type, TYPE_DEFAULT));
    assert_true(str_eq(proposal.data, STR("x")));
    assert_int_equal(proposal.kind, EVENT_TEXT);
    assert_false(proposal.has_key);
    assert_false(proposal.ephemeral);
    proposal = read_event("{\"channel\":\"a\",\"data\":{\"b\": 1.50}}", &room);
    assert_int_equal(proposal.kind, EVENT_JSON);
    assert_true(str_eq(proposal.data, STR("{\"b\": 1.50}")));
    assert_true(proposal.is_checked);
    event_json_room_free(&room);
}

static void escapes_are_undone_and_memory_is_used_again(void **state)
{
    (void)state;
    struct event_json_room room = {.data = {0}};
    struct proposal proposal = read_event(
        "{\"channel\":\"\\u0061\\/b\",\"data\":\"x\\ny\",\"type\":\"\\u0074\",\"key\":\"k\","
        "\"ephemeral\":true}",
        &room);
    assert_true(str_eq(proposal.channel, STR("a/b")));
    assert_true(str_eq(proposal.data, STR("x\ny")));
    assert_true(str_eq(proposal.type, STR("t")));
    assert_true(proposal.has_key && str_eq(proposal.key, STR("k")));
    assert_true(proposal.ephemeral);
    proposal = read_event("{\"channel\":\"\\u0063\",\"data\":\"\"}", &room);
    assert_true(str_eq(proposal.channel, STR("c")));
    assert_int_equal(proposal.data.len, 0);
    event_json_room_free(&room);
}

static void base64_is_binary(void **state)
{
    (void)state;
    struct event_json_room room = {.data = {0}};
    struct proposal proposal = read_event(
        "{\"channel\":\"a\",\"data_base64\":\"AP8=\",\"content_type\":\"image/png\"}", &room);
    assert_int_equal(proposal.kind, EVENT_BINARY);
    assert_true(str_eq(proposal.data, STR("\0\xff")));
    assert_true(str_eq(proposal.content_type, STR("image/png")));
    proposal = read_event("{\"channel\":\"a\",\"data_base64\":\"\"}", &room);
    assert_int_equal(proposal.data.len, 0);
    event_json_room_free(&room);
}

static void json_that_says_more_keeps_its_content_type(void **state)
{
    (void)state;
    struct event_json_room room = {.data = {0}};
    struct proposal proposal = read_event(
        "{\"channel\":\"a\",\"data\":{},\"content_type\":\"application/ld+json\"}", &room);
    assert_true(str_eq(proposal.content_type, STR("application/ld+json")));
    proposal =
        read_event("{\"channel\":\"a\",\"data\":{},\"content_type\":\"application/json\"}", &room);
    assert_int_equal(proposal.content_type.len, 0);
    proposal = read_event(
        "{\"channel\":\"a\",\"data\":\"x\",\"content_type\":\"application/ld+json\"}", &room);
    assert_int_equal(proposal.content_type.len, 0);
    event_json_room_free(&room);
}

static void a_member_that_is_something_else_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"channel\":1,\"data\":1}", PROBLEM_BAD_CHANNEL);
    assert_refused("{\"channel\":\"\\ud800\",\"data\":1}", PROBLEM_BAD_CHANNEL);
    assert_refused("{\"channel\":\"a\",\"data\":1,\"type\":null}", PROBLEM_BAD_TYPE);
    assert_refused("{\"channel\":\"a\",\"data\":1,\"key\":7}", PROBLEM_BAD_KEY);
    assert_refused("{\"channel\":\"a\",\"data\":1,\"content_type\":\"png\"}", PROBLEM_BAD_EVENT);
    assert_refused("{\"channel\":\"a\",\"data\":1,\"content_type\":\"\"}", PROBLEM_BAD_EVENT);
    assert_refused("{\"channel\":\"a\",\"data\":1,\"ephemeral\":\"true\"}", PROBLEM_BAD_EVENT);
    assert_refused("{\"channel\":\"a\",\"data\":\"\\udc00\"}", PROBLEM_BAD_EVENT);
    assert_refused("{\"channel\":\"a\",\"data_base64\":\"A\"}", PROBLEM_BAD_EVENT);
    assert_refused("{\"channel\":\"a\",\"data_base64\":7}", PROBLEM_BAD_EVENT);
}

static void except_is_the_name_of_a_connection(void **state)
{
    (void)state;
    struct event_json_room room = {.data = {0}};
    char name[CONN_NAME_SIZE];
    struct buf event = {0};
    buf_addf(&event, "{\"channel\":\"a\",\"data\":1,\"except\":\"%.*s\"}",
             STR_FMT(conn_name_write(&conn_names, 7, name)));
    buf_add_char(&event, '\0');
    assert_int_equal(read_event(event.at, &room).except, 7);
    struct proposal proposal =
        read_event("{\"channel\":\"a\",\"data\":1,\"except\":\"0123456789abcdef01234567\"}", &room);
    assert_int_equal(proposal.except, 0);
    assert_int_equal(read_event("{\"channel\":\"a\",\"data\":1}", &room).except, 0);
    static const char *const values[] = {"7",
                                         "null",
                                         "[]",
                                         "\"\"",
                                         "\"7\"",
                                         "\"0123456789abcdef0123456\"",
                                         "{}",
                                         "true",
                                         "123456789012345678901234",
                                         "\"0123456789ABCDEF01234567\"",
                                         "\"\\u0030123456789abcdef01234567\""};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        buf_clear(&event);
        buf_addf(&event, "{\"channel\":\"a\",\"data\":1,\"except\":%s}", values[i]);
        buf_add_char(&event, '\0');
        assert_refused(event.at, PROBLEM_BAD_EVENT);
    }
    buf_free(&event);
    event_json_room_free(&room);
}

static void an_event_has_data_once(void **state)
{
    (void)state;
    assert_refused("{\"channel\":\"a\"}", PROBLEM_BAD_EVENT);
    assert_refused("{\"channel\":\"a\",\"data\":1,\"data_base64\":\"\"}", PROBLEM_BAD_EVENT);
}

static void data_may_be_nested_128_deep(void **state)
{
    (void)state;
    char data[2 * (JSON_DEPTH_MAX + 1)];
    struct event_json json = {.channel = STR("\"a\""), .may_be_deep = true};
    struct event_json_room room = {.data = {0}};
    struct proposal proposal;
    struct refusal refusal;
    memset(data, '[', sizeof(data) / 2);
    memset(data + sizeof(data) / 2, ']', sizeof(data) / 2);
    json.data = (struct str){data, sizeof(data)};
    assert_false(event_json_read(&json, &conn_names, &room, &proposal, &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_EVENT);
    json.data = (struct str){data + 1, sizeof(data) - 2};
    assert_true(event_json_read(&json, &conn_names, &room, &proposal, &refusal));
    event_json_room_free(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_text_and_any_other_value_is_json),
        cmocka_unit_test(escapes_are_undone_and_memory_is_used_again),
        cmocka_unit_test(base64_is_binary),
        cmocka_unit_test(json_that_says_more_keeps_its_content_type),
        cmocka_unit_test(a_member_that_is_something_else_is_refused),
        cmocka_unit_test(except_is_the_name_of_a_connection),
        cmocka_unit_test(an_event_has_data_once),
        cmocka_unit_test(data_may_be_nested_128_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
