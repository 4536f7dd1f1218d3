#include "webhooks/delivery/attempt.h"

#include "webhooks/testing.h"

static unsigned inflight(const struct world *world)
{
    return the_endpoint(world)->flow.inflight;
}

/* Takes all requests that are there, and returns how many. */
static unsigned take_requests(struct world *world, struct received **ret_all, unsigned most)
{
    unsigned count = 0;
    world_settle(world);
    while (receiver_next(world)) {
        assert_true(count < most);
        receive(world);
        ret_all[count++] = world->at;
    }
    return count;
}

static void publish_to(struct world *world, unsigned channels)
{
    for (unsigned i = 0; i < channels; i++) {
        char channel[16];
        snprintf(channel, sizeof(channel), "c/%u", i);
        publish(world, channel);
    }
}

/* ---- how many at a time ---------------------------------------------------------------------- */

static void a_new_webhook_has_one_attempt_until_it_accepts(void **state)
{
    struct world *world = *state;
    struct received *all[64];
    submit_creation_for(world, "[\"c/*\"]", "", NULL);
    assert_int_equal(reply(world), 0);
    note_created(world);
    receive(world); /* the first ping, not answered yet */
    struct received *ping = world->at;
    publish_to(world, 20);
    assert_int_equal(take_requests(world, all, 64), 1);
    answer_with(world, all[0], "200 OK", "");
    assert_int_equal(take_requests(world, all, 64), WINDOW_FIRST + 1);
    answer_with(world, ping, "200 OK", "");
}

static void no_more_are_under_way_than_concurrency_says(void **state)
{
    static const unsigned concurrency[] = {1, 2, 5};
    struct world *world = *state;
    for (size_t i = 0; i < 3; i++) {
        struct received *all[64];
        char more[64];
        snprintf(more, sizeof(more), ",\"concurrency\":%u", concurrency[i]);
        create_for_many(world, more);
        publish_to(world, 20);
        unsigned left = 20;
        while (left) {
            unsigned count = take_requests(world, all, 64);
            assert_int_equal(count, left < concurrency[i] ? left : concurrency[i]);
            assert_int_equal(inflight(world), count);
            for (unsigned j = 0; j < count; j++, left--)
                answer_with(world, all[j], "200 OK", "");
        }
        assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    }
}

static void a_channel_has_one_attempt_at_a_time_in_order(void **state)
{
    struct world *world = *state;
    uint64_t ids[5];
    create_for_many(world, ",\"concurrency\":100");
    for (int i = 0; i < 5; i++)
        ids[i] = publish(world, "c/1");
    for (int i = 0; i < 5; i++) {
        receive(world);
        assert_event(world, ids[i]);
        assert_quiet(world);
        answer(world, "200 OK");
    }
}

static void without_order_a_channel_has_several_attempts(void **state)
{
    struct world *world = *state;
    struct received *all[64];
    create_for_many(world, ",\"ordered\":false");
    for (int i = 0; i < 5; i++)
        publish(world, "c/1");
    assert_int_equal(take_requests(world, all, 64), 5);
    for (int i = 4; i >= 0; i--) /* they end in whatever order */
        answer_with(world, all[i], "200 OK", "");
    await(world, "lag", "0");
}

/* ---- at least once, but not much more -------------------------------------------------------- */

/* Deliveries that are accepted but not saved would be repeated after a crash: they are bounded
 * together with those under way. */
static void attempts_wait_while_too_much_is_not_saved(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    struct endpoint *endpoint = the_endpoint(world);
    assert_false(attempts_wait_for_saving(endpoint));
    endpoint->flow.unsaved = 31;
    assert_false(attempts_wait_for_saving(endpoint));
    endpoint->flow.saving = 1;
    assert_true(attempts_wait_for_saving(endpoint));
    world->courier->save_fails = true; /* then nothing would ever go */
    assert_false(attempts_wait_for_saving(endpoint));
    world->courier->save_fails = false;
    endpoint->row.options.concurrency = 100;
    assert_false(attempts_wait_for_saving(endpoint));
    endpoint->row.options.concurrency = 32;
    endpoint->flow.unsaved = endpoint->flow.saving = 0;
}

static void saving_lets_attempts_go_on(void **state)
{
    enum { EVENTS = 200 };
    struct world *world = *state;
    create_for_many(world, "");
    publish_to(world, EVENTS);
    for (int i = 0; i < EVENTS; i++) { /* time stands still: bundles go since somebody waits */
        world_settle(world);
        assert_non_null(receiver_next(world));
        receive(world);
        answer(world, "200 OK");
    }
}

/* ---- giving way ------------------------------------------------------------------------------ */

/* Ten requests may be under way in all. */
static int set_up_narrow(void **state)
{
    struct world *world = world_new();
    world->config.requests_max = 10;
    world->config.endpoints_max = 40;
    open_world(world);
    *state = world;
    return 0;
}

/* A receiver that hangs has most seats; once its patience is over, its requests are aborted for
 * others. */
static void attempts_that_hang_give_way_to_webhooks_that_wait(void **state)
{
    enum { OTHERS = 20 };
    struct world *world = *state;
    struct received *all[64];
    create_for_many(world, ",\"concurrency\":50");
    for (int i = 0; i < 3; i++) { /* it is quick at first */
        publish(world, "c/1");
        receive(world);
        answer(world, "200 OK");
    }
    publish_to(world, 20);
    unsigned hanging = take_requests(world, all, 64);
    assert_in_range(hanging, 5, 10);
    for (int i = 0; i < OTHERS; i++)
        create_for(world, "[\"x\"]", "");
    publish(world, "x");
    unsigned came = 0;
    for (int i = 0; i < 20; i++) {
        world_pass(world, WORLD_TICK_MS);
        while (receiver_next(world)) {
            receive(world);
            came += strstr(world->body, "\"channel\":\"x\"") != NULL;
        }
    }
    assert_true(came > POOL_TOTAL_MIN - hanging); /* more than there were seats left */
    assert_true(courier_stats(world->courier)->gave_way > 0);
}

static void nobody_gives_way_while_nobody_waits(void **state)
{
    struct world *world = *state;
    struct received *all[64];
    create_for_many(world, ",\"concurrency\":2");
    publish_to(world, 2);
    assert_int_equal(take_requests(world, all, 64), 2);
    world_pass(world, 10000);
    assert_int_equal(courier_stats(world->courier)->gave_way, 0);
    assert_int_equal(inflight(world), 2);
    for (int i = 0; i < 2; i++)
        answer_with(world, all[i], "200 OK", "");
    await(world, "lag", "0");
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void stopping_waits_two_seconds_for_attempts(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    courier_begin_stop(world->courier);
    assert_false(courier_is_done(world->courier));
    world_pass(world, 1900);
    assert_false(courier_is_done(world->courier));
    world_pass(world, 200);
    assert_true(courier_is_done(world->courier));
}

static void an_attempt_that_ends_while_stopping_is_saved(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    courier_begin_stop(world->courier);
    world_settle(world);
    answer(world, "200 OK");
    assert_true(courier_is_done(world->courier));
    close_world(world);
    open_world(world);
    await(world, "lag", "0");
    assert_quiet(world);
}

static void an_attempt_under_way_comes_again_after_a_restart(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    uint64_t id = publish(world, "c/1");
    receive(world);
    close_world(world);
    open_world(world);
    receive(world);
    assert_event(world, id);
    answer(world, "200 OK");
    await(world, "held", "0");
}

static void bodies_under_way_are_counted(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"format\":\"data\"");
    assert_int_equal(world->courier->body_bytes, 0);
    append_round(world, 3, 1000, 3);
    world_settle(world);
    assert_int_equal(world->courier->body_bytes, 3000);
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(world->courier->body_bytes, 2000);
    assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    assert_int_equal(world->courier->body_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, set_up_narrow, world_tear_down)
        TEST(a_new_webhook_has_one_attempt_until_it_accepts),
        TEST(no_more_are_under_way_than_concurrency_says),
        TEST(a_channel_has_one_attempt_at_a_time_in_order),
        TEST(without_order_a_channel_has_several_attempts),
        TEST(attempts_wait_while_too_much_is_not_saved),
        TEST(saving_lets_attempts_go_on),
        NARROW(attempts_that_hang_give_way_to_webhooks_that_wait),
        NARROW(nobody_gives_way_while_nobody_waits),
        TEST(stopping_waits_two_seconds_for_attempts),
        ON_DISK(an_attempt_that_ends_while_stopping_is_saved),
        ON_DISK(an_attempt_under_way_comes_again_after_a_restart),
        TEST(bodies_under_way_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
