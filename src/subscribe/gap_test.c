#include "subscribe/gap.h"

#include "hub/testing.h"

static void a_gap_that_a_subscriber_meets_begins_at_its_cursor(void **state)
{
    struct world *world = world_new((struct hub_limits)LIMITS(1, 4096, 1 << 20), 1 << 20);
    uint64_t first = world_publish(world, "a", "one");
    uint64_t second = world_publish(world, "a", "two");
    struct reader *reader = reader_new(world, "a", NULL, first);
    struct taken taken;
    (void)state;
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    assert_int_equal(hub_take(&world->hub, &reader->sub, &taken), TAKE_GAP);
    struct gap gap = gap_taken(world->log, &reader->sub, &taken);
    assert_int_equal(gap.cursor, first);
    assert_int_equal(gap.after, first);
    assert_int_equal(gap.earliest, second);
    assert_string_equal(gap.reason, log_gap_reason(world->log, second));
    assert_false(gap_is_unknown(&gap));
    assert_int_equal(gap.ref.len, 0);
    reader_free(reader);
    world_free(world);
}

static void a_position_of_another_log_is_unknown(void **state)
{
    struct world *world = world_new((struct hub_limits)LIMITS(1, 4096, 1 << 20), 1 << 20);
    uint64_t newest = world_publish(world, "a", "one");
    struct selection *selection = select_terms("a", NULL);
    (void)state;
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    assert_false(gap_is_beyond(world->log, newest));
    assert_true(gap_is_beyond(world->log, newest + 1));
    struct gap gap = gap_unknown(world->log, selection, newest + 1);
    assert_true(gap_is_unknown(&gap));
    assert_int_equal(gap.after, newest + 1);
    assert_int_equal(gap.earliest, newest);
    assert_int_equal(gap.cursor, 0);
    selection_unref(selection);
    world_free(world);
    assert_true(gap_is_unknown(&(struct gap){.reason = GAP_UNKNOWN}));
    assert_false(gap_is_unknown(&(struct gap){.reason = "trimmed"}));
    assert_false(gap_is_unknown(&(struct gap){.reason = "lost"}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_that_a_subscriber_meets_begins_at_its_cursor),
        cmocka_unit_test(a_position_of_another_log_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
