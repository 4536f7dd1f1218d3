#include "api/testing.h"

static void an_array_and_lines_publish_the_same(void **state)
{
    static const char *const bodies[] = {
        "[{\"channel\":\"a\",\"data\":1},{\"channel\":\"b\",\"data\":2}]",
        " {\"channel\":\"a\",\"data\":1}\r\n\n{\"channel\":\"b\",\"data\":2} \n",
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < 2; i++) {
        desk_ask(desk, "POST /events", "", str_from(bodies[i]));
        assert_answer(desk, 201, "{\"events\":[{\"id\":\"");
        assert_true(desk_says(&desk->body, "},{"));
    }
}

static void an_empty_array_publishes_nothing(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /events", "", STR("[]"));
    assert_answer(desk, 201, "{\"events\":[]}");
}

static void a_bad_event_refuses_all_and_is_named(void **state)
{
    static const struct {
        const char *body, *says;
        int status;
    } rows[] = {
        {"", "the body is empty", 400},
        {"[1]", "\"index\":0", 400},
        {"[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a\",\"data\":1,\"dta\":2}]", "\"index\":1",
         400},
        {"[{\"channel\":\"a\",\"data\":1,\"data\":2}]", "\"index\":0", 400},
        {"[{\"channel\":\"a\",\"data\":1},{\"channel\":\"$a\",\"data\":1}]", "\"index\":1", 403},
        {"[{\"channel\":\"a\",\"data\":1,\"ephemeral\":true}]", "ephemeral", 400},
        {"[{\"channel\":\"a\",\"data\":1,\"except\":\"me\"}]", "24 hexadecimal digits", 400},
        {"[{\"channel\":\"a\",\"data\":1,\"except\":7}]", "\"index\":0", 400},
        {"{\"channel\":\"a\",\"data\":1}\n{\"channel\":", "\"index\":1", 400},
        {"[{\"channel\":\"a\"", "bad-json", 400},
        {"[{},{},{},{},{},{},{},{},{},{},{}]", "\"index\":0", 400},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(desk, "POST /events", "", str_from(rows[i].body));
        assert_answer(desk, rows[i].status, rows[i].says);
    }
    desk_ask(desk, "GET /channels", "", STR_NONE);
    assert_answer(desk, 200, "{\"channels\":[]");
}

static void a_batch_has_a_bound(void **state)
{
    struct desk *desk = *state;
    struct buf body = {0};
    for (int i = 0; i < 11; i++)
        buf_add_lit(&body, "{\"channel\":\"a\",\"data\":1}\n");
    desk_ask(desk, "POST /events", "", buf_str(&body));
    assert_answer(desk, 413, "at most 10 events");
    buf_free(&body);
}

static void fields_of_a_single_event_are_refused_beside_a_batch(void **state)
{
    static const struct {
        const char *request, *lines;
    } rows[] = {
        {"POST /events?key=k", ""},
        {"POST /events?type=t", ""},
        {"POST /events?ephemeral=1", ""},
        {"POST /events?except=0123456789abcdef01234567", ""},
        {"POST /events", "Event-Except: 0123456789abcdef01234567\r\n"},
        {"POST /events", "If-Match: \"0000000000000000\"\r\n"},
        {"POST /events", "Idempotency-Key: k\r\n"},
        {"POST /events", "Event-Type: t\r\n"},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        desk_ask(desk, rows[i].request, rows[i].lines, STR("[]"));
        assert_answer(desk, 400, "bad-parameter");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(an_array_and_lines_publish_the_same),
        WITH_DESK(an_empty_array_publishes_nothing),
        WITH_DESK(a_bad_event_refuses_all_and_is_named),
        WITH_DESK(a_batch_has_a_bound),
        WITH_DESK(fields_of_a_single_event_are_refused_beside_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
