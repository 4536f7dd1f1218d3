#include "webhooks/requests/ping.h"

#include "webhooks/testing.h"

/* ---- consent --------------------------------------------------------------------------------- */

static void begin_creation(struct world *world, const char *verify)
{
    char more[64];
    snprintf(more, sizeof(more), ",\"verify\":%s", verify);
    submit_creation(world, more);
    receive(world);
    assert_false(world->replied);
}

static void assert_created(struct world *world, bool created)
{
    assert_int_equal(reply(world), created ? COURIER_FINE : COURIER_E_BAD);
    assert_int_equal(courier_endpoints(world->courier), created);
    if (created) {
        note_created(world);
        assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    }
    assert_null(receiver_next(world)); /* a webhook that was asked is not pinged again */
}

static void a_ping_is_consented_to_by_2xx(void **state)
{
    static const struct {
        const char *status;
        bool consents;
    } answers[] = {{"200 OK", true},     {"204 No Content", true}, {"299 Fine", true},
                   {"301 Moved", false}, {"400 Bad", false},       {"404 Not Found", false},
                   {"500 Oops", false}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        begin_creation(world, "\"ping\"");
        assert_ping(world);
        answer(world, answers[i].status);
        assert_created(world, answers[i].consents);
    }
}

static void a_handshake_is_consented_to_by_naming_the_origin(void **state)
{
    static const struct {
        const char *answer; /* with the server's origin for %s */
        bool consents;
    } answers[] = {{"200 OK\r\nWebHook-Allowed-Origin: *", true},
                   {"200 OK\r\nWebHook-Allowed-Origin: %s", true},
                   {"405 Not Allowed\r\nWebHook-Allowed-Origin: *", true},
                   {"200 OK\r\nWebHook-Allowed-Origin: other.example", false},
                   {"200 OK", false}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        char text[512], *mark;
        begin_creation(world, "\"cloudevents\"");
        assert_int_equal(strncmp(world->bytes, "OPTIONS ", 8), 0);
        assert_header(world, "WebHook-Request-Origin", world->courier->origin);
        snprintf(text, sizeof(text), "%s", answers[i].answer);
        if ((mark = strstr(text, "%s")))
            snprintf(mark, sizeof(text) - (size_t)(mark - text), "%s", world->courier->origin);
        answer(world, text);
        assert_created(world, answers[i].consents);
    }
}

static void a_challenge_is_consented_to_by_returning_it(void **state)
{
    static const struct {
        const char *status, *before, *behind;
        bool consents;
    } answers[] = {{"200 OK", "", "", true},
                   {"200 OK", " ", "\t", true},
                   {"200 OK", "challenge=", "", true},
                   {"200 OK", "{\"challenge\":\"", "\"}", true},
                   {"200 OK", "{\"answer\":\"", "\"}", false},
                   {"200 OK", "x", "", false},
                   {"200 OK", "challenge=", "x", false},
                   {"500 Oops", "", "", false}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        char challenge[64] = "", text[128];
        begin_creation(world, "\"slack\"");
        assert_body_has(world, "{\"type\":\"url_verification\",\"challenge\":\"");
        sscanf(strstr(world->body, "\"challenge\":\"") + 13, "%63[^\"]", challenge);
        snprintf(text, sizeof(text), "%s%s%s", answers[i].before, challenge, answers[i].behind);
        answer_with(world, world->at, answers[i].status, text);
        assert_created(world, answers[i].consents);
    }
}

static void a_receiver_that_does_not_answer_is_named_in_the_refusal(void **state)
{
    static const char *const hows[] = {"\"ping\"", "\"cloudevents\"", "\"slack\"", "true"};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
        begin_creation(world, hows[i]);
        break_off(world, "Timeout was reached");
        assert_created(world, false);
        assert_non_null(strstr(world->request.detail, "; Timeout was reached"));
    }
}

static void a_name_that_leads_to_a_forbidden_address_is_refused_as_such(void **state)
{
    struct world *world = *state;
    begin_creation(world, "true");
    world->at->call->forbidden = true;
    break_off(world, "the address is not allowed");
    assert_int_equal(reply(world), COURIER_E_FORBIDDEN);
    assert_int_equal(courier_endpoints(world->courier), 0);
}

/* ---- pings by hand --------------------------------------------------------------------------- */

static void a_ping_tells_status_time_and_error(void **state)
{
    struct world *world = *state;
    create(world, "");
    submit(world, COURIER_PING, NULL);
    receive(world);
    world_pass(world, 1000);
    answer(world, "200 OK");
    assert_int_equal(reply(world), 0);
    assert_told(world, "ok", "true");
    assert_told(world, "status", "200");
    assert_told(world, "ms", "1000");
    submit(world, COURIER_PING, NULL);
    receive(world);
    break_off(world, "Timeout was reached");
    assert_int_equal(reply(world), 0);
    assert_told(world, "ok", "false");
    assert_told(world, "status", "null");
    assert_told(world, "error", "Timeout was reached");
}

static void a_ping_says_nothing_of_deliveries(void **state)
{
    struct world *world = *state;
    create(world, "");
    for (int i = 0; i < 6; i++) {
        submit(world, COURIER_PING, NULL);
        receive(world);
        answer(world, "500 Oops");
        assert_int_equal(reply(world), 0);
    }
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_told(world, "state", "active");
    assert_told(world, "failures", "0");
    assert_true(answer_has(world, "\"last\":{\"status\":500"));
}

static void a_paused_webhook_is_pinged(void **state)
{
    struct world *world = *state;
    create(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    submit(world, COURIER_PING, NULL);
    receive(world);
    assert_ping(world);
    answer(world, "200 OK");
    assert_int_equal(reply(world), 0);
}

static void the_webhook_may_be_deleted_while_it_is_pinged(void **state)
{
    struct world *world = *state;
    struct courier_request other = {.op = COURIER_DELETE,
                                    .access = ACCESS_OF_SERVER,
                                    .reply = &world->mailbox,
                                    .reply_mail = {NULL, on_reply}};
    create(world, "");
    snprintf(other.id, sizeof(other.id), "%s", world->id);
    submit(world, COURIER_PING, NULL);
    receive(world);
    courier_submit(world->courier, &other);
    world_settle(world);
    assert_int_equal(courier_endpoints(world->courier), 0);
    world->replied = false;
    answer(world, "200 OK");
    assert_true(world->replied);
    assert_told(world, "ok", "true");
    buf_free(&other.answer);
}

/* ---- seats ----------------------------------------------------------------------------------- */

/* Few requests may be under way in all, and a tenth of these are pings. */
static int set_up_narrow(void **state)
{
    struct world *world = world_new();
    world->config.requests_max = 40;
    world->config.endpoints_max = 100;
    open_world(world);
    *state = world;
    return 0;
}

enum { ASKED = 4 /* of 40 */ };

static void too_many_pings_by_hand_are_refused(void **state)
{
    struct world *world = *state;
    struct courier_request pings[ASKED] = {0};
    create(world, "");
    for (int i = 0; i < ASKED; i++) {
        pings[i] = (struct courier_request){.op = COURIER_PING,
                                            .access = ACCESS_OF_SERVER,
                                            .reply = &world->mailbox,
                                            .reply_mail = {NULL, on_reply}};
        snprintf(pings[i].id, sizeof(pings[i].id), "%s", world->id);
        courier_submit(world->courier, &pings[i]);
    }
    world_settle(world);
    assert_int_equal(ask(world, COURIER_PING, NULL), COURIER_E_NOW);
    for (int i = 0; i < ASKED; i++) {
        receive(world);
        answer(world, "200 OK");
        assert_int_equal(pings[i].fault, 0);
        buf_free(&pings[i].answer);
    }
    submit(world, COURIER_PING, NULL);
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(reply(world), 0);
}

static void a_first_ping_waits_for_a_seat(void **state)
{
    struct world *world = *state;
    struct received *first[ASKED];
    for (int i = 0; i < ASKED; i++) {
        submit_creation(world, "");
        assert_int_equal(reply(world), 0);
        receive(world);
        first[i] = world->at;
    }
    submit_creation(world, "");
    assert_int_equal(reply(world), 0);
    note_created(world);
    assert_null(receiver_next(world));
    answer_with(world, first[0], "200 OK", "");
    receive(world);
    assert_body_has(world, world->id);
    answer(world, "200 OK");
    for (int i = 1; i < ASKED; i++)
        answer_with(world, first[i], "200 OK", "");
}

/* The receivers hang: after its patience a first ping gives way, and is not sent again. */
static void a_first_ping_gives_way_to_one_that_waits(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < ASKED; i++) {
        submit_creation(world, "");
        assert_int_equal(reply(world), 0);
        receive(world);
    }
    submit_creation(world, "");
    assert_int_equal(reply(world), 0);
    note_created(world);
    receive(world);
    assert_body_has(world, world->id);
    assert_true(courier_stats(world->courier)->gave_way > 0);
    answer(world, "200 OK");
    world_pass(world, 2000);
    assert_null(receiver_next(world));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, set_up_narrow, world_tear_down)
        TEST(a_ping_is_consented_to_by_2xx),
        TEST(a_handshake_is_consented_to_by_naming_the_origin),
        TEST(a_challenge_is_consented_to_by_returning_it),
        TEST(a_receiver_that_does_not_answer_is_named_in_the_refusal),
        TEST(a_name_that_leads_to_a_forbidden_address_is_refused_as_such),
        TEST(a_ping_tells_status_time_and_error),
        TEST(a_ping_says_nothing_of_deliveries),
        TEST(a_paused_webhook_is_pinged),
        TEST(the_webhook_may_be_deleted_while_it_is_pinged),
        NARROW(too_many_pings_by_hand_are_refused),
        NARROW(a_first_ping_waits_for_a_seat),
        NARROW(a_first_ping_gives_way_to_one_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
