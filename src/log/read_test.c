#include "log/read.h"

#include "log/testing.h"

#include <errno.h>

static struct selection *select_term(const char *term)
{
    struct str terms[] = {str_from(term)};
    struct selection *selection = selection_new(terms, 1, NULL, 0, NULL);
    assert_non_null(selection);
    return selection;
}

/* Adds a term's channels to the set. Returns the result of channel_set_add(). */
static int add(struct world *world, struct channel_set *set, const char *term)
{
    struct selection *selection = select_term(term);
    uint64_t steps = UINT64_MAX;
    int result = channel_set_add(set, world->log, selection, &steps);
    selection_unref(selection);
    return result;
}

static void make_channels(struct world *world, const char *prefix, unsigned count)
{
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s/%u", prefix, i);
        post_one(world, name, "x");
    }
}

/* A slice without steps left leaves the rest to the next, which continues there. */
static void channels_are_found_out_slice_by_slice(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("many/*");
    struct channel_set set = {0};
    unsigned slices = 0;
    int result = -EAGAIN;
    world_open(world);
    make_channels(world, "many", 400);
    for (; result == -EAGAIN && slices < 1000; slices++) {
        uint64_t steps = 1;
        result = channel_set_add(&set, world->log, selection, &steps);
        assert_true(result != -EAGAIN || (!steps && !set.count && !set.bitmap));
    }
    assert_int_equal(result, 0);
    assert_true(slices >= 4 && set.scans);
    channel_set_deinit(&set);
    selection_unref(selection);
    world_close(world);
}

static void a_set_is_few_numbers_or_a_bitmap(void **state)
{
    struct world *world = *state;
    world_open(world);
    make_channels(world, "few", 32);
    make_channels(world, "many", 33);
    struct channel_set few = {0}, many = {0}, none = {0}, name = {0};
    assert_int_equal(add(world, &few, "few/*"), 0);
    assert_false(few.scans);
    assert_int_equal(few.count, 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(few.numbers[i], i + 1);
    assert_int_equal(add(world, &many, "many/*"), 0);
    assert_true(many.scans);
    assert_int_equal(add(world, &none, "none/*"), 0);
    assert_true(!none.scans && !none.count);
    assert_int_equal(add(world, &name, "many/7"), 0);
    assert_true(!name.scans && name.count == 1 && name.numbers[0] == 40);
    channel_set_deinit(&many);
    world_close(world);
}

static void how_many_are_few_depends_on_how_many_there_are(void **state)
{
    struct world *world = *state;
    world_open(world);
    make_channels(world, "some", 100);
    struct channel_set of_few = {0}, of_many = {0};
    assert_int_equal(add(world, &of_few, "some/*"), 0);
    assert_true(of_few.scans);
    make_channels(world, "others", 700);
    assert_int_equal(add(world, &of_many, "some/*"), 0);
    assert_false(of_many.scans);
    assert_int_equal(of_many.count, 100);
    channel_set_deinit(&of_few);
    world_close(world);
}

static void a_set_that_scans_takes_others_that_scan(void **state)
{
    struct world *world = *state;
    world_open(world);
    make_channels(world, "a", 40);
    make_channels(world, "b", 40);
    struct channel_set set = {0};
    assert_int_equal(add(world, &set, "a/*"), 0);
    assert_int_equal(add(world, &set, "a/7"), 1);
    make_channels(world, "c", 40);
    assert_int_equal(add(world, &set, "c/*"), 0);
    for (uint32_t number = 1; number <= 120; number++)
        assert_int_equal(number < set.bits && set.bitmap[number >> 3] >> (number & 7) & 1,
                         number <= 40 || number > 80);
    channel_set_deinit(&set);
    world_close(world);
}

static void a_read_of_many_channels_pays_for_their_lines_with_rows(void **state)
{
    struct world *world = *state;
    world_open(world);
    make_channels(world, "some", 100);
    make_channels(world, "others", 700);
    for (int turn = 0; turn < 4; turn++)
        make_channels(world, "some", 100);
    struct selection *selection = select_term("some/*");
    uint64_t looked = 0, through = 0, found = 0;
    unsigned slices = 0;
    struct store_query query = {.upto = log_newest(world->log),
                                .limit = 1000,
                                .bytes = 1 << 20,
                                .rows = 512,
                                .looked = &looked};
    while (query.after < query.upto) {
        struct batch *batch;
        looked = 0;
        assert_int_equal(log_read(world->log, &query, selection, &batch, &through), 0);
        assert_true(looked <= 512 * 32 / 100 && query.rows == 512 && through > query.after);
        found += batch->count;
        query.after = through;
        slices++;
        batch_unref(batch);
    }
    assert_int_equal(found, 500);
    assert_int_equal(slices, 4);
    selection_unref(selection);
    world_close(world);
}

static void trimmed_events_in_front_fill_no_page(void **state)
{
    struct world *world = *state;
    world_namespace(world, "some")->count = 1;
    world_open(world);
    for (int turn = 0; turn < 20; turn++)
        make_channels(world, "some", 1);
    world_settle(world);
    retention_trim(world->log, false); /* upkeep does not run, so the store does not know */
    for (int backwards = 0; backwards < 2; backwards++) {
        struct selection *selection = select_term("some/*");
        struct store_query query = {.upto = log_newest(world->log),
                                    .backwards = backwards,
                                    .limit = 4,
                                    .bytes = 1,
                                    .rows = 1000};
        struct batch *batch;
        uint64_t through;
        assert_int_equal(log_read(world->log, &query, selection, &batch, &through), 0);
        assert_int_equal(batch->count, 1);
        assert_int_equal(query.after, 0);
        for (uint32_t i = 0; i < batch->count; i++)
            assert_int_equal(batch->events[i].state, EVENT_APPENDED);
        batch_unref(batch);
        selection_unref(selection);
    }
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(channels_are_found_out_slice_by_slice),
        IN_MEMORY(a_set_is_few_numbers_or_a_bitmap),
        IN_MEMORY(how_many_are_few_depends_on_how_many_there_are),
        IN_MEMORY(a_set_that_scans_takes_others_that_scan),
        IN_MEMORY(a_read_of_many_channels_pays_for_their_lines_with_rows),
        IN_MEMORY(trimmed_events_in_front_fill_no_page),
        ON_DISK(trimmed_events_in_front_fill_no_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
