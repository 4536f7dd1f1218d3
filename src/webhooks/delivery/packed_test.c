#include "webhooks/delivery/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct event full = {.id = 1795459080123456,
                                  .prev = 7,
                                  .time_us = -3,
                                  .channel = {"a/b", 3},
                                  .type = {"order", 5},
                                  .from = {"ann", 3},
                                  .content_type = {"image/png", 9},
                                  .data = {"\0\1\2", 3},
                                  .kind = EVENT_BINARY,
                                  .state = EVENT_APPENDED,
                                  .hops = 200};

static void an_event_comes_back_as_it_was(void **state)
{
    struct buf bytes = {0};
    struct event back;
    (void)state;
    packed_add(&bytes, &full);
    packed_add(&bytes, &full);
    size_t took = packed_read(buf_str(&bytes), &back);
    assert_int_equal(took * 2, bytes.len);
    assert_int_equal(back.id, full.id);
    assert_int_equal(back.prev, 7);
    assert_int_equal(back.time_us, -3);
    assert_true(str_eq(back.channel, full.channel));
    assert_true(str_eq(back.type, full.type));
    assert_true(str_eq(back.from, full.from));
    assert_true(str_eq(back.content_type, full.content_type));
    assert_true(str_eq(back.data, full.data));
    assert_int_equal(back.kind, EVENT_BINARY);
    assert_int_equal(back.state, EVENT_APPENDED);
    assert_int_equal(back.hops, 200);
    assert_int_equal(packed_read(str_skip(buf_str(&bytes), took), &back), took);
    buf_free(&bytes);
}

static void bytes_that_were_cut_are_no_event(void **state)
{
    struct buf bytes = {0};
    struct event back;
    (void)state;
    packed_add(&bytes, &full);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(packed_read((struct str){bytes.at, len}, &back), 0);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_comes_back_as_it_was),
        cmocka_unit_test(bytes_that_were_cut_are_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
