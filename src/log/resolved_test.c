#include "log/resolved.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* WHOLE: enough numbers for a bitmap that is larger than a list. */
enum { PARTS = 8, SMALL = 1000, WHOLE = 40000, MANY = 9000 };

/* The memory of a set with this many numbers. */
static size_t size_of(uint32_t numbers)
{
    struct number_set set = {0};
    for (uint32_t number = 0; number < numbers; number++)
        assert_true(number_set_put(&set, number, true));
    size_t size = sizeof(struct resolved) + number_set_bytes(&set);
    number_set_deinit(&set);
    return size;
}

/* A slice of a search: finds more numbers, and is complete with `whole` of them. */
static bool slice(struct resolved *resolved, struct resolved_room *room, uint32_t numbers,
                  uint32_t whole)
{
    pthread_mutex_lock(&resolved->lock);
    bool kept = resolved_keep(resolved, room);
    for (uint32_t i = 0; kept && i < numbers && resolved->bits < whole; i++)
        assert_true(number_set_put(&resolved->set, (uint32_t)resolved->bits++, true));
    resolved->is_whole = kept && resolved->bits == whole;
    kept = kept && resolved_keep(resolved, room);
    pthread_mutex_unlock(&resolved->lock);
    return kept;
}

static bool is_known(const struct resolved *resolved, uint32_t whole)
{
    return resolved->is_whole && number_set_has(&resolved->set, whole - 1);
}

static void kept_results_count_until_they_are_freed(void **state)
{
    struct resolved_room room;
    struct resolved *some[PARTS];
    size_t bytes = 0;
    (void)state;
    resolved_room_init(&room, SIZE_MAX);
    for (uint32_t i = 0; i < PARTS; i++) {
        some[i] = resolved_new();
        assert_true(slice(some[i], &room, i * 300, i * 300));
        bytes += size_of(i * 300);
    }
    assert_int_equal(room.bytes, bytes);
    pthread_mutex_lock(&some[7]->lock);
    resolved_forget(some[7]);
    assert_true(resolved_keep(some[7], &room));
    pthread_mutex_unlock(&some[7]->lock);
    assert_int_equal(room.bytes, bytes - size_of(2100) + size_of(0));
    for (int i = 0; i < PARTS; i++)
        resolved_free(some[i]);
    assert_int_equal(room.bytes, 0);
    resolved_room_deinit(&room);
}

static void the_least_recently_used_result_is_forgotten(void **state)
{
    struct resolved_room room;
    struct resolved *some[PARTS];
    (void)state;
    resolved_room_init(&room, size_of(WHOLE) * (PARTS - 1));
    for (int i = 0; i < PARTS - 1; i++) {
        some[i] = resolved_new();
        assert_true(slice(some[i], &room, WHOLE, WHOLE));
    }
    assert_true(slice(some[0], &room, 0, WHOLE)); /* used again */
    some[PARTS - 1] = resolved_new();
    assert_true(slice(some[PARTS - 1], &room, WHOLE, WHOLE));
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(is_known(some[i], WHOLE), i != 1);
    assert_true(room.bytes <= room.most);
    for (int i = 0; i < PARTS; i++)
        resolved_free(some[i]);
    resolved_room_deinit(&room);
}

static void a_result_that_readers_use_now_stays(void **state)
{
    struct resolved_room room;
    struct resolved *held = resolved_new(), *other = resolved_new();
    (void)state;
    resolved_room_init(&room, size_of(WHOLE));
    assert_true(slice(held, &room, WHOLE, WHOLE));
    held->holds = 1;
    assert_true(slice(other, &room, WHOLE, WHOLE)); /* exceeds the room by one set */
    assert_true(is_known(held, WHOLE) && is_known(other, WHOLE));
    held->holds = 0;
    assert_true(slice(other, &room, 0, WHOLE));
    assert_false(held->is_whole);
    assert_int_equal(room.bytes, size_of(WHOLE));
    resolved_free(held);
    resolved_free(other);
    resolved_room_deinit(&room);
}

/* Each needs the whole room, and many slices. */
static void many_searches_at_once_end_one_after_the_other(void **state)
{
    struct resolved_room room;
    struct resolved *some[PARTS];
    unsigned found = 0, turns = 0;
    bool was_whole[PARTS] = {0};
    (void)state;
    resolved_room_init(&room, size_of(WHOLE));
    for (int i = 0; i < PARTS; i++)
        some[i] = resolved_new();
    for (; found < PARTS; turns++) {
        assert_true(turns < PARTS * 30);
        for (int i = 0; i < PARTS; i++) {
            if (was_whole[i] || !slice(some[i], &room, WHOLE / 20, WHOLE))
                continue;
            was_whole[i] = is_known(some[i], WHOLE);
            found += was_whole[i];
        }
        assert_true(room.bytes <= room.most + size_of(WHOLE));
    }
    for (int i = 0; i < PARTS; i++)
        resolved_free(some[i]);
    resolved_room_deinit(&room);
}

/* However many wait, the oldest search keeps its numbers, so that one after the other ends. */
static void searches_end_however_many_others_wait(void **state)
{
    static const unsigned counts[] = {2, 300, MANY};
    enum { SLICES = 20, ROUNDS = 3 * SLICES };
    (void)state;
    for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
        struct resolved_room room;
        static struct resolved *some[MANY];
        unsigned found = 0;
        resolved_room_init(&room, size_of(SMALL));
        for (unsigned i = 0; i < counts[k]; i++)
            some[i] = resolved_new();
        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned i = 0; i < counts[k]; i++)
                found += slice(some[i], &room, SMALL / SLICES, SMALL) && is_known(some[i], SMALL);
        assert_true(found >= 2);
        for (unsigned i = 0; i < counts[k]; i++)
            resolved_free(some[i]);
        resolved_room_deinit(&room);
    }
}

/* A search that was abandoned must not keep its room, however many others wait. */
static void an_abandoned_search_is_dropped_however_many_wait(void **state)
{
    static const unsigned counts[] = {1, 100, 1000};
    (void)state;
    for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
        struct resolved_room room;
        static struct resolved *some[MANY];
        struct resolved *left = resolved_new();
        unsigned rounds = 0;
        resolved_room_init(&room, size_of(SMALL));
        assert_true(slice(left, &room, SMALL - 1, SMALL));
        for (unsigned i = 0; i < counts[k]; i++)
            some[i] = resolved_new();
        for (; left->bits; rounds++) {
            assert_true(rounds < 10000);
            for (unsigned i = 0; i < counts[k]; i++)
                (void)slice(some[i], &room, SMALL / 20, SMALL);
        }
        assert_true(rounds > 100);
        resolved_free(left);
        for (unsigned i = 0; i < counts[k]; i++)
            resolved_free(some[i]);
        resolved_room_deinit(&room);
    }
}

static void a_search_that_its_reader_has_left_is_not_first_for_ever(void **state)
{
    struct resolved_room room;
    struct resolved *left = resolved_new(), *other = resolved_new();
    unsigned turns = 0;
    (void)state;
    resolved_room_init(&room, size_of(WHOLE));
    assert_true(slice(left, &room, WHOLE - 1, WHOLE));
    while (!slice(other, &room, WHOLE, WHOLE))
        assert_true(++turns < 100000);
    assert_true(turns > 100);
    assert_true(is_known(other, WHOLE));
    assert_int_equal(left->bits, 0);
    assert_true(slice(left, &room, WHOLE, WHOLE)); /* the search goes on */
    resolved_free(left);
    resolved_free(other);
    resolved_room_deinit(&room);
}

static void a_result_that_is_larger_than_the_room_is_found(void **state)
{
    struct resolved_room room;
    struct resolved *large = resolved_new();
    (void)state;
    resolved_room_init(&room, 1);
    for (int i = 0; i < 20; i++)
        assert_true(slice(large, &room, WHOLE / 20, WHOLE));
    assert_true(is_known(large, WHOLE));
    resolved_free(large);
    resolved_room_deinit(&room);
}

static void a_selection_may_outlive_the_log(void **state)
{
    struct resolved_room room;
    struct resolved *some[2] = {resolved_new(), resolved_new()};
    (void)state;
    resolved_room_init(&room, SIZE_MAX);
    assert_true(slice(some[0], &room, WHOLE, WHOLE));
    assert_true(slice(some[1], &room, 1, WHOLE));
    resolved_room_deinit(&room);
    assert_int_equal(room.bytes, 0);
    resolved_free(some[0]);
    resolved_free(some[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_results_count_until_they_are_freed),
        cmocka_unit_test(the_least_recently_used_result_is_forgotten),
        cmocka_unit_test(a_result_that_readers_use_now_stays),
        cmocka_unit_test(many_searches_at_once_end_one_after_the_other),
        cmocka_unit_test(searches_end_however_many_others_wait),
        cmocka_unit_test(an_abandoned_search_is_dropped_however_many_wait),
        cmocka_unit_test(a_search_that_its_reader_has_left_is_not_first_for_ever),
        cmocka_unit_test(a_result_that_is_larger_than_the_room_is_found),
        cmocka_unit_test(a_selection_may_outlive_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
