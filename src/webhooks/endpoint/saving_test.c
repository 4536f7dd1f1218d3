#include "webhooks/endpoint/saving.h"

#include "webhooks/testing_options.h"

/* Progress that cannot be saved. The saver works within save_progress(), and its mail is opened in
 * the next turn: bundles that are handed over without a turn between are all with the saver. */

enum { SAVE_AGAIN_MS = 1000 };

static void hand_over(struct world *world)
{
    endpoint_changed(the_endpoint(world));
    save_progress(world->courier, true);
}

static void hand_over_twice(struct world *world)
{
    hand_over(world);
    hand_over(world);
}

static void hand_over_with_another_lane(struct world *world)
{
    struct endpoint *endpoint = the_endpoint(world);
    struct lane *lane = lane_new(endpoint, LANE_CHANNEL, STR("c/2"));
    lane->row.after = endpoint_scanned(endpoint);
    lane->row.next_us = courier_now_us(world->courier) + INT64_C(3600000000);
    lane_step_or_free(lane);
    hand_over(world);
}

static void no_cursor_is_saved_beyond_lanes_that_are_missing(void **state)
{
    static void (*const seconds[])(struct world * world) = {hand_over, hand_over_twice,
                                                            hand_over_with_another_lane};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        create_for_many(world, ",\"schedule\":[3600]");
        refuse_lanes_of(world, "c/1");
        uint64_t id = fail_one(world, "c/1");
        save_progress(world->courier, true);
        seconds[i](world);
        assert_not_beyond(world, id);
        world_settle(world);
        assert_not_beyond(world, id);
        hand_over(world); /* a request, which does not wait for the next attempt */
        world_settle(world);
        assert_not_beyond(world, id);
        execute(world, "DROP TRIGGER full");
        world_pass(world, SAVE_AGAIN_MS);
        assert_int_equal(number_in(world, "SELECT count(*) FROM lane WHERE channel = 'c/1'"), 1);
        assert_true((uint64_t)number_in(world, "SELECT cursor FROM endpoint") >= id);
        delete_it(world);
    }
}

/* ---- the delivery log ------------------------------------------------------------------------ */

static void note_attempt(struct world *world, uint32_t number)
{
    save_attempt(world->courier, &(struct logged_attempt){
                                     .n = 7,
                                     .endpoint = the_endpoint(world)->row.number,
                                     .first = 70,
                                     .last = 70,
                                     .count = 1,
                                     .number = number,
                                     .state = number == 3 ? DELIVERY_DELIVERED : DELIVERY_FAILING,
                                     .channel = STR("c/1"),
                                     .type = STR("t"),
                                     .status = number == 3 ? 200 : 500});
}

/* Hands over what there is, and lets it fail if it is to. */
static void save_or_fail(struct world *world, bool fails)
{
    if (fails)
        execute(world, "CREATE TRIGGER full BEFORE INSERT ON attempt"
                       " BEGIN SELECT RAISE(ABORT, 'x'); END");
    save_progress(world->courier, true);
    if (fails)
        execute(world, "DROP TRIGGER full");
}

/* Three attempts of a delivery: the bits of `ends` say behind which a bundle ends, and `fails`
 * which of these bundles fail. */
static void attempts_that_are_saved_again_never_replace_newer_ones(void **state)
{
    struct world *world = *state;
    create(world, "");
    for (unsigned ends = 0; ends < 8; ends++)
        for (unsigned fails = 0; fails < 8; fails++) {
            if (fails & ~ends)
                continue;
            execute(world, "DELETE FROM delivery; DELETE FROM attempt");
            for (uint32_t i = 0; i < 3; i++) {
                note_attempt(world, i + 1);
                if (ends >> i & 1)
                    save_or_fail(world, fails >> i & 1);
            }
            world_pass(world, INT64_C(2) * SAVE_AGAIN_MS);
            assert_int_equal(number_in(world, "SELECT state FROM delivery"), DELIVERY_DELIVERED);
            assert_int_equal(number_in(world, "SELECT attempts FROM delivery"), 3);
            assert_int_equal(number_in(world, "SELECT count(*) FROM attempt"), 3);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, world_set_up_on_disk, world_tear_down)
        ON_DISK(no_cursor_is_saved_beyond_lanes_that_are_missing),
        ON_DISK(attempts_that_are_saved_again_never_replace_newer_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
