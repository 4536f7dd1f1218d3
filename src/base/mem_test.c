#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void small_memory_comes_zeroed(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 4096; size *= 4) {
        char *block = mem_alloc(size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xff, size);
        free(block);
    }
}

static void small_memory_aborts_where_there_is_none(void **state)
{
    (void)state;
    volatile size_t too_much = SIZE_MAX / 2;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        free(mem_alloc(too_much));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void growing_keeps_what_was_there(void **state)
{
    (void)state;
    char *block = mem_try_alloc(4);
    assert_non_null(block);
    memcpy(block, "abc", 4);
    block = mem_try_realloc(block, 4000);
    assert_non_null(block);
    assert_string_equal(block, "abc");
    free(block);
}

static void every_nth_allocation_fails_until_that_is_switched_off(void **state)
{
    (void)state;
    mem_fail_every(3);
    for (int i = 1; i <= 9; i++) {
        void *block = mem_try_alloc(1);
        assert_true((block == NULL) == (i % 3 == 0));
        free(block);
    }
    mem_fail_every(0);
    for (int i = 0; i < 9; i++) {
        void *block = mem_try_alloc(1);
        assert_non_null(block);
        free(block);
    }
}

static void the_nth_allocation_fails_and_only_that(void **state)
{
    (void)state;
    mem_fail_nth(3);
    void *first = mem_try_alloc(1);
    void *second = mem_try_realloc(NULL, 1);
    void *third = mem_try_alloc(1);
    void *fourth = mem_try_alloc(1);
    assert_true(first && second && !third && fourth);
    free(first);
    free(second);
    free(fourth);
}

static void a_failed_growth_leaves_the_old_block(void **state)
{
    (void)state;
    char *block = mem_try_alloc(4);
    assert_non_null(block);
    memcpy(block, "abc", 4);
    mem_fail_nth(1);
    assert_null(mem_try_realloc(block, 4000));
    assert_string_equal(block, "abc");
    free(block);
}

static void failing_can_be_called_off_and_spares_small_memory(void **state)
{
    (void)state;
    mem_fail_nth(1);
    free(mem_alloc(8));
    mem_fail_nth(0);
    void *block = mem_try_alloc(8);
    assert_non_null(block);
    free(block);
}

struct outer {
    int before;
    int member;
};

static void the_container_is_found_from_its_member(void **state)
{
    (void)state;
    struct outer outer = {1, 2};
    assert_ptr_equal(container_of(&outer.member, struct outer, member), &outer);
}

static void pages_are_zero_at_first_and_once_they_were_dropped(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *pages = mem_try_pages(SIZE);
    assert_non_null(pages);
    assert_int_equal(pages[0] | pages[SIZE - 1], 0);
    pages[0] = pages[SIZE - 1] = 1;
    mem_drop_pages(pages, SIZE / 2);
    assert_int_equal(pages[0], 0);
    assert_int_equal(pages[SIZE - 1], 1);
    mem_free_pages(pages, SIZE);
    mem_fail_nth(1);
    assert_null(mem_try_pages(SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_memory_comes_zeroed),
        cmocka_unit_test(small_memory_aborts_where_there_is_none),
        cmocka_unit_test(growing_keeps_what_was_there),
        cmocka_unit_test(every_nth_allocation_fails_until_that_is_switched_off),
        cmocka_unit_test(the_nth_allocation_fails_and_only_that),
        cmocka_unit_test(a_failed_growth_leaves_the_old_block),
        cmocka_unit_test(failing_can_be_called_off_and_spares_small_memory),
        cmocka_unit_test(the_container_is_found_from_its_member),
        cmocka_unit_test(pages_are_zero_at_first_and_once_they_were_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
