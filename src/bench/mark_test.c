#include "bench/mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct mark some = {0x12345, 0xfedcba98, 0x0123456789abcdef};

static void a_mark_is_written_in_plain_digits(void **state)
{
    (void)state;
    char text[MARK_LEN];
    mark_write(text, some);
    assert_memory_equal(text, "~00012345fedcba980123456789abcdef~", MARK_LEN);
}

static void assert_is_some(const struct mark *mark)
{
    assert_int_equal(mark->lane, some.lane);
    assert_int_equal(mark->number, some.number);
    assert_true(mark->time_ns == some.time_ns);
}

static void marks_are_found_amid_anything(void **state)
{
    (void)state;
    char text[200];
    int len = snprintf(text, sizeof(text), "id: 1~2\ndata: ~~xx%s..\n\n7f\r\n{\"data\":\"%s\"}~",
                       "~00012345fedcba980123456789abcdef~", "~00012345fedcba980123456789abcdef~");
    struct str bytes = {text, (size_t)len};
    struct mark mark = {0};
    assert_true(mark_next(&bytes, &mark));
    assert_is_some(&mark);
    mark = (struct mark){0};
    assert_true(mark_next(&bytes, &mark));
    assert_is_some(&mark);
    assert_false(mark_next(&bytes, &mark));
    assert_true(str_eq(bytes, STR("~")));
}

static void a_mark_that_is_cut_anywhere_is_left_for_later(void **state)
{
    (void)state;
    char text[2 + MARK_LEN] = "ab";
    mark_write(text + 2, some);
    for (size_t len = 0; len < sizeof(text); len++) {
        struct str bytes = {text, len};
        struct mark mark;
        assert_false(mark_next(&bytes, &mark));
        assert_int_equal(bytes.len, len > 2 ? len - 2 : 0);
    }
}

static void text_that_only_resembles_a_mark_is_passed_over(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "~00012345fedcba980123456789abcdeg~", "~00012345fedcba980123456789abcdef.",
        "~00012345fedcba980123456789ABCDEF~", "~0001234:fedcba980123456789abcdef~"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct str bytes = {wrong[i], MARK_LEN};
        struct mark mark;
        assert_false(mark_next(&bytes, &mark));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_is_written_in_plain_digits),
        cmocka_unit_test(marks_are_found_amid_anything),
        cmocka_unit_test(a_mark_that_is_cut_anywhere_is_left_for_later),
        cmocka_unit_test(text_that_only_resembles_a_mark_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
