#include "client/lib/line_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

/* Cuts `text`, fed in pieces of `step` bytes; adds a '|' behind each line. */
static int cut(struct str text, size_t step, size_t line_max, struct buf *out)
{
    struct line_reader reader = {.line_max = line_max};
    struct str line;
    int result = LINE_MORE;
    for (size_t at = 0; at < text.len && result >= 0; at += step) {
        size_t size = text.len - at < step ? text.len - at : step;
        struct str piece = exact((struct str){text.at + at, size}), rest = piece;
        while ((result = line_reader_feed(&reader, &rest, &line)) == LINE_READY) {
            buf_add_str(out, line);
            buf_add_char(out, '|');
        }
        exact_free(piece);
    }
    if (result >= 0 && line_reader_end(&reader, &line) == LINE_READY) {
        buf_add_str(out, line);
        buf_add_char(out, '!');
    }
    line_reader_deinit(&reader);
    return result;
}

static void lines_come_out_however_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 16; step++) {
        struct buf out = {0};
        assert_int_equal(cut(STR("one\n\ntwo\r\nthree\nrest"), step, 100, &out), LINE_MORE);
        assert_str(buf_str(&out), "one||two\r|three|rest!");
        buf_free(&out);
    }
}

static void nothing_is_left_over_behind_a_last_newline(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_int_equal(cut(STR("one\n"), 2, 100, &out), LINE_MORE);
    assert_str(buf_str(&out), "one|");
    buf_free(&out);
}

static void a_line_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 8; step++) {
        struct buf out = {0};
        assert_int_equal(cut(STR("12345\n"), step, 5, &out), LINE_MORE);
        assert_str(buf_str(&out), "12345|");
        assert_int_equal(cut(STR("123456"), step, 5, &out), -EMSGSIZE);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_however_the_bytes_are_cut),
        cmocka_unit_test(nothing_is_left_over_behind_a_last_newline),
        cmocka_unit_test(a_line_may_be_as_long_as_the_limit_and_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
