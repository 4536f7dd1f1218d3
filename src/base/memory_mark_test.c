#include "base/memory_mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_process_is_full_from_the_mark_until_it_holds_an_eighth_less(void **state)
{
    static const struct {
        uint64_t held;
        bool full;
    } rows[] = {
        {0, false},   {800, false}, {801, true}, {800, true}, {701, true},
        {700, false}, {800, false}, {900, true}, {0, false},
    };
    struct memory_mark mark = {.full = false};
    bool before = false;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool changed = memory_mark_look(&mark, rows[i].held, 800);
        assert_int_equal(memory_mark_is_full(&mark), rows[i].full);
        assert_int_equal(changed, rows[i].full != before);
        before = rows[i].full;
    }
    assert_int_equal(mark.times, 2);
}

static void without_a_mark_the_process_is_never_full(void **state)
{
    struct memory_mark mark = {.full = false};
    (void)state;
    assert_false(memory_mark_look(&mark, UINT64_MAX, 0));
    assert_false(memory_mark_is_full(&mark));
    assert_true(memory_mark_look(&mark, 2, 1));
    assert_true(memory_mark_look(&mark, 2, 0)); /* the mark was taken away */
    assert_false(memory_mark_is_full(&mark));
    assert_false(memory_mark_is_full(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_is_full_from_the_mark_until_it_holds_an_eighth_less),
        cmocka_unit_test(without_a_mark_the_process_is_never_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
