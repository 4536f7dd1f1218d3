#include "transport/send_room.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void bytes_stay_until_all_places_are_given_back(void **state)
{
    struct send_room room = {0};
    (void)state;
    struct str one = send_room_put(&room, STR("one"));
    struct str two = send_room_put(&room, STR("two"));
    send_room_give(&room);
    struct str three = send_room_put(&room, STR("three"));
    assert_true(str_eq(one, STR("one")) && str_eq(two, STR("two")) && str_eq(three, STR("three")));
    send_room_give(&room);
    send_room_give(&room);
    assert_ptr_equal(send_room_put(&room, STR("four")).at, one.at);
    send_room_deinit(&room);
}

static void bytes_that_equal_those_before_them_share_their_place(void **state)
{
    struct send_room room = {0};
    (void)state;
    struct str one = send_room_put(&room, STR("one")), same = send_room_put(&room, STR("one"));
    assert_ptr_equal(one.at, same.at);
    assert_int_equal(room.used, 3);
    send_room_give(&room);
    struct str two = send_room_put(&room, STR("two"));
    assert_true(str_eq(same, STR("one")) && str_eq(two, STR("two")));
    send_room_give(&room);
    send_room_give(&room);
    (void)send_room_put(&room, STR("two")); /* nothing is kept of what was given back */
    assert_int_equal(room.used, 3);
    send_room_give(&room);
    send_room_deinit(&room);
}

static void bytes_that_do_not_fit_are_left_to_the_caller(void **state)
{
    struct send_room room = {0};
    char *large = mem_alloc(SEND_ROOM_SIZE);
    (void)state;
    memset(large, 'x', SEND_ROOM_SIZE);
    assert_int_equal(send_room_put(&room, STR_NONE).len, 0);
    assert_int_equal(send_room_put(&room, (struct str){large, SEND_ROOM_SIZE - 1}).len,
                     SEND_ROOM_SIZE - 1);
    assert_int_equal(send_room_put(&room, STR("no")).len, 0);
    assert_int_equal(send_room_put(&room, STR("x")).len, 1);
    send_room_give(&room);
    send_room_give(&room);
    assert_int_equal(send_room_put(&room, STR("yes")).len, 3);
    send_room_deinit(&room);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_stay_until_all_places_are_given_back),
        cmocka_unit_test(bytes_that_equal_those_before_them_share_their_place),
        cmocka_unit_test(bytes_that_do_not_fit_are_left_to_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
