#include "webhooks/opening.h"

#include "webhooks/testing_options.h"

/* Writes options beside lanes that were made under others, as servers did that kept lanes when the
 * options changed. */
static void overwrite(struct world *world, const struct options *to)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "UPDATE endpoint SET ordered = %d, batch = %u, state = %d",
             to->ordered, to->batch, ENDPOINT_PAUSED);
    execute(world, sql);
}

static void mend_and_reopen(struct world *world, const struct options *from,
                            const struct options *to)
{
    struct seen seen;
    unsigned accepted = leave_outstanding(world, from, &seen);
    close_world(world);
    overwrite(world, to);
    open_world(world);
    reopen(world); /* the repair must last */
    seen.again = accepted;
    seen.in_order = to->ordered;
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    accept_all(world, &seen);
    delete_it(world);
}

/* A page in order that failed cannot be told from a page without order. Neither can pages of
 * another size. */
static bool is_seen(const struct options *from, const struct options *to)
{
    return from->ordered != to->ordered ? !from->ordered || !from->batch
                                        : from->ordered && !from->batch != !to->batch;
}

static void lanes_on_disk_that_do_not_fit_begin_anew(void **state)
{
    for (unsigned i = 0; i < OPENED * OPENED; i++)
        if (is_seen(&kinds[i / OPENED], &kinds[i % OPENED]))
            mend_and_reopen(*state, &kinds[i / OPENED], &kinds[i % OPENED]);
}

/* A row that says that the scan is beyond them would lose them with the next start. */
static void nothing_is_changed_while_lanes_cannot_be_saved(void **state)
{
    static const enum courier_op ops[] = {COURIER_PAUSE, COURIER_ROTATE};
    struct world *world = *state;
    create_for_many(world, ",\"schedule\":[3600]");
    execute(world, "CREATE TRIGGER full BEFORE INSERT ON lane BEGIN SELECT RAISE(ABORT, 'x'); END");
    publish(world, "c/1");
    receive(world);
    answer(world, "500 Oops");
    await(world, "held", "1");
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"description\":\"x\"}"), COURIER_E_NOW);
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
        assert_int_equal(ask(world, ops[i], NULL), COURIER_E_NOW);
    execute(world, "DROP TRIGGER full");
    while (ask(world, COURIER_CHANGE, "{\"description\":\"x\"}") != 0)
        world_pass(world, WORLD_TICK_MS);
    reopen(world);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    receive(world);
    answer(world, "200 OK");
    await(world, "held", "0");
}

/* The log was put back to an older copy, from before anything was trimmed: the gap ends at 0. */
static void a_cursor_beyond_the_log_is_told_as_a_gap_and_begins_at_the_beginning(void **state)
{
    struct world *world = *state;
    create(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    uint64_t first = publish(world, "a");
    the_endpoint(world)->row.cursor = first + 1000;
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_body_has(world, "\"type\":\"$gap\"");
    assert_body_has(world, "\"earliest\":\"0000000000000000\",\"reason\":\"unknown\"");
    answer(world, "200 OK");
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
    await(world, "lag", "0");
}

static void switched(struct courier_change *change)
{
    change->done = NULL;
}

/* Limits that webhooks bound in other ways stay as they are. */
static void a_change_brings_other_limits_and_authorities(void **state)
{
    struct world *world = *state;
    struct courier *courier = world->courier;
    const struct hub_limits before = courier->hub.limits;
    struct courier_change change = {.access = world->config.access,
                                    .allow_loopback = true,
                                    .hub = {.window_bytes = 12345,
                                            .chunk_bytes = SIZE_MAX,
                                            .cache_bytes = 54321,
                                            .branches_max = 5,
                                            .backlog_max = 6,
                                            .slice_bytes = 7,
                                            .live_max = 8},
                                    .authorities = STR("others"),
                                    .before = &rules_open,
                                    .after = &rules_open,
                                    .done = switched};
    courier_switch(courier, &change);
    world_settle(world);
    assert_null(change.done);
    const struct hub_limits *after = &courier->hub.limits;
    assert_int_equal(after->window_bytes, 12345);
    assert_int_equal(courier->hub.window.bytes_max, 12345);
    assert_int_equal(after->cache_bytes, 54321);
    assert_in_range(after->chunk_bytes, 1, 1 << 20);
    assert_int_equal(after->branches_max, before.branches_max);
    assert_int_equal(after->backlog_max, before.backlog_max);
    assert_true(after->on_missed && after->on_missed == before.on_missed);
    assert_int_equal(after->slice_bytes + after->live_max, 0);
    assert_true(str_eq(courier->client.authorities, STR("others")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        ON_DISK(lanes_on_disk_that_do_not_fit_begin_anew),
        ON_DISK(nothing_is_changed_while_lanes_cannot_be_saved),
        ON_DISK(a_cursor_beyond_the_log_is_told_as_a_gap_and_begins_at_the_beginning),
        ON_DISK(a_change_brings_other_limits_and_authorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
