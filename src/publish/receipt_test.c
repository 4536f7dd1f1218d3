#include "publish/receipt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_receipt(const struct event *event, const char *text)
{
    struct buf out = {0};
    struct rfc3339_memo times = {0};
    struct json_writer writer = json_members_writer(&out);
    receipt_write(&writer, event, &times);
    buf_add(&out, "", 1);
    assert_string_equal(out.at, text);
    buf_free(&out);
}

static void a_receipt_says_what_became_of_an_event(void **state)
{
    (void)state;
    struct event event = {.id = 42, .time_us = 1, .channel = STR("a\"b"), .state = EVENT_APPENDED};
    assert_receipt(&event, "\"id\":\"0000000000000042\",\"channel\":\"a\\\"b\","
                           "\"time\":\"1970-01-01T00:00:00.000001Z\"");
    event.state = EVENT_DUPLICATE;
    assert_receipt(&event, "\"id\":\"0000000000000042\",\"channel\":\"a\\\"b\","
                           "\"time\":\"1970-01-01T00:00:00.000001Z\",\"duplicate\":true");
    event.state = EVENT_EPHEMERAL;
    assert_receipt(&event, "\"channel\":\"a\\\"b\",\"time\":\"1970-01-01T00:00:00.000001Z\"");
}

static enum problem problem_of(enum publish_verdict verdict)
{
    struct refusal refusal = receipt_refusal(&(struct publish){.verdict = verdict});
    assert_non_null(refusal.detail);
    return refusal.problem;
}

static void each_verdict_is_a_problem(void **state)
{
    (void)state;
    assert_int_equal(problem_of(PUBLISH_E_KEY_REUSED), PROBLEM_KEY_REUSED);
    assert_int_equal(problem_of(PUBLISH_E_NOT_NEWEST), PROBLEM_NOT_NEWEST);
    assert_int_equal(problem_of(PUBLISH_E_CHANNELS), PROBLEM_TOO_MANY);
    assert_int_equal(problem_of(PUBLISH_E_SHARE), PROBLEM_TOO_MANY);
    assert_int_equal(problem_of(PUBLISH_E_KEYS), PROBLEM_TOO_MANY);
    assert_int_equal(problem_of(PUBLISH_E_NO_SPACE), PROBLEM_NO_SPACE);
    assert_int_equal(problem_of(PUBLISH_E_UNAVAILABLE), PROBLEM_UNAVAILABLE);
    assert_int_equal(problem_of(PUBLISH_E_FATE_UNKNOWN), PROBLEM_FATE_UNKNOWN);
}

static void a_share_that_is_used_up_names_the_settings_that_raise_it(void **state)
{
    (void)state;
    struct refusal refusal = receipt_refusal(&(struct publish){.verdict = PUBLISH_E_SHARE});
    assert_non_null(strstr(refusal.detail, "channels_address_percent"));
}

static void a_refusal_by_if_match_names_the_newest_event(void **state)
{
    (void)state;
    struct publish publish = {.verdict = PUBLISH_E_NOT_NEWEST, .newest = 42};
    assert_int_equal(receipt_refusal(&publish).newest, 42);
}

static void the_largest_event_is_one_of_the_publish(void **state)
{
    (void)state;
    struct event events[] = {{.data = STR("12345")}, {.data = STR("1")}, {.data = STR("123")}};
    struct batch batch = {.events = events, .count = 3};
    assert_int_equal(receipt_largest(&(struct publish){.first = 1, .count = 2}, &batch), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_says_what_became_of_an_event),
        cmocka_unit_test(each_verdict_is_a_problem),
        cmocka_unit_test(a_share_that_is_used_up_names_the_settings_that_raise_it),
        cmocka_unit_test(a_refusal_by_if_match_names_the_newest_event),
        cmocka_unit_test(the_largest_event_is_one_of_the_publish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
