#include "webhooks/endpoint/inside.h"

#include "webhooks/endpoint/spec.h"
#include "webhooks/testing.h"

#define CHANNEL "playground/x"

static uint64_t events(const struct world *world)
{
    struct log_stats stats;
    log_stats(world->log, &stats);
    return stats.events;
}

static uint64_t deliveries(const struct world *world)
{
    return courier_stats(world->courier)->deliveries;
}

static enum courier_fault visit(struct world *world, uint64_t visitor, const char *channel)
{
    submit_with(world, COURIER_VISIT, visitor, channel, NULL);
    return reply(world);
}

static void a_receiver_inside_gets_events_and_no_connection_is_made(void **state)
{
    struct world *world = *state;
    assert_int_equal(visit(world, 1, CHANNEL), COURIER_FINE);
    assert_told(world, "url", "inside:" CHANNEL);
    publish(world, CHANNEL);
    publish(world, CHANNEL);
    world_settle(world);
    assert_int_equal(deliveries(world), 2);
    assert_int_equal(events(world), 4); /* each with what the receiver got */
    assert_true(list_empty(&world->calls));
}

static void a_visit_ends_with_its_minute_unless_it_is_renewed(void **state)
{
    struct world *world = *state;
    enum { HALF_MS = INSIDE_LEASE_S * 500 };
    assert_int_equal(visit(world, 1, CHANNEL), COURIER_FINE);
    for (int i = 0; i < 4; i++) {
        world_pass(world, HALF_MS);
        assert_int_equal(visit(world, 1, CHANNEL), COURIER_FINE);
        assert_true(world->request.repeated);
        assert_int_equal(world->courier->by_id.count, 1);
    }
    world_pass(world, 2 * HALF_MS + 2000);
    assert_int_equal(world->courier->by_id.count, 0);
}

static void visitors_have_few_webhooks(void **state)
{
    struct world *world = *state;
    char channel[64];
    world->courier->config.endpoints_max = 1000;
    for (unsigned i = 0; i < INSIDE_MAX_OF_ONE; i++) {
        snprintf(channel, sizeof(channel), "playground/%u", i);
        assert_int_equal(visit(world, 1, channel), COURIER_FINE);
    }
    assert_int_equal(visit(world, 1, CHANNEL), COURIER_E_MANY);
    assert_int_equal(visit(world, 1, "playground/0"), COURIER_FINE); /* a renewal */
    for (unsigned i = INSIDE_MAX_OF_ONE; i < INSIDE_MAX; i++) {
        snprintf(channel, sizeof(channel), "playground/%u", i);
        assert_int_equal(visit(world, i, channel), COURIER_FINE);
    }
    assert_int_equal(visit(world, 7777, CHANNEL), COURIER_E_MANY);
}

static void an_owner_cannot_give_such_a_url(void **state)
{
    struct world *world = *state;
    assert_int_equal(
        ask(world, COURIER_CREATE, "{\"url\":\"inside:playground/x\",\"channels\":[\"secrets\"]}"),
        COURIER_E_BAD);
    assert_null(spec_url_host("inside:playground/x"));
}

/* Events of the receiver are for everybody, and must not be sent to itself. */
static void an_owner_cannot_give_the_receiver_other_channels(void **state)
{
    static const char *const changes[] = {"{\"channels\":[\"secrets\"]}",
                                          "{\"channels\":[\"playground/**\"]}",
                                          "{\"url\":\"http://127.0.0.1:9/\"}"};
    struct world *world = *state;
    assert_int_equal(visit(world, 1, CHANNEL), COURIER_FINE);
    char *id = told(world, "id");
    snprintf(world->id, sizeof(world->id), "%s", id);
    free(id);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        assert_int_equal(ask(world, COURIER_CHANGE, changes[i]), COURIER_E_BAD);
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"timeout\":5}"), COURIER_FINE);
}

static void a_visitor_reaches_no_other_webhook(void **state)
{
    struct world *world = *state;
    create(world, "");
    submit(world, COURIER_DELETE, NULL);
    world->request.is_visit = true;
    (void)reply(world);
    assert_int_equal(world->request.fault, COURIER_E_MISSING);
    assert_int_equal(world->courier->by_id.count, 1);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_receiver_inside_gets_events_and_no_connection_is_made),
        WITH_WORLD(a_visit_ends_with_its_minute_unless_it_is_renewed),
        WITH_WORLD(visitors_have_few_webhooks),
        WITH_WORLD(an_owner_cannot_give_such_a_url),
        WITH_WORLD(an_owner_cannot_give_the_receiver_other_channels),
        WITH_WORLD(a_visitor_reaches_no_other_webhook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
