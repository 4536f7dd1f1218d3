#include "webhooks/requests/change.h"

#include "webhooks/delivery/dispatch.h"
#include "webhooks/endpoint/saving.h"
#include "webhooks/testing_options.h"

static void refuse_puts(struct world *world)
{
    execute(world, "CREATE TRIGGER full BEFORE INSERT ON endpoint"
                   " BEGIN SELECT RAISE(ABORT, 'x'); END");
}

/* Changes the endpoint: the saver has done its part, and its mail is not open yet. */
static void change_now(struct world *world, enum courier_op op, const char *body)
{
    struct courier_request *request = &world->request;
    request_clear(world);
    *request = (struct courier_request){.op = op,
                                        .access = ACCESS_OF_SERVER,
                                        .reply = &world->mailbox,
                                        .reply_mail = {NULL, on_reply},
                                        .courier = world->courier};
    if (body)
        buf_add_str(&request->body, str_from(body));
    change_endpoint(request, the_endpoint(world));
}

/* ---- replays --------------------------------------------------------------------------------- */

/* One event was accepted, and the next was refused and waits. Returns its id. */
static uint64_t leave_one_waiting(struct world *world, const struct options *options)
{
    create_of(world, options);
    publish(world, "c/1");
    receive(world);
    answer(world, "200 OK");
    await(world, "lag", "0");
    uint64_t id = publish(world, "c/1");
    receive(world);
    answer(world, "500 Oops");
    await(world, "held", "1");
    return id;
}

/* The event that waits is all that comes. */
static void assert_only(struct world *world, uint64_t id)
{
    receive(world);
    assert_int_equal(carried(world, id, 1), 1);
    assert_int_equal(carried(world, id - 1, 1), 0);
    answer(world, "200 OK");
    await(world, "lag", "0");
    assert_quiet(world);
}

static const char *const replays[] = {"{\"after\":\"now\"}", "{\"after\":\"earliest\"}"};
enum { REPLAYS = sizeof(replays) / sizeof(*replays) };

static void a_replay_that_cannot_be_saved_replays_nothing(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < 2 * REPLAYS * KINDS; i++) {
        uint64_t id = leave_one_waiting(world, &kinds[i / REPLAYS % KINDS]);
        refuse_puts(world);
        assert_int_equal(ask(world, COURIER_REPLAY, replays[i % REPLAYS]), COURIER_E_NOW);
        execute(world, "DROP TRIGGER full");
        if (i >= REPLAYS * KINDS) {
            reopen(world);
            assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
        }
        assert_only(world, id);
        delete_it(world);
    }
}

static void a_replay_that_was_saved_begins_where_it_was_asked_to(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < REPLAYS * KINDS; i++) {
        uint64_t id = leave_one_waiting(world, &kinds[i / REPLAYS]);
        bool again = i % REPLAYS == 1;
        assert_int_equal(ask(world, COURIER_REPLAY, replays[i % REPLAYS]), 0);
        for (unsigned seen = 0; again && seen != 3;) {
            receive(world);
            seen |= carried(world, id - 1, 2);
            answer(world, "200 OK");
        }
        reopen(world);
        await(world, "lag", "0");
        assert_quiet(world);
        delete_it(world);
    }
}

/* ---- lanes that are missing ------------------------------------------------------------------ */

/* The bundle with the lane has failed, but its mail is not open yet. */
static void a_change_is_refused_while_a_bundle_that_failed_is_not_known(void **state)
{
    static const enum courier_op ops[] = {COURIER_ROTATE, COURIER_PAUSE};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        create_for_many(world, ",\"schedule\":[3600]");
        refuse_lanes_of(world, "c/1");
        uint64_t id = fail_one(world, "c/1");
        save_progress(world->courier, true);
        change_now(world, ops[i], NULL);
        world_settle(world);
        assert_int_equal(world->request.fault, COURIER_E_NOW);
        assert_not_beyond(world, id);
        execute(world, "DROP TRIGGER full");
        delete_it(world);
    }
}

/* ---- makers ---------------------------------------------------------------------------------- */

static enum courier_fault change_as(struct world *world, const struct caller *caller,
                                    const char *body)
{
    submit(world, COURIER_CHANGE, body);
    world->request.access.caller = caller;
    return reply(world);
}

static void the_maker_is_who_said_last_where_events_go_or_which(void **state)
{
    static const struct {
        const char *change;
        bool takes_over;
    } rows[] = {
        {"{\"description\":\"x\"}", false},
        {"{\"state\":\"paused\"}", false},
        {"{\"channels\":[\"c/*\"]}", true},
        {"{\"url\":\"http://127.0.0.1:9/\",\"state\":\"paused\"}", true},
    };
    struct world *world = *state;
    struct caller *caller = caller_new(&(struct caller_facts){.kind = CALLER_KEY});
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
        create_of(world, &kinds[0]);
        if (i % 2)
            refuse_puts(world);
        assert_int_equal(change_as(world, caller, rows[i / 2].change),
                         i % 2 ? COURIER_E_NOW : COURIER_FINE);
        const struct caller *maker = the_endpoint(world)->row.maker;
        assert_ptr_equal(maker, rows[i / 2].takes_over && i % 2 == 0 ? caller : NULL);
        if (i % 2)
            execute(world, "DROP TRIGGER full");
        else
            assert_int_equal(change_as(world, caller, rows[i / 2].change), COURIER_FINE);
        delete_it(world);
    }
    assert_int_equal(atomic_load(&caller->refs), 1);
    caller_unref(caller);
}

/* A lane is new since the bundle that was filled after one that failed. That bundle is written, but
 * its mail is not open yet. */
static void a_change_that_is_saved_finds_all_lanes_saved(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"schedule\":[3600]");
    struct endpoint *endpoint = the_endpoint(world);
    refuse_lanes_of(world, "c/1");
    fail_one(world, "c/1");
    save_progress(world->courier, true);
    world_settle(world);
    execute(world, "DROP TRIGGER full");
    save_progress(world->courier, true);
    struct lane *lane = lane_new(endpoint, LANE_CHANNEL, STR("c/2"));
    lane->row.after = endpoint_scanned(endpoint) - 1;
    lane->row.next_us = courier_now_us(world->courier) + INT64_C(3600000000);
    lane_step_or_free(lane);
    change_now(world, COURIER_ROTATE, NULL);
    assert_int_equal(number_in(world, "SELECT count(*) FROM lane WHERE channel = 'c/2'"), 1);
    world_settle(world);
    assert_int_equal(world->request.fault, 0);
}

/* ---- changes that are refused ---------------------------------------------------------------- */

/* Progress is saved right before a change. It must not save what the change would bring. */
static void a_state_that_is_refused_is_not_on_disk(void **state)
{
    static const struct {
        enum courier_op op;
        const char *body;
    } changes[] = {{COURIER_PAUSE, NULL},
                   {COURIER_CHANGE, "{\"state\":\"paused\"}"},
                   {COURIER_RESUME, NULL},
                   {COURIER_CHANGE, "{\"state\":\"active\"}"}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        int64_t before = i < 2 ? ENDPOINT_ACTIVE : ENDPOINT_PAUSED;
        create_for_many(world, "");
        if (before == ENDPOINT_PAUSED)
            assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
        refuse_puts(world);
        change_now(world, changes[i].op, changes[i].body);
        assert_int_equal(number_in(world, "SELECT state FROM endpoint"), before);
        world_settle(world);
        assert_int_equal(world->request.fault, COURIER_E_NOW);
        assert_int_equal(number_in(world, "SELECT state FROM endpoint"), before);
        execute(world, "DROP TRIGGER full");
        delete_it(world);
    }
}

/* The change lets the event that waits go on at once. */
static void nothing_goes_on_before_a_change_is_saved(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < KINDS; i++) {
        uint64_t id = leave_one_waiting(world, &kinds[i]);
        refuse_puts(world);
        change_now(world, COURIER_CHANGE, "{\"url\":\"http://127.0.0.1:9/\"}");
        endpoints_go(world->courier);
        assert_int_equal(the_endpoint(world)->lanes.reading, 0);
        assert_int_equal(the_endpoint(world)->scan.sub.state, SUB_NONE);
        assert_null(receiver_next(world));
        world_settle(world);
        assert_int_equal(world->request.fault, COURIER_E_NOW);
        execute(world, "DROP TRIGGER full");
        receive(world);
        assert_string_equal(world->at->url, WORLD_URL);
        assert_int_equal(carried(world, id, 1), 1);
        answer(world, "200 OK");
        await(world, "lag", "0");
        delete_it(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        ON_DISK(a_replay_that_cannot_be_saved_replays_nothing),
        ON_DISK(a_replay_that_was_saved_begins_where_it_was_asked_to),
        ON_DISK(the_maker_is_who_said_last_where_events_go_or_which),
        ON_DISK(a_change_is_refused_while_a_bundle_that_failed_is_not_known),
        ON_DISK(a_change_that_is_saved_finds_all_lanes_saved),
        ON_DISK(a_state_that_is_refused_is_not_on_disk),
        ON_DISK(nothing_goes_on_before_a_change_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
