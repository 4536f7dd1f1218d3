#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "log/store/sqlite/faults.h"

#include <fcntl.h>

static void a_file_of_which_nothing_is_retained_is_unlinked(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_roll(&place);
    place_put(&place, 200, 10, 1, "a", 5);
    place_trim(&place, 1, "a", 209, 108);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "db"), 2);
    place_trim(&place, 1, "a", 209, 109);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "db"), 1);
    assert_int_equal(place_count(&place, 1), 10);
    place_deinit(&place);
}

static void the_active_file_stays_though_nothing_in_it_is_retained(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_trim(&place, 1, "a", 109, 109);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "db"), 1);
    place_put(&place, 110, 10, 1, "a", 5);
    assert_int_equal(place_count(&place, 1), 10);
    place_deinit(&place);
}

static void the_newest_event_of_a_channel_outlives_its_last_file(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    int64_t put_us = place.clock.wall_us;
    place_trim(&place, 1, "a", 109, 109);
    place_roll(&place);
    assert_int_equal(place_files(&place, "db"), 0);
    assert_int_equal(place.store->ops->oldest(place.store), 0);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place.newest.id, 109);
    assert_int_equal(place.newest.time_us, put_us);
    assert_int_equal(place.newest.number, 1);
    assert_int_equal(place_find(&place, "a")->last, 109);
    assert_int_equal(place_find(&place, "a")->trimmed, 109);
    assert_int_equal(place_find(&place, "a")->count, 0);
    place_deinit(&place);
}

/* Two files: the oldest, which is treated in its own way, and one to look at. */
static void two_files(struct place *place)
{
    place_init(place);
    place_open(place);
    place_put(place, 100, 10, 3, "c", 5);
    place_roll(place);
    place_put(place, 200, 100, 1, "a", 500);
    place_put(place, 300, 30, 2, "b", 500);
    place_roll(place);
}

static void a_file_more_than_half_dead_is_rewritten(void **state)
{
    (void)state;
    struct place place;
    two_files(&place);
    uint64_t before = place.store->ops->bytes(place.store);
    place_trim(&place, 2, "b", 329, 329);
    place_upkeep(&place);
    assert_int_equal(place.store->ops->bytes(place.store), before); /* not half */
    place_trim(&place, 1, "a", 299, 60);                            /* removes none of these */
    place_upkeep(&place);
    assert_int_equal(place.store->ops->bytes(place.store), before);
    place_trim(&place, 1, "a", 299, 280);
    place_upkeep(&place);
    assert_true(place.store->ops->bytes(place.store) < before - 30000);
    assert_int_equal(place_count(&place, 1), 19);
    place_deinit(&place);
}

static void the_oldest_file_is_left_to_die(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 200, 100, 1, "a", 500);
    place_roll(&place);
    uint64_t before = place.store->ops->bytes(place.store);
    place_trim(&place, 1, "a", 299, 290);
    place_upkeep(&place);
    assert_int_equal(place.store->ops->bytes(place.store), before);
    place_trim(&place, 1, "a", 299, 299);
    place_upkeep(&place);
    assert_int_equal(place.store->ops->bytes(place.store), 0);
    place_deinit(&place);
}

static void a_file_found_dead_at_the_start_goes_too(void **state)
{
    (void)state;
    struct place place;
    two_files(&place);
    place_trim(&place, 1, "a", 299, 299);
    place_trim(&place, 2, "b", 329, 329);
    place_trim(&place, 3, "c", 109, 109);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_files(&place, "db"), 2);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "db"), 0);
    place_deinit(&place);
}

static void deletions_are_erased_in_passes_a_minute_apart(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 1, 1, "a", 5);
    place_put(&place, 101, 50, 2, "b", 5);
    place_delete(&place, 1, "a", 100);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "wal"), 0); /* rolled and rewritten */
    struct batch *batch = place_batch(200, 1, 1, "a", 5);
    batch->events[0].data = STR("needle-in-a");
    assert_int_equal(place_append(&place, batch), 0);
    place_delete(&place, 1, "a", 200);
    place_upkeep(&place);
    assert_true(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place_count(&place, 1), 0);
    clock_fake_advance(&place.clock, 61000000);
    place_upkeep(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    place_deinit(&place);
}

static void a_channel_deleted_many_times_is_noted_a_few_times(void **state)
{
    (void)state;
    enum { DELETES = 500, MOST = 64 * 16 };
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 1, 1, "a", 5);
    place_put(&place, 101, 50, 2, "b", 5);
    place_delete(&place, 1, "a", 100);
    place_upkeep(&place); /* begins a pass: the next is a minute away */
    uint64_t before = place.store->ops->memory(place.store).trims;
    struct batch *batch = place_batch(200, 1, 1, "a", 5);
    batch->events[0].data = STR("needle-in-a");
    assert_int_equal(place_append(&place, batch), 0);
    for (int i = 0; i < DELETES; i++)
        place_delete(&place, 1, "a", 200);
    place_upkeep(&place);
    assert_in_range(place.store->ops->memory(place.store).trims, before + 1, before + MOST);
    clock_fake_advance(&place.clock, 61000000);
    place_upkeep(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place.store->ops->memory(place.store).trims, before);
    place_deinit(&place);
}

static void a_deletion_not_erased_yet_is_erased_after_the_next_start(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    struct batch *batch = place_batch(100, 1, 1, "a", 5);
    batch->events[0].data = STR("needle-in-a");
    assert_int_equal(place_append(&place, batch), 0);
    place_put(&place, 101, 50, 2, "b", 5);
    place_roll(&place);
    place_delete(&place, 1, "a", 100);
    place_close(&place);
    place_open(&place);
    assert_true(place_has_bytes(&place, "needle-in-a"));
    assert_int_equal(place_count(&place, 1), 0);
    place_upkeep(&place);
    assert_false(place_has_bytes(&place, "needle-in-a"));
    place_deinit(&place);
}

static void events_after_a_deletion_stay(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_delete(&place, 1, "a", 109);
    place_put(&place, 110, 10, 1, "a", 5);
    place_upkeep(&place);
    assert_int_equal(place_count(&place, 1), 10);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_count(&place, 1), 10);
    assert_int_equal(place_find(&place, "a")->count, 10);
    place_deinit(&place);
}

static void a_forgotten_channel_does_not_come_back(void **state)
{
    (void)state;
    struct place place;
    uint32_t number = 1;
    struct store_trim space = {0, STR("*rooms"), 0, 109};
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_put(&place, 110, 10, 2, "b", 5);
    place_trim(&place, 1, "a", 109, 109);
    assert_int_equal(place.store->ops->forget(place.store, &space, 1, &number, 1), 0);
    for (int again = 0; again < 3; again++) {
        place_close(&place);
        place_open(&place);
        assert_null(place_find(&place, "a"));
        assert_int_equal(place_find(&place, "*rooms")->trimmed, 109);
        assert_int_equal(place_find(&place, "*rooms")->number, 0);
        assert_int_equal(place_find(&place, "b")->count, 10);
        assert_true(place.newest.number >= 2);
        place_roll(&place);
    }
    /* The name may be used again, under another number. */
    place_put(&place, 200, 5, 3, "a", 5);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_find(&place, "a")->number, 3);
    assert_int_equal(place_find(&place, "a")->count, 5);
    assert_int_equal(place_count(&place, 1), 0);
    place_deinit(&place);
}

/* ---- files that are damaged ------------------------------------------------------------------ */

enum { PAGE = 4096, TABLE_LEAF = 13 };

/* A page of rows in the file, or its first page. */
static off_t page_of(const struct place *place, uint64_t first, bool is_of_rows)
{
    char path[128];
    unsigned char kind;
    off_t at = 20 * (off_t)PAGE;
    snprintf(path, sizeof(path), "%s/log/%016llu.db", place->dir, (unsigned long long)first);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    while (is_of_rows && pread(fd, &kind, 1, at) == 1 && kind != TABLE_LEAF)
        at += PAGE;
    close(fd);
    return is_of_rows ? at : 0;
}

static void spoil(const struct place *place, uint64_t first, off_t at)
{
    static const char garbage[64];
    char path[128];
    snprintf(path, sizeof(path), "%s/log/%016llu.db", place->dir, (unsigned long long)first);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at ? at : 100), sizeof(garbage));
    close(fd);
}

/* Three sealed files, with a needle in the second and the last. The first is damaged. */
static void make_damaged(struct place *place, int how)
{
    place_init(place);
    place_open(place);
    place_put(place, 1000, 300, 1, "a", 500);
    place_roll(place);
    for (uint64_t first = 2000; first < 4000; first += 1000) {
        struct batch *batch = place_batch(first, 20, 1, "a", 50);
        batch->events[10].data = first == 2000 ? STR("needle-one") : STR("needle-two");
        assert_int_equal(place_append(place, batch), 0);
        place_roll(place);
    }
    off_t at = page_of(place, 1000, how != 1);
    place_close(place);
    if (how < 2)
        spoil(place, 1000, at);
    place_open(place);
    if (how == 2)
        faults_spoil(at, 512, UINT64_MAX);
}

static bool is_noted(const struct place *place)
{
    char path[128];
    sqlite3 *db;
    int64_t count = 0;
    snprintf(path, sizeof(path), "%s/state.db", place->dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_number(db, "SELECT count(*) FROM erase", &count), 0);
    sqlite3_close(db);
    return count;
}

/* Turns of upkeep until the damaged file is given up, which may report errors before. */
static void keep_until_given_up(struct place *place)
{
    for (int turns = 0; !place->store->ops->losses(place->store).given_up; turns++) {
        assert_true(turns < 20);
        (void)place->store->ops->upkeep(place->store);
        clock_fake_advance(&place->clock, 30000000);
    }
}

/* A page of rows, the first page, a sector. */
static void a_damaged_file_does_not_keep_deleted_events_of_others(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct place place;
        make_damaged(&place, how);
        place_delete(&place, 1, "a", 2019);
        keep_until_given_up(&place);
        assert_false(place_has_bytes(&place, "needle-one"));
        assert_true(is_noted(&place));
        place_delete(&place, 1, "a", 3019);
        for (int turn = 0; turn < 3; turn++) {
            place_upkeep(&place);
            clock_fake_advance(&place.clock, 61000000);
        }
        assert_false(place_has_bytes(&place, "needle-two"));
        assert_true(is_noted(&place));
        assert_int_equal(place.store->ops->losses(place.store).given_up, 1);
        faults_spoil(0, 0, 0);
        place_deinit(&place);
    }
}

static void a_file_that_was_given_up_is_rewritten_once_it_can_be(void **state)
{
    (void)state;
    struct place place;
    make_damaged(&place, 2);
    place_delete(&place, 1, "a", 1250);
    keep_until_given_up(&place);
    faults_spoil(0, 0, 0);
    place_delete(&place, 1, "a", 2010);
    for (int turn = 0; turn < 3; turn++) {
        clock_fake_advance(&place.clock, 61000000);
        place_upkeep(&place);
    }
    assert_int_equal(place.store->ops->losses(place.store).given_up, 0);
    assert_false(is_noted(&place));
    assert_int_equal(place_count(&place, 1), 29);
    place_deinit(&place);
}

/* The disk may have refused to write the copy, while the file is sound. */
static void a_file_that_was_given_up_is_tried_again_after_an_hour(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct place place;
        make_damaged(&place, 2);
        place_delete(&place, 1, "a", 1250);
        if (how)
            place_delete(&place, 1, "a", 2019);
        keep_until_given_up(&place);
        faults_spoil(0, 0, 0);
        place_upkeep(&place);
        assert_true(is_noted(&place));
        clock_fake_advance(&place.clock, INT64_C(3601000000));
        place_upkeep(&place);
        assert_int_equal(place.store->ops->losses(place.store).given_up, 0);
        assert_false(is_noted(&place));
        place_deinit(&place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_which_nothing_is_retained_is_unlinked),
        cmocka_unit_test(the_active_file_stays_though_nothing_in_it_is_retained),
        cmocka_unit_test(the_newest_event_of_a_channel_outlives_its_last_file),
        cmocka_unit_test(a_file_more_than_half_dead_is_rewritten),
        cmocka_unit_test(the_oldest_file_is_left_to_die),
        cmocka_unit_test(a_file_found_dead_at_the_start_goes_too),
        cmocka_unit_test(deletions_are_erased_in_passes_a_minute_apart),
        cmocka_unit_test(a_channel_deleted_many_times_is_noted_a_few_times),
        cmocka_unit_test(a_deletion_not_erased_yet_is_erased_after_the_next_start),
        cmocka_unit_test(events_after_a_deletion_stay),
        cmocka_unit_test(a_forgotten_channel_does_not_come_back),
        cmocka_unit_test(a_damaged_file_does_not_keep_deleted_events_of_others),
        cmocka_unit_test(a_file_that_was_given_up_is_rewritten_once_it_can_be),
        cmocka_unit_test(a_file_that_was_given_up_is_tried_again_after_an_hour),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1)); /* damage is made here on purpose */
    faults_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
