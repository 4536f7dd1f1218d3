#include "webhooks/delivery/anew.h"

#include "webhooks/testing_options.h"

/* Two requests are under way, or one if only one may be. The first ends last, and nothing is sent
 * before. */
static void change_under_way(struct world *world, const struct options *from,
                             const struct options *to, const char *status)
{
    struct seen seen = {.in_order = to->ordered};
    create_of(world, from);
    append_round(world, EVENTS, 10, CHANNELS);
    seen.first = world->published;
    receive(world);
    unsigned bits = carried_by(world, &seen);
    struct received *first = world->at;
    if (!(from->ordered && from->batch)) {
        receive(world);
        seen.accepted = carried_by(world, &seen);
    }
    change_to(world, to, "");
    assert_quiet(world);
    if (world->at != first) {
        answer(world, "200 OK");
        await(world, "inflight", "1");
        assert_quiet(world);
        world->at = first;
    }
    if (!strncmp(status, "200", 3))
        seen.accepted |= bits;
    if (to->ordered) { /* older events of their channels may come first */
        seen.again = seen.accepted;
        seen.accepted = 0;
    }
    answer(world, status);
    accept_all(world, &seen);
    delete_it(world);
}

static void a_change_of_options_lets_requests_end_first(void **state)
{
    static const char *const statuses[] = {"200 OK", "500 Oops"};
    for (unsigned i = 0; i < 2 * KINDS * KINDS; i++) {
        const struct options *from = &kinds[i / KINDS % KINDS], *to = &kinds[i % KINDS];
        if (from != to)
            change_under_way(*state, from, to, statuses[i / (KINDS * KINDS)]);
    }
}

static void the_same_options_go_on_over_a_restart(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < OPENED; i++) {
        struct seen seen;
        unsigned accepted = leave_outstanding(world, &kinds[i], &seen);
        reopen(world);
        assert_int_equal(ask(world, COURIER_GET, NULL), 0);
        assert_told(world, "held", "1");
        assert_told(world, "lag_exact", "false"); /* the lag includes events before the start */
        assert_quiet(world);
        seen.accepted = accepted;
        seen.in_order = kinds[i].ordered;
        assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
        accept_all(world, &seen);
        delete_it(world);
    }
}

static void change_and_reopen(struct world *world, const struct options *from,
                              const struct options *to)
{
    struct seen seen;
    unsigned accepted = leave_outstanding(world, from, &seen);
    change_to(world, to, ",\"state\":\"paused\"");
    reopen(world);
    seen.again = accepted;
    seen.in_order = to->ordered;
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    accept_all(world, &seen);
    delete_it(world);
}

static void a_change_of_options_loses_nothing_over_a_restart(void **state)
{
    for (unsigned i = 0; i < OPENED * OPENED; i++)
        if (i / OPENED != i % OPENED)
            change_and_reopen(*state, &kinds[i / OPENED], &kinds[i % OPENED]);
}

/* ---- the delivery log ------------------------------------------------------------------------ */

/* Counts the deliveries in a state. */
static unsigned count_logged(struct world *world, const char *state)
{
    char text[64];
    unsigned count = 0;
    snprintf(text, sizeof(text), "\"state\":\"%s\"", state);
    assert_int_equal(ask(world, COURIER_DELIVERIES, NULL), 0);
    buf_add_char(&world->request.answer, '\0');
    for (const char *at = world->request.answer.at; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static void assert_none_is_failing(struct world *world)
{
    assert_int_equal(count_logged(world, "failing"), 0);
    assert_int_equal(count_logged(world, "skipped"), 1);
}

struct dropping {
    enum courier_op op;
    const char *body;
};
static const struct dropping droppings[] = {
    {COURIER_CHANGE, "{\"channels\":[\"c/*\",\"d\"]}"},
    {COURIER_CHANGE, "{\"types\":[\"message\",\"other\"]}"},
    {COURIER_CHANGE, "{\"ordered\":false,\"batch\":7}"},
    {COURIER_CHANGE, "{\"ordered\":true,\"batch\":7}"},
    {COURIER_REPLAY, "{\"after\":\"now\"}"},
    {COURIER_REPLAY, "{\"after\":\"earliest\"}"},
};
enum { DROPPINGS = sizeof(droppings) / sizeof(*droppings) };

/* Its events come in other deliveries, if the webhook still wants them. */
static void a_delivery_whose_lane_is_dropped_does_not_stay_failing(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < DROPPINGS * OPENED; i++) {
        const struct dropping *dropping = &droppings[i % DROPPINGS];
        create_of(world, &kinds[i / DROPPINGS]);
        append_round(world, 1, 10, 1);
        receive(world);
        answer(world, "500 Oops");
        await(world, "held", "1");
        assert_int_equal(count_logged(world, "failing"), 1);
        assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
        assert_int_equal(ask(world, dropping->op, dropping->body), 0);
        assert_none_is_failing(world);
        delete_it(world);
    }
}

static void a_delivery_that_fails_after_its_lane_was_dropped_is_not_failing(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < OPENED; i++) {
        create_of(world, &kinds[i]);
        append_round(world, 1, 10, 1);
        receive(world);
        assert_int_equal(
            ask(world, COURIER_CHANGE, "{\"types\":[\"message\",\"x\"],\"state\":\"paused\"}"), 0);
        answer(world, "500 Oops");
        assert_none_is_failing(world);
        delete_it(world);
    }
}

/* The delivery's second attempt is under way while the webhook changes. */
static void a_lane_that_leaves_is_not_retried(void **state)
{
    static const char *const statuses[] = {"500 Oops", "200 OK"};
    struct world *world = *state;
    for (unsigned i = 0; i < 2 * OPENED; i++) {
        create_of(world, &kinds[i / 2]);
        append_round(world, 1, 10, 1);
        receive(world);
        answer(world, "500 Oops");
        uint64_t n = world->courier->next_n - 1;
        assert_int_equal(ask_delivery(world, COURIER_RETRY, n), 0);
        receive(world);
        assert_int_equal(ask(world, COURIER_CHANGE, "{\"types\":[\"message\",\"x\"]}"), 0);
        assert_int_equal(ask_delivery(world, COURIER_RETRY, n), COURIER_E_NOW);
        assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
        assert_told(world, "retrying", "0");
        answer(world, statuses[i % 2]);
        assert_int_equal(ask_delivery(world, COURIER_RETRY, n), 0);
        delete_it(world);
    }
}

static void a_delivery_that_waits_is_still_failing_after_a_restart(void **state)
{
    struct world *world = *state;
    create_of(world, &kinds[0]);
    append_round(world, 1, 10, 1);
    receive(world);
    answer(world, "500 Oops");
    await(world, "held", "1");
    reopen(world);
    assert_int_equal(count_logged(world, "failing"), 1);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(count_logged(world, "delivered"), 1);
}

/* The cursor goes back for all channels, so that older events of a channel come again too. */
static void after_a_change_the_newest_event_of_a_channel_comes_last(void **state)
{
    struct world *world = *state;
    uint64_t newest = 0;
    char id[256];
    create_for_many(world, ",\"concurrency\":2,\"schedule\":[3600]");
    publish(world, "c/0");
    receive(world);
    answer(world, "500 Oops");
    await(world, "held", "1");
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    await(world, "inflight", "0");
    newest = publish(world, "c/1");
    receive(world);
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"channels\":[\"c/*\",\"d\"]}"), 0);
    answer(world, "200 OK");
    for (int i = 0; i < 3; i++) {
        receive(world);
        header(world, "webhook-id", id);
        assert_true(i < 2 || strtoull(id, NULL, 10) == newest ||
                    strstr(world->body, "\"channel\":\"c/0\""));
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        TEST(a_change_of_options_lets_requests_end_first),
        ON_DISK(the_same_options_go_on_over_a_restart),
        ON_DISK(a_change_of_options_loses_nothing_over_a_restart),
        TEST(a_delivery_whose_lane_is_dropped_does_not_stay_failing),
        TEST(a_delivery_that_fails_after_its_lane_was_dropped_is_not_failing),
        TEST(a_lane_that_leaves_is_not_retried),
        ON_DISK(a_delivery_that_waits_is_still_failing_after_a_restart),
        TEST(after_a_change_the_newest_event_of_a_channel_comes_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
