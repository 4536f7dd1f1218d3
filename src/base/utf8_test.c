#include "base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

/* utf8_valid() of a copy that ends with its last byte, so that a sanitizer sees any read beyond
 * it. */
static bool valid(struct str s)
{
    char *copy = malloc(s.len ? s.len : 1);
    assert_non_null(copy);
    if (s.len)
        memcpy(copy, s.at, s.len);
    bool result = utf8_valid((struct str){copy, s.len});
    free(copy);
    return result;
}

static size_t encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> n & 0xff) | code);
    return n;
}

static void every_code_point_but_surrogates_is_valid(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        char bytes[4];
        size_t n = encode(code, bytes);
        bool surrogate = code >= 0xd800 && code < 0xe000;
        if (utf8_valid((struct str){bytes, n}) != (!surrogate && code <= 0x10ffff))
            fail_msg("U+%04X", code);
    }
}

static void the_empty_text_is_valid(void **state)
{
    (void)state;
    assert_true(utf8_valid(STR_NONE));
    assert_true(valid(STR("")));
}

static void a_zero_byte_is_a_character(void **state)
{
    (void)state;
    assert_true(valid(STR("a\0b")));
}

static void invalid_utf8_is_refused(void **state)
{
    (void)state;
    const struct str wrong[] = {
        STR("\x80"),                 /* a continuation alone */
        STR("\xbf"),                 /* the last of them */
        STR("\xc3"),                 /* cut off after one of two */
        STR("\xe2\x82"),             /* two of three */
        STR("\xf0\x9f\x98"),         /* three of four */
        STR("\xc3("),                /* no continuation */
        STR("\xe2\x82("),            /* no second one */
        STR("\xf0\x9f\x98("),        /* no third one */
        STR("\xc0\x80"),             /* two bytes for U+0000 */
        STR("\xc0\xaf"),             /* two bytes for a slash */
        STR("\xc1\xbf"),             /* two bytes for U+007F */
        STR("\xe0\x80\x80"),         /* three bytes for U+0000 */
        STR("\xe0\x9f\xbf"),         /* three bytes for U+07FF */
        STR("\xf0\x80\x80\x80"),     /* four bytes for U+0000 */
        STR("\xf0\x8f\xbf\xbf"),     /* four bytes for U+FFFF */
        STR("\xed\xa0\x80"),         /* the first surrogate */
        STR("\xed\xbf\xbf"),         /* the last one */
        STR("\xf4\x90\x80\x80"),     /* U+110000 */
        STR("\xf5\x80\x80\x80"),     /* far above */
        STR("\xf8\x88\x80\x80\x80"), /* five bytes, once allowed */
        STR("\xfe"),
        STR("\xff"),
        STR("\xc3\xa9\xa9"), /* a continuation too many */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        if (valid(wrong[i]))
            fail_msg("case %zu passed", i);
}

static void a_fault_is_found_at_every_offset_of_a_word(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 24; len++) {
        for (size_t at = 0; at < len; at++) {
            char text[24];
            memset(text, 'a', sizeof(text));
            assert_true(valid((struct str){text, len}));
            text[at] = (char)0x80;
            assert_false(valid((struct str){text, len}));
        }
    }
}

static void pieces_may_be_cut_anywhere(void **state)
{
    (void)state;
    struct str text = STR("a\xc3\xa9 and \xe2\x82\xac and \xf0\x9f\x98\x80 in a longer text");
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct utf8_state utf8 = {0};
        assert_true(utf8_feed(&utf8, (struct str){text.at, cut}));
        assert_int_equal(utf8_done(&utf8), utf8_valid((struct str){text.at, cut}));
        assert_true(utf8_feed(&utf8, STR_NONE));
        assert_true(utf8_feed(&utf8, str_skip(text, cut)));
        assert_true(utf8_done(&utf8));
    }
}

static void a_piece_that_nothing_can_mend_fails_at_its_first_wrong_byte(void **state)
{
    (void)state;
    const struct str doomed[] = {STR("\xc0"),         STR("\xf5"),     STR("\xed\xa0"),
                                 STR("\xe0\x9f"),     STR("\xf0\x8f"), STR("\xf4\x90"),
                                 STR("\xe2\x82\x41"), STR("\xe2\x41"), STR("\xf0\x90\x80\x61")};
    for (size_t i = 0; i < sizeof(doomed) / sizeof(*doomed); i++) {
        struct utf8_state utf8 = {0};
        struct str sound = {doomed[i].at, doomed[i].len - 1};
        assert_true(utf8_feed(&utf8, sound));
        assert_false(utf8_feed(&utf8, str_skip(doomed[i], sound.len)));
        assert_false(utf8_done(&utf8));
    }
}

static void a_failure_lasts(void **state)
{
    (void)state;
    struct utf8_state utf8 = {0};
    assert_false(utf8_feed(&utf8, STR("\xff")));
    assert_false(utf8_feed(&utf8, STR("fine")));
    assert_false(utf8_feed(&utf8, STR_NONE));
    assert_false(utf8_done(&utf8));
}

static void a_text_cut_inside_a_character_is_not_done(void **state)
{
    (void)state;
    struct utf8_state utf8 = {0};
    assert_true(utf8_done(&utf8));
    assert_true(utf8_feed(&utf8, STR("\xf0\x9f")));
    assert_false(utf8_done(&utf8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_surrogates_is_valid),
        cmocka_unit_test(the_empty_text_is_valid),
        cmocka_unit_test(a_zero_byte_is_a_character),
        cmocka_unit_test(invalid_utf8_is_refused),
        cmocka_unit_test(a_fault_is_found_at_every_offset_of_a_word),
        cmocka_unit_test(pieces_may_be_cut_anywhere),
        cmocka_unit_test(a_piece_that_nothing_can_mend_fails_at_its_first_wrong_byte),
        cmocka_unit_test(a_failure_lasts),
        cmocka_unit_test(a_text_cut_inside_a_character_is_not_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
