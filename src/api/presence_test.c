#include "api/presence.h"

#include "api/testing.h"
#include "presence/turn.h"
#include "transport/presence_notes.h"

/* A server whose channels below `chat` have presence. The test turns the host itself. */
struct hall {
    struct desk *desk;
    struct presence *presence;
};

static int set_up(void **state)
{
    static const struct presence_rule rule = {
        .prefix = {"chat", 4}, .on = true, .grace_ms = 1000, .list_max = 1000};
    struct hall *hall = mem_alloc(sizeof(*hall));
    struct presence_settings *settings = presence_settings_new(&rule, 1);
    hall->desk = desk_new();
    const struct presence_config config = {.log = hall->desk->log,
                                           .clock = &hall->desk->clock.clock,
                                           .limits = {100, 100, 100, 100, 0, 0},
                                           .settings = settings,
                                           .publish = presence_notes_publish,
                                           .app = &hall->desk->worker};
    assert_int_equal(presence_open(&config, &hall->presence), 0);
    presence_settings_unref(settings);
    hall->desk->worker.config.presence = hall->presence;
    *state = hall;
    return 0;
}

static void turn(struct hall *hall)
{
    presence_turn(hall->presence, 0);
    worker_step(&hall->desk->worker, 0);
}

static int tear_down(void **state)
{
    struct hall *hall = *state;
    for (int i = 0; i < 10; i++)
        turn(hall);
    desk_free(hall->desk);
    presence_free(hall->presence);
    free(hall);
    return 0;
}

#define WITH_HALL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Asks, and answers the status. */
static int ask(struct hall *hall, const char *request, const char *body)
{
    desk_begin_ask(hall->desk, request, "", str_from(body));
    for (int i = 0; i < 1000 && !hall->desk->answers; i++)
        turn(hall);
    assert_int_equal(hall->desk->answers, 1);
    return hall->desk->status;
}

static void publish(struct hall *hall, char id[64])
{
    desk_ask(hall->desk, "POST /channels/chat/a", "", STR("hello"));
    desk_told(hall->desk, "id", id);
}

static void mark(struct hall *hall, const char *name, const char *id)
{
    char request[100], body[100];
    snprintf(request, sizeof(request), "PUT /presence/chat/a/me?as=%s", name);
    snprintf(body, sizeof(body), "{\"read\":\"%s\"}", id);
    assert_int_equal(ask(hall, request, body), 200);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_channel_without_anybody_has_an_empty_list(void **state)
{
    struct hall *hall = *state;
    assert_int_equal(ask(hall, "GET /presence/chat/a", ""), 200);
    assert_answer(hall->desk, 200,
                  "{\"channel\":\"chat/a\",\"count\":0,\"anonymous\":0,\"members\":[],"
                  "\"more\":false,\"cursor\":");
    assert_no_field(hall->desk, "Link:");
    assert_int_equal(ask(hall, "GET /presence/chat/a%20b?list=0", ""), 200);
    assert_true(desk_says(&hall->desk->body, "\"channel\":\"chat/a b\""));
}

static void a_list_is_charged_to_the_turn_that_copies_it(void **state)
{
    struct hall *hall = *state;
    struct worker *worker = &hall->desk->worker;
    desk_begin_ask(hall->desk, "GET /presence/chat/a", "", STR_NONE);
    presence_turn(hall->presence, 0);
    int64_t before = worker->turn_budget.bytes_left;
    mailbox_empty(&worker->loop.mailbox);
    assert_int_equal(hall->desk->answers, 1);
    assert_true(before - worker->turn_budget.bytes_left >= (int64_t)hall->desk->body.len);
}

static void a_question_counts_as_held_memory_until_it_is_answered(void **state)
{
    struct hall *hall = *state;
    struct account *account = &hall->desk->worker.account;
    uint64_t before = account_held(account, ACCOUNT_INTAKE);
    desk_begin_ask(hall->desk, "GET /presence/chat/a", "", STR_NONE);
    assert_true(account_held(account, ACCOUNT_INTAKE) > before);
    turn(hall);
    assert_int_equal(hall->desk->answers, 1);
    assert_int_equal(account_held(account, ACCOUNT_INTAKE), before);
}

static void a_change_must_be_an_object_with_a_state_or_a_mark(void **state)
{
    struct hall *hall = *state;
    static const struct {
        const char *body;
        int status;
        const char *detail;
    } rows[] = {
        {"", 400, "send an object"},
        {"{", 400, "send an object"},
        {"[1]", 400, "send an object"},
        {"\"state\"", 400, "send an object"},
        {"{}", 400, "say state, read, or both"},
        {"{\"stat\":1}", 400, "are state and read"},
        {"{\"state\":1,\"state\":1}", 400, "each once at most"},
        {"{\"read\":17}", 400, "read is a string"},
        {"{\"read\":\"x\"}", 400, "read is a string"},
        {"{\"read\":\"0\"}", 400, "read is a string"},
        {"{\"read\":\"9\",\"state\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
         "]]]]}",
         400, "32 deep"},
        {"{\"state\":1}", 409, "only a member has a state"},
        {" {\"state\" : null } ", 409, "only a member has a state"},
        {"{\"read\":\"9\"}", 400, "at most the newest"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = ask(hall, "PUT /presence/chat/a/me?as=alice", rows[i].body);
        if (status != rows[i].status || !desk_says(&hall->desk->body, rows[i].detail))
            fail_msg("%s: %d", rows[i].body, status);
    }
}

static void a_state_and_a_body_have_a_limit(void **state)
{
    struct hall *hall = *state;
    char body[5000], text[PRESENCE_STATE_MAX + 1];
    memset(text, 'x', sizeof(text));
    snprintf(body, sizeof(body), "{\"state\":\"%.*s\"}", PRESENCE_STATE_MAX - 2, text);
    assert_int_equal(ask(hall, "PUT /presence/chat/a/me?as=alice", body), 409);
    snprintf(body, sizeof(body), "{\"state\":\"%.*s\"}", PRESENCE_STATE_MAX - 1, text);
    assert_int_equal(ask(hall, "PUT /presence/chat/a/me?as=alice", body), 413);
    snprintf(body, sizeof(body), "{}%4500s", "");
    assert_int_equal(ask(hall, "PUT /presence/chat/a/me?as=alice", body), 413);
}

static void a_change_is_of_somebody_with_a_name(void **state)
{
    struct hall *hall = *state;
    assert_int_equal(ask(hall, "PUT /presence/chat/a/me", "{\"state\":1}"), 400);
    assert_true(desk_says(&hall->desk->body, "as=NAME"));
    assert_int_equal(ask(hall, "PUT /presence/chat/a/me?as=", "{\"state\":1}"), 400);
    assert_int_equal(ask(hall, "PUT /presence/chat/a", "{\"state\":1}"), 404);
    assert_int_equal(ask(hall, "PUT /presence/me?as=alice", "{\"state\":1}"), 404);
    assert_int_equal(ask(hall, "PUT /presence/chat/a/me?as=alice&list=0", "{\"state\":1}"), 400);
}

static void a_channel_without_presence_is_told_with_the_key_to_set(void **state)
{
    struct hall *hall = *state;
    static const char *const requests[] = {"GET /presence/other", "GET /presence/$presence/chat/a",
                                           "PUT /presence/other/me?as=alice"};
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        assert_int_equal(ask(hall, requests[i], "{\"state\":1}"), 404);
        assert_true(desk_says(&hall->desk->body, "/errors/no-presence"));
        assert_true(desk_says(&hall->desk->body, "presence: true"));
    }
    hall->desk->worker.config.presence = NULL;
    assert_int_equal(ask(hall, "GET /presence/chat/a", ""), 404);
    assert_true(desk_says(&hall->desk->body, "/errors/no-presence"));
}

static void pages_of_marks_lead_on(void **state)
{
    struct hall *hall = *state;
    char id[64];
    publish(hall, id);
    mark(hall, "ann%26", id);
    mark(hall, "bob", id);
    mark(hall, "carol", id);
    assert_int_equal(ask(hall, "GET /presence/chat/a?marks=1&limit=2&_x=1", ""), 200);
    assert_true(desk_says(&hall->desk->body, "\"member\":\"bob\""));
    assert_false(desk_says(&hall->desk->body, "carol"));
    assert_field(hall->desk, "Link: <?limit=2&after_mark=bob&after_mark_verified=0&marks=1&_x=1>; "
                             "rel=\"next\"");
    assert_int_equal(
        ask(hall, "GET /presence/chat/a?limit=2&after_mark=bob&after_mark_verified=0&marks=1", ""),
        200);
    assert_true(desk_says(&hall->desk->body, "carol"));
    assert_false(desk_says(&hall->desk->body, "\"bob\""));
    assert_no_field(hall->desk, "Link:");
    assert_int_equal(ask(hall, "GET /presence/chat/a?marks=1&limit=1", ""), 200);
    assert_field(hall->desk,
                 "Link: <?limit=1&after_mark=ann%26&after_mark_verified=0&marks=1>; rel=\"next\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HALL(a_channel_without_anybody_has_an_empty_list),
        WITH_HALL(a_list_is_charged_to_the_turn_that_copies_it),
        WITH_HALL(a_question_counts_as_held_memory_until_it_is_answered),
        WITH_HALL(a_change_must_be_an_object_with_a_state_or_a_mark),
        WITH_HALL(a_state_and_a_body_have_a_limit),
        WITH_HALL(a_change_is_of_somebody_with_a_name),
        WITH_HALL(a_channel_without_presence_is_told_with_the_key_to_set),
        WITH_HALL(pages_of_marks_lead_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
