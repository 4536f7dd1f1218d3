#include "api/testing.h"

static const char json[] = "Content-Type: application/json\r\n";

static void a_publish_is_answered_with_a_receipt(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a", json, STR("{\"n\":1}"));
    assert_answer(desk, 201, "\"id\":\"");
    assert_field(desk, "Content-Type: application/json");
    assert_no_field(desk, "Event-Warning");
}

static void an_ephemeral_event_is_accepted_and_not_kept(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a?ephemeral=1", json, STR("1"));
    assert_int_equal(desk->status, 202);
    desk_ask(desk, "GET /channels/a", "", STR_NONE);
    assert_answer(desk, 200, "{\"events\":[]");
}

static void a_key_publishes_once_by_header_or_query(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a", "Idempotency-Key: \"k\"\r\n", STR("one"));
    assert_int_equal(desk->status, 201);
    desk_ask(desk, "POST /channels/a?key=k", "", STR("one"));
    assert_int_equal(desk->status, 200);
    desk_ask(desk, "POST /channels/a?key=other", "Idempotency-Key: \"k\"\r\n", STR("one"));
    assert_int_equal(desk->status, 200); /* the header beats its twin */
}

static void if_match_is_held_against_the_newest_event(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a", "If-Match: \"0000000000000001\"\r\n", STR("one"));
    assert_int_equal(desk->status, 412);
    desk_ask(desk, "POST /channels/a", "If-Match: \"0000000000000000\"\r\n", STR("one"));
    assert_int_equal(desk->status, 201);
}

static void an_invalid_publish_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *request, *lines, *body;
        int status;
        const char *says;
    } rows[] = {
        {"POST /channels/a%2", "", "x", 400, "bad-channel"},
        {"POST /channels/$a", "", "x", 403, "reserved-channel"},
        {"DELETE /channels/$a", "", "", 403, "reserved-channel"},
        {"DELETE /channels/%24webhooks/wh_1", "", "", 403, "reserved-channel"},
        {"POST /channels/a//b", "", "x", 400, "bad-channel"},
        {"POST /channels/a", "Event-Type: $x\r\n", "x", 400, "bad-type"},
        {"POST /channels/a", "Content-Type: application/json\r\n", "{", 400, "bad-json"},
        {"POST /channels/a", "Idempotency-Key: \"\"\r\n", "x", 400, "bad-key"},
        {"POST /channels/a", "If-Match: *\r\n", "x", 400, "bad-cursor"},
        {"POST /channels/a", "If-Match: \"x\"\r\n", "x", 400, "bad-cursor"},
        {"POST /channels/a", "Event-Type: a\r\nEvent-Type: b\r\n", "x", 400, "once each"},
        {"POST /channels/a", "Event-Hops: 256\r\n", "x", 400, "Event-Hops"},
        {"POST /channels/a", "Event-Hops: -1\r\n", "x", 400, "Event-Hops"},
        {"POST /channels/a", "Event-Except: me\r\n", "x", 400, "24 hexadecimal digits"},
        {"POST /channels/a", "Event-Except:\r\n", "x", 400, "24 hexadecimal digits"},
        {"POST /channels/a?except=", "", "x", 400, "24 hexadecimal digits"},
        {"POST /channels/a?except=7", "", "x", 400, "24 hexadecimal digits"},
        {"POST /channels/a?typ=x", "", "x", 400, "bad-parameter"},
        {"POST /channels/a?ephemeral=maybe", "", "x", 400, "bad-parameter"},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(desk, rows[i].request, rows[i].lines, str_from(rows[i].body));
        assert_answer(desk, rows[i].status, rows[i].says);
        assert_field(desk, "Content-Type: application/problem+json");
    }
    desk_ask(desk, "GET /channels", "", STR_NONE);
    assert_answer(desk, 200, "{\"channels\":[]");
}

static void a_large_event_is_published_with_a_warning(void **state)
{
    struct desk *desk = *state;
    desk->api.event_soft_max = 4;
    desk_ask(desk, "POST /channels/a", "", STR("1234"));
    assert_no_field(desk, "Event-Warning");
    desk_ask(desk, "POST /channels/a", "", STR("12345"));
    assert_int_equal(desk->status, 201);
    assert_true(desk_says(&desk->fields, "Event-Warning: 5 bytes"));
}

static void a_trim_empties_its_channel_alone(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a", "", STR("one"));
    desk_ask(desk, "POST /channels/b", "", STR("two"));
    desk_ask(desk, "DELETE /channels/a", "", STR_NONE);
    assert_int_equal(desk->status, 204);
    desk_ask(desk, "GET /channels/a", "", STR_NONE);
    assert_answer(desk, 200, "{\"events\":[]");
    desk_ask(desk, "GET /channels/b", "", STR_NONE);
    assert_answer(desk, 200, "two");
    desk_ask(desk, "DELETE /channels/a?force=1", "", STR_NONE);
    assert_int_equal(desk->status, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_publish_is_answered_with_a_receipt),
        WITH_DESK(an_ephemeral_event_is_accepted_and_not_kept),
        WITH_DESK(a_key_publishes_once_by_header_or_query),
        WITH_DESK(if_match_is_held_against_the_newest_event),
        WITH_DESK(an_invalid_publish_is_refused_with_the_reason),
        WITH_DESK(a_large_event_is_published_with_a_warning),
        WITH_DESK(a_trim_empties_its_channel_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
