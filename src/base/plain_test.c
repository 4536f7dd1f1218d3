#include "base/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LONGEST = 50 };

/* A copy that ends with its memory, so that the sanitizer sees a read behind it. */
static char *copy_of(char fill, size_t len)
{
    char *text = malloc(len ? len : 1);
    assert_non_null(text);
    memset(text, fill, len);
    return text;
}

static void each_byte_ends_a_run_or_not_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len <= LONGEST; len++) {
        char *text = copy_of('a', len);
        for (size_t place = 0; place < len; place++) {
            for (unsigned c = 0; c < 256; c++) {
                bool ends = c < 0x20 || c == '"' || c == '\\', non_ascii = false;
                text[place] = (char)c;
                size_t end = plain_skip((struct str){text, len}, 0, &non_ascii);
                assert_int_equal(end, ends ? place : len);
                assert_int_equal(non_ascii, c >= 0x80);
                assert_int_equal(plain_all((struct str){text, len}), !ends);
            }
            text[place] = 'a';
        }
        free(text);
    }
}

static void bytes_behind_the_end_of_a_run_do_not_count(void **state)
{
    (void)state;
    for (size_t len = 2; len <= LONGEST; len++) {
        char *text = copy_of('\xc3', len);
        for (size_t place = 0; place < len; place++) {
            bool non_ascii = false;
            memset(text, 'a', place);
            text[place] = '"';
            memset(text + place + 1, '\xc3', len - place - 1);
            assert_int_equal(plain_skip((struct str){text, len}, 0, &non_ascii), place);
            assert_false(non_ascii);
        }
        free(text);
    }
}

static void a_run_begins_anywhere(void **state)
{
    (void)state;
    char *text = copy_of('a', LONGEST);
    for (size_t at = 0; at <= LONGEST; at++) {
        bool non_ascii = false;
        assert_int_equal(plain_skip((struct str){text, LONGEST}, at, &non_ascii), LONGEST);
        assert_false(non_ascii);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_ends_a_run_or_not_at_every_place),
        cmocka_unit_test(bytes_behind_the_end_of_a_run_do_not_count),
        cmocka_unit_test(a_run_begins_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
