#include "webhooks/websub/subscription.h"

#include "webhooks/testing_options.h"

#define TOPIC "http%3A%2F%2Fh%3A1%2Fchannels%2Fa"
#define CALLBACK "http%3A%2F%2F127.0.0.1%3A7%2Fsub%3Fx%3D1"

static enum courier_fault ask_hub(struct world *world, const char *mode, const char *more)
{
    char form[512];
    snprintf(form, sizeof(form), "hub.mode=%s&hub.topic=%s&hub.callback=%s%s", mode, TOPIC,
             CALLBACK, more);
    return ask(world, COURIER_HUB, form);
}

/* Copies a parameter of the URL that was asked. */
static void parameter(const struct world *world, const char *name, char out[256])
{
    char search[64];
    snprintf(search, sizeof(search), "%s=", name);
    const char *at = strstr(world->bytes, search);
    out[0] = '\0';
    if (at)
        sscanf(at + strlen(search), "%255[^& ]", out);
}

static void assert_parameter(const struct world *world, const char *name, const char *expected)
{
    char value[256];
    parameter(world, name, value);
    assert_string_equal(value, expected);
}

/* Waits for the GET that verifies a wish. */
static void receive_intent(struct world *world, const char *mode)
{
    receive(world);
    assert_int_equal(strncmp(world->bytes, "GET http://127.0.0.1:7/sub?x=1&", 31), 0);
    assert_parameter(world, "hub.mode", mode);
}

static void confirm(struct world *world)
{
    char challenge[256];
    parameter(world, "hub.challenge", challenge);
    assert_int_equal(strlen(challenge), 32);
    answer_with(world, world->at, "200 OK", challenge);
    world_settle(world);
}

static uint64_t subscribers(const struct world *world)
{
    return courier_endpoints(world->courier);
}

static struct endpoint *subscriber(const struct world *world)
{
    struct endpoint *endpoint = directory_next(world->courier, &world->courier->endpoints);
    assert_non_null(endpoint);
    return endpoint;
}

static void subscribe(struct world *world, const char *more)
{
    assert_int_equal(ask_hub(world, "subscribe", more), 0);
    receive_intent(world, "subscribe");
    confirm(world);
    assert_int_equal(subscribers(world), 1);
    snprintf(world->id, sizeof(world->id), "%s", subscriber(world)->row.id);
}

static void unsubscribe(struct world *world)
{
    assert_int_equal(ask_hub(world, "unsubscribe", ""), 0);
    receive_intent(world, "unsubscribe");
    confirm(world);
    assert_int_equal(subscribers(world), 0);
}

/* ---- subscribing ----------------------------------------------------------------------------- */

static void a_subscription_that_is_confirmed_gets_what_is_published(void **state)
{
    struct world *world = *state;
    subscribe(world, "&hub.secret=hush");
    publish(world, "a");
    receive(world);
    assert_string_equal(world->body, "hello");
    assert_header(world, "Link",
                  "<http://h:1/hub>; rel=\"hub\", <http://h:1/channels/a>; rel=\"self\"");
    char signature[256];
    header(world, "X-Hub-Signature", signature);
    assert_int_equal(strncmp(signature, "sha256=", 7), 0);
    answer(world, "200 OK");
    await(world, "lag", "0");
    assert_told(world, "topic", "http://h:1/channels/a");
}

static void a_wish_is_answered_before_the_callback_is_asked(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask_hub(world, "subscribe", ""), 0);
    assert_int_equal(subscribers(world), 0);
    receive_intent(world, "subscribe");
    assert_parameter(world, "hub.lease_seconds", "864000");
    assert_parameter(world, "hub.topic", TOPIC);
}

static void a_challenge_of_an_answer_that_broke_off_confirms_nothing(void **state)
{
    struct world *world = *state;
    char challenge[256];
    assert_int_equal(ask_hub(world, "subscribe", ""), 0);
    receive_intent(world, "subscribe");
    parameter(world, "hub.challenge", challenge);
    world->at->call->error = "the body of the answer broke off";
    answer_with(world, world->at, "200 OK", challenge);
    assert_int_equal(subscribers(world), 0);
}

/* Each denial names its reason in the log. */
static void a_wish_that_is_not_confirmed_comes_to_nothing(void **state)
{
    static const struct {
        const char *status, *body;
    } answers[] = {{"404 Not Found", "no"},
                   {"200 OK", "the challenge"},
                   {"200 OK", ""},
                   {"302 Found", "no"},
                   {"500 Oops", "no"}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        assert_int_equal(ask_hub(world, "subscribe", ""), 0);
        receive_intent(world, "subscribe");
        answer_with(world, world->at, answers[i].status, answers[i].body);
        assert_int_equal(subscribers(world), 0);
    }
    assert_int_equal(ask_hub(world, "subscribe", ""), 0);
    receive_intent(world, "subscribe");
    break_off(world, "Timeout was reached");
    assert_int_equal(subscribers(world), 0);
    world_settle(world);
    assert_null(receiver_next(world));
}

static void a_form_that_is_wrong_is_refused_and_nobody_is_asked(void **state)
{
    static const struct {
        const char *form;
        enum courier_fault fault;
    } forms[] = {
        {"", COURIER_E_BAD},
        {"hub.mode=subscribe", COURIER_E_BAD},
        {"hub.mode=dance&hub.topic=" TOPIC "&hub.callback=" CALLBACK, COURIER_E_BAD},
        {"hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%2Fother&hub.callback=" CALLBACK,
         COURIER_E_BAD},
        {"hub.mode=subscribe&hub.topic=" TOPIC "&hub.callback=ftp%3A%2F%2Fh%2F", COURIER_E_BAD},
        {"hub.mode=subscribe&hub.topic=" TOPIC "&hub.callback=http%3A%2F%2F10.0.0.1%2F",
         COURIER_E_FORBIDDEN},
        {"hub.mode=unsubscribe&hub.topic=" TOPIC "&hub.callback=http%3A%2F%2F10.0.0.1%2F",
         COURIER_E_FORBIDDEN},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        assert_int_equal(ask(world, COURIER_HUB, forms[i].form), forms[i].fault);
        assert_non_null(world->request.detail);
        assert_null(receiver_next(world));
    }
}

static void to_publish_is_answered_and_does_nothing(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, COURIER_HUB, "hub.mode=publish&hub.topic=" TOPIC), 0);
    assert_null(receiver_next(world));
    assert_int_equal(subscribers(world), 0);
}

/* ---- renewals -------------------------------------------------------------------------------- */

static void a_renewal_takes_the_new_secret_and_lease(void **state)
{
    struct world *world = *state;
    subscribe(world, "&hub.secret=old&hub.lease_seconds=60");
    int64_t before_us = subscriber(world)->row.lease_until_us;
    subscribe(world, "&hub.secret=new&hub.lease_seconds=600");
    assert_string_equal(subscriber(world)->row.hub_secret, "new");
    assert_in_range(subscriber(world)->row.lease_until_us - before_us, 539 * 1000000,
                    541 * 1000000);
}

static void a_renewal_that_is_not_confirmed_leaves_the_subscription_as_it_was(void **state)
{
    struct world *world = *state;
    subscribe(world, "&hub.secret=old&hub.lease_seconds=60");
    int64_t until_us = subscriber(world)->row.lease_until_us;
    assert_int_equal(ask_hub(world, "subscribe", "&hub.secret=new"), 0);
    receive_intent(world, "subscribe");
    answer(world, "404 Not Found");
    assert_int_equal(subscribers(world), 1);
    assert_string_equal(subscriber(world)->row.hub_secret, "old");
    assert_int_equal(subscriber(world)->row.lease_until_us, until_us);
}

static void a_renewal_brings_a_disabled_subscription_back(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    publish(world, "a");
    receive(world);
    answer(world, "410 Gone");
    await(world, "state", "disabled");
    subscribe(world, "");
    await(world, "state", "active");
    receive(world);
    answer(world, "200 OK");
}

/* The state that a lease leaves when it ends while the disk cannot be written. */
static void a_renewal_restores_a_subscription_whose_deletion_failed(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    subscriber(world)->change.expired = true;
    subscriber(world)->row.state = ENDPOINT_PAUSED;
    subscribe(world, "&hub.lease_seconds=60");
    await(world, "state", "active");
    publish(world, "a");
    receive(world);
    answer(world, "200 OK");
    world_pass(world, 62000);
    assert_int_equal(subscribers(world), 0);
}

/* The endpoint goes while the callback thinks. */
static void a_renewal_of_what_was_deleted_meanwhile_creates_it_again(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    assert_int_equal(ask_hub(world, "subscribe", "&hub.secret=s"), 0);
    receive_intent(world, "subscribe");
    struct received *intent = world->at;
    assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    receive(world); /* the denial */
    assert_parameter(world, "hub.mode", "denied");
    answer(world, "200 OK");
    receiver_write(world, intent);
    world->at = intent;
    confirm(world);
    assert_int_equal(subscribers(world), 1);
    assert_string_equal(subscriber(world)->row.hub_secret, "s");
}

/* ---- several at once --------------------------------------------------------------------------
 */

/* Waits for the GET of a wish, and has the answer ready. */
static struct call *prepare_confirmation(struct world *world, const char *mode)
{
    char challenge[256];
    receive_intent(world, mode);
    parameter(world, "hub.challenge", challenge);
    world->at->call->status = 200;
    buf_add_str(&world->at->call->response, str_from(challenge));
    return world->at->call;
}

/* The first change is not saved yet when the second is confirmed. */
static void wishes_that_are_confirmed_at_once_are_done_in_order(void **state)
{
    static const struct {
        const char *modes[3];
        unsigned before, after;
    } cases[] = {
        {{"subscribe", "subscribe", "subscribe"}, 0, 1},
        {{"subscribe", "unsubscribe", "unsubscribe"}, 0, 0},
        {{"unsubscribe", "subscribe", "subscribe"}, 0, 1},
        {{"unsubscribe", "unsubscribe", "subscribe"}, 1, 1},
        {{"subscribe", "subscribe", "unsubscribe"}, 1, 0},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct call *calls[3];
        if (cases[i].before)
            subscribe(world, "");
        for (size_t at = 0; at < 3; at++) {
            assert_int_equal(ask_hub(world, cases[i].modes[at], "&hub.secret=s"), 0);
            calls[at] = prepare_confirmation(world, cases[i].modes[at]);
        }
        for (size_t at = 0; at < 3; at++)
            call_end(calls[at]);
        for (size_t at = 0; at < 3; at++)
            world_settle(world); /* each change is mail, and its answer again */
        assert_int_equal(subscribers(world), cases[i].after);
        if (cases[i].after)
            unsubscribe(world);
        assert_true(list_empty(&world->courier->confirmed));
        assert_null(receiver_next(world));
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void an_unsubscription_is_confirmed_too(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    assert_int_equal(ask_hub(world, "unsubscribe", ""), 0);
    receive_intent(world, "unsubscribe");
    answer(world, "404 Not Found");
    assert_int_equal(subscribers(world), 1);
    unsubscribe(world);
    publish(world, "a");
    world_settle(world);
    assert_null(receiver_next(world)); /* no denial either: it was wanted */
}

static void an_unsubscription_of_what_is_not_there_ends_quietly(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask_hub(world, "unsubscribe", ""), 0);
    receive_intent(world, "unsubscribe");
    confirm(world);
    assert_int_equal(subscribers(world), 0);
}

static void a_lease_ends_when_it_says(void **state)
{
    struct world *world = *state;
    subscribe(world, "&hub.lease_seconds=3600");
    world_pass(world, 3598000);
    assert_int_equal(subscribers(world), 1);
    world_pass(world, 4000);
    assert_int_equal(subscribers(world), 0);
    publish(world, "a");
    world_settle(world);
    assert_null(receiver_next(world));
}

static void an_expiry_that_cannot_be_saved_is_tried_again(void **state)
{
    struct world *world = *state;
    for (int64_t ms = 3000; ms <= 300000; ms *= 10) {
        subscribe(world, "&hub.lease_seconds=60");
        execute(world, "CREATE TRIGGER full BEFORE DELETE ON endpoint"
                       " BEGIN SELECT RAISE(ABORT, 'x'); END");
        world_pass(world, 62000 + ms);
        assert_int_equal(subscribers(world), 1);
        publish(world, "a");
        assert_quiet(world);
        execute(world, "DROP TRIGGER full");
        world_pass(world, 10000);
        assert_int_equal(subscribers(world), 0);
    }
}

static void an_unsubscription_that_cannot_be_saved_is_tried_again(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    execute(world, "CREATE TRIGGER full BEFORE DELETE ON endpoint"
                   " BEGIN SELECT RAISE(ABORT, 'x'); END");
    assert_int_equal(ask_hub(world, "unsubscribe", ""), 0);
    receive_intent(world, "unsubscribe");
    confirm(world);
    world_pass(world, 20000);
    assert_int_equal(subscribers(world), 1);
    publish(world, "a");
    assert_quiet(world);
    subscribe(world, ""); /* the subscriber wants it again */
    receive(world);
    assert_string_equal(world->body, "hello");
    answer(world, "200 OK");
    assert_int_equal(ask_hub(world, "unsubscribe", ""), 0);
    receive_intent(world, "unsubscribe");
    confirm(world);
    execute(world, "DROP TRIGGER full");
    world_pass(world, 10000);
    assert_int_equal(subscribers(world), 0);
}

/* A change is being saved. Behind it wait the renewal and then, since the lease ended meanwhile,
 * the expiry. */
static void a_renewal_that_waits_in_front_of_an_expiry_keeps_the_subscription(void **state)
{
    static const struct {
        enum courier_op op;
        const char *body;
    } changes[] = {{COURIER_CHANGE, "{\"description\":\"x\"}"},
                   {COURIER_ROTATE, NULL},
                   {COURIER_RESUME, NULL},
                   {COURIER_PAUSE, NULL}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        subscribe(world, "&hub.lease_seconds=60");
        struct courier_request renewal = {.op = COURIER_RENEW,
                                          .n = 60,
                                          .access = ACCESS_OF_SERVER,
                                          .reply = &world->mailbox,
                                          .reply_mail = {NULL, on_reply}};
        memcpy(renewal.id, world->id, sizeof(world->id));
        submit(world, changes[i].op, changes[i].body);
        courier_submit(world->courier, &renewal);
        move(world, 60, 60);
        websub_watch(world->courier);
        world_settle(world);
        assert_int_equal(renewal.fault, 0);
        assert_int_equal(subscribers(world), 1);
        await(world, "state", "active");
        world_pass(world, 62000);
        assert_int_equal(subscribers(world), 0);
    }
}

/* A change of the subscription is being saved meanwhile. */
static void wishes_that_wait_for_changes_are_bounded(void **state)
{
    struct world *world = *state;
    struct courier_request busy = {.op = COURIER_ROTATE};
    subscribe(world, "");
    struct endpoint *endpoint = subscriber(world);
    endpoint->change.busy = &busy;
    for (int i = 0; i < WEBSUB_CONFIRMED_MAX; i++) {
        assert_int_equal(ask_hub(world, "subscribe", ""), 0);
        receive_intent(world, "subscribe");
        confirm(world);
    }
    assert_int_equal(ask_hub(world, "subscribe", ""), COURIER_E_NOW);
    assert_int_equal(ask_hub(world, "unsubscribe", ""), COURIER_E_NOW);
    endpoint->change.busy = NULL;
    requests_reopen(world->courier, &endpoint->change.waiting);
    for (int i = 0; i < WEBSUB_CONFIRMED_MAX && world->courier->confirmed_count; i++)
        world_settle(world);
    unsubscribe(world);
}

static void each_of_several_leases_ends_by_itself(void **state)
{
    struct world *world = *state;
    subscribe(world, "&hub.lease_seconds=60");
    assert_int_equal(ask(world, COURIER_HUB,
                         "hub.mode=subscribe&hub.topic=http%3A%2F%2Fh%3A1%2Fchannels%2Fb"
                         "&hub.callback=" CALLBACK "&hub.lease_seconds=120"),
                     0);
    receive_intent(world, "subscribe");
    confirm(world);
    assert_int_equal(subscribers(world), 2);
    world_pass(world, 62000);
    assert_int_equal(subscribers(world), 1);
    assert_string_equal(subscriber(world)->row.topic, "http://h:1/channels/b");
    world_pass(world, 60000);
    assert_int_equal(subscribers(world), 0);
}

/* Leases follow a jump of the wall clock once it has lasted. */
static void a_clock_that_jumps_ends_no_lease(void **state)
{
    struct world *world = *state;
    subscribe(world, "&hub.lease_seconds=3600");
    move(world, INT64_C(864000), 0);
    world_pass(world, 60000);
    assert_int_equal(subscribers(world), 1);
    world_pass(world, 3530000);
    assert_int_equal(subscribers(world), 1);
    world_pass(world, 20000);
    assert_int_equal(subscribers(world), 0);
}

static void a_subscriber_deleted_by_the_operator_is_told(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    receive(world);
    assert_parameter(world, "hub.mode", "denied");
    assert_parameter(world, "hub.topic", TOPIC);
    answer(world, "500 Oops"); /* a courtesy: nothing follows */
    world_settle(world);
    assert_null(receiver_next(world));
}

static void a_subscriber_that_finds_the_hub_full_is_told(void **state)
{
    struct world *world = *state;
    create(world, "");
    create(world, "");
    assert_int_equal(ask_hub(world, "subscribe", ""), 0);
    receive_intent(world, "subscribe");
    confirm(world);
    assert_int_equal(subscribers(world), 2);
    receive(world);
    assert_parameter(world, "hub.mode", "denied");
    answer(world, "200 OK");
}

static void a_gap_is_not_told_to_a_subscriber(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    publish(world, "a");
    append(world, "a", EVENT_TRIM);
    publish(world, "a");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_string_equal(world->body, "hello");
    answer(world, "200 OK");
    await(world, "lag", "0");
}

/* Gaps are not sent to subscribers: a failed event that was trimmed may leave no lane to probe
 * with. */
static void a_receiver_that_fails_while_events_are_trimmed_gets_the_newest_in_the_end(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    for (int i = 0; i <= CIRCUIT_AFTER; i++) {
        publish(world, "a");
        receive(world);
        answer(world, "500 Oops");
        append(world, "a", EVENT_TRIM);
    }
    publish(world, "a");
    receive(world);
    answer(world, "200 OK");
    await(world, "lag", "0");
    await_logged(world, "\"state\":\"skipped\"");
    assert_false(answer_has(world, "\"state\":\"failing\""));
}

static void a_subscriber_is_not_disabled_for_failing(void **state)
{
    struct world *world = *state;
    world->courier->config.disable_after_us = 1;
    subscribe(world, "");
    publish(world, "a");
    for (int i = 0; i < 6; i++) {
        receive(world);
        answer(world, "500 Oops");
        assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    }
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_told(world, "state", "failing");
}

static void a_subscriber_is_not_pinged(void **state)
{
    struct world *world = *state;
    subscribe(world, "");
    assert_int_equal(ask(world, COURIER_PING, NULL), COURIER_E_BAD);
    assert_null(receiver_next(world));
}

/* The callback is being asked; the rest is for tear_down to see. */
static void stopping_breaks_questions_off(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask_hub(world, "subscribe", ""), 0);
    receive_intent(world, "subscribe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        TEST(a_subscription_that_is_confirmed_gets_what_is_published),
        TEST(a_wish_is_answered_before_the_callback_is_asked),
        TEST(a_wish_that_is_not_confirmed_comes_to_nothing),
        TEST(a_challenge_of_an_answer_that_broke_off_confirms_nothing),
        TEST(a_form_that_is_wrong_is_refused_and_nobody_is_asked),
        TEST(to_publish_is_answered_and_does_nothing),
        TEST(a_renewal_takes_the_new_secret_and_lease),
        TEST(a_renewal_that_is_not_confirmed_leaves_the_subscription_as_it_was),
        TEST(a_renewal_brings_a_disabled_subscription_back),
        TEST(a_renewal_of_what_was_deleted_meanwhile_creates_it_again),
        TEST(a_renewal_restores_a_subscription_whose_deletion_failed),
        TEST(wishes_that_are_confirmed_at_once_are_done_in_order),
        TEST(an_unsubscription_is_confirmed_too),
        TEST(an_unsubscription_of_what_is_not_there_ends_quietly),
        TEST(a_lease_ends_when_it_says),
        ON_DISK(an_expiry_that_cannot_be_saved_is_tried_again),
        ON_DISK(an_unsubscription_that_cannot_be_saved_is_tried_again),
        TEST(a_renewal_that_waits_in_front_of_an_expiry_keeps_the_subscription),
        TEST(wishes_that_wait_for_changes_are_bounded),
        TEST(each_of_several_leases_ends_by_itself),
        TEST(a_clock_that_jumps_ends_no_lease),
        TEST(a_subscriber_deleted_by_the_operator_is_told),
        TEST(a_subscriber_that_finds_the_hub_full_is_told),
        TEST(a_gap_is_not_told_to_a_subscriber),
        TEST(a_receiver_that_fails_while_events_are_trimmed_gets_the_newest_in_the_end),
        TEST(a_subscriber_is_not_disabled_for_failing),
        TEST(a_subscriber_is_not_pinged),
        TEST(stopping_breaks_questions_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
