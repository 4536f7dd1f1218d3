#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void an_empty_arena_owns_nothing(void **state)
{
    (void)state;
    struct arena arena = {0};
    arena_free(&arena);
    arena_free(&arena);
    assert_int_equal(arena.total, 0);
}

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    struct arena arena = {0};
    unsigned char *pieces[300];
    for (size_t size = 1; size < 300; size++) {
        pieces[size] = arena_alloc(&arena, size);
        assert_non_null(pieces[size]);
        assert_int_equal((uintptr_t)pieces[size] % _Alignof(max_align_t), 0);
        memset(pieces[size], (int)(size & 0xff), size);
    }
    for (size_t size = 1; size < 300; size++)
        for (size_t i = 0; i < size; i++)
            assert_int_equal(pieces[size][i], size & 0xff);
    arena_free(&arena);
}

static void a_piece_of_no_size_is_not_a_failure(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_non_null(arena_alloc(&arena, 0));
    arena_free(&arena);
}

static void a_piece_may_be_larger_than_a_block(void **state)
{
    (void)state;
    struct arena arena = {0};
    char *small = arena_alloc(&arena, 10);
    char *large = arena_alloc(&arena, 1000000);
    assert_true(small && large);
    memset(small, 's', 10);
    memset(large, 'l', 1000000);
    assert_int_equal(small[9], 's');
    assert_true(arena.total >= 1000010);
    arena_free(&arena);
}

static void many_small_pieces_take_few_blocks(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (int i = 0; i < 100000; i++)
        assert_non_null(arena_alloc(&arena, 16));
    assert_true(arena.total < 1600000 * 11 / 10);
    arena_free(&arena);
}

static void a_size_beyond_memory_is_refused(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_int_equal(arena.total, 0);
    arena_free(&arena);
}

static void a_copy_has_the_bytes_and_not_the_address(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct str original = STR("a\0b");
    struct str copy = arena_copy(&arena, original);
    assert_ptr_not_equal(copy.at, original.at);
    assert_true(str_eq(copy, original));
    arena_free(&arena);
}

static void an_empty_copy_costs_nothing(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_non_null(arena_copy(&arena, STR("")).at);
    assert_non_null(arena_copy(&arena, STR_NONE).at);
    assert_int_equal(arena.total, 0);
    arena_free(&arena);
}

static void a_lack_of_memory_is_reported_and_passes(void **state)
{
    (void)state;
    struct arena arena = {0};
    mem_fail_nth(1);
    struct str failed = arena_copy(&arena, STR("abc"));
    assert_null(failed.at);
    assert_int_equal(failed.len, 3);
    assert_true(str_eq(arena_copy(&arena, STR("abc")), STR("abc")));
    mem_fail_nth(1);
    assert_null(arena_alloc(&arena, 100000));
    assert_non_null(arena_alloc(&arena, 8));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_arena_owns_nothing),
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(a_piece_of_no_size_is_not_a_failure),
        cmocka_unit_test(a_piece_may_be_larger_than_a_block),
        cmocka_unit_test(many_small_pieces_take_few_blocks),
        cmocka_unit_test(a_size_beyond_memory_is_refused),
        cmocka_unit_test(a_copy_has_the_bytes_and_not_the_address),
        cmocka_unit_test(an_empty_copy_costs_nothing),
        cmocka_unit_test(a_lack_of_memory_is_reported_and_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
