#include "hub/testing.h"

static void an_event_is_encoded_once_for_all_subscribers_of_a_view(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[100];
    for (int i = 0; i < 100; i++)
        readers[i] = live_reader(world, "a b");
    world_publish(world, "a", "one ");
    world_publish(world, "elsewhere", "two ");
    world_publish(world, "b", "three ");
    assert_int_equal(world->encoded, 2);
    assert_int_equal(world->hub.views_count, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(readers[i]->wakes, 1);
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        reader_got(readers[i], "one three ");
        assert_int_equal(hub_cursor(&world->hub, &readers[i]->sub), hub_applied(&world->hub));
    }
    assert_int_equal(world->encoded, 2);
    assert_int_equal(world->hub.deliveries, 200);
    hub_turn_end(&world->hub);
    for (int i = 0; i < 100; i++)
        reader_free(readers[i]);
    world_free(world);
}

/* Small and large, logged and ephemeral events: encoded once for each format, for all that are
 * live. */
static void an_event_is_encoded_once_for_all_views_of_a_format(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world *world = roomy_world();
        struct reader *readers[VIEWS];
        const char *text = i & 1 ? "a large event, shared by reference " : "small ";
        world->hub.limits.large_bytes = 20;
        many_views(world, readers, true);
        (i & 2 ? world_ephemeral(world, "a", text) : (void)world_publish(world, "a", text));
        assert_int_equal(world->encoded, 2);
        check_many(world, readers, text);
    }
}

static void a_large_event_is_encoded_once_for_pages_too(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        struct hub_limits limits = LIMITS(stored ? 1 : BIG, 64, 1 << 20);
        limits.large_bytes = 20;
        struct world *world = world_new(limits, BIG);
        struct reader *readers[VIEWS];
        const char *text = "a large event, shared by reference ";
        world_publish(world, "a", text);
        world_publish(world, "elsewhere", "x");
        many_views(world, readers, false);
        for (int i = 0; i < VIEWS; i++)
            while (reader_drain(readers[i]) == TAKE_WAIT)
                world_run_jobs(world);
        assert_int_equal(world->encoded, 2);
        check_many(world, readers, text);
    }
}

static void views_share_the_bytes_of_a_large_event(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[VIEWS];
    char *text = mem_alloc(100001);
    memset(text, 'x', 100000);
    world->hub.limits.live_max = 1 << 20;
    many_views(world, readers, true);
    world_publish(world, "a", text);
    assert_in_range(world->hub.room.bytes, 200000, 400000);
    check_many(world, readers, text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_encoded_once_for_all_subscribers_of_a_view),
        cmocka_unit_test(an_event_is_encoded_once_for_all_views_of_a_format),
        cmocka_unit_test(a_large_event_is_encoded_once_for_pages_too),
        cmocka_unit_test(views_share_the_bytes_of_a_large_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
