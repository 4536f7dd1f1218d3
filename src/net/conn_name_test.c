#include "net/conn_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct conn_names names = {{17, 4}};
static const uint32_t ids[] = {1, 2, 3, 255, 256, 65536, 0x7fffffff, 0x80000000, UINT32_MAX};
enum { IDS = sizeof(ids) / sizeof(ids[0]) };

static void a_name_is_read_as_the_id_that_it_was_made_of(void **state)
{
    (void)state;
    for (size_t i = 0; i < IDS; i++) {
        char room[CONN_NAME_SIZE];
        uint32_t id = 0;
        assert_true(conn_name_read(&names, conn_name_write(&names, ids[i], room), &id));
        assert_int_equal(id, ids[i]);
    }
}

static void a_name_with_any_other_digit_names_no_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < IDS; i++) {
        for (size_t at = 0; at < CONN_NAME_SIZE; at++) {
            char room[CONN_NAME_SIZE];
            uint32_t id = 1;
            struct str name = conn_name_write(&names, ids[i], room);
            room[at] = room[at] == '0' ? '1' : '0';
            assert_true(conn_name_read(&names, name, &id));
            assert_int_equal(id, 0);
        }
    }
}

static void a_name_of_another_process_names_no_connection(void **state)
{
    (void)state;
    struct conn_names before, after;
    conn_names_init(&before);
    conn_names_init(&after);
    for (size_t i = 0; i < IDS; i++) {
        char room[CONN_NAME_SIZE];
        uint32_t id = 1;
        assert_true(conn_name_read(&after, conn_name_write(&before, ids[i], room), &id));
        assert_int_equal(id, 0);
    }
}

static void names_in_a_row_do_not_show_their_ids(void **state)
{
    (void)state;
    char one[CONN_NAME_SIZE], two[CONN_NAME_SIZE];
    conn_name_write(&names, 1, one);
    conn_name_write(&names, 2, two);
    assert_memory_not_equal(one, two, 16);
    assert_memory_not_equal(one + 16, "00000001", 8);
    assert_memory_not_equal(two + 16, "00000002", 8);
}

static void a_text_that_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "0",
                                        "00000000000000000000000",
                                        "0000000000000000000000000",
                                        "00000000000000000000000g",
                                        "00000000000000000000000A",
                                        " 0000000000000000000000",
                                        "0x0000000000000000000000",
                                        "-00000000000000000000001",
                                        "0000000000000000\n0000000"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint32_t id = 7;
        assert_false(conn_name_read(&names, str_from(texts[i]), &id));
        assert_int_equal(id, 7);
    }
    uint32_t id = 7;
    assert_false(conn_name_read(&names, (struct str){"00000000000\00000000000000", 24}, &id));
    assert_false(conn_name_read(&names, STR_NONE, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_read_as_the_id_that_it_was_made_of),
        cmocka_unit_test(a_name_with_any_other_digit_names_no_connection),
        cmocka_unit_test(a_name_of_another_process_names_no_connection),
        cmocka_unit_test(names_in_a_row_do_not_show_their_ids),
        cmocka_unit_test(a_text_that_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
