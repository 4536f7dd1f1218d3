#include "webhooks/delivery/scan.h"

#include "webhooks/testing_options.h"

/* The receiver has taken a request and does not answer, so that what comes stays in lanes. */
static void publish_to_a_slow_receiver(struct world *world, unsigned count, unsigned channels)
{
    append_round(world, count, 10, channels);
    world_settle(world);
}

static const struct lane *lane_of(const struct world *world, const char *channel)
{
    const struct lane *lane = lane_find(the_endpoint(world), str_from(channel));
    assert_non_null(lane);
    return lane;
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static void in_order_each_channel_has_a_lane_and_pages_have_one_for_all(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"concurrency\":1");
    publish_to_a_slow_receiver(world, 9, 3);
    assert_int_equal(the_endpoint(world)->lanes.count, 3);
    assert_int_equal(lane_of(world, "c/0")->queued, 2); /* and one is being sent */
    assert_int_equal(lane_of(world, "c/1")->queued, 3);
    delete_it(world);
    create_for_many(world, ",\"concurrency\":1,\"batch\":4");
    publish_to_a_slow_receiver(world, 9, 3);
    assert_int_equal(the_endpoint(world)->lanes.count, 1);
    assert_true(lane_of(world, "")->kind == LANE_ALL);
}

static void without_order_each_event_has_a_lane_and_a_page_has_one_for_its_events(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"concurrency\":9,\"ordered\":false");
    publish_to_a_slow_receiver(world, 7, 1);
    assert_int_equal(the_endpoint(world)->lanes.count, 7);
    delete_it(world);
    create_for_many(world, ",\"concurrency\":9,\"ordered\":false,\"batch\":3");
    publish_to_a_slow_receiver(world, 7, 1);
    assert_int_equal(the_endpoint(world)->lanes.count, 3);
    delete_it(world);
}

/* A webhook that may send little holds few lanes, whatever comes: the log has the rest. */
static void the_scan_waits_once_enough_lanes_are_due(void **state)
{
    enum { COUNT = 200 };
    struct world *world = *state;
    for (unsigned concurrency = 1; concurrency <= 4; concurrency += 3) {
        char more[64];
        snprintf(more, sizeof(more), ",\"concurrency\":%u,\"ordered\":false", concurrency);
        create_for_many(world, more);
        append_round(world, COUNT, 10, COUNT);
        uint64_t first = world->published;
        world_settle(world);
        assert_in_range(the_endpoint(world)->lanes.due_count, 1, 2 * concurrency + 1);
        assert_true(endpoint_scanned(the_endpoint(world)) < first + COUNT - 1);
        for (unsigned i = 0; i < COUNT; i++) {
            receive(world);
            answer(world, "200 OK");
        }
        await(world, "lag", "0");
        assert_quiet(world);
        delete_it(world);
    }
}

/* ---- beginning again ------------------------------------------------------------------------- */

/* Some were in lanes, and others at hand. */
static void events_that_were_let_go_come_again_from_the_log_once_and_in_order(void **state)
{
    enum { COUNT = 12 };
    static const char *const more[] = {"", ",\"ordered\":false,\"concurrency\":1"};
    struct world *world = *state;
    for (unsigned at = 0; at < 2 * COUNT; at++) {
        create_for_many(world, more[at % 2]);
        append_round(world, COUNT, 10, 1);
        uint64_t first = world->published;
        unsigned seen = 0;
        for (unsigned i = 0; i < COUNT; i++) {
            receive(world);
            unsigned bits = carried(world, first, COUNT);
            assert_int_equal(seen & bits, 0);
            assert_true(at % 2 || bits == 1U << i);
            seen |= bits;
            if (i == at / 2)
                scan_let_go(the_endpoint(world));
            answer(world, "200 OK");
        }
        await(world, "lag", "0");
        assert_quiet(world);
        delete_it(world);
    }
}

static void a_scan_that_was_let_go_holds_no_events(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish_to_a_slow_receiver(world, 8, 1);
    assert_int_equal(the_endpoint(world)->lanes.queued, 7);
    uint64_t scanned = endpoint_scanned(the_endpoint(world));
    scan_let_go(the_endpoint(world));
    assert_int_equal(the_endpoint(world)->lanes.queued, 0);
    assert_int_equal(the_endpoint(world)->lanes.queued_bytes, 0);
    assert_null(the_endpoint(world)->scan.chunk);
    assert_int_equal(the_endpoint(world)->row.cursor, scanned);
}

/* ---- gaps ------------------------------------------------------------------------------------ */

static void a_gap_before_the_scan_is_told_before_the_events_behind_it(void **state)
{
    struct world *world = *state;
    create(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    publish(world, "a");
    append(world, "a", EVENT_TRIM);
    uint64_t behind = publish(world, "a");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_body_has(world, "\"type\":\"$gap\"");
    assert_null(receiver_next(world)); /* nothing beside it */
    answer(world, "500 Oops");
    receive(world);
    assert_body_has(world, "\"type\":\"$gap\"");
    answer(world, "200 OK");
    receive(world);
    assert_event(world, behind);
    answer(world, "200 OK");
    await(world, "lag", "0");
    assert_quiet(world);
}

/* Publishes to a channel and trims it. */
static void lose(struct world *world, const char *channel)
{
    publish(world, channel);
    append(world, channel, EVENT_TRIM);
}

/* Pushes what was published so far out of memory, so that it is read from the log. */
static void push_out_of_memory(struct world *world)
{
    enum { COUNT = 5, SIZE = 256 << 10 };
    struct append *append = append_new(world->log, &world->port);
    char *data = malloc(SIZE);
    memset(data, 'x', SIZE);
    for (unsigned i = 0; i < COUNT; i++)
        (void)add_event(world, append, "other", (struct str){data, SIZE});
    free(data);
    append_all(world, append, COUNT);
    world_settle(world);
}

/* The id of the first event in the body of a request. */
static uint64_t first_id(const struct world *world)
{
    const char *id = strstr(world->body, "\"id\":\"");
    assert_non_null(id);
    return strtoull(id + 6, NULL, 10);
}

/* A receiver that is slower than retention gets what is behind a gap, not one gap after the other:
 * whenever it is told of one, another comes before it answers. */
static void events_behind_a_gap_are_sent_though_more_is_lost_whenever_it_is_told(void **state)
{
    static const char *const options[] = {"", ",\"ordered\":false", ",\"batch\":10",
                                          ",\"ordered\":false,\"batch\":10"};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        char more[128];
        unsigned gaps = 0;
        uint64_t first = publish(world, "c/kept"), behind = publish(world, "c/kept");
        lose(world, "c/lost");
        push_out_of_memory(world);
        snprintf(more, sizeof(more), ",\"after\":\"%016" PRIu64 "\"%s", first, options[i]);
        create_for_many(world, more);
        for (receive(world); strstr(world->body, "\"$gap\""); receive(world)) {
            assert_int_equal(gaps++, 0);
            lose(world, "c/lost");
            world_settle(world);
            answer(world, "200 OK");
        }
        assert_int_equal(first_id(world), behind);
        answer(world, "200 OK");
        await(world, "lag", "0");
        delete_it(world);
    }
}

/* ---- room ------------------------------------------------------------------------------------ */

static void an_endpoint_without_events_may_have_one_however_many_others_hold(void **state)
{
    struct world *world = *state;
    create(world, "");
    struct endpoint *endpoint = the_endpoint(world);
    uint64_t held = world->courier->queued_bytes;
    world->courier->queued_bytes = world->courier->config.queued_max;
    assert_false(scan_is_crowded(endpoint));
    endpoint->lanes.queued = 1;
    assert_true(scan_is_crowded(endpoint));
    world->courier->queued_bytes = held;
    assert_false(scan_is_crowded(endpoint));
    endpoint->lanes.queued = QUEUED_MAX;
    assert_true(scan_is_crowded(endpoint));
    endpoint->lanes.queued = 1;
    endpoint->lanes.queued_bytes = QUEUED_BYTES;
    assert_true(scan_is_crowded(endpoint));
    endpoint->lanes.queued = 0;
    endpoint->lanes.queued_bytes = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        TEST(in_order_each_channel_has_a_lane_and_pages_have_one_for_all),
        TEST(without_order_each_event_has_a_lane_and_a_page_has_one_for_its_events),
        TEST(the_scan_waits_once_enough_lanes_are_due),
        TEST(events_that_were_let_go_come_again_from_the_log_once_and_in_order),
        TEST(a_scan_that_was_let_go_holds_no_events),
        TEST(a_gap_before_the_scan_is_told_before_the_events_behind_it),
        TEST(events_behind_a_gap_are_sent_though_more_is_lost_whenever_it_is_told),
        ON_DISK(events_behind_a_gap_are_sent_though_more_is_lost_whenever_it_is_told),
        TEST(an_endpoint_without_events_may_have_one_however_many_others_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
