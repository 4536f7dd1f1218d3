#include "hub/testing.h"

static void views_are_shared_by_selection_and_format(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *one = live_reader(world, "a b"), *same = live_reader(world, "b a b");
    struct reader *other = live_reader(world, "a");
    assert_int_equal(world->hub.views_count, 2);
    hub_unsubscribe(&world->hub, &same->sub);
    reader_begin(same, 1, hub_applied(&world->hub), 0);
    assert_int_equal(world->hub.views_count, 3);
    assert_int_equal(reader_drain(same), TAKE_NOTHING);
    world_publish(world, "b", "x");
    reader_drain(one);
    reader_drain(same);
    reader_drain(other);
    reader_got(one, "x");
    reader_got(same, "x!");
    reader_got(other, "");
    reader_free(one);
    reader_free(same);
    reader_free(other);
    world_free(world);
}

static void a_view_may_go_while_an_event_is_on_its_way_to_it(void **state)
{
    (void)state;
    struct world *world = slow_world();
    struct reader *readers[VIEWS];
    many_views(world, readers, true);
    world_publish(world, "a", "text ");
    for (int i = 0; i < VIEWS; i++) {
        hub_turn(&world->hub);
        reader_free(readers[i * 7 % VIEWS]);
    }
    world_turn(world);
    world_free(world);
}

static void the_live_chunk_and_pages_of_a_view_go_with_its_last_subscriber(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *reader = live_reader(world, "a");
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "x");
    struct reader *late = reader_new(world, "a", NULL, start);
    reader_drain(late);
    reader_free(late);
    assert_false(list_empty(&world->hub.dirty));
    assert_true(world->hub.cached > 0);
    reader_free(reader);
    assert_true(list_empty(&world->hub.dirty));
    assert_true(list_empty(&world->hub.cache));
    assert_int_equal(world->hub.cached, 0);
    world_publish(world, "a", "y");
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_shared_by_selection_and_format),
        cmocka_unit_test(a_view_may_go_while_an_event_is_on_its_way_to_it),
        cmocka_unit_test(the_live_chunk_and_pages_of_a_view_go_with_its_last_subscriber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
