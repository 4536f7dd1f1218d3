#include "base/visible.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_added(const char *text, size_t len, const char *expected)
{
    struct buf out = {0};
    visible_add(&out, (struct str){text, len});
    assert_true(str_eq(buf_str(&out), str_from(expected)));
    buf_free(&out);
}

#define ASSERT_ADDED(text, expected) assert_added(text, sizeof(text) - 1, expected)

static void a_text_without_control_characters_stays_as_it_is(void **state)
{
    (void)state;
    ASSERT_ADDED("", "");
    ASSERT_ADDED("a b\tc\nd\r\n", "a b\tc\nd\r\n");
    ASSERT_ADDED("\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                 "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void control_characters_are_written_out(void **state)
{
    (void)state;
    ASSERT_ADDED("\x1b]0;x\x07", "\\u001b]0;x\\u0007");
    ASSERT_ADDED("a\0b\x7f", "a\\u0000b\\u007f");
    ASSERT_ADDED("\xc2\x9b"
                 "2J\xc2\x80",
                 "\\u009b2J\\u0080");
    ASSERT_ADDED("good\rbad", "good\\u000dbad");
    ASSERT_ADDED("\r", "\\u000d");
}

/* A terminal that is not one of UTF-8 takes 9b for CSI. */
static void bytes_that_are_no_utf8_are_written_out(void **state)
{
    (void)state;
    ASSERT_ADDED("\x9b"
                 "2J",
                 "\\x9b2J");
    ASSERT_ADDED("\xc2", "\\xc2");
    ASSERT_ADDED("\xe2\x82", "\\xe2\\x82");
    ASSERT_ADDED("\xff\xc0\x80", "\\xff\\xc0\\x80");
}

static void words_within_a_line_lose_their_control_characters(void **state)
{
    (void)state;
    char text[] = "a\nb\x1b\xc2\x9b\xc3\xa9\x9b\x7f";
    visible_blank(text, sizeof(text) - 1);
    assert_string_equal(text, "a b   \xc3\xa9? ");
    visible_blank(text, 0);
    visible_blank(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_without_control_characters_stays_as_it_is),
        cmocka_unit_test(control_characters_are_written_out),
        cmocka_unit_test(bytes_that_are_no_utf8_are_written_out),
        cmocka_unit_test(words_within_a_line_lose_their_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
