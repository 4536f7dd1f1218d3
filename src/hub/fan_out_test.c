#include "hub/testing.h"

/* ---- matching ------------------------------------------------------------------------------- */

static void an_event_comes_once_however_many_terms_match(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *live = live_reader(world, "a/b a/* */b a/** **");
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a/b", "x");
    reader_drain(live);
    reader_got(live, "x");
    hub_turn_end(&world->hub);
    struct reader *late = reader_new(world, "a/b a/* */b a/** **", NULL, start);
    reader_drain(late);
    reader_got(late, "x");
    reader_free(live);
    reader_free(late);
    world_free(world);
}

static void each_event_is_filtered_by_its_type(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = reader_new(world, "a", "trade quote", start);
    reader_drain(live);
    world_add(world, "a", "m");
    world_add(world, "a", "t")->type = STR("trade");
    world_add(world, "a", "q")->type = STR("quote");
    world_append(world);
    mailbox_empty(&world->mail);
    reader_drain(live);
    reader_got(live, "tq");
    hub_turn_end(&world->hub);
    world_publish(world, "a", "m");
    assert_int_equal(live->wakes, 1);
    struct reader *late = reader_new(world, "a", "quote", start);
    reader_drain(late);
    reader_got(late, "q");
    assert_int_equal(hub_cursor(&world->hub, &late->sub), hub_applied(&world->hub));
    reader_free(live);
    reader_free(late);
    world_free(world);
}

/* ---- slices --------------------------------------------------------------------------------- */

static unsigned woken(struct reader *readers[VIEWS])
{
    unsigned count = 0;
    for (int i = 0; i < VIEWS; i++)
        count += readers[i]->wakes > 0;
    return count;
}

static void an_event_reaches_many_views_in_many_turns(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    uint64_t start = hub_applied(&world->hub);
    many_views(world, readers, true);
    uint64_t id = world_publish(world, "a", "text ");
    unsigned before = woken(readers), turns = 0;
    for (; hub_is_busy(&world->hub); turns++) {
        assert_true(atomic_load(&world->hub.port.backlog) > 0);
        if (hub_is_between(&world->hub))
            assert_int_equal(hub_applied(&world->hub), start);
        hub_turn(&world->hub);
        hub_turn_end(&world->hub);
        assert_in_range(woken(readers), before, before + 1);
        before = woken(readers);
    }
    assert_true(turns >= VIEWS);
    assert_int_equal(hub_applied(&world->hub), id);
    assert_int_equal(atomic_load(&world->hub.port.backlog), 0);
    for (int i = 0; i < VIEWS; i++)
        hub_turn(&world->hub);
    assert_int_equal(woken(readers), VIEWS);
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, i % 2 ? 6 : 5);
        reader_free(readers[i]);
    }
    world_free(world);
}

static void many_subscribers_of_a_view_are_woken_in_many_turns(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    for (int i = 0; i < VIEWS; i++)
        readers[i] = live_reader(world, "a");
    world_ephemeral(world, "a", "typing ");
    for (unsigned before = woken(readers); hub_is_busy(&world->hub); before = woken(readers)) {
        hub_turn(&world->hub);
        assert_in_range(woken(readers), before, before + 1);
        for (int i = 0; i < VIEWS; i++)
            reader_drain(readers[i]);
        hub_turn_end(&world->hub);
    }
    for (int i = 0; i < VIEWS; i++) {
        reader_drain(readers[i]);
        reader_got(readers[i], "typing ");
        reader_free(readers[i]);
    }
    world_free(world);
}

/* The owner sleeps between the start of the turn and the mail that wakes it. */
static void sleeping_time_does_not_count_in_the_budget(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    many_views(world, readers, true);
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    clock_fake_advance(&world->clock, 1000000);
    char text[1000] = {0};
    memset(text, 'x', sizeof(text) - 1);
    world_publish(world, "a", text);
    assert_int_equal(world->hub.fan_outs_put_off, 0);
    assert_int_equal(woken(readers), VIEWS);
    for (int i = 0; i < VIEWS; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void views_with_nobody_live_are_passed_over(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "old ");
    world_turn(world);
    many_views(world, readers, true);
    for (int i = 0; i < VIEWS; i++) {
        hub_unsubscribe(&world->hub, &readers[i]->sub);
        reader_begin(readers[i], 0, start, 0);
    }
    world_publish(world, "a", "new ");
    assert_false(hub_is_busy(&world->hub) && hub_is_between(&world->hub));
    assert_int_equal(world->hub.fan_out.views_count, 0);
    world_turn(world);
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "old new ");
        reader_free(readers[i]);
    }
    world_free(world);
}

/* ---- waiting for batches -------------------------------------------------------------------- */

/* A client that publishes and then reads finds its event, even if it is not fanned out yet. */
static void a_subscriber_that_joins_during_a_fan_out_waits_for_the_posted_batch(void **state)
{
    (void)state;
    struct world *world = slow_world();
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = live_reader(world, "a b");
    world_publish(world, "a", "one ");
    world_publish(world, "b", "two ");
    struct reader *late = reader_new(world, "a b", NULL, start);
    struct reader *now = reader_new(world, "a b", NULL, log_newest(world->log));
    assert_int_equal(reader_drain(late), TAKE_WAIT);
    assert_int_equal(reader_drain(now), TAKE_WAIT);
    world_turn(world);
    assert_int_equal(late->wakes, 1);
    hub_turn(&world->hub);
    assert_int_equal(reader_drain(late), TAKE_NOTHING);
    assert_int_equal(reader_drain(now), TAKE_NOTHING);
    assert_int_equal(reader_drain(live), TAKE_NOTHING);
    reader_got(late, "one two ");
    reader_got(now, "");
    reader_got(live, "one two ");
    reader_free(late);
    reader_free(now);
    reader_free(live);
    world_free(world);
}

/* The event that a subscriber waits for may be followed by an ephemeral one in the same batch. */
static void a_subscriber_that_waits_for_a_batch_gets_the_ephemeral_event_behind_it(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *live = live_reader(world, "a");
    world_add(world, "a", "one ");
    world_add(world, "a", "two ");
    uint64_t newest = world_append(world);
    mailbox_empty(&world->mail);
    struct reader *late = reader_new(world, "e", NULL, newest);
    assert_false(sub_is_live(&late->sub));
    world_ephemeral(world, "e", "typing ");
    world->hub.limits.slice_bytes = BIG;
    hub_turn(&world->hub);
    reader_drain(late);
    reader_drain(live);
    reader_got(late, "typing ");
    reader_got(live, "one two ");
    assert_int_equal(world->hub.ahead_least, UINT64_MAX);
    reader_free(late);
    reader_free(live);
    world_free(world);
}

static void
a_subscriber_with_a_cursor_ahead_of_this_thread_waits_and_gets_nothing_twice(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    world_add(world, "a", "seen ");
    uint64_t seen = world_append(world); /* the mail of another thread was opened, this thread's was
                                          * not */
    struct reader *reader = reader_new(world, "a", NULL, seen);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    assert_int_equal(reader->sub.state, SUB_WAITING);
    assert_false(hub_sub_reads_store(&world->hub, &reader->sub));
    assert_int_equal(hub_cursor(&world->hub, &reader->sub), seen);
    world_add(world, "a", "new ");
    world_append(world);
    mailbox_empty(&world->mail);
    assert_true(reader->wakes > 0);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    reader_got(reader, "new ");
    reader_free(reader);
    world_free(world);
}

static void a_subscriber_that_waits_for_mail_can_leave(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = reader_new(world, "a", NULL, hub_applied(&world->hub) + 5);
    assert_int_equal(reader_drain(reader), TAKE_WAIT);
    reader_free(reader);
    assert_true(list_empty(&world->hub.ahead));
    world_publish(world, "a", "x");
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_comes_once_however_many_terms_match),
        cmocka_unit_test(each_event_is_filtered_by_its_type),
        cmocka_unit_test(an_event_reaches_many_views_in_many_turns),
        cmocka_unit_test(many_subscribers_of_a_view_are_woken_in_many_turns),
        cmocka_unit_test(sleeping_time_does_not_count_in_the_budget),
        cmocka_unit_test(views_with_nobody_live_are_passed_over),
        cmocka_unit_test(a_subscriber_that_joins_during_a_fan_out_waits_for_the_posted_batch),
        cmocka_unit_test(a_subscriber_that_waits_for_a_batch_gets_the_ephemeral_event_behind_it),
        cmocka_unit_test(
            a_subscriber_with_a_cursor_ahead_of_this_thread_waits_and_gets_nothing_twice),
        cmocka_unit_test(a_subscriber_that_waits_for_mail_can_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
