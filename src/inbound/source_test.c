#include "inbound/source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "inbound/testing.h"

static const char *const one[] = {"a secret of some length"};

static struct source_event read_event(struct source_settings settings, const char *lines,
                                      const char *body)
{
    struct source *source = NULL;
    struct source_event event = {0};
    struct inbound_case it;
    struct buf why = {0};
    settings.name = "shop";
    settings.secrets = one;
    settings.secrets_count = 1;
    assert_int_equal(source_new(&settings, &source, &why), 0);
    inbound_case_init(&it, str_from(lines), str_from(body), 0);
    int verdict = source_read(source, &it.request, &event);
    assert_int_equal(verdict, event.answer.len ? CHALLENGE_MEANT : CHALLENGE_NONE);
    inbound_case_free(&it);
    source_free(source);
    return event;
}

static void a_kind_knows_types_and_ids_of_its_own(void **state)
{
    (void)state;
    struct source_event event =
        read_event((struct source_settings){.kind = "github"},
                   "x-github-event: push\r\nx-github-delivery: 7-1\r\n", "{}");
    assert_str(buf_str(&event.channel), "shop");
    assert_str(buf_str(&event.type), "github.push");
    assert_str(buf_str(&event.key), "shop-7-1");
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "stripe"}, "",
                       "{\"id\":\"evt_1\",\"type\":\"charge.failed\"}");
    assert_str(buf_str(&event.type), "stripe.charge.failed");
    assert_str(buf_str(&event.key), "shop-evt_1");
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "shopify"},
                       "x-shopify-topic: orders/create\r\nx-shopify-webhook-id: w\r\n", "{}");
    assert_str(buf_str(&event.type), "shopify.orders_create");
    assert_str(buf_str(&event.key), "shop-w");
    source_event_deinit(&event);
}

static void without_an_id_there_is_no_key(void **state)
{
    (void)state;
    struct source_event event = read_event((struct source_settings){.kind = "github"}, "", "{}");
    assert_int_equal(event.key.len, 0);
    assert_str(buf_str(&event.type), "github.none");
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "hmac", .id = "{body.a}-{body.b}"}, "",
                       "{\"a\":1}");
    assert_int_equal(event.key.len, 0);
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "hmac", .id = "{body.a}-{body.b}"}, "",
                       "{\"a\":1,\"b\":2}");
    assert_str(buf_str(&event.key), "shop-1-2");
    source_event_deinit(&event);
}

static void slack_gets_its_challenge_back_and_nobody_else_does(void **state)
{
    (void)state;
    const char *body = "{\"type\":\"url_verification\",\"challenge\":\"3eZb\"}";
    struct source_event event = read_event((struct source_settings){.kind = "slack"}, "", body);
    assert_str(buf_str(&event.answer), "3eZb");
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "github"}, "", body);
    assert_int_equal(event.answer.len, 0);
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "slack"}, "",
                       "{\"type\":\"event_callback\",\"challenge\":\"3eZb\",\"event_id\":\"E1\","
                       "\"event\":{\"type\":\"message\"}}");
    assert_int_equal(event.answer.len, 0);
    assert_str(buf_str(&event.type), "slack.message");
    assert_str(buf_str(&event.key), "shop-E1");
    source_event_deinit(&event);
}

static void a_type_that_no_event_may_have_is_marked_and_a_long_one_cut(void **state)
{
    (void)state;
    struct source_event event = read_event(
        (struct source_settings){.kind = "hmac", .type = "{body.t}"}, "", "{\"t\":\"error\"}");
    assert_str(buf_str(&event.type), "_error");
    source_event_deinit(&event);
    event = read_event((struct source_settings){.kind = "hmac", .type = "{body.t}{body.t}"}, "",
                       "{\"t\":\"0123456789012345678901234567890123456789\"}");
    assert_int_equal(event.type.len, 64);
    source_event_deinit(&event);
}

static int make(struct source_settings settings, struct buf *why)
{
    struct source *source = NULL;
    if (!settings.name)
        settings.name = "x";
    buf_clear(why);
    int result = source_new(&settings, &source, why);
    source_free(source);
    assert_int_equal(result != 0, why->len != 0);
    return result;
}

#define ONE .secrets = one, .secrets_count = 1

static void settings_that_cannot_be_are_refused_without_telling_the_secret(void **state)
{
    (void)state;
    const struct source_settings bad[] = {
        {ONE},
        {.kind = "gitlab", ONE},
        {.kind = "github"},
        {.kind = "none", ONE},
        {.kind = "github", .name = "a/b", ONE},
        {.kind = "github", .name = "", ONE},
        {.kind = "github", .name = ".", ONE},
        {.kind = "github", .header = "x-other", ONE},
        {.kind = "standard", ONE}, /* not base64 */
        {.kind = "basic", ONE},    /* no colon */
        {.kind = "hmac", .hash = "md5", ONE},
        {.kind = "hmac", .encoding = "utf-8", ONE},
        {.kind = "hmac", .header = "a b", ONE},
        {.kind = "hmac", .header = "", ONE},
        {.kind = "token", .header = "", ONE},
        {.kind = "hmac", .timestamp_header = "", ONE},
        {.kind = "hmac", .signature_field = "", ONE},
        {.kind = "hmac", .signature_field = "s", .timestamp_field = "", ONE},
        {.kind = "none", .challenge = {.method = "GET", .value = "{query.a}", .proof = ""}},
        {.kind = "none",
         .challenge = {.method = "GET", .value = "{query.a}", .when = "", .is = "b"}},
        {.kind = "none", .challenge = {.method = "GET", .value = ""}},
        {.kind = "hmac", .signed_bytes = "{timestamp}", ONE},
        {.kind = "hmac", .signed_bytes = "{timestamp}.{body}", ONE},
        {.kind = "hmac", .timestamp_header = "x-time", ONE}, /* not signed */
        {.kind = "hmac", .timestamp_field = "t", .signed_bytes = "{timestamp}{body}", ONE},
        {.kind = "hmac", .signature_field = "s", .timestamp_field = "t", ONE}, /* not signed */
        {.kind = "hmac",
         .signature_field = "s",
         .timestamp_field = "t",
         .timestamp_header = "x-time",
         .signed_bytes = "{timestamp}{body}",
         ONE},
        {.kind = "stripe", .signature_field = "v0", ONE},
        {.kind = "token", .signature_field = "s", ONE},
        {.kind = "hmac", .channel = "{nonsense}", ONE},
        {.kind = "hmac", .tolerance_s = 86401, ONE},
    };
    struct buf why = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (make(bad[i], &why) != -EINVAL)
            fail_msg("settings %zu are taken", i);
        buf_add_char(&why, '\0');
        assert_null(strstr(why.at, "secret of some length"));
    }
    assert_int_equal(make((struct source_settings){.kind = "hmac",
                                                   .timestamp_header = "x-time",
                                                   .signed_bytes = "{timestamp}.{body}",
                                                   ONE},
                          &why),
                     0);
    assert_int_equal(make((struct source_settings){.kind = "none"}, &why), 0);
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_knows_types_and_ids_of_its_own),
        cmocka_unit_test(without_an_id_there_is_no_key),
        cmocka_unit_test(slack_gets_its_challenge_back_and_nobody_else_does),
        cmocka_unit_test(a_type_that_no_event_may_have_is_marked_and_a_long_one_cut),
        cmocka_unit_test(settings_that_cannot_be_are_refused_without_telling_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
