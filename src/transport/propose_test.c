#include "transport/propose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct event_key key_of(const char *subject, const char *channel, const char *key,
                               const char *data)
{
    struct batch *batch = batch_new();
    struct event *event = batch_add(batch);
    event->channel = str_from(channel);
    event->type = STR("message");
    event->data = str_from(data);
    assert_int_equal(propose_key(batch, event, str_from(subject), str_from(key)), 0);
    struct event_key result = *event->key;
    batch_unref(batch);
    return result;
}

static void the_same_key_of_the_same_subject_on_the_same_channel_is_the_same(void **state)
{
    (void)state;
    struct event_key a = key_of("me", "a", "k", "x"), b = key_of("me", "a", "k", "y");
    assert_memory_equal(a.key, b.key, sizeof(a.key));
    assert_int_not_equal(a.content, b.content);
}

static void parts_do_not_run_into_each_other(void **state)
{
    (void)state;
    struct event_key a = key_of("m", "ea", "k", "x"), b = key_of("me", "a", "k", "x");
    assert_memory_not_equal(a.key, b.key, sizeof(a.key));
}

static void json_is_put_on_one_line(void **state)
{
    (void)state;
    struct batch *batch = batch_new();
    struct event *event = batch_add(batch);
    event->data = batch_copy(batch, STR("{\r\n\"a\": 1}"));
    propose_one_line(event);
    assert_true(str_eq(event->data, STR("{  \"a\": 1}")));
    batch_unref(batch);
}

static void assert_receipt(const struct event *event, const char *text)
{
    struct buf out = {0};
    propose_add_receipt(&out, event);
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

static void a_refusal_by_a_limit_is_counted(void **state)
{
    (void)state;
    struct worker *worker = mem_alloc(sizeof(*worker));
    const char *detail;
    assert_int_equal(propose_problem(worker, PUBLISH_E_CHANNELS, &detail), PROBLEM_TOO_MANY);
    assert_int_equal(propose_problem(worker, PUBLISH_E_SHARE, &detail), PROBLEM_TOO_MANY);
    assert_non_null(strstr(detail, "channels_address_percent"));
    assert_int_equal(propose_problem(worker, PUBLISH_E_KEYS, &detail), PROBLEM_TOO_MANY);
    assert_int_equal(propose_problem(worker, PUBLISH_E_NO_SPACE, &detail), PROBLEM_NO_SPACE);
    assert_int_equal(propose_problem(worker, PUBLISH_E_UNAVAILABLE, &detail), PROBLEM_UNAVAILABLE);
    assert_int_equal(propose_problem(worker, PUBLISH_E_FATE_UNKNOWN, &detail),
                     PROBLEM_FATE_UNKNOWN);
    assert_int_equal(worker->stats.limits[LIMIT_CHANNELS], 1);
    assert_int_equal(worker->stats.limits[LIMIT_KEYS], 1);
    free(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_key_of_the_same_subject_on_the_same_channel_is_the_same),
        cmocka_unit_test(parts_do_not_run_into_each_other),
        cmocka_unit_test(json_is_put_on_one_line),
        cmocka_unit_test(a_receipt_says_what_became_of_an_event),
        cmocka_unit_test(a_refusal_by_a_limit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
