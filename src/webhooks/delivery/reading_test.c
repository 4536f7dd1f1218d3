#include "webhooks/delivery/reading.h"

#include "webhooks/testing_options.h"

static void refuse_one(struct world *world)
{
    receive(world);
    answer(world, "500 Oops");
}

/* What has failed is due, and reads what it needs. The reads have no answer yet. */
static void begin_to_read(struct world *world)
{
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    list_each (&the_endpoint(world)->lanes.all, node)
        lane_hurry(container_of(node, struct lane, node));
    courier_turn(world->courier, 0);
}

static void a_lane_that_failed_reads_its_events_again(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < KINDS; i++) {
        char body[4096];
        create_of(world, &kinds[i]);
        append_round(world, 3, 10, 1);
        receive(world);
        snprintf(body, sizeof(body), "%s", world->body);
        answer(world, "500 Oops");
        await(world, "held", "1");
        unsigned accepted = 0;
        while (receiver_next(world)) { /* those beside it, without order */
            receive(world);
            answer(world, "200 OK");
            accepted++;
        }
        assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
        receive(world);
        assert_string_equal(world->body, body);
        while (world->at) {
            answer(world, "200 OK");
            if (receiver_next(world))
                receive(world);
        }
        await(world, "lag", "0");
        assert_true(kinds[i].ordered || kinds[i].batch || accepted == 2);
        delete_it(world);
    }
}

/* An endpoint reads for few lanes at a time; the others have their turn. */
static void few_lanes_read_at_a_time_and_all_do_in_the_end(void **state)
{
    enum { FAILED = 9, MOST = 4 };
    struct world *world = *state;
    char channel[16];
    create_for_many(world, ",\"schedule\":[3600],\"concurrency\":9");
    for (int i = 0; i < FAILED; i++) {
        snprintf(channel, sizeof(channel), "c/%d", i);
        publish(world, channel);
        refuse_one(world);
        publish(world, "c/good"); /* accepted, so that not everything fails */
        receive(world);
        answer(world, "200 OK");
    }
    begin_to_read(world);
    assert_int_equal(the_endpoint(world)->lanes.reading, MOST);
    for (int i = 0; i < FAILED; i++) {
        receive(world);
        answer(world, "200 OK");
    }
    assert_int_equal(the_endpoint(world)->lanes.reading, 0);
    await(world, "held", "0");
}

static void events_that_were_trimmed_meanwhile_are_told_as_a_gap_and_skipped(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"schedule\":[3600]");
    publish(world, "c/1");
    refuse_one(world);
    append(world, "c/1", EVENT_TRIM);
    uint64_t behind = publish(world, "c/1");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    receive(world);
    assert_body_has(world, "\"type\":\"$gap\"");
    answer(world, "200 OK");
    receive(world);
    assert_event(world, behind);
    answer(world, "200 OK");
    await(world, "lag", "0");
    await_logged(world, "\"state\":\"skipped\"");
}

static const struct {
    enum courier_op op;
    const char *body;
} ends[] = {
    {COURIER_DELETE, NULL},
    {COURIER_REPLAY, "{\"after\":\"now\"}"},
    {COURIER_CHANGE, "{\"channels\":[\"other\"]}"},
};

/* The read is under way, and its answer finds no lane. */
static void a_read_whose_lane_is_gone_brings_nothing(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        create_for_many(world, ",\"schedule\":[3600]");
        publish(world, "c/1");
        refuse_one(world);
        begin_to_read(world);
        assert_int_equal(the_endpoint(world)->lanes.reading, 1);
        submit(world, ends[i].op, ends[i].body);
        courier_turn(world->courier, 0);
        assert_int_equal(reply(world), 0);
        world_settle(world);
        assert_null(receiver_next(world));
        if (ends[i].op != COURIER_DELETE) {
            assert_int_equal(the_endpoint(world)->lanes.reading, 0);
            assert_int_equal(the_endpoint(world)->lanes.count, 0);
            delete_it(world);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
        TEST(a_lane_that_failed_reads_its_events_again),
        TEST(few_lanes_read_at_a_time_and_all_do_in_the_end),
        TEST(events_that_were_trimmed_meanwhile_are_told_as_a_gap_and_skipped),
        TEST(a_read_whose_lane_is_gone_brings_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
