#include "webhooks/wire/body.h"

#include "webhooks/wire/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

/* STR() for what is static. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static struct sign_key key = {.bytes = "0123456789abcdef0123456789abcdef", .len = 32};
static struct sign_pair no_pair;
static struct olds no_olds;

static struct body_terms terms_of(enum body_format_id format, uint32_t batch)
{
    return (struct body_terms){.format = format,
                               .batch = batch,
                               .key = &key,
                               .pair = &no_pair,
                               .olds = &no_olds,
                               .origin = "hooks.example",
                               .base = STR("/base"),
                               .wall_us = INT64_C(1700000000000000),
                               .now_us = INT64_C(1700000000000000)};
}

static const struct event plain = {.id = 41,
                                   .channel = TEXT("shop/orders"),
                                   .type = TEXT("paid"),
                                   .data = TEXT("{\"n\":1}"),
                                   .kind = EVENT_JSON,
                                   .time_us = INT64_C(1600000000000000)};
static const struct event binary = {.id = 42,
                                    .channel = TEXT("a b"),
                                    .type = TEXT("x\"y"),
                                    .data = TEXT("\x01\x02\xff"),
                                    .kind = EVENT_BINARY,
                                    .content_type = TEXT("image/png"),
                                    .time_us = INT64_C(1600000000000000)};

/* Writes the body of these events; the caller frees it. */
static struct buf body_of(const struct body_terms *terms, const struct event *const *events,
                          unsigned count, char id[WEBHOOK_ID_MAX])
{
    struct list list = LIST_INIT(list);
    struct buf out = {0};
    for (unsigned i = 0; i < count; i++)
        list_add_last(&list, &pending_new(events[i], NULL, NULL)->node);
    body_add(&out, terms, &list, id);
    pending_free_all(&list);
    buf_add_char(&out, '\0');
    assert_false(buf_failed(&out));
    return out;
}

static void assert_body(enum body_format_id format, const struct event *event, const char *expected)
{
    struct body_terms terms = terms_of(format, 0);
    char id[WEBHOOK_ID_MAX];
    struct buf body = body_of(&terms, &event, 1, id);
    assert_string_equal(body.at, expected);
    buf_free(&body);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void data_is_sent_as_it_was_published(void **state)
{
    (void)state;
    assert_body(BODY_DATA, &plain, "{\"n\":1}");
    assert_body(BODY_CE_BINARY, &plain, "{\"n\":1}");
    assert_body(BODY_DATA, &binary, "\x01\x02\xff");
}

static void a_cloud_event_has_its_attributes(void **state)
{
    (void)state;
    assert_body(BODY_CE, &plain,
                "{\"specversion\":\"1.0\",\"id\":\"0000000000000041\",\"source\":\"/channels/shop/"
                "orders\",\"type\":\"paid\",\"time\":\"2020-09-13T12:26:40.000000Z\",\"subject\":"
                "\"shop/orders\",\"sequence\":\"0000000000000041\",\"datacontenttype\":"
                "\"application/json\",\"data\":{\"n\":1}}");
    assert_body(
        BODY_CE, &binary,
        "{\"specversion\":\"1.0\",\"id\":\"0000000000000042\",\"source\":\"/channels/a%20b\","
        "\"type\":\"x\\\"y\",\"time\":\"2020-09-13T12:26:40.000000Z\",\"subject\":\"a b\","
        "\"sequence\":\"0000000000000042\",\"datacontenttype\":\"image/png\","
        "\"data_base64\":\"AQL/\"}");
}

static void an_envelope_is_a_body_by_itself(void **state)
{
    struct body_terms terms = terms_of(BODY_EVENT, 0);
    const struct event *events[] = {&plain};
    char id[WEBHOOK_ID_MAX];
    struct buf body = body_of(&terms, events, 1, id);
    (void)state;
    assert_string_equal(id, "0000000000000041");
    assert_int_equal(strncmp(body.at, "{\"id\":\"0000000000000041\"", 24), 0);
    buf_free(&body);
}

static void a_page_names_its_first_and_last_event(void **state)
{
    static const struct {
        enum body_format_id format;
        const char *begins, *ends;
    } cases[] = {
        {BODY_EVENT, "{\"events\":[{\"id\":\"0000000000000041\"",
         "],\"cursor\":\"0000000000000042\"}"},
        {BODY_DATA, "{\"events\":[{\"n\":1},", "],\"cursor\":\"0000000000000042\"}"},
        {BODY_CE, "[{\"specversion\":\"1.0\"", "}]"},
    };
    const struct event *events[] = {&plain, &binary};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct body_terms terms = terms_of(cases[i].format, 20);
        char id[WEBHOOK_ID_MAX];
        struct buf body = body_of(&terms, events, 2, id);
        assert_string_equal(id, "page_0000000000000041_0000000000000042");
        assert_int_equal(strncmp(body.at, cases[i].begins, strlen(cases[i].begins)), 0);
        assert_string_equal(body.at + body.len - 1 - strlen(cases[i].ends), cases[i].ends);
        buf_free(&body);
    }
}

/* ---- headers --------------------------------------------------------------------------------- */

static struct curl_slist *headers_of(const struct body_terms *terms, const struct event *first,
                                     unsigned hops)
{
    struct curl_slist *list = body_headers(terms, STR("id1"), STR("body"), first, hops);
    assert_non_null(list);
    return list;
}

/* The line that begins so; NULL without one. */
static const char *line_of(const struct curl_slist *list, const char *begins)
{
    for (; list; list = list->next)
        if (strncmp(list->data, begins, strlen(begins)) == 0)
            return list->data;
    return NULL;
}

static void assert_line(const struct curl_slist *list, const char *line)
{
    if (!line_of(list, line))
        fail_msg("there is no %s", line);
}

static void every_request_has_id_time_signature_and_hops(void **state)
{
    struct body_terms terms = terms_of(BODY_EVENT, 0);
    struct curl_slist *list = headers_of(&terms, &plain, 3);
    struct buf expected = {0};
    (void)state;
    assert_line(list, "webhook-id: id1");
    assert_line(list, "webhook-timestamp: 1700000000");
    assert_line(list, "Event-Hops: 4");
    assert_line(list, "Expect:");
    assert_line(list, "Content-Type: application/json");
    buf_add_lit(&expected, "webhook-signature: ");
    sign_add(&expected, &key, STR("id1"), 1700000000, STR("body"));
    buf_add_char(&expected, '\0');
    assert_string_equal(line_of(list, "webhook-signature: "), expected.at);
    buf_free(&expected);
    curl_slist_free_all(list);
}

static void hops_have_an_end(void **state)
{
    struct body_terms terms = terms_of(BODY_EVENT, 0);
    char expected[32];
    struct curl_slist *list = headers_of(&terms, &plain, EVENT_HOPS_MAX);
    (void)state;
    snprintf(expected, sizeof(expected), "Event-Hops: %d", EVENT_HOPS_MAX);
    assert_line(list, expected);
    curl_slist_free_all(list);
}

static void the_content_type_is_that_of_the_format(void **state)
{
    static const struct {
        enum body_format_id format;
        uint32_t batch;
        const char *line;
    } cases[] = {
        {BODY_EVENT, 0, "Content-Type: application/json"},
        {BODY_EVENT, 5, "Content-Type: application/json"},
        {BODY_DATA, 0, "Content-Type: image/png"},
        {BODY_DATA, 5, "Content-Type: application/json"},
        {BODY_CE, 0, "Content-Type: application/cloudevents+json"},
        {BODY_CE, 5, "Content-Type: application/cloudevents-batch+json"},
        {BODY_CE_BINARY, 0, "Content-Type: image/png"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct body_terms terms = terms_of(cases[i].format, cases[i].batch);
        struct curl_slist *list = headers_of(&terms, &binary, 0);
        assert_string_equal(line_of(list, "Content-Type: "), cases[i].line);
        assert_int_equal(line_of(list, "WebHook-Request-Origin: hooks.example") != NULL,
                         cases[i].format == BODY_CE || cases[i].format == BODY_CE_BINARY);
        curl_slist_free_all(list);
    }
}

static void binary_cloud_events_have_their_attributes_in_headers(void **state)
{
    struct body_terms terms = terms_of(BODY_CE_BINARY, 0);
    struct curl_slist *list = headers_of(&terms, &binary, 0);
    (void)state;
    assert_line(list, "ce-specversion: 1.0");
    assert_line(list, "ce-id: 0000000000000042");
    assert_line(list, "ce-source: /channels/a%20b");
    assert_line(list, "ce-type: x%22y");
    assert_line(list, "ce-subject: a%20b");
    assert_line(list, "ce-time: 2020-09-13T12:26:40");
    curl_slist_free_all(list);
}

static void bare_data_has_its_envelope_in_headers(void **state)
{
    struct body_terms terms = terms_of(BODY_DATA, 0);
    struct curl_slist *list = headers_of(&terms, &plain, 0);
    (void)state;
    assert_line(list, "Event-Channel: shop/orders");
    assert_line(list, "Event-Type: paid");
    assert_line(list, "Event-Time: 2020-09-13T12:26:40");
    curl_slist_free_all(list);
}

/* A media type came from a publisher: it must not end the header's line. */
static void a_media_type_that_is_no_header_value_is_not_sent(void **state)
{
    static const struct str types[] = {TEXT("a/b\r\nX: 1"), TEXT("a/\x7f"), TEXT("\x01")};
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        struct body_terms terms = terms_of(BODY_DATA, 0);
        struct event event = binary;
        event.content_type = types[i];
        struct curl_slist *list = headers_of(&terms, &event, 0);
        assert_line(list, "Content-Type: application/octet-stream");
        curl_slist_free_all(list);
    }
}

static void headers_of_the_owner_come_last(void **state)
{
    static char one[] = "X-Team: red", two[] = "X-Empty;";
    char *lines[] = {one, two, NULL};
    struct body_terms terms = terms_of(BODY_EVENT, 0);
    terms.headers = lines;
    struct curl_slist *list = headers_of(&terms, NULL, 0), *last = list;
    (void)state;
    assert_line(list, one);
    while (last->next)
        last = last->next;
    assert_string_equal(last->data, two);
    curl_slist_free_all(list);
}

/* ---- keys that were replaced ----------------------------------------------------------------- */

static unsigned signatures(const struct curl_slist *list)
{
    unsigned count = 0;
    for (const char *at = line_of(list, "webhook-signature: "); (at = strstr(at, " v1")); at++)
        count++;
    return count;
}

static void a_replaced_key_signs_until_its_time_is_over(void **state)
{
    struct old_key at[2] = {{.key = key, .until_us = INT64_C(1700000000000001)},
                            {.key = key, .until_us = INT64_C(1700000000000000)}};
    struct olds olds = {at, 2};
    struct body_terms terms = terms_of(BODY_EVENT, 0);
    terms.olds = &olds;
    struct curl_slist *list = headers_of(&terms, NULL, 0);
    (void)state;
    assert_int_equal(signatures(list), 2);
    curl_slist_free_all(list);
    terms.now_us++;
    list = headers_of(&terms, NULL, 0);
    assert_int_equal(signatures(list), 1);
    curl_slist_free_all(list);
}

static void a_pair_signs_beside_the_secret(void **state)
{
    struct sign_pair pair = {0};
    struct body_terms terms = terms_of(BODY_EVENT, 0);
    (void)state;
    assert_int_equal(sign_pair_make(&pair), 0);
    terms.pair = &pair;
    struct curl_slist *list = headers_of(&terms, NULL, 0);
    assert_int_equal(signatures(list), 2);
    assert_non_null(strstr(line_of(list, "webhook-signature: "), " v1a,"));
    curl_slist_free_all(list);
}

/* ---- WebSub ---------------------------------------------------------------------------------- */

static void a_subscriber_gets_links_and_its_own_signature(void **state)
{
    struct body_terms terms = terms_of(BODY_DATA, 0);
    terms.topic = "https://h/base/channels/a";
    terms.hub_secret = "s";
    struct curl_slist *list = headers_of(&terms, &binary, 0);
    (void)state;
    assert_line(list, "Link: <https://h/base/hub>; rel=\"hub\", <https://h/base/channels/a>; "
                      "rel=\"self\"");
    assert_line(list, "X-Hub-Signature: sha256=");
    assert_line(list, "Content-Type: image/png");
    assert_null(line_of(list, "webhook-"));
    curl_slist_free_all(list);
    terms.hub_secret = "";
    list = headers_of(&terms, &binary, 0);
    assert_null(line_of(list, "X-Hub-Signature"));
    curl_slist_free_all(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_sent_as_it_was_published),
        cmocka_unit_test(a_cloud_event_has_its_attributes),
        cmocka_unit_test(an_envelope_is_a_body_by_itself),
        cmocka_unit_test(a_page_names_its_first_and_last_event),
        cmocka_unit_test(every_request_has_id_time_signature_and_hops),
        cmocka_unit_test(hops_have_an_end),
        cmocka_unit_test(the_content_type_is_that_of_the_format),
        cmocka_unit_test(binary_cloud_events_have_their_attributes_in_headers),
        cmocka_unit_test(bare_data_has_its_envelope_in_headers),
        cmocka_unit_test(a_media_type_that_is_no_header_value_is_not_sent),
        cmocka_unit_test(headers_of_the_owner_come_last),
        cmocka_unit_test(a_replaced_key_signs_until_its_time_is_over),
        cmocka_unit_test(a_pair_signs_beside_the_secret),
        cmocka_unit_test(a_subscriber_gets_links_and_its_own_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
