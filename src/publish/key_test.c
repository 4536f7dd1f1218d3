#include "publish/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct event_key key_of(const char *subject, const char *channel, const char *key,
                               const char *data, bool stands)
{
    struct batch *batch = batch_new();
    struct event *event = batch_add(batch);
    event->channel = str_from(channel);
    event->type = STR("message");
    event->data = str_from(data);
    assert_int_equal(event_key_set(batch, event, str_from(subject), str_from(key), stands), 0);
    struct event_key result = *event->key;
    batch_unref(batch);
    return result;
}

static void the_same_key_of_the_same_subject_on_the_same_channel_is_the_same(void **state)
{
    (void)state;
    struct event_key a = key_of("me", "a", "k", "x", false);
    struct event_key b = key_of("me", "a", "k", "y", false);
    assert_memory_equal(a.key, b.key, sizeof(a.key));
    assert_int_not_equal(a.content, b.content);
}

static void parts_do_not_run_into_each_other(void **state)
{
    (void)state;
    struct event_key a = key_of("m", "ea", "k", "x", false);
    struct event_key b = key_of("me", "a", "k", "x", false);
    assert_memory_not_equal(a.key, b.key, sizeof(a.key));
}

static void a_key_that_stands_fits_any_content(void **state)
{
    (void)state;
    struct event_key a = key_of("me", "a", "k", "x", true);
    struct event_key b = key_of("me", "a", "k", "y", true);
    assert_memory_equal(a.key, b.key, sizeof(a.key));
    assert_int_equal(a.content, b.content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_key_of_the_same_subject_on_the_same_channel_is_the_same),
        cmocka_unit_test(parts_do_not_run_into_each_other),
        cmocka_unit_test(a_key_that_stands_fits_any_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
