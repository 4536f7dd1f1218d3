#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/store/memory/held.h"

#include "base/mem.h"

/* A batch with the ids first and first + 1, and an event without an id between. */
static struct batch *batch_from(uint64_t first)
{
    struct batch *batch = batch_new();
    for (uint64_t i = 0; i < 3; i++)
        *batch_add(batch) = (struct event){.id = i == 1 ? 1 : first + i / 2,
                                           .time_us = (int64_t)first,
                                           .state = i == 1 ? EVENT_DUPLICATE : EVENT_APPENDED};
    return batch;
}

static void put(struct held_queue *queue, uint64_t first)
{
    struct batch *batch = batch_from(first);
    assert_true(held_room(queue, 1));
    held_add(queue, batch);
    batch_unref(batch);
}

static void a_batch_is_known_by_what_was_appended(void **state)
{
    (void)state;
    struct held_queue queue = {0};
    put(&queue, 10);
    assert_int_equal(held_count(&queue), 1);
    assert_int_equal(queue.held[0].first, 10);
    assert_int_equal(queue.held[0].last, 11);
    assert_int_equal(queue.held[0].live, 2);
    assert_int_equal(queue.held[0].time_us, 10);
    assert_int_equal(queue.bytes, batch_bytes(queue.held[0].batch));
    held_deinit(&queue);
}

static void a_batch_without_events_is_not_held(void **state)
{
    (void)state;
    struct held_queue queue = {0};
    struct batch *batch = batch_new();
    *batch_add(batch) = (struct event){.id = 5, .state = EVENT_DUPLICATE};
    assert_true(held_room(&queue, 1));
    held_add(&queue, batch);
    assert_int_equal(held_count(&queue), 0);
    assert_int_equal(atomic_load(&batch->refs), 1);
    batch_unref(batch);
    held_deinit(&queue);
}

static void a_batch_is_found_by_id_beside_holes(void **state)
{
    (void)state;
    struct held_queue queue = {0};
    for (uint64_t first = 10; first <= 100; first += 10)
        put(&queue, first);
    held_let_go(&queue, &queue.held[held_find(&queue, 50)]);
    held_let_go(&queue, &queue.held[held_find(&queue, 70)]);
    assert_int_equal(held_count(&queue), 8);
    assert_int_equal(queue.held[held_find(&queue, 60)].first, 60);
    assert_int_equal(queue.held[held_find(&queue, 62)].first, 70);
    assert_null(queue.held[held_find(&queue, 62)].batch);
    assert_int_equal(queue.held[held_find(&queue, 1)].first, 10);
    assert_int_equal(held_find(&queue, 102), queue.end);
    held_deinit(&queue);
}

static void holes_are_closed_and_bytes_add_up(void **state)
{
    (void)state;
    struct held_queue queue = {0};
    for (uint64_t first = 10; first <= 10000; first += 10) {
        put(&queue, first);
        if (first % 30)
            held_let_go(&queue, &queue.held[held_find(&queue, first)]);
        assert_true(queue.end <= 2 * held_count(&queue) + 2);
    }
    assert_int_equal(held_count(&queue), 333);
    uint64_t bytes = 0;
    for (uint64_t first = 30; first <= 10000; first += 30) {
        const struct held *held = &queue.held[held_find(&queue, first)];
        assert_int_equal(held->first, first);
        bytes += batch_bytes(held->batch);
    }
    assert_int_equal(queue.bytes, bytes);
    while (held_count(&queue))
        held_let_go(&queue, &queue.held[queue.start]);
    assert_int_equal(queue.bytes, 0);
    held_deinit(&queue);
}

static void a_smaller_batch_takes_the_place(void **state)
{
    (void)state;
    struct held_queue queue = {0};
    put(&queue, 10);
    struct batch *small = batch_new();
    *batch_add(small) = (struct event){.id = 11, .state = EVENT_APPENDED};
    held_replace(&queue, &queue.held[0], small);
    assert_ptr_equal(queue.held[0].batch, small);
    assert_int_equal(queue.held[0].first, 11);
    assert_int_equal(queue.bytes, batch_bytes(small));
    held_deinit(&queue);
}

static void without_memory_there_is_no_room(void **state)
{
    (void)state;
    struct held_queue queue = {0};
    mem_fail_nth(1);
    assert_false(held_room(&queue, 1));
    mem_fail_nth(0);
    assert_true(held_room(&queue, 1));
    held_deinit(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_known_by_what_was_appended),
        cmocka_unit_test(a_batch_without_events_is_not_held),
        cmocka_unit_test(a_batch_is_found_by_id_beside_holes),
        cmocka_unit_test(holes_are_closed_and_bytes_add_up),
        cmocka_unit_test(a_smaller_batch_takes_the_place),
        cmocka_unit_test(without_memory_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
