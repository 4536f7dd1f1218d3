#include "webhooks/delivery/health.h"

#include "webhooks/testing.h"

#define HOUR_MS (INT64_C(3600) * 1000)

/* The notices that were published: their types and data, in order. */
static char notices[8192];

static void note_batch(void *owner, struct batch *batch)
{
    (void)owner;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        size_t len = strlen(notices);
        if (str_starts(event->channel, STR("$webhooks/")))
            snprintf(notices + len, sizeof(notices) - len, "%.*s %.*s\n", STR_FMT(event->type),
                     STR_FMT(event->data));
    }
}

/* The test listens for notices. */
static int set_up(void **state)
{
    world_set_up(state);
    struct world *world = *state;
    world->port.on_batch = note_batch;
    notices[0] = '\0';
    return 0;
}

static unsigned count_notices(const char *type)
{
    unsigned count = 0;
    for (const char *at = notices; (at = strstr(at, type)); at++)
        count += at == notices || at[-1] == '\n';
    return count;
}

static void refuse(struct world *world, const char *status)
{
    receive(world);
    answer(world, status);
}

/* Passes long spans in strides that the test can afford: the clock jumps, then time goes on. */
static void pass_long(struct world *world, int64_t ms)
{
    move(world, ms / 1000, ms / 1000);
    world_pass(world, 2L * WORLD_TICK_MS);
}

/* ---- warnings -------------------------------------------------------------------------------- */

/* The five days are counted from the first failure. */
static void an_owner_is_warned_three_times_before_the_webhook_is_disabled(void **state)
{
    static const struct {
        int64_t hours; /* since the attempt before */
        unsigned warnings;
    } attempts[] = {{0, 0}, {1, 1}, {1, 1}, {50, 1}, {10, 2}, {40, 2}, {10, 3}, {1, 3}};
    struct world *world = *state;
    create(world, ",\"schedule\":[3600]");
    publish(world, "a");
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        pass_long(world, attempts[i].hours * HOUR_MS);
        assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
        refuse(world, "500 Oops");
        assert_int_equal(count_notices("failing"), attempts[i].warnings);
    }
    pass_long(world, 10 * HOUR_MS);
    assert_int_equal(count_notices("disabled"), 0);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    refuse(world, "500 Oops");
    assert_int_equal(count_notices("disabled"), 1);
    assert_non_null(strstr(notices, "\"reason\":\"failing\""));
    await(world, "state", "disabled");
}

static void a_warning_says_what_failed_and_when_it_ends(void **state)
{
    struct world *world = *state;
    create(world, "");
    publish(world, "a");
    for (int i = 0; i < 3; i++)
        refuse(world, "503 Busy");
    assert_int_equal(count_notices("failing"), 1);
    assert_non_null(strstr(notices, "\"failures\":3,\"since\":\"2026-"));
    assert_non_null(strstr(notices, "\"disabled_at\":\"2026-"));
    assert_non_null(strstr(notices, "\"status\":503"));
    assert_non_null(strstr(notices, "\"url\":\"" WORLD_URL "\""));
}

/* Others may read the channel of notices. */
static void a_notice_hides_secrets_of_the_url_and_its_owner_sees_them(void **state)
{
    struct world *world = *state;
    create(world, "");
    assert_int_equal(
        ask(world, COURIER_CHANGE, "{\"url\":\"http://127.0.0.1:7/hook?token=s3cret&s3cret\"}"), 0);
    publish(world, "a");
    for (int i = 0; i < 3; i++)
        refuse(world, "500 Oops");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    refuse(world, "410 Gone");
    await(world, "state", "disabled");
    assert_int_equal(count_notices("failing") + count_notices("disabled"), 2);
    assert_non_null(strstr(notices, "\"url\":\"http://127.0.0.1:7/hook?token=***&***\""));
    assert_null(strstr(notices, "s3cret"));
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_told(world, "url", "http://127.0.0.1:7/hook?token=s3cret&s3cret");
}

static void a_webhook_that_recovers_says_so_once(void **state)
{
    struct world *world = *state;
    create(world, "");
    publish(world, "a");
    for (int i = 0; i < 3; i++)
        refuse(world, "500 Oops");
    await(world, "state", "failing");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    refuse(world, "200 OK");
    await(world, "state", "active");
    publish(world, "a");
    refuse(world, "200 OK");
    assert_int_equal(count_notices("recovered"), 1);
    assert_non_null(strstr(notices, "\"failures\":3}"));
}

static void an_answer_of_410_disables_at_once(void **state)
{
    struct world *world = *state;
    create(world, "");
    publish(world, "a");
    refuse(world, "410 Gone");
    await(world, "state", "disabled");
    assert_non_null(strstr(notices, "\"reason\":\"gone\",\"failures\":1"));
    world_pass(world, 60000);
    assert_quiet(world);
}

static void a_delivery_whose_schedule_is_used_up_is_told_once(void **state)
{
    struct world *world = *state;
    create(world, "");
    publish(world, "a");
    for (int i = 0; i < 3; i++)
        refuse(world, "500 Oops");
    assert_int_equal(count_notices("exhausted"), 1);
    assert_non_null(strstr(notices, "\"attempts\":3,\"given_up\":false"));
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    refuse(world, "500 Oops");
    assert_int_equal(count_notices("exhausted"), 1);
}

/* ---- the circuit ----------------------------------------------------------------------------- */

/* Fails in five channels, and accepts nothing. */
static void open_circuit(struct world *world)
{
    create_for_many(world, ",\"concurrency\":1,\"schedule\":[86400]");
    for (int i = 0; i < CIRCUIT_AFTER; i++) {
        char channel[16];
        snprintf(channel, sizeof(channel), "c/%d", i);
        publish(world, channel);
        refuse(world, "500 Oops");
    }
    assert_true(endpoint_circuit_open(the_endpoint(world)));
}

static int set_up_with_probes(void **state)
{
    struct world *world = world_new();
    world->config.probe_ms = 0; /* the default of 30 s */
    open_world(world);
    *state = world;
    return 0;
}

/* Seconds until the next request. */
static int64_t seconds_to_next(struct world *world)
{
    int64_t ms = 0;
    world_settle(world);
    for (; !receiver_next(world); ms += 1000) {
        assert_true(ms < 2 * HOUR_MS);
        world_pass(world, 1000);
    }
    receive(world);
    return ms / 1000;
}

static void probes_come_half_as_often_each_time(void **state)
{
    static const int64_t seconds[] = {30, 60, 120, 240, 480, 960, 1800, 1800};
    struct world *world = *state;
    open_circuit(world);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        assert_in_range(seconds_to_next(world), seconds[i] - 1, seconds[i] + 1);
        answer(world, "500 Oops");
    }
}

static void a_probe_that_is_accepted_closes_the_circuit(void **state)
{
    struct world *world = *state;
    open_circuit(world);
    (void)seconds_to_next(world);
    answer(world, "200 OK");
    assert_false(endpoint_circuit_open(the_endpoint(world)));
    for (int i = 1; i < CIRCUIT_AFTER; i++) {
        assert_int_equal(seconds_to_next(world), 0); /* the others are hurried */
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
}

static void while_the_circuit_is_open_new_events_wait(void **state)
{
    struct world *world = *state;
    open_circuit(world);
    publish(world, "c/new");
    world_pass(world, 20000);
    assert_quiet(world);
    assert_told(world, "lag", "6");
    assert_told(world, "circuit", "open");
}

/* ---- how much is under way ------------------------------------------------------------------- */

static void the_window_shrinks_only_when_the_receiver_is_overloaded(void **state)
{
    static const struct {
        const char *status;
        unsigned window;
    } cases[] = {
        {"400 Bad", 8}, {"500 Oops", 8}, {"429 Slow", 4},
        {"502 Bad", 4}, {"503 Busy", 4}, {"504 Slow", 4},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        create(world, ",\"schedule\":[3600]");
        assert_int_equal(the_endpoint(world)->flow.window, WINDOW_FIRST);
        publish(world, "a");
        refuse(world, cases[i].status);
        assert_int_equal(the_endpoint(world)->flow.window, cases[i].window);
        assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    }
}

static void a_receiver_without_an_answer_is_sent_less(void **state)
{
    struct world *world = *state;
    create(world, ",\"schedule\":[3600]");
    publish(world, "a");
    receive(world);
    break_off(world, "Timeout was reached");
    assert_int_equal(the_endpoint(world)->flow.window, WINDOW_FIRST / 2);
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_true(answer_has(world, "\"error\":\"Timeout was reached\""));
}

static void the_window_grows_by_one_with_each_accepted_delivery(void **state)
{
    struct world *world = *state;
    create(world, ",\"concurrency\":10");
    for (unsigned i = 1; i <= 4; i++) {
        publish(world, "a");
        refuse(world, "200 OK");
        assert_int_equal(the_endpoint(world)->flow.window,
                         WINDOW_FIRST + i < 10 ? WINDOW_FIRST + i : 10);
    }
}

static void retry_after_holds_the_whole_webhook(void **state)
{
    static const char *const statuses[] = {"429 Slow\r\nRetry-After: 60",
                                           "503 Busy\r\nRetry-After: 60"};
    struct world *world = *state;
    for (size_t i = 0; i < 2; i++) {
        create_for_many(world, "");
        publish(world, "c/1");
        refuse(world, statuses[i]);
        publish(world, "c/2");
        world_pass(world, 59000);
        assert_quiet(world);
        world_pass(world, 2000);
        for (int j = 0; j < 2; j++)
            refuse(world, "200 OK");
        assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    }
}

static void retry_after_of_another_status_holds_its_channel_alone(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    refuse(world, "500 Oops\r\nRetry-After: 60");
    uint64_t other = publish(world, "c/2");
    receive(world);
    assert_event(world, other);
    answer(world, "200 OK");
    world_pass(world, 59000);
    assert_quiet(world);
    world_pass(world, 2000);
    refuse(world, "200 OK");
    await(world, "lag", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_tear_down)
#define PROBED(name) cmocka_unit_test_setup_teardown(name, set_up_with_probes, world_tear_down)
        TEST(an_owner_is_warned_three_times_before_the_webhook_is_disabled),
        TEST(a_warning_says_what_failed_and_when_it_ends),
        TEST(a_notice_hides_secrets_of_the_url_and_its_owner_sees_them),
        TEST(a_webhook_that_recovers_says_so_once),
        TEST(an_answer_of_410_disables_at_once),
        TEST(a_delivery_whose_schedule_is_used_up_is_told_once),
        PROBED(probes_come_half_as_often_each_time),
        PROBED(a_probe_that_is_accepted_closes_the_circuit),
        PROBED(while_the_circuit_is_open_new_events_wait),
        TEST(the_window_shrinks_only_when_the_receiver_is_overloaded),
        TEST(a_receiver_without_an_answer_is_sent_less),
        TEST(the_window_grows_by_one_with_each_accepted_delivery),
        TEST(retry_after_holds_the_whole_webhook),
        TEST(retry_after_of_another_status_holds_its_channel_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
