#include "api/testing.h"

static void each_mechanism_is_chosen_by_parameter_or_accept(void **state)
{
    static const struct {
        const char *request, *lines, *field;
        bool goes_on;
    } rows[] = {
        {"GET /channels/a", "", "Content-Type: application/json\n", false},
        {"GET /channels/a?stream=sse", "", "Content-Type: text/event-stream\n", true},
        {"GET /channels/a?stream=ndjson", "", "Content-Type: application/x-ndjson\n", true},
        {"GET /channels/a?stream=raw", "", "X-Content-Type-Options: nosniff\n", true},
        {"GET /events?channel=a", "Accept: text/event-stream\r\n",
         "Content-Type: text/event-stream\n", true},
        {"GET /events?channel=a/**", "Accept: application/x-ndjson\r\n",
         "Content-Type: application/x-ndjson\n", true},
        {"HEAD /channels/a?stream=sse", "", "Content-Type: text/event-stream\n", false},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(desk, rows[i].request, rows[i].lines, STR_NONE);
        assert_int_equal(desk->status, 200);
        assert_true(desk_says(&desk->fields, rows[i].field));
        assert_int_equal(desk->goes_on, rows[i].goes_on);
        assert_true(desk_says(&desk->fields, "Vary: Accept, Prefer\n"));
    }
}

static void a_page_links_to_the_other_mechanisms_and_keeps_the_query(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/a?type=t&after=earliest&limit=2", "", STR_NONE);
    assert_field(desk, "Link: <?stream=sse&type=t&limit=2>; rel=\"alternate\"; "
                       "type=\"text/event-stream\"");
    assert_field(desk, "Link: <?after=earliest&type=t&limit=2>; rel=\"first\"");
    assert_field(desk, "Link: </topics/a>; rel=\"self\"");
    assert_field(desk, "Link: </hub>; rel=\"hub\"");
}

static void a_page_of_events_ends_at_its_limit(void **state)
{
    struct desk *desk = *state;
    for (int i = 0; i < 3; i++)
        desk_ask(desk, "POST /channels/a", "", STR("x"));
    desk_ask(desk, "GET /channels/a?limit=2", "", STR_NONE);
    assert_answer(desk, 200, "\"more\":true");
    desk_ask(desk, "GET /channels/a?limit=3", "", STR_NONE);
    assert_answer(desk, 200, "\"more\":false");
}

static void a_poll_without_events_waits(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/a?wait=20", "", STR_NONE);
    assert_non_null(desk->waits);
    assert_int_equal(desk->answers, 0);
    desk->waits->waiting->ops->ring(desk->waits->waiting);
    desk_settle(desk);
    assert_answer(desk, 200, "{\"events\":[]");
}

static void a_wait_that_was_preferred_is_confirmed(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a", "", STR("x"));
    desk_ask(desk, "GET /channels/a", "Prefer: wait=7\r\n", STR_NONE);
    assert_field(desk, "Preference-Applied: wait=7");
}

static void a_position_of_another_log_is_a_gap(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /channels/a?after=9007199254740000", "", STR_NONE);
    assert_answer(desk, 410, "\"reason\":\"unknown\"");
    assert_field(desk, "Cursor: 0000000000000000");
}

static void an_invalid_read_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *request;
        const char *says;
    } rows[] = {
        {"GET /events", "say which channels"},
        {"GET /events?channel=a**", "bad-pattern"},
        {"GET /channels/a%zz", "bad-channel"},
        {"GET /channels/a?after=yesterday", "bad-cursor"},
        {"GET /channels/a?before=x", "bad-cursor"},
        {"GET /channels/a?stream=sse&before=1", "before is for pages"},
        {"GET /channels/a?limit=0", "bad-parameter"},
        {"GET /channels/a?limit=1001", "bad-parameter"},
        {"GET /channels/a?beat=4", "bad-parameter"},
        {"GET /channels/a?last=1&last=2", "bad-parameter"},
        {"GET /channels/a?since=1", "after"},
        {"GET /channels/a?stream=xml", "sse, ndjson or raw"},
        {"GET /channels/a?type=$x", "bad-type"},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(desk, rows[i].request, "", STR_NONE);
        assert_answer(desk, 400, rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(each_mechanism_is_chosen_by_parameter_or_accept),
        WITH_DESK(a_page_links_to_the_other_mechanisms_and_keeps_the_query),
        WITH_DESK(a_page_of_events_ends_at_its_limit),
        WITH_DESK(a_poll_without_events_waits),
        WITH_DESK(a_wait_that_was_preferred_is_confirmed),
        WITH_DESK(a_position_of_another_log_is_a_gap),
        WITH_DESK(an_invalid_read_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
