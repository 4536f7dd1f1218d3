#include "log/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct event an_event(enum event_kind kind, struct str data)
{
    return (struct event){
        .id = 1795459080123456,
        .prev = 7,
        .time_us = 1795459080123456,
        .channel = STR("a/b"),
        .type = STR("message"),
        .content_type = kind == EVENT_BINARY ? STR("image/png") : STR_NONE,
        .data = data,
        .kind = (uint8_t)kind,
        .state = EVENT_APPENDED,
    };
}

static void check(const struct event *event, const char *expected)
{
    struct buf out = {0};
    envelope_add(&out, event);
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, expected);
    buf_free(&out);
}

#define HEAD                                                                                       \
    "{\"id\":\"1795459080123456\",\"prev\":\"0000000000000007\",\"channel\":\"a/b\","              \
    "\"type\":\"message\",\"time\":\"2026-11-23T18:38:00.123456Z\","

static void json_stands_as_it_came(void **state)
{
    (void)state;
    struct event event = an_event(EVENT_JSON, STR("{\"n\": 1e400}"));
    check(&event, HEAD "\"data\":{\"n\": 1e400}}");
}

static void json_that_says_more_has_its_content_type(void **state)
{
    (void)state;
    struct event event = an_event(EVENT_JSON, STR("{}"));
    event.content_type = STR("application/ld+json; profile=\"x\"");
    check(&event, HEAD "\"content_type\":\"application/ld+json; profile=\\\"x\\\"\",\"data\":{}}");
}

static void text_is_a_json_string(void **state)
{
    (void)state;
    struct event event = an_event(EVENT_TEXT, STR("a \"b\"\n"));
    check(&event, HEAD "\"data\":\"a \\\"b\\\"\\n\"}");
}

static void binary_is_base64_with_its_content_type(void **state)
{
    (void)state;
    struct event event = an_event(EVENT_BINARY, STR("\xff\x01"));
    check(&event, HEAD "\"content_type\":\"image/png\",\"data_base64\":\"/wE=\"}");
}

static void the_publisher_is_named_if_known(void **state)
{
    (void)state;
    struct event event = an_event(EVENT_TEXT, STR("x"));
    event.from = STR("ann");
    check(&event, HEAD "\"data\":\"x\",\"from\":\"ann\"}");
}

static void an_ephemeral_event_has_no_id(void **state)
{
    (void)state;
    struct event event = an_event(EVENT_TEXT, STR("x"));
    event.state = EVENT_EPHEMERAL;
    check(&event, "{\"channel\":\"a/b\",\"type\":\"message\","
                  "\"time\":\"2026-11-23T18:38:00.123456Z\",\"data\":\"x\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_stands_as_it_came),
        cmocka_unit_test(json_that_says_more_has_its_content_type),
        cmocka_unit_test(text_is_a_json_string),
        cmocka_unit_test(binary_is_base64_with_its_content_type),
        cmocka_unit_test(the_publisher_is_named_if_known),
        cmocka_unit_test(an_ephemeral_event_has_no_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
