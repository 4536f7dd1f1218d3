#include "hub/testing.h"

/* ---- too long ------------------------------------------------------------------------------- */

static void a_live_chunk_that_grows_too_long_is_kept_as_a_page(void **state)
{
    (void)state;
    struct world *world = tight_world();
    struct reader *slow = live_reader(world, "a"), *quick = live_reader(world, "a");
    char line[CHUNK / 2 + 1];
    memset(line, 'x', CHUNK / 2);
    line[CHUNK / 2] = '\0';
    for (int i = 0; i < 6; i++) {
        world_publish(world, "a", line);
        reader_drain(quick);
    }
    assert_true(world->hub.cached > 0);
    uint32_t encoded = world->encoded;
    assert_int_equal(reader_drain(slow), TAKE_NOTHING);
    assert_int_equal(slow->got.len, 6 * (CHUNK / 2));
    assert_int_equal(quick->got.len, 6 * (CHUNK / 2));
    /* The retired chunk is not encoded again, though the window has dropped its events. */
    assert_int_equal(world->encoded, encoded);
    assert_true(list_empty(&world->jobs));
    hub_turn_end(&world->hub);
    assert_int_equal(world->hub.cached, 0);
    reader_free(slow);
    reader_free(quick);
    world_free(world);
}

static void a_long_live_chunk_with_ephemeral_events_is_no_page(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 8, 1 << 20), BIG);
    struct reader *reader = live_reader(world, "a");
    world_publish(world, "a", "1 ");
    world_ephemeral(world, "a", "e ");
    world_publish(world, "a", "2222222 ");
    assert_int_equal(world->hub.cached, 0);
    reader_drain(reader);
    reader_got(reader, "1 2222222 ");
    reader_free(reader);
    world_free(world);
}

static void a_live_chunk_with_deleted_events_does_not_become_a_page(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 16, 1 << 20), BIG);
    uint64_t start = hub_applied(&world->hub);
    struct reader *slow = live_reader(world, "a");
    world_publish(world, "a", "secret ");
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    world_publish(world, "a", "0123456789abcdef ");
    struct reader *late = reader_new(world, "a", NULL, start);
    reader_drain(late);
    reader_got(late, "0123456789abcdef ");
    assert_int_equal(late->gaps, 1);
    reader_drain(slow); /* lacks the deleted events too, and gets a gap */
    reader_got(slow, "0123456789abcdef ");
    assert_int_equal(slow->gaps, 1);
    reader_free(slow);
    reader_free(late);
    world_free(world);
}

/* ---- too much ------------------------------------------------------------------------------- */

/* Views fall behind if too much is live, and still get everything. */
static void beyond_live_max_views_fall_behind_and_lose_nothing(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[VIEWS];
    world->hub.limits.live_max = 4096;
    many_views(world, readers, true);
    for (int i = 0; i < 20; i++) {
        world_publish(world, "a", "some text ");
        assert_in_range(world->hub.room.bytes, 0, 8192);
    }
    assert_true(world->hub.fell_behind > 0);
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, 20 * (i % 2 ? 11 : 10));
        reader_free(readers[i]);
    }
    world_free(world);
}

/* The ephemeral event would be gone: no page has it. */
static void an_ephemeral_event_reaches_its_view_although_others_exceed_live_max(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *large = live_reader(world, "a"), *small = live_reader(world, "e");
    world->hub.limits.chunk_bytes = 1 << 16;
    char text[1001];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 5; i++)
        world_publish(world, "a", text);
    world->hub.limits.live_max = world->hub.room.bytes - 1;
    world_ephemeral(world, "e", "typing ");
    assert_int_equal(world->hub.fell_behind, 0);
    world_publish(world, "a", text);
    assert_int_equal(world->hub.fell_behind, 1);
    assert_int_equal(reader_drain(small), TAKE_NOTHING);
    assert_int_equal(reader_drain(large), TAKE_NOTHING);
    reader_got(small, "typing ");
    assert_int_equal(large->got.len, 6 * (sizeof(text) - 1));
    reader_free(large);
    reader_free(small);
    world_free(world);
}

/* Views add nothing to an account that is exceeded, whatever has filled it. */
static void views_fall_behind_while_the_account_is_exceeded(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[VIEWS];
    struct account account = {.limit = 1000};
    world->hub.room.account = &account;
    many_views(world, readers, true);
    account_add(&account, ACCOUNT_INTAKE, 2000);
    world_publish(world, "a", "some text ");
    assert_int_equal(world->hub.fell_behind, VIEWS);
    assert_int_equal(world->hub.room.bytes, 0);
    account_sub(&account, ACCOUNT_INTAKE, 2000);
    check_many(world, readers, "some text ");
}

/* ---- dropped -------------------------------------------------------------------------------- */

static void
a_subscriber_that_takes_nothing_in_a_turn_falls_behind_and_reads_by_its_cursor(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "a");
    world_publish(world, "a", "one ");
    hub_turn_end(&world->hub);
    assert_int_equal(reader->sub.state, SUB_BEHIND);
    world_publish(world, "a", "two ");
    reader_drain(reader);
    reader_got(reader, "one two ");
    reader_free(reader);
    world_free(world);
}

static void without_memory_for_a_live_chunk_a_page_is_read_later(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    for (unsigned long nth = 1; nth <= 8; nth++) {
        struct reader *one = live_reader(world, "a"), *two = live_reader(world, "a");
        world_publish(world, "a", "one ");
        reader_drain(one);
        world_add(world, "a", "two ");
        world_add(world, "a", "three ");
        world_append(world);
        mem_fail_nth(nth);
        mailbox_empty(&world->mail);
        mem_fail_nth(0);
        assert_true(one->wakes >= 2);
        assert_int_equal(reader_drain(one), TAKE_NOTHING);
        hub_turn_end(&world->hub);
        assert_int_equal(reader_drain(two), TAKE_NOTHING);
        reader_got(one, "one two three ");
        reader_got(two, "one two three ");
        reader_free(one);
        reader_free(two);
        hub_turn_end(&world->hub);
    }
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_live_chunk_that_grows_too_long_is_kept_as_a_page),
        cmocka_unit_test(a_long_live_chunk_with_ephemeral_events_is_no_page),
        cmocka_unit_test(a_live_chunk_with_deleted_events_does_not_become_a_page),
        cmocka_unit_test(beyond_live_max_views_fall_behind_and_lose_nothing),
        cmocka_unit_test(an_ephemeral_event_reaches_its_view_although_others_exceed_live_max),
        cmocka_unit_test(views_fall_behind_while_the_account_is_exceeded),
        cmocka_unit_test(
            a_subscriber_that_takes_nothing_in_a_turn_falls_behind_and_reads_by_its_cursor),
        cmocka_unit_test(without_memory_for_a_live_chunk_a_page_is_read_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
