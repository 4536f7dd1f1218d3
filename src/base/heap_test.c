#include "base/heap.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ALLOCATOR_IS_A_SANITIZERS
#endif
#endif

static void memory_is_given_back_once_after_a_growth_has_ended(void **state)
{
    (void)state;
    struct heap_watch watch = {0};
    const struct {
        uint64_t mib;
        bool wanted;
    } steps[] = {{20, false}, {21, false}, {120, false}, {300, false}, {300, true}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        assert_int_equal(heap_watch(&watch, steps[i].mib * MIB, 0), steps[i].wanted);
    watch.floor = watch.last = (uint64_t)280 * MIB; /* left so by heap_give_back() when all is in
                                                     * use */
    assert_false(heap_watch(&watch, (uint64_t)280 * MIB, 0));
    assert_false(heap_watch(&watch, (uint64_t)281 * MIB, 0));
}

static void growth_counts_from_the_least_that_was_resident(void **state)
{
    (void)state;
    struct heap_watch watch = {0};
    assert_false(heap_watch(&watch, (uint64_t)100 * MIB, 0));
    assert_false(heap_watch(&watch, (uint64_t)50 * MIB, 0));
    assert_false(heap_watch(&watch, (uint64_t)53 * MIB, 0));
    assert_false(heap_watch(&watch, (uint64_t)60 * MIB, 0));
    assert_true(heap_watch(&watch, (uint64_t)60 * MIB, 0));
}

static void memory_freed_after_a_growth_is_given_back_without_another_growth(void **state)
{
    (void)state;
    struct heap_watch watch = {0};
    assert_false(heap_watch(&watch, (uint64_t)100 * MIB, MIB));
    assert_false(heap_watch(&watch, (uint64_t)200 * MIB, MIB));
    assert_true(heap_watch(&watch, (uint64_t)200 * MIB, MIB));
    watch.floor = watch.last = (uint64_t)200 * MIB; /* left so by heap_give_back() in the middle of
                                                     * a flood, when all is in use */
    watch.free_floor = MIB;
    assert_false(heap_watch(&watch, (uint64_t)200 * MIB, MIB));
    assert_true(heap_watch(&watch, (uint64_t)190 * MIB, (uint64_t)90 * MIB));
    watch.floor = watch.last = (uint64_t)100 * MIB;
    watch.free_floor = (uint64_t)90 * MIB; /* memory that was given back still counts as free */
    assert_false(heap_watch(&watch, (uint64_t)100 * MIB, (uint64_t)90 * MIB));
    assert_false(heap_watch(&watch, (uint64_t)100 * MIB, (uint64_t)50 * MIB));
    assert_true(heap_watch(&watch, (uint64_t)100 * MIB, (uint64_t)53 * MIB));
}

static void freed_memory_leaves_the_process(void **state)
{
    (void)state;
    enum { COUNT = 20000, SIZE = 4000 };
    static void *held[COUNT];
    struct heap_watch watch = {0};
    uint64_t before = heap_resident();
    assert_true(before > 0);
    for (int i = 0; i < COUNT; i++) {
        held[i] = mem_alloc(SIZE);
        memset(held[i], 1, SIZE);
    }
    void *last = mem_alloc(SIZE); /* keeps the top of the heap in use, so that the heap cannot
                                   * simply shrink */
    for (int i = 0; i < COUNT; i++)
        free(held[i]);
    heap_give_back(&watch);
    assert_true(watch.floor < before + (uint64_t)COUNT * SIZE / 2);
    free(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_given_back_once_after_a_growth_has_ended),
        cmocka_unit_test(growth_counts_from_the_least_that_was_resident),
        cmocka_unit_test(memory_freed_after_a_growth_is_given_back_without_another_growth),
#ifndef ALLOCATOR_IS_A_SANITIZERS
        cmocka_unit_test(freed_memory_leaves_the_process),
#endif
    };
    (void)freed_memory_leaves_the_process; /* a sanitizer's allocator keeps what was freed */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
