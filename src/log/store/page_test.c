#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/store/page.h"

#include "base/mem.h"

#include <errno.h>

static struct event event_of(uint64_t id, uint32_t number, const char *data)
{
    return (struct event){.id = id,
                          .number = number,
                          .channel = STR("room"),
                          .type = STR("message"),
                          .data = str_from(data),
                          .except = 4,
                          .accepted_ns = 5};
}

static void add(struct page *page, uint64_t id, const char *data)
{
    struct event event = event_of(id, 1, data);
    assert_true(page_look(page, id));
    assert_int_equal(page_add(page, &event), 0);
}

static struct batch *finish(struct page *page, bool complete, uint64_t *through)
{
    struct batch *batch;
    page_finish(page, complete, &batch, through);
    return batch;
}

static void a_page_copies_events_as_read_from_a_store(void **state)
{
    (void)state;
    struct store_query query = {.upto = 100, .limit = 10, .bytes = 1000, .rows = 10};
    struct event_key key = {{9}, 8};
    char data[] = "hello", name[] = "room";
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    struct event event = event_of(7, 1, data);
    event.channel = str_from(name);
    event.key = &key;
    assert_int_equal(page_add(&page, &event), 0);
    memset(data, 'x', 5);
    memset(name, 'x', 4);
    key.content = 0;
    struct batch *batch = finish(&page, true, &through);
    const struct event *copy = &batch->events[0];
    assert_true(str_eq(copy->data, STR("hello")));
    assert_true(str_eq(copy->channel, STR("room")));
    assert_int_equal(copy->key->content, 8);
    assert_int_equal(copy->state, EVENT_APPENDED);
    assert_int_equal(copy->except, 0);
    assert_int_equal(copy->accepted_ns, 0);
    batch_unref(batch);
}

static void strings_that_repeat_are_kept_once(void **state)
{
    (void)state;
    struct store_query query = {.upto = 100, .limit = 10, .bytes = 1000, .rows = 10};
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    assert_null(page_name(&page, 1).at);
    add(&page, 1, "a");
    add(&page, 2, "b");
    assert_true(str_eq(page_name(&page, 1), STR("room")));
    assert_null(page_name(&page, 2).at);
    struct batch *batch = finish(&page, true, &through);
    assert_ptr_equal(batch->events[0].channel.at, batch->events[1].channel.at);
    assert_ptr_equal(batch->events[0].type.at, batch->events[1].type.at);
    batch_unref(batch);
}

static void a_page_is_full_at_the_limit(void **state)
{
    (void)state;
    struct store_query query = {.upto = 100, .limit = 2, .bytes = 1000, .rows = 10};
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    add(&page, 4, "a");
    assert_false(page_full(&page));
    add(&page, 6, "b");
    assert_true(page_full(&page));
    batch_unref(finish(&page, false, &through));
    assert_int_equal(through, 6);
}

static void a_page_is_full_at_its_bytes_and_has_one_event_at_least(void **state)
{
    (void)state;
    struct store_query query = {.upto = 100, .limit = 10, .bytes = 3, .rows = 10};
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    assert_false(page_full(&page));
    add(&page, 4, "ab");
    assert_false(page_full(&page));
    add(&page, 5, "c");
    assert_true(page_full(&page));
    batch_unref(finish(&page, false, &through));
    query.bytes = 0;
    assert_int_equal(page_init(&page, &query), 0);
    assert_false(page_full(&page));
    page_drop(&page);
}

static void a_budget_that_is_spent_ends_at_the_row_looked_at_last(void **state)
{
    (void)state;
    struct store_query query = {.after = 3, .upto = 100, .limit = 10, .bytes = 99, .rows = 2};
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    assert_true(page_look(&page, 10));
    assert_true(page_look(&page, 20));
    assert_false(page_look(&page, 30));
    batch_unref(finish(&page, false, &through));
    assert_int_equal(through, 20);
    assert_int_equal(page_init(&page, &query), 0);
    page_spend(&page, 1000);
    assert_false(page_look(&page, 30));
    batch_unref(finish(&page, false, &through));
    assert_int_equal(through, 3);
}

static void a_page_for_which_all_rows_were_read_is_through_to_the_end(void **state)
{
    (void)state;
    struct store_query query = {.after = 3, .upto = 100, .limit = 10, .bytes = 99, .rows = 5};
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    add(&page, 50, "a");
    batch_unref(finish(&page, true, &through));
    assert_int_equal(through, 100);
    query.backwards = true;
    assert_int_equal(page_init(&page, &query), 0);
    add(&page, 50, "a");
    batch_unref(finish(&page, true, &through));
    assert_int_equal(through, 4);
}

static void a_page_read_backwards_is_handed_over_ascending(void **state)
{
    (void)state;
    struct store_query query = {.upto = 100, .limit = 3, .bytes = 99, .rows = 5, .backwards = true};
    struct page page;
    uint64_t through;
    assert_int_equal(page_init(&page, &query), 0);
    add(&page, 50, "c");
    add(&page, 40, "b");
    add(&page, 30, "a");
    struct batch *batch = finish(&page, false, &through);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(batch->events[i].id, 30 + 10 * i);
    assert_int_equal(through, 30);
    batch_unref(batch);
}

static void a_bitmap_has_the_channels_of_its_bits(void **state)
{
    (void)state;
    uint8_t bitmap[2] = {0x02, 0x80};
    struct store_query query = {.bitmap = bitmap, .bitmap_bits = 16};
    struct page page = {.query = &query};
    for (uint32_t n = 0; n < 40; n++)
        assert_int_equal(page_has(&page, n), n == 1 || n == 15);
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    struct store_query query = {.upto = 100, .limit = 10, .bytes = 1000, .rows = 10};
    struct page page;
    struct event event = event_of(7, 1, "data");
    mem_fail_nth(1);
    assert_int_equal(page_init(&page, &query), -ENOMEM);
    assert_int_equal(page_init(&page, &query), 0);
    for (unsigned long nth = 1; nth <= 2; nth++) {
        mem_fail_nth(nth);
        assert_int_equal(page_add(&page, &event), -ENOMEM);
        assert_int_equal(page.batch->count, 0);
        page_drop(&page);
        mem_fail_nth(0);
        assert_int_equal(page_init(&page, &query), 0);
    }
    page_drop(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_copies_events_as_read_from_a_store),
        cmocka_unit_test(strings_that_repeat_are_kept_once),
        cmocka_unit_test(a_page_is_full_at_the_limit),
        cmocka_unit_test(a_page_is_full_at_its_bytes_and_has_one_event_at_least),
        cmocka_unit_test(a_budget_that_is_spent_ends_at_the_row_looked_at_last),
        cmocka_unit_test(a_page_for_which_all_rows_were_read_is_through_to_the_end),
        cmocka_unit_test(a_page_read_backwards_is_handed_over_ascending),
        cmocka_unit_test(a_bitmap_has_the_channels_of_its_bits),
        cmocka_unit_test(without_memory_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
