#include "webhooks/endpoint/lane.h"

#include "webhooks/testing.h"

/* ---- states ---------------------------------------------------------------------------------- */

/* Every move that a lane may make; each that is not here ends the program. */
static const char *const moves[] = {
    "idle waiting", "idle due",        "idle over",    "waiting idle", "waiting over",
    "due idle",     "due reading",     "due sending",  "due over",     "reading idle",
    "sending idle", "sending leaving", "leaving over",
};

static bool is_listed(enum lane_state from, enum lane_state to)
{
    char text[32];
    snprintf(text, sizeof(text), "%s %s", lane_state_name(from), lane_state_name(to));
    for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++)
        if (strcmp(moves[i], text) == 0)
            return true;
    return false;
}

static void a_lane_makes_the_moves_of_the_table_and_no_other(void **state)
{
    (void)state;
    for (int from = 0; from < LANE_STATES; from++)
        for (int to = 0; to < LANE_STATES; to++)
            if (lane_may_move((enum lane_state)from, (enum lane_state)to) !=
                is_listed((enum lane_state)from, (enum lane_state)to))
                fail_msg("%s to %s", lane_state_name((enum lane_state)from),
                         lane_state_name((enum lane_state)to));
}

/* ---- lanes of an endpoint -------------------------------------------------------------------- */

/* A paused endpoint without lanes: nothing but the test moves them. */
static int set_up(void **state)
{
    world_set_up(state);
    create_for_many(*state, "");
    assert_int_equal(ask(*state, COURIER_PAUSE, NULL), 0);
    return 0;
}

static struct lane *new_lane(struct world *world, enum lane_kind kind, const char *channel)
{
    struct lane *lane = lane_new(the_endpoint(world), kind, str_from(channel));
    assert_int_equal(lane->state, LANE_IDLE);
    return lane;
}

static void add(struct lane *lane, uint64_t id, uint8_t hops)
{
    struct event event = {.id = id, .channel = STR("c"), .data = STR("hello"), .hops = hops};
    assert_true(lane_add(lane, &event, NULL, NULL));
}

static uint64_t front(const struct lane *lane)
{
    return pending_first(&lane->queue)->id;
}

static void a_lane_with_nothing_left_is_freed(void **state)
{
    struct endpoint *endpoint = the_endpoint(*state);
    struct lane *lane = new_lane(*state, LANE_CHANNEL, "c");
    assert_ptr_equal(lane_find(endpoint, STR("c")), lane);
    assert_int_equal(endpoint->lanes.count, 1);
    lane_step_or_free(lane);
    assert_null(lane_find(endpoint, STR("c")));
    assert_int_equal(endpoint->lanes.count, 0);
    assert_true(list_empty(&endpoint->lanes.all));
}

static void a_lane_with_something_to_do_is_due(void **state)
{
    struct endpoint *endpoint = the_endpoint(*state);
    struct lane *queued = new_lane(*state, LANE_CHANNEL, "a"),
                *behind = new_lane(*state, LANE_CHANNEL, "b"),
                *gap = new_lane(*state, LANE_GAP, "");
    add(queued, 1, 0);
    behind->behind = true;
    gap->trimmed = 7;
    struct lane *lanes[] = {queued, behind, gap};
    for (unsigned i = 0; i < 3; i++) {
        lane_step_or_free(lanes[i]);
        assert_int_equal(lanes[i]->state, LANE_DUE);
        assert_int_equal(endpoint->lanes.due_count, i + 1);
        lane_step_or_free(lanes[i]); /* is due already */
        assert_int_equal(endpoint->lanes.due_count, i + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        lane_free(lanes[i]);
    assert_int_equal(endpoint->lanes.due_count, 0);
    assert_true(list_empty(&endpoint->lanes.due));
}

static void a_lane_waits_until_its_time_and_is_due_then(void **state)
{
    struct world *world = *state;
    struct lane *lane = new_lane(world, LANE_CHANNEL, "c");
    add(lane, 1, 0);
    lane->row.next_us = courier_now_us(world->courier) + 5000000;
    lane_step_or_free(lane);
    assert_int_equal(lane->state, LANE_WAITING);
    world_pass(world, 4800);
    assert_int_equal(lane->state, LANE_WAITING);
    world_pass(world, 400);
    assert_int_equal(lane->state, LANE_DUE);
    lane_free(lane);
}

static void a_lane_that_is_hurried_waits_no_longer(void **state)
{
    struct world *world = *state;
    struct lane *lane = new_lane(world, LANE_CHANNEL, "c");
    add(lane, 1, 0);
    lane->row.next_us = courier_now_us(world->courier) + 5000000;
    lane_step_or_free(lane);
    lane_hurry(lane);
    assert_int_equal(lane->state, LANE_DUE);
    assert_int_equal(lane->row.next_us, 0);
    lane_hurry(lane); /* has no time to wait for */
    assert_int_equal(lane->state, LANE_DUE);
    lane_free(lane);
}

static void a_probe_waits_for_no_time(void **state)
{
    struct world *world = *state;
    struct lane *lane = new_lane(world, LANE_CHANNEL, "c");
    lane->behind = true;
    lane->row.next_us = courier_now_us(world->courier) + 5000000;
    lane_step_or_free(lane);
    lane->probing = true;
    lane_step_or_free(lane);
    assert_int_equal(lane->state, LANE_DUE);
    lane_free(lane);
}

static void a_step_that_failed_for_memory_is_tried_in_a_second(void **state)
{
    struct world *world = *state;
    struct lane *lane = new_lane(world, LANE_CHANNEL, "c");
    lane->behind = true;
    lane_try_later(lane);
    assert_int_equal(lane->state, LANE_WAITING);
    world_pass(world, LANE_BUSY_MS - 200);
    assert_int_equal(lane->state, LANE_WAITING);
    world_pass(world, 400);
    assert_int_equal(lane->state, LANE_DUE);
    lane_free(lane);
}

static void a_lane_that_leaves_is_not_found_and_has_no_row(void **state)
{
    struct endpoint *endpoint = the_endpoint(*state);
    struct lane *lane = new_lane(*state, LANE_CHANNEL, "c");
    add(lane, 1, 0);
    assert_true(lane_has_row(lane));
    lane_move(lane, LANE_DUE);
    lane_move(lane, LANE_SENDING);
    lane_leave(lane, false);
    lane_leave(lane, true); /* a second change meanwhile */
    assert_int_equal(lane->state, LANE_LEAVING);
    assert_true(lane->again);
    assert_false(lane_has_row(lane));
    assert_null(lane_find(endpoint, STR("c")));
    assert_int_equal(endpoint->scan.leaving, 1);
    assert_int_equal(endpoint->lanes.queued, 0);
    struct lane *next = new_lane(*state, LANE_CHANNEL, "c");
    lane_free(lane);
    assert_int_equal(endpoint->scan.leaving, 0);
    assert_ptr_equal(lane_find(endpoint, STR("c")), next);
    lane_free(next);
}

static void gaps_and_resends_have_no_row(void **state)
{
    static const enum lane_kind kinds[] = {LANE_GAP, LANE_RESEND};
    struct endpoint *endpoint = the_endpoint(*state);
    for (size_t i = 0; i < 2; i++) {
        struct lane *lane = new_lane(*state, kinds[i], "");
        assert_false(lane_has_row(lane));
        assert_true(list_empty(&endpoint->lanes.changed));
        assert_int_equal(endpoint->resends.lanes, kinds[i] == LANE_RESEND);
        lane_free(lane);
    }
    assert_int_equal(endpoint->resends.lanes, 0);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void events_in_queues_are_counted(void **state)
{
    struct world *world = *state;
    const struct endpoint *endpoint = the_endpoint(world);
    struct lane *lane = new_lane(world, LANE_CHANNEL, "c"),
                *other = new_lane(world, LANE_RANGE, "");
    for (uint64_t id = 1; id <= 3; id++)
        add(lane, id, 0);
    add(other, 4, 0);
    size_t each = sizeof(struct pending) + 5;
    assert_int_equal(lane->queued, 3);
    assert_int_equal(endpoint->lanes.queued, 4);
    assert_int_equal(endpoint->lanes.queued_bytes, 4 * each);
    assert_int_equal(world->courier->queued_bytes, 4 * each);
    lane_drop_queue(lane);
    assert_true(lane->behind);
    assert_int_equal(world->courier->queued_bytes, each);
    lane_free(other);
    assert_int_equal(world->courier->queued_bytes, 0);
    lane_free(lane);
}

static void events_that_are_put_back_come_first_again(void **state)
{
    struct lane *lane = new_lane(*state, LANE_CHANNEL, "c");
    struct list taken = LIST_INIT(taken);
    for (uint64_t id = 1; id <= 4; id++)
        add(lane, id, 0);
    assert_int_equal(lane_take_first(lane, &taken)->event.id, 1);
    assert_int_equal(lane_take_first(lane, &taken)->event.id, 2);
    assert_int_equal(lane->queued, 2);
    lane_put_back(lane, &taken);
    assert_true(list_empty(&taken));
    assert_int_equal(lane->queued, 4);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(front(lane), id);
        (void)lane_take_first(lane, &taken);
    }
    pending_free_all(&taken);
    lane_free(lane);
}

static void a_resend_keeps_its_queue(void **state)
{
    struct lane *lane = new_lane(*state, LANE_RESEND, "");
    add(lane, 1, 0);
    lane_drop_queue(lane);
    assert_int_equal(lane->queued, 1);
    assert_false(lane->behind);
    lane_free(lane);
}

static void only_lanes_that_are_tried_keep_their_queue_while_everything_fails(void **state)
{
    struct endpoint *endpoint = the_endpoint(*state);
    struct lane *lane = new_lane(*state, LANE_CHANNEL, "a"),
                *failed = new_lane(*state, LANE_CHANNEL, "b"),
                *probing = new_lane(*state, LANE_CHANNEL, "d"),
                *resend = new_lane(*state, LANE_RESEND, "");
    struct lane *lanes[] = {lane, failed, probing, resend};
    failed->row.failures = 1;
    probing->probing = true;
    for (unsigned open = 0; open < 2; open++) {
        endpoint->circuit.struck = open ? CIRCUIT_AFTER : 0;
        for (unsigned i = 0; i < 4; i++) {
            add(lanes[i], 1, 0);
            assert_int_equal(lane_is_tried(lanes[i]), !open || i > 0);
            lane_drop_queue_if_not_tried(lanes[i]);
            assert_int_equal(lanes[i]->queued > 0, !open || i > 0);
        }
    }
    endpoint->circuit.struck = 0;
    for (unsigned i = 0; i < 4; i++)
        lane_free(lanes[i]);
}

static void an_event_with_too_many_hops_is_a_loop_unless_somebody_wants_it(void **state)
{
    struct lane *lane = new_lane(*state, LANE_CHANNEL, "c"),
                *resend = new_lane(*state, LANE_RESEND, "");
    assert_false(lane_front_is_looped(lane)); /* nothing is there */
    add(resend, 1, 200);
    assert_false(lane_front_is_looped(resend));
    add(lane, 1, 7);
    add(lane, 2, 8);
    assert_false(lane_front_is_looped(lane));
    struct list taken = LIST_INIT(taken);
    (void)lane_take_first(lane, &taken);
    assert_true(lane_front_is_looped(lane));
    pending_free_all(&taken);
    lane_free(lane);
    lane_free(resend);
}

static void a_request_carries_what_the_options_and_the_lane_allow(void **state)
{
    static const struct {
        enum lane_kind kind;
        uint32_t batch;
        uint32_t most;
    } cases[] = {
        {LANE_CHANNEL, 0, 1},  {LANE_ALL, 20, 20},           {LANE_ALL, 0, 1},
        {LANE_RANGE, 0, 1},    {LANE_RANGE, 20, UINT32_MAX}, {LANE_RESEND, 20, UINT32_MAX},
        {LANE_CHANNEL, 20, 1},
    };
    struct endpoint *endpoint = the_endpoint(*state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lane *lane = new_lane(*state, cases[i].kind, "");
        endpoint->row.options.batch = cases[i].batch;
        assert_int_equal(lane_most(lane), cases[i].most);
        lane_free(lane);
    }
    endpoint->row.options.batch = 0;
}

/* ---- positions ------------------------------------------------------------------------------- */

static void the_cursor_is_that_of_the_lane_furthest_behind(void **state)
{
    struct world *world = *state;
    const struct endpoint *endpoint = the_endpoint(world);
    uint64_t newest = publish(world, "n"); /* paused: the scan stays before it */
    uint64_t scanned = endpoint_scanned(endpoint);
    assert_true(scanned < newest);
    assert_int_equal(endpoint_cursor(endpoint), scanned);
    struct lane *lane = new_lane(world, LANE_CHANNEL, "c"), *gap = new_lane(world, LANE_GAP, "");
    lane->row.after = scanned - 3;
    gap->row.after = scanned - 9;
    assert_int_equal(endpoint_cursor(endpoint), scanned - 3);
    lane_free(lane);
    assert_int_equal(endpoint_cursor(endpoint), scanned);
    lane_free(gap);
}

static void a_row_fits_the_options_that_would_make_it(void **state)
{
    static const struct {
        const char *channel;
        uint64_t after, upto;
        uint32_t batch;
        bool ordered, fits;
    } cases[] = {
        {"c", 5, 0, 0, true, true},   {"", 5, 0, 0, true, false},  {"", 5, 0, 5, true, true},
        {"c", 5, 0, 5, true, false},  {"", 5, 6, 0, false, true},  {"", 5, 5, 0, false, false},
        {"c", 5, 6, 0, false, false}, {"", 5, 25, 5, false, true},
    };
    struct endpoint *endpoint = the_endpoint(*state);
    struct endpoint_options before = endpoint->row.options;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char channel[4];
        snprintf(channel, sizeof(channel), "%s", cases[i].channel);
        struct lane_row row = {.channel = channel, .after = cases[i].after, .upto = cases[i].upto};
        endpoint->row.options.ordered = cases[i].ordered;
        endpoint->row.options.batch = cases[i].batch;
        assert_int_equal(lane_row_fits(endpoint, &row), cases[i].fits);
    }
    endpoint->row.options = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_tear_down)
        cmocka_unit_test(a_lane_makes_the_moves_of_the_table_and_no_other),
        TEST(a_lane_with_nothing_left_is_freed),
        TEST(a_lane_with_something_to_do_is_due),
        TEST(a_lane_waits_until_its_time_and_is_due_then),
        TEST(a_lane_that_is_hurried_waits_no_longer),
        TEST(a_probe_waits_for_no_time),
        TEST(a_step_that_failed_for_memory_is_tried_in_a_second),
        TEST(a_lane_that_leaves_is_not_found_and_has_no_row),
        TEST(gaps_and_resends_have_no_row),
        TEST(events_in_queues_are_counted),
        TEST(events_that_are_put_back_come_first_again),
        TEST(a_resend_keeps_its_queue),
        TEST(only_lanes_that_are_tried_keep_their_queue_while_everything_fails),
        TEST(an_event_with_too_many_hops_is_a_loop_unless_somebody_wants_it),
        TEST(a_request_carries_what_the_options_and_the_lane_allow),
        TEST(the_cursor_is_that_of_the_lane_furthest_behind),
        TEST(a_row_fits_the_options_that_would_make_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
