#include "hub/testing.h"

#include <stdio.h>

/* ---- ephemeral ------------------------------------------------------------------------------ */

static void ephemeral_events_reach_live_subscribers_and_move_no_cursor(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    world_publish(world, "a", "old ");
    uint64_t start = hub_applied(&world->hub);
    struct reader *live = live_reader(world, "a"),
                  *behind = reader_new(world, "a", NULL, start - 1);
    world_ephemeral(world, "a", "typing ");
    assert_int_equal(hub_applied(&world->hub), start);
    reader_drain(live);
    reader_drain(behind);
    reader_got(live, "typing ");
    reader_got(behind, "old ");
    assert_int_equal(hub_cursor(&world->hub, &live->sub), start);
    world_publish(world, "a", "1 ");
    world_ephemeral(world, "a", "e ");
    world_publish(world, "a", "2 ");
    reader_flush(live, 3); /* cut within the ephemeral one */
    assert_int_equal(hub_cursor(&world->hub, &live->sub), start + 1);
    reader_drain(live);
    reader_drain(behind);
    reader_got(live, "1 e 2 ");
    reader_got(behind, "1 e 2 ");
    world_ephemeral(world, "a", "gone ");
    hub_turn_end(&world->hub);
    reader_drain(live);
    reader_got(live, "");
    reader_free(live);
    reader_free(behind);
    world_free(world);
}

/* The head of a stream is sent before the first take. A client that has read it and publishes must
 * find the stream live. */
static void
ephemeral_events_reach_a_subscriber_that_was_sent_everything_without_a_take(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    world_publish(world, "a", "old ");
    uint64_t start = hub_applied(&world->hub);
    world_add(world, "a", "seen ");
    uint64_t seen = world_append(world); /* seen by another thread; this thread's mail is not opened
                                          * yet */
    struct reader *fresh = reader_new(world, "a", NULL, start);
    struct reader *ahead = reader_new(world, "a", NULL, seen);
    struct reader *reading = reader_new(world, "a", NULL, start - 1);
    struct taken taken;
    assert_int_equal(hub_take(&world->hub, &reading->sub, &taken), TAKE_BYTES);
    hub_sent(&world->hub, &reading->sub, taken.bytes.len, false);
    assert_true(sub_is_live(&fresh->sub));
    assert_true(sub_is_live(&reading->sub));
    world_ephemeral(world, "a", "typing ");
    reader_drain(fresh);
    reader_drain(ahead);
    reader_drain(reading);
    reader_got(fresh, "seen typing ");
    reader_got(ahead, "typing ");
    reader_got(reading, "seen typing ");
    reader_free(fresh);
    reader_free(ahead);
    reader_free(reading);
    world_free(world);
}

/* ---- resuming ------------------------------------------------------------------------------- */

static void a_subscriber_that_resumes_with_nothing_missed_is_live_at_once(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t seen = world_publish(world, "quiet", "old ");
    world_publish(world, "elsewhere", "x ");
    struct reader *quiet = reader_new(world, "quiet never", NULL, seen);
    struct reader *busy = reader_new(world, "quiet elsewhere", NULL, seen);
    assert_true(sub_is_live(&quiet->sub));
    assert_int_equal(hub_cursor(&world->hub, &quiet->sub), hub_applied(&world->hub));
    assert_false(sub_is_live(&busy->sub));
    world_ephemeral(world, "quiet", "typing ");
    reader_drain(quiet);
    reader_drain(busy);
    reader_got(quiet, "typing ");
    reader_got(busy, "x ");
    reader_free(quiet);
    reader_free(busy);
    world_free(world);
}

static void a_subscriber_that_resumes_behind_a_gap_hears_of_it_without_new_events(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "gone ");
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    world_publish(world, "elsewhere", "x ");
    struct reader *reader = reader_new(world, "a", NULL, start);
    assert_false(sub_is_live(&reader->sub));
    reader_drain(reader);
    assert_int_equal(reader->gaps, 1);
    assert_true(sub_is_live(&reader->sub));
    reader_free(reader);
    world_free(world);
}

static void a_live_subscriber_stays_live_with_another_selection(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *other = live_reader(world, "a"), *moved = live_reader(world, "e");
    world_add(world, "a", "one ");
    world_add(world, "a", "two ");
    world_append(world);
    mailbox_empty(&world->mail);
    while (hub_is_between(&world->hub))
        hub_turn(&world->hub);
    assert_true(hub_is_busy(&world->hub));
    struct selection *wider = select_terms("e f", NULL);
    hub_unsubscribe(&world->hub, &moved->sub);
    assert_int_equal(
        hub_go_on(&world->hub, &moved->sub, &reader_ops, wider, 0, hub_applied(&world->hub), 0), 0);
    assert_true(sub_is_live(&moved->sub));
    world_ephemeral(world, "e", "typing ");
    world_turn(world);
    hub_turn(&world->hub);
    reader_drain(moved);
    reader_got(moved, "typing ");
    selection_unref(wider);
    reader_free(moved);
    reader_free(other);
    world_free(world);
}

/* ---- batches that pass by ------------------------------------------------------------------- */

static void miss(void *owner, uint64_t upto)
{
    hub_miss(&((struct world *)owner)->hub, upto);
}

/* A hub whose mail is bounded: two or three batches; later ones pass it by. */
static struct world *bounded_world(void)
{
    struct hub_limits limits = roomy;
    limits.backlog_max = 64;
    limits.on_missed = miss;
    return world_new(limits, BIG);
}

/* Publishes numbers in order; the mail stays closed. */
static void publish_numbers(struct world *world, int from, int to, struct buf *want)
{
    for (int i = from; i < to; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d ", i);
        buf_add_str(want, str_from(number));
        world_add(world, "a", number);
        world_append(world);
    }
}

static void drain_all(struct reader *reader)
{
    do
        reader_drain(reader);
    while (world_run_jobs(reader->world));
    assert_int_equal(reader->last, TAKE_NOTHING);
}

static void assert_got(struct reader *reader, struct buf *want)
{
    assert_true(str_eq(buf_str(&reader->got), buf_str(want)));
    assert_int_equal(reader->gaps, 0);
}

static void batches_that_passed_by_are_read_from_the_store_in_order_and_once(void **state)
{
    (void)state;
    struct world *world = bounded_world();
    struct reader *reader = live_reader(world, "a");
    struct buf want = {0};
    for (int round = 0; round < 3; round++) {
        publish_numbers(world, round * 100, round * 100 + 100, &want);
        assert_int_equal(log_backlog_bytes(world->log), 0); /* publishers do not wait for it */
        assert_true(atomic_load(&world->hub.port.is_missing));
        mailbox_empty(&world->mail);
        drain_all(reader);
        assert_got(reader, &want);
        assert_true(sub_is_live(&reader->sub));
    }
    publish_numbers(world, 300, 301, &want);
    mailbox_empty(&world->mail);
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    assert_got(reader, &want);
    buf_free(&want);
    reader_free(reader);
    world_free(world);
}

static void subscribers_in_every_state_get_the_batches_that_passed_by(void **state)
{
    (void)state;
    struct world *world = bounded_world();
    struct reader *live = live_reader(world, "a"), *queued = live_reader(world, "a"),
                  *cut = live_reader(world, "a"), *waiting = live_reader(world, "a"),
                  *other = live_reader(world, "b");
    struct buf want = {0};
    publish_numbers(world, 10, 40, &want);
    mailbox_empty(&world->mail);
    assert_int_equal(reader_drain(waiting), TAKE_WAIT);
    drain_all(live);
    publish_numbers(world, 40, 41, &want);
    mailbox_empty(&world->mail);
    reader_flush(cut, 5);
    publish_numbers(world, 41, 99, &want);
    mailbox_empty(&world->mail);
    struct reader *all[] = {live, queued, cut, waiting};
    for (size_t i = 0; i < 4; i++) {
        drain_all(all[i]);
        assert_got(all[i], &want);
        reader_free(all[i]);
    }
    drain_all(other);
    assert_int_equal(other->got.len, 0);
    assert_true(sub_is_live(&other->sub));
    reader_free(other);
    buf_free(&want);
    world_free(world);
}

static void a_passed_by_batch_that_was_trimmed_is_a_gap(void **state)
{
    (void)state;
    struct world *world = bounded_world();
    struct reader *reader = live_reader(world, "a");
    struct buf want = {0};
    publish_numbers(world, 0, 50, &want);
    uint64_t last = log_newest(world->log);
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    drain_all(reader);
    assert_int_equal(reader->gaps, 1);
    assert_int_equal(reader->gap, last);
    buf_clear(&reader->got); /* events that were delivered live */
    world_publish(world, "a", "after ");
    reader_drain(reader);
    reader_got(reader, "after ");
    assert_int_equal(reader->gaps, 1);
    buf_free(&want);
    reader_free(reader);
    world_free(world);
}

/* ---- leaving -------------------------------------------------------------------------------- */

static void a_subscriber_can_leave_in_every_state(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "one ");
    world_publish(world, "a", "two ");
    struct reader *none = live_reader(world, "a"), *live = live_reader(world, "a");
    struct reader *queued = live_reader(world, "a"), *taking = live_reader(world, "a");
    struct reader *behind = reader_new(world, "a", NULL, start);
    struct reader *waiting = reader_new(world, "a", NULL, start);
    struct reader *stays = live_reader(world, "a");
    struct taken taken;
    hub_unsubscribe(&world->hub, &none->sub);
    hub_unsubscribe(&world->hub, &none->sub);
    reader_drain(waiting);
    world_publish(world, "a", "three ");
    reader_drain(live);
    assert_true(sub_is_live(&live->sub));
    assert_int_equal(queued->sub.state, SUB_QUEUED);
    assert_int_equal(hub_take(&world->hub, &taking->sub, &taken), TAKE_BYTES);
    reader_free(taking);
    reader_free(queued);
    reader_free(live);
    reader_free(behind);
    reader_free(waiting);
    reader_free(none);
    reader_drain(stays);
    reader_got(stays, "three ");
    world_run_jobs(world);
    reader_free(stays);
    world_free(world);
}

/* ---- without memory ------------------------------------------------------------------------- */

static void a_subscriber_that_finds_no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct selection *selection = select_terms("a b/*", NULL);
    struct sub sub = {0};
    int result = -1;
    for (unsigned long nth = 1; result; nth++) {
        mem_fail_nth(nth);
        result = hub_subscribe(&world->hub, &sub, &reader_ops, selection, 0, 1, 0);
        mem_fail_nth(0);
        assert_int_equal(world->hub.subs, result ? 0 : 1);
        assert_int_equal(world->hub.views_count, result ? 0 : 1);
        assert_int_equal(world->hub.topics.names.count, result ? 0 : 1);
    }
    hub_unsubscribe(&world->hub, &sub);
    selection_unref(selection);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ephemeral_events_reach_live_subscribers_and_move_no_cursor),
        cmocka_unit_test(
            ephemeral_events_reach_a_subscriber_that_was_sent_everything_without_a_take),
        cmocka_unit_test(a_subscriber_that_resumes_with_nothing_missed_is_live_at_once),
        cmocka_unit_test(a_subscriber_that_resumes_behind_a_gap_hears_of_it_without_new_events),
        cmocka_unit_test(a_live_subscriber_stays_live_with_another_selection),
        cmocka_unit_test(batches_that_passed_by_are_read_from_the_store_in_order_and_once),
        cmocka_unit_test(subscribers_in_every_state_get_the_batches_that_passed_by),
        cmocka_unit_test(a_passed_by_batch_that_was_trimmed_is_a_gap),
        cmocka_unit_test(a_subscriber_can_leave_in_every_state),
        cmocka_unit_test(a_subscriber_that_finds_no_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
