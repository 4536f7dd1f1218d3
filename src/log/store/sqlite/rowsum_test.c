#include "log/store/sqlite/rowsum.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static const struct event_key key = {{1, 2, 3}, 4};

static struct event plain(void)
{
    return (struct event){
        .id = 1795459080123456,
        .prev = 1795459080000000,
        .time_us = 1795459080123456,
        .channel = STR("news/world"),
        .type = STR("message"),
        .data = STR("hello, all of you who listen"),
        .number = 7,
        .kind = EVENT_TEXT,
    };
}

/* Files keep checksums: this value holds for ever. */
static void a_known_event_keeps_its_checksum(void **state)
{
    (void)state;
    struct event event = plain();
    assert_int_equal(rowsum(&event), 0xcf540955);
}

static void the_checksum_covers_all_that_is_served(void **state)
{
    (void)state;
    struct event event = plain();
    uint32_t sum = rowsum(&event);
    struct event others[] = {event, event, event, event, event, event,
                             event, event, event, event, event};
    others[0].id++;
    others[1].prev++;
    others[2].time_us++;
    others[3].channel = STR("news/worle");
    others[4].type = STR("messagf");
    others[5].data = STR("hello, all of you who listem");
    others[6].number++;
    others[7].kind = EVENT_JSON;
    others[8].from = STR("ann");
    others[9].key = &key;
    others[10].hops = 1;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_not_equal(rowsum(&others[i]), sum);
}

/* Members that a row does not store, or not in the form in which they came, do not count. */
static void the_checksum_leaves_out_fields_that_are_not_stored(void **state)
{
    (void)state;
    struct event event = plain(), read = plain();
    event.accepted_ns = 5;
    event.except = 6;
    event.state = EVENT_APPENDED;
    event.from = event.content_type = STR_NONE;
    read.from = read.content_type = STR("");
    assert_int_equal(rowsum(&event), rowsum(&read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_event_keeps_its_checksum),
        cmocka_unit_test(the_checksum_covers_all_that_is_served),
        cmocka_unit_test(the_checksum_leaves_out_fields_that_are_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
