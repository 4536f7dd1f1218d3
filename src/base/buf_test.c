#include "base/buf.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <cmocka.h>

/* Compares, and frees the buffer. */
static void expect(struct buf *buf, struct str want)
{
    assert_false(buf_failed(buf));
    if (!str_eq(buf_str(buf), want))
        fail_msg("%.*s instead of %.*s", STR_FMT(buf_str(buf)), STR_FMT(want));
    buf_free(buf);
}

static void an_empty_buffer_owns_nothing(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_int_equal(buf_str(&buf).len, 0);
    buf_free(&buf);
    buf_free(&buf);
}

static void additions_follow_each_other(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add(&buf, "ab", 2);
    buf_add_str(&buf, STR("c\0d"));
    buf_add_char(&buf, 'e');
    buf_add_lit(&buf, "fg");
    buf_addf(&buf, "%d-%s", 42, "x");
    expect(&buf, STR("abc\0defg42-x"));
}

static void nothing_added_changes_nothing(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add(&buf, NULL, 0);
    buf_add_str(&buf, STR_NONE);
    buf_add_lit(&buf, "");
    assert_null(buf.at);
    expect(&buf, STR(""));
}

static void growth_keeps_every_byte(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (unsigned i = 0; i < 10000; i++)
        buf_add_char(&buf, (char)(i * 7));
    assert_int_equal(buf.len, 10000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(buf.at[i], (char)(i * 7));
    buf_free(&buf);
}

static void formatting_may_need_any_room(void **state)
{
    (void)state;
    char filler[301];
    memset(filler, 'x', 300);
    filler[300] = '\0';
    for (int n = 0; n <= 300; n++) {
        struct buf buf = {0};
        buf_addf(&buf, "<%.*s>", n, filler);
        assert_int_equal(buf.len, n + 2);
        assert_int_equal(buf.at[n + 1], '>');
        buf_free(&buf);
    }
}

static void reserved_room_counts_once_the_length_is_raised(void **state)
{
    (void)state;
    struct buf buf = {0};
    char *room = buf_reserve(&buf, 1000);
    assert_non_null(room);
    memset(room, 'r', 1000);
    assert_int_equal(buf.len, 0);
    buf.len += 3;
    expect(&buf, STR("rrr"));
}

static void no_room_at_all_can_be_reserved(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_non_null(buf_reserve(&buf, 0));
    expect(&buf, STR(""));
}

static void numbers_are_written_in_full(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_u64(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_u64(&buf, 10);
    buf_add_char(&buf, ' ');
    buf_add_u64(&buf, UINT64_MAX);
    expect(&buf, STR("0 10 18446744073709551615"));
}

static void ids_have_16_digits(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_id(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_id(&buf, 42);
    buf_add_char(&buf, ' ');
    buf_add_id(&buf, ((uint64_t)1 << 53) - 1);
    expect(&buf, STR("0000000000000000 0000000000000042 9007199254740991"));
}

/* Each group of four digits takes every value, beside others that are all nines or zeroes. */
static void every_digit_of_an_id_is_right(void **state)
{
    (void)state;
    for (uint64_t unit = 1; unit < UINT64_C(10000000000000000); unit *= 10000) {
        for (uint64_t group = 0; group < 10000; group++) {
            uint64_t others = group % 2 ? UINT64_C(9999999999999999) - 9999 * unit : 0;
            char want[17], got[BUF_ID_LEN];
            snprintf(want, sizeof(want), "%016" PRIu64, others + group * unit);
            buf_put_id(got, others + group * unit);
            assert_memory_equal(got, want, BUF_ID_LEN);
        }
    }
}

static void hex_has_no_leading_zeroes(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_hex(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_hex(&buf, 0x10af);
    buf_add_char(&buf, ' ');
    buf_add_hex(&buf, UINT64_MAX);
    expect(&buf, STR("0 10af ffffffffffffffff"));
}

static void json_strings_escape_what_they_must(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_json(&buf, STR("a\"b\\c/d\b\f\n\r\t\0\x01\x1f\x7f"));
    expect(&buf, STR("\"a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\x7f\""));
}

/* Every byte at every place of a word of eight, beside plain ones and beside others to escape. */
static void json_strings_escape_wherever_it_stands(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 300; at += at < 20 ? 1 : 37) {
            char text[300], want[8];
            struct buf buf = {0};
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            buf_add_json(&buf, (struct str){text, sizeof(text)});
            if (c >= 0x20 && c != '"' && c != '\\')
                snprintf(want, sizeof(want), "%c", c);
            else if (strchr("\"\\\b\f\n\r\t", c) && c)
                snprintf(want, sizeof(want), "\\%c",
                         "\"\\bfnrt"[strchr("\"\\\b\f\n\r\t", c) - "\"\\\b\f\n\r\t"]);
            else
                snprintf(want, sizeof(want), "\\u%04x", (unsigned)c);
            assert_int_equal(buf.len, 2 + 299 + strlen(want));
            assert_memory_equal(buf.at + 1 + at, want, strlen(want));
            assert_int_equal(buf.at[buf.len - 2], at == 299 ? want[strlen(want) - 1] : 'x');
            buf_free(&buf);
        }
    }
}

static void json_strings_of_escapes_alone_are_whole(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n++) {
        char text[300];
        struct buf buf = {0};
        memset(text, 1, n);
        buf_add_json(&buf, (struct str){text, n});
        assert_int_equal(buf.len, 2 + 6 * n);
        for (size_t i = 0; i < n; i++)
            assert_memory_equal(buf.at + 1 + 6 * i, "\\u0001", 6);
        buf_free(&buf);
    }
}

static void json_strings_keep_utf8(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_json(&buf, STR("caf\xc3\xa9 \xf0\x9f\x98\x80"));
    expect(&buf, STR("\"caf\xc3\xa9 \xf0\x9f\x98\x80\""));
}

static void no_text_is_an_empty_json_string(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_json(&buf, STR_NONE);
    expect(&buf, STR("\"\""));
}

static void dropping_moves_the_rest_down(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_lit(&buf, "abcdef");
    buf_drop(&buf, 0);
    buf_drop(&buf, 2);
    assert_true(str_eq(buf_str(&buf), STR("cdef")));
    buf_drop(&buf, 4);
    assert_int_equal(buf.len, 0);
    buf_add_lit(&buf, "gh");
    buf_drop(&buf, SIZE_MAX);
    expect(&buf, STR(""));
}

static void fitting_gives_back_what_lies_behind_the_last_byte(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_fit(&buf);
    buf_add_lit(&buf, "abcdef");
    buf_drop(&buf, 2);
    mem_fail_nth(1);
    buf_fit(&buf); /* without memory the buffer stays as it was */
    assert_true(buf.cap > buf.len);
    assert_false(buf_failed(&buf));
    buf_fit(&buf);
    assert_int_equal(buf.cap, 4);
    buf_add_lit(&buf, "gh");
    assert_true(str_eq(buf_str(&buf), STR("cdefgh")));
    buf_clear(&buf);
    buf_fit(&buf);
    assert_null(buf.at);
    buf_free(&buf);
}

static void clearing_keeps_the_memory(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_lit(&buf, "abc");
    char *at = buf.at;
    buf_clear(&buf);
    buf_add_lit(&buf, "xyz");
    assert_ptr_equal(buf.at, at);
    expect(&buf, STR("xyz"));
}

static void a_failure_sticks_until_cleared(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_lit(&buf, "before");
    char large[1000] = {0};
    mem_fail_nth(1);
    buf_add(&buf, large, sizeof(large));
    assert_true(buf_failed(&buf));
    buf_add_lit(&buf, "x");
    buf_add_u64(&buf, 1);
    buf_add_id(&buf, 1);
    buf_addf(&buf, "%d", 1);
    assert_null(buf_reserve(&buf, 1));
    assert_true(str_eq(buf_str(&buf), STR("before")));
    buf_clear(&buf);
    buf_add_lit(&buf, "after");
    expect(&buf, STR("after"));
}

static void a_size_beyond_memory_fails_without_asking(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_char(&buf, 'a');
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf_failed(&buf));
    buf_clear(&buf);
    assert_null(buf_reserve(&buf, SIZE_MAX / 2));
    buf_free(&buf);
    assert_false(buf_failed(&buf));
}

static void a_refusal_adds_its_sentence_and_is_invalid(void **state)
{
    (void)state;
    struct buf why = {0};
    assert_int_equal(buf_refuse(&why, "say which 100%"), -EINVAL);
    expect(&why, STR("say which 100%"));
}

static void a_wiped_buffer_is_empty_and_usable(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_wipe(&buf);
    buf_add_lit(&buf, "a secret");
    buf_wipe(&buf);
    assert_null(buf.at);
    buf_add_lit(&buf, "another");
    expect(&buf, STR("another"));
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned long nth = 1; failed; nth++) {
        struct buf buf = {0};
        mem_fail_nth(nth);
        for (int i = 0; i < 100; i++) {
            buf_add_json(&buf, STR("a \"quoted\" text"));
            buf_addf(&buf, "%d", i);
        }
        failed = buf_failed(&buf);
        buf_free(&buf);
    }
    mem_fail_nth(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_owns_nothing),
        cmocka_unit_test(additions_follow_each_other),
        cmocka_unit_test(nothing_added_changes_nothing),
        cmocka_unit_test(growth_keeps_every_byte),
        cmocka_unit_test(formatting_may_need_any_room),
        cmocka_unit_test(reserved_room_counts_once_the_length_is_raised),
        cmocka_unit_test(no_room_at_all_can_be_reserved),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(ids_have_16_digits),
        cmocka_unit_test(every_digit_of_an_id_is_right),
        cmocka_unit_test(hex_has_no_leading_zeroes),
        cmocka_unit_test(json_strings_escape_what_they_must),
        cmocka_unit_test(json_strings_escape_wherever_it_stands),
        cmocka_unit_test(json_strings_of_escapes_alone_are_whole),
        cmocka_unit_test(json_strings_keep_utf8),
        cmocka_unit_test(no_text_is_an_empty_json_string),
        cmocka_unit_test(dropping_moves_the_rest_down),
        cmocka_unit_test(fitting_gives_back_what_lies_behind_the_last_byte),
        cmocka_unit_test(clearing_keeps_the_memory),
        cmocka_unit_test(a_failure_sticks_until_cleared),
        cmocka_unit_test(a_size_beyond_memory_fails_without_asking),
        cmocka_unit_test(a_refusal_adds_its_sentence_and_is_invalid),
        cmocka_unit_test(a_wiped_buffer_is_empty_and_usable),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
