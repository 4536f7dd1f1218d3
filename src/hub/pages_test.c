#include "hub/pages.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct page *page_new(uint64_t from, uint64_t through, bool stored)
{
    struct page *page = mem_alloc(sizeof(*page));
    page->chunk = chunk_new(NULL, from);
    page->chunk->through = through;
    page->stored = stored;
    return page;
}

static struct page *add(struct pages **pages, uint64_t from, uint64_t through, bool stored)
{
    struct page *page = page_new(from, through, stored);
    assert_true(pages_add(pages, page));
    return page;
}

static void take_out(struct pages **pages, struct page *page)
{
    pages_remove(pages, page);
    chunk_unref(page->chunk);
    free(page);
}

static void take_out_all(struct pages **pages)
{
    for (struct page *page; (page = pages_any(*pages));)
        take_out(pages, page);
    assert_null(*pages);
}

static void a_page_is_found_for_each_cursor_that_it_stands_for(void **state)
{
    (void)state;
    struct pages *pages = NULL;
    assert_null(pages_find(pages, 10, false));
    struct page *page = add(&pages, 10, 20, false);
    assert_null(pages_find(pages, 9, false));
    assert_ptr_equal(pages_find(pages, 10, false), page);
    assert_ptr_equal(pages_find(pages, 19, false), page);
    assert_null(pages_find(pages, 20, false));
    assert_null(pages_find(pages, 10, true));
    take_out_all(&pages);
}

static void pages_that_overlap_are_found_as_far_as_they_reach(void **state)
{
    (void)state;
    struct pages *pages = NULL;
    struct page *second = add(&pages, 15, 30, true), *first = add(&pages, 10, 20, true);
    assert_ptr_equal(pages_find(pages, 14, true), first);
    assert_ptr_equal(pages_find(pages, 15, true), second);
    assert_ptr_equal(pages_find(pages, 29, true), second);
    take_out(&pages, second);
    assert_ptr_equal(pages_find(pages, 19, true), first);
    assert_null(pages_find(pages, 20, true));
    take_out_all(&pages);
}

static void pages_that_contain_each_other_are_told(void **state)
{
    (void)state;
    struct pages *pages = NULL;
    struct page *page = add(&pages, 10, 20, false);
    const struct {
        uint64_t from, through;
        bool around, within;
    } cases[] = {{10, 20, true, true},   {12, 18, true, false}, {10, 15, true, false},
                 {15, 20, true, false},  {5, 25, false, true},  {10, 25, false, true},
                 {5, 20, false, true},   {0, 30, false, true},  {15, 25, false, false},
                 {5, 15, false, false},  {0, 10, false, false}, {20, 30, false, false},
                 {11, 21, false, false}, {9, 19, false, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chunk *chunk = chunk_new(NULL, cases[i].from);
        chunk->through = cases[i].through;
        assert_ptr_equal(pages_around(pages, chunk, false), cases[i].around ? page : NULL);
        assert_ptr_equal(pages_within(pages, chunk, false), cases[i].within ? page : NULL);
        assert_null(pages_around(pages, chunk, true));
        assert_null(pages_within(pages, chunk, true));
        chunk_unref(chunk);
    }
    take_out_all(&pages);
}

static void of_many_pages_each_is_found(void **state)
{
    (void)state;
    enum { MANY = 500 };
    struct pages *pages = NULL;
    struct page *all[MANY];
    for (uint64_t i = 0; i < MANY; i++) { /* in no order */
        uint64_t at = i * 193 % MANY;
        all[at] = add(&pages, 10 * at, 10 * at + 15, false);
    }
    for (uint64_t i = 0; i < MANY; i++) {
        assert_ptr_equal(pages_find(pages, 10 * i, false), all[i]);
        assert_ptr_equal(pages_find(pages, 10 * i + 9, false), all[i]);
    }
    for (uint64_t i = 0; i < MANY; i += 2)
        take_out(&pages, all[i]);
    for (uint64_t i = 1; i < MANY - 1; i += 2) {
        assert_ptr_equal(pages_find(pages, 10 * i + 14, false), all[i]);
        assert_null(pages_find(pages, 10 * i + 15, false));
    }
    take_out_all(&pages);
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    struct pages *pages = NULL;
    struct page *page = page_new(1, 2, false);
    for (unsigned long nth = 1; nth <= 2; nth++) {
        mem_fail_nth(nth);
        assert_false(pages_add(&pages, page));
        assert_null(pages);
    }
    mem_fail_nth(0);
    assert_true(pages_add(&pages, page));
    take_out_all(&pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_found_for_each_cursor_that_it_stands_for),
        cmocka_unit_test(pages_that_overlap_are_found_as_far_as_they_reach),
        cmocka_unit_test(pages_that_contain_each_other_are_told),
        cmocka_unit_test(of_many_pages_each_is_found),
        cmocka_unit_test(without_memory_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
