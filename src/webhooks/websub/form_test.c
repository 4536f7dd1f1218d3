#include "webhooks/websub/form.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/testing.h"

#define TOPIC "hub.topic=http%3A%2F%2Fh%3A1%2Fbase%2Fchannels%2Fa%2Fb%2520c"
#define CALLBACK "&hub.callback=https%3A%2F%2Fs%2Fx%3Fy%3D1"

static struct websub_wish wish;
static struct websub_leases leases = WEBSUB_LEASES_DEFAULT;

static int read_form(const char *text)
{
    const char *why = NULL;
    struct str form = exact(str_from(text));
    websub_wish_deinit(&wish);
    wish = (struct websub_wish){0};
    int result = websub_read(form, STR("/base"), &leases, &wish, &why);
    assert_true(!result || why);
    exact_free(form);
    return result;
}

static void a_subscription_is_read_and_what_is_not_known_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(read_form("foo=bar&hub.mode=subscribe&" TOPIC CALLBACK
                               "&hub.secret=s%26t&hub.lease_seconds=60&hub.verify=async"),
                     0);
    assert_int_equal(wish.mode, WEBSUB_SUBSCRIBE);
    assert_str(buf_str(&wish.callback), "https://s/x?y=1");
    assert_str(buf_str(&wish.topic), "http://h:1/base/channels/a/b%20c");
    assert_str(buf_str(&wish.channel), "a/b c");
    assert_str(buf_str(&wish.secret), "s&t");
    assert_int_equal(wish.lease_s, 60);
}

static void a_lease_has_an_end(void **state)
{
    (void)state;
    assert_int_equal(read_form("hub.mode=subscribe&" TOPIC CALLBACK), 0);
    assert_int_equal(wish.lease_s, 864000);
    assert_int_equal(read_form("hub.mode=subscribe&" TOPIC CALLBACK "&hub.lease_seconds=0"), 0);
    assert_int_equal(wish.lease_s, 864000);
    assert_int_equal(
        read_form("hub.mode=subscribe&" TOPIC CALLBACK "&hub.lease_seconds=99999999999"), 0);
    assert_int_equal(wish.lease_s, 30 * 86400);
    assert_int_equal(read_form("hub.mode=subscribe&" TOPIC CALLBACK "&hub.lease_seconds=1d"),
                     -EINVAL);
    assert_int_equal(read_form("hub.mode=unsubscribe&" TOPIC CALLBACK "&hub.lease_seconds=1d"), 0);
    assert_int_equal(wish.lease_s, 0);
}

static int ask_for(const char *lease)
{
    char form[300];
    snprintf(form, sizeof(form), "%s%s",
             "hub.mode=subscribe&" TOPIC CALLBACK "&hub.lease_seconds=", lease);
    return read_form(form);
}

/* The lease that is granted to a subscriber that asks for `lease`. */
static uint64_t granted(const char *lease)
{
    assert_int_equal(ask_for(lease), 0);
    return wish.lease_s;
}

static void a_lease_is_moved_into_its_bounds_and_not_refused(void **state)
{
    (void)state;
    leases = (struct websub_leases){.least = 60, .most = 3600, .usual = 600};
    assert_int_equal(granted(""), 600);
    assert_int_equal(granted("0"), 600);
    assert_int_equal(granted("1"), 60);
    assert_int_equal(granted("60"), 60);
    assert_int_equal(granted("3600"), 3600);
    assert_int_equal(granted("3601"), 3600);
    assert_int_equal(granted("18446744073709551615"), 3600);
    assert_int_equal(granted("18446744073709551616"), 3600);
    assert_int_equal(granted("99999999999999999999999999999999"), 3600);
    assert_int_equal(granted("0060"), 60);
    leases.usual = 86400;
    assert_int_equal(granted(""), 3600);
    leases = WEBSUB_LEASES_DEFAULT;
    const char *const wrong[] = {"-1", "+1", "1.5", "1e3", "0x10", "%201", "1%20", "ten"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(ask_for(wrong[i]), -EINVAL);
}

static void publishing_names_the_topic_by_either_name(void **state)
{
    (void)state;
    assert_int_equal(read_form("hub.mode=publish&" TOPIC), 0);
    assert_int_equal(read_form("hub.mode=publish&hub.url=http%3A%2F%2Fh%2Fbase%2Ftopics%2Fa"), 0);
    assert_str(buf_str(&wish.channel), "a");
    assert_int_equal(read_form("hub.mode=publish"), -EINVAL);
}

static void a_form_that_is_no_request_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "hub.mode=subscribe&hub.mode=unsubscribe&" TOPIC CALLBACK,
        "",
        TOPIC CALLBACK,
        "hub.mode=retrieve&" TOPIC CALLBACK,
        "hub.mode=subscribe&" TOPIC,
        "hub.mode=subscribe" CALLBACK,
        "hub.mode=subscribe&" TOPIC "&hub.callback=ftp%3A%2F%2Fs%2F",
        "hub.mode=subscribe&" TOPIC "&hub.callback=%2Fx",
        "hub.mode=subscribe&" TOPIC "&hub.callback=http%3A%2F%2Fs%2Fx%23y",
        "hub.mode=subscribe&" TOPIC "&hub.callback=http%3A%2F%2Fs%2F%0d%0a",
        "hub.mode=subscribe&" TOPIC "&hub.callback=%zz",
        "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fbase%2Fevents" CALLBACK,
        "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fchannels%2Fa" CALLBACK,
        "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fbase%2Fchannels%2F" CALLBACK,
        "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fbase%2Fchannels%2F%252a" CALLBACK,
        "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fbase%2Fchannels%2F%24x" CALLBACK,
        "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fbase%2Fchannels%2Fa%3Fb" CALLBACK,
        "hub.mode=subscribe&hub.topic=%2Fbase%2Fchannels%2Fa" CALLBACK,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (read_form(bad[i]) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    struct buf form = {0};
    buf_add_lit(&form, "hub.mode=subscribe&" TOPIC CALLBACK "&hub.secret=");
    for (int i = 0; i < 199; i++)
        buf_add_char(&form, 'x');
    buf_add_char(&form, '\0');
    assert_int_equal(read_form(form.at), 0);
    form.len--;
    buf_add(&form, "x", 2);
    assert_int_equal(read_form(form.at), -EINVAL);
    buf_free(&form);
    websub_wish_deinit(&wish);
}

static void the_query_of_a_callback_stays_and_ours_follows(void **state)
{
    (void)state;
    const struct {
        struct str callback;
        const char *want;
    } cases[] = {
        {STR("http://s"), "http://s?hub.mode=unsubscribe&hub.topic=t%3F&hub.challenge=c"},
        {STR("http://s/?"), "http://s/?hub.mode=unsubscribe&hub.topic=t%3F&hub.challenge=c"},
        {STR("http://s/?hub.mode=x&a"),
         "http://s/?hub.mode=x&a&hub.mode=unsubscribe&hub.topic=t%3F&hub.challenge=c"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct buf out = {0};
        websub_add_intent(&out, cases[i].callback, WEBSUB_UNSUBSCRIBE, STR("t?"), STR("c"), 0);
        buf_add_char(&out, '\0');
        assert_string_equal(out.at, cases[i].want);
        buf_free(&out);
    }
    struct buf out = {0};
    websub_add_intent(&out, STR("http://s"), WEBSUB_SUBSCRIBE, STR("t"), STR("c"), 60);
    assert_str(buf_str(&out), "http://s?hub.mode=subscribe&hub.topic=t&hub.challenge=c&"
                              "hub.lease_seconds=60");
    buf_clear(&out);
    websub_add_denial(&out, STR("http://s?a=b"), STR("t"), STR("why not"));
    assert_str(buf_str(&out), "http://s?a=b&hub.mode=denied&hub.topic=t&hub.reason=why%20not");
    buf_clear(&out);
    websub_add_hub(&out, STR("https://h:1/base/channels/a"), STR("/base"));
    assert_str(buf_str(&out), "https://h:1/base/hub");
    buf_free(&out);
}

/* Recomputed with openssl. */
static void the_signature_is_the_hmac_of_the_body(void **state)
{
    (void)state;
    struct buf out = {0};
    websub_add_signature(&out, STR("s3cr3t-websub"), STR("hello\n"));
    assert_str(buf_str(&out),
               "sha256=374816c5b7413e4a2964d2734b52b4f60b977d0035cb7458b8cc06ff5a51e4f9");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_is_read_and_what_is_not_known_is_passed_over),
        cmocka_unit_test(a_lease_has_an_end),
        cmocka_unit_test(a_lease_is_moved_into_its_bounds_and_not_refused),
        cmocka_unit_test(publishing_names_the_topic_by_either_name),
        cmocka_unit_test(a_form_that_is_no_request_is_refused_with_a_reason),
        cmocka_unit_test(the_query_of_a_callback_stays_and_ours_follows),
        cmocka_unit_test(the_signature_is_the_hmac_of_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
