#include "log/store/sqlite/testing.h"

#include "base/say.h"

enum { FILES = 20, IN_FILE = 50, IN_ALL = FILES * IN_FILE };

/* Many files with channel 1 in all of them and channel 2 in the first and last only. Made once,
 * because that takes long; only the last test changes them. */
static struct place place;

static int make_files(void **state)
{
    (void)state;
    place_init(&place);
    place_open(&place);
    for (uint64_t file = 0; file < FILES; file++) {
        uint64_t first = 1000 + file * 100;
        place_put(&place, first, 50, 1, "a", 10);
        if (file == 0 || file == FILES - 1)
            place_put(&place, first + 50, 1, 2, "b", 10);
        if (file < FILES - 1)
            place_roll(&place);
    }
    return place_files(&place, "db") == FILES ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    place_deinit(&place);
    return 0;
}

static struct batch *read_page(struct store_query *query, uint64_t *through)
{
    static struct selection all;
    struct batch *batch;
    query->selection = &all;
    assert_int_equal(place.store->ops->read(place.store, query, &batch, through), 0);
    return batch;
}

static void a_page_goes_on_into_the_next_file(void **state)
{
    (void)state;
    uint32_t number = 1;
    uint64_t through;
    struct store_query query = {.numbers = &number,
                                .numbers_count = 1,
                                .after = 1044,
                                .upto = 9999,
                                .limit = 100,
                                .bytes = SIZE_MAX,
                                .rows = 1000};
    struct batch *batch = read_page(&query, &through);
    assert_int_equal(batch->count, 100);
    assert_int_equal(batch->events[0].id, 1045);
    assert_int_equal(batch->events[5].id, 1100);
    assert_int_equal(through, batch->events[99].id);
    batch_unref(batch);
}

static void a_page_backwards_is_the_newest_and_ascends(void **state)
{
    (void)state;
    uint32_t number = 1;
    uint64_t through;
    struct store_query query = {.numbers = &number,
                                .numbers_count = 1,
                                .upto = 2902,
                                .limit = 5,
                                .bytes = SIZE_MAX,
                                .rows = 1000,
                                .backwards = true};
    struct batch *batch = read_page(&query, &through);
    assert_int_equal(batch->count, 5);
    assert_int_equal(batch->events[0].id, 2848);
    assert_int_equal(batch->events[1].id, 2849);
    assert_int_equal(batch->events[4].id, 2902);
    assert_int_equal(through, 2848);
    batch_unref(batch);
}

static void files_without_the_channel_cost_little_of_the_budget(void **state)
{
    (void)state;
    uint32_t number = 2;
    uint64_t through;
    struct store_query query = {.numbers = &number,
                                .numbers_count = 1,
                                .upto = 9999,
                                .limit = 10,
                                .bytes = SIZE_MAX,
                                .rows = 200};
    struct batch *batch = read_page(&query, &through);
    assert_int_equal(batch->count, 2);
    assert_int_equal(through, 9999);
    batch_unref(batch);
}

static void a_budget_that_is_spent_moves_the_cursor_all_the_same(void **state)
{
    (void)state;
    uint8_t bitmap[1] = {4};
    uint64_t through;
    struct store_query query = {.bitmap = bitmap,
                                .bitmap_bits = 8,
                                .after = 1050,
                                .upto = 9999,
                                .limit = 10,
                                .bytes = SIZE_MAX,
                                .rows = 60};
    struct batch *batch = read_page(&query, &through);
    assert_int_equal(batch->count, 0);
    assert_int_equal(through, 1209); /* 60 rows on: 50 in one file, 10 in the next */
    batch_unref(batch);
}

static uint64_t opened(void)
{
    return readers_opened(sqlite_chain(place.store)->readers);
}

static void a_page_opens_only_the_files_that_it_takes_from_and_keeps_them_open(void **state)
{
    (void)state;
    uint64_t ids[IN_ALL];
    place_close(&place);
    place_open(&place);
    uint64_t before = opened();
    assert_int_equal(place_ids(&place, 2, ids, 10), 2);
    assert_true(opened() - before <= 2);
    before = opened();
    assert_int_equal(place_ids(&place, 1, ids, 1), 1);
    assert_int_equal(opened(), before); /* the page was full after the first file */
    assert_int_equal(place_ids(&place, 1, ids, 51), 51);
    assert_int_equal(opened(), before + 1);
    assert_int_equal(place_ids(&place, 1, ids, IN_ALL), IN_ALL);
    assert_int_equal(opened(), before + FILES - 2);
    assert_int_equal(place_ids(&place, 1, ids, IN_ALL), IN_ALL);
    assert_int_equal(opened(), before + FILES - 2);
}

static void a_page_looks_at_no_more_rows_than_it_takes(void **state)
{
    (void)state;
    uint32_t number = 1;
    uint64_t through;
    struct store_query query = {.numbers = &number,
                                .numbers_count = 1,
                                .upto = 9999,
                                .limit = 3,
                                .bytes = SIZE_MAX,
                                .rows = 3};
    for (int backwards = 0; backwards < 2; backwards++) {
        query.backwards = backwards;
        struct batch *batch = read_page(&query, &through);
        assert_int_equal(batch->count, 3);
        assert_int_equal(through, batch->events[backwards ? 0 : 2].id);
        batch_unref(batch);
    }
}

static void with_no_channels_there_is_nothing_to_look_at(void **state)
{
    (void)state;
    uint32_t number = 1;
    uint64_t through;
    struct store_query query = {.numbers = &number,
                                .numbers_count = 0,
                                .after = 5,
                                .upto = 9999,
                                .limit = 10,
                                .bytes = SIZE_MAX,
                                .rows = 1};
    struct batch *batch = read_page(&query, &through);
    assert_int_equal(batch->count, 0);
    assert_int_equal(through, 9999);
    batch_unref(batch);
}

static void a_time_is_found_across_files(void **state)
{
    (void)state;
    uint64_t id;
    int64_t start = 1700000000000000, hour = place.config.roll_us;
    const struct store_ops *ops = place.store->ops;
    assert_int_equal(ops->find_time(place.store, start - 1, &id), 0);
    assert_int_equal(id, 0);
    assert_int_equal(ops->find_time(place.store, start, &id), 0);
    assert_int_equal(id, 1050);
    assert_int_equal(ops->find_time(place.store, start + hour - 1, &id), 0);
    assert_int_equal(id, 1050);
    assert_int_equal(ops->find_time(place.store, start + 7 * hour, &id), 0);
    assert_int_equal(id, 1749);
    assert_int_equal(ops->find_time(place.store, INT64_MAX, &id), 0);
    assert_int_equal(id, 2950);
}

/* The rows of deleted events are still there, and a search skips most of them. */
static void a_time_is_found_behind_many_rows_that_are_dead(void **state)
{
    (void)state;
    struct place fresh;
    uint64_t id;
    place_init(&fresh);
    place_open(&fresh);
    place_put(&fresh, 1, 10, 1, "kept", 1);
    place_put(&fresh, 11, 3000, 2, "gone", 1);
    place_trim(&fresh, 2, "gone", 3010, 3010);
    assert_int_equal(fresh.store->ops->find_time(fresh.store, INT64_MAX, &id), 0);
    assert_true(id >= 10);
    assert_int_equal(id, 3010 - 999);
    place_deinit(&fresh);
}

static struct store_cut cut_of(struct store_cut cut)
{
    assert_int_equal(place.store->ops->find_cuts(place.store, &cut, 1), 0);
    return cut;
}

static void a_cut_is_found_across_files(void **state)
{
    (void)state;
    struct store_cut cut = cut_of((struct store_cut){.number = 1, .want_count = 51});
    assert_int_equal(cut.upto, 1100);
    assert_int_equal(cut.count, 51);
    assert_int_equal(cut.bytes, 510);
    cut = cut_of((struct store_cut){.number = 1, .want_bytes = 501, .want_count = 3});
    assert_int_equal(cut.upto, 1100);
    cut = cut_of((struct store_cut){.number = 1, .above = 1049, .want_count = 1});
    assert_int_equal(cut.upto, 1100);
    cut = cut_of((struct store_cut){.number = 1, .want_count = 50UL * FILES + 1});
    assert_int_equal(cut.upto, 2949);
    assert_int_equal(cut.count, 50UL * FILES);
    cut = cut_of((struct store_cut){.number = 2, .want_count = 2});
    assert_int_equal(cut.upto, 2950);
    cut = cut_of((struct store_cut){.number = 2, .above = 2950, .want_count = 1});
    assert_int_equal(cut.count, 0);
    cut = cut_of((struct store_cut){.number = 77, .want_count = 1});
    assert_int_equal(cut.count, 0);
}

static void cuts_of_many_channels_are_found_together(void **state)
{
    (void)state;
    struct store_cut cuts[] = {{.number = 2, .want_count = 2},
                               {.number = 1, .above = 2900, .want_count = 7},
                               {.number = 1, .want_count = 1}};
    assert_int_equal(place.store->ops->find_cuts(place.store, cuts, 3), 0);
    assert_int_equal(cuts[0].upto, 2950);
    assert_int_equal(cuts[1].upto, 2907);
    assert_int_equal(cuts[2].upto, 1000);
}

static void the_oldest_follows_the_trims(void **state)
{
    (void)state;
    const struct store_ops *ops = place.store->ops;
    place_upkeep(&place);
    assert_int_equal(ops->oldest(place.store), 1000);
    place_trim(&place, 1, "a", 2949, 1520);
    place_upkeep(&place);
    assert_int_equal(ops->oldest(place.store), 1050);
    place_trim(&place, 2, "b", 2950, 1050);
    place_upkeep(&place);
    assert_int_equal(ops->oldest(place.store), 1521);
    place_trim(&place, 1, "a", 2949, 2949);
    place_upkeep(&place);
    assert_int_equal(ops->oldest(place.store), 2950);
    place_trim(&place, 2, "b", 2950, 2950);
    place_upkeep(&place);
    assert_int_equal(ops->oldest(place.store), 0);
    place_put(&place, 5000, 1, 1, "a", 10);
    assert_int_equal(ops->oldest(place.store), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_goes_on_into_the_next_file),
        cmocka_unit_test(a_page_backwards_is_the_newest_and_ascends),
        cmocka_unit_test(files_without_the_channel_cost_little_of_the_budget),
        cmocka_unit_test(a_budget_that_is_spent_moves_the_cursor_all_the_same),
        cmocka_unit_test(a_page_opens_only_the_files_that_it_takes_from_and_keeps_them_open),
        cmocka_unit_test(a_page_looks_at_no_more_rows_than_it_takes),
        cmocka_unit_test(with_no_channels_there_is_nothing_to_look_at),
        cmocka_unit_test(a_time_is_found_across_files),
        cmocka_unit_test(a_time_is_found_behind_many_rows_that_are_dead),
        cmocka_unit_test(a_cut_is_found_across_files),
        cmocka_unit_test(cuts_of_many_channels_are_found_together),
        cmocka_unit_test(the_oldest_follows_the_trims),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
