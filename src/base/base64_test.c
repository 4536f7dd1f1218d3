#include "base/base64.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

/* base64_decode() of a copy that ends with its last byte, so that a sanitizer sees any read beyond
 * it. */
static int decode(struct buf *buf, struct str text)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.at, text.len);
    int result = base64_decode(buf, (struct str){copy, text.len});
    free(copy);
    return result;
}

/* RFC 4648 section 10, and the two digits that are not letters. */
static void known_pairs_hold_both_ways(void **state)
{
    (void)state;
    const struct {
        struct str bytes;
        struct str text;
    } pairs[] = {
        {STR(""), STR("")},
        {STR("f"), STR("Zg==")},
        {STR("fo"), STR("Zm8=")},
        {STR("foo"), STR("Zm9v")},
        {STR("foob"), STR("Zm9vYg==")},
        {STR("fooba"), STR("Zm9vYmE=")},
        {STR("foobar"), STR("Zm9vYmFy")},
        {STR("\0\0\0"), STR("AAAA")},
        {STR("\xfb\xff\xbf"), STR("+/+/")},
        {STR("\xff\xff\xff"), STR("////")},
        {STR("\xff"), STR("/w==")},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        struct buf text = {0}, bytes = {0};
        base64_add(&text, pairs[i].bytes);
        assert_true(str_eq(buf_str(&text), pairs[i].text));
        assert_int_equal(decode(&bytes, pairs[i].text), 0);
        assert_true(str_eq(buf_str(&bytes), pairs[i].bytes));
        buf_free(&text);
        buf_free(&bytes);
    }
}

static void every_byte_at_every_length_comes_back(void **state)
{
    (void)state;
    char bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 167 + 13);
    struct buf text = {0}, back = {0};
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        buf_clear(&text);
        buf_clear(&back);
        base64_add(&text, (struct str){bytes, len});
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_int_equal(decode(&back, buf_str(&text)), 0);
        assert_true(str_eq(buf_str(&back), (struct str){bytes, len}));
    }
    buf_free(&text);
    buf_free(&back);
}

static void both_ways_add_to_what_is_there(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_lit(&buf, "<");
    base64_add(&buf, STR("a"));
    buf_add_lit(&buf, ">");
    assert_int_equal(decode(&buf, STR("YQ==")), 0);
    assert_true(str_eq(buf_str(&buf), STR("<YQ==>a")));
    buf_free(&buf);
}

static void text_that_is_not_strict_base64_is_refused(void **state)
{
    (void)state;
    const struct str texts[] = {STR("Z"),
                                STR("Zg"),
                                STR("Zg="),
                                STR("Zm9"),
                                STR("Zm9vY"), /* padding missing */
                                STR("="),
                                STR("=="),
                                STR("===="),
                                STR("Z==="),
                                STR("Zg==="), /* too much padding */
                                STR("Zg==Zg=="),
                                STR("Z=g="),
                                STR("=Zg="),
                                STR("Zm8=Zm8="),
                                STR("Zm=v"), /* misplaced */
                                STR("Zh=="),
                                STR("Zv=="),
                                STR("Zm9="),
                                STR("Zm+="),
                                STR("//=="), /* stray bits */
                                STR(" Zg=="),
                                STR("Zg== "),
                                STR("Zm 9"),
                                STR("Zm9v\n"),
                                STR("Zm\r\n"),
                                STR("\tZm9"),
                                STR("Zm9-"),
                                STR("Zm9_"),
                                STR("Zm9."),
                                STR("Zm9,"),
                                STR("Zm\0v"),
                                STR("Zm\xc3\xa9"),
                                STR("\xff\xff\xff\xff"),
                                STR("Zm9@"),
                                STR("Zm9["),
                                STR("Zm9`"),
                                STR("Zm9{"),
                                STR("Zm9:")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct buf buf = {0};
        buf_add_lit(&buf, "before");
        if (decode(&buf, texts[i]) != -EINVAL)
            fail_msg("%.*s", STR_FMT(texts[i]));
        assert_true(str_eq(buf_str(&buf), STR("before")));
        assert_false(buf_failed(&buf));
        buf_free(&buf);
    }
}

static void a_fault_late_in_the_text_leaves_the_buffer_alone(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_lit(&buf, "before");
    assert_int_equal(decode(&buf, STR("Zm9vZm9vZm9vZm9vZm9vZm9vZm9vZ!9v")), -EINVAL);
    assert_true(str_eq(buf_str(&buf), STR("before")));
    buf_free(&buf);
}

/* RFC 7515 appendix C, and the lengths of a last group. */
static void base64url_holds_both_ways_without_padding(void **state)
{
    (void)state;
    const struct {
        struct str bytes;
        struct str text;
    } pairs[] = {
        {STR(""), STR("")},        {STR("\x03\xec\xff\xe0\xc1"), STR("A-z_4ME")},
        {STR("f"), STR("Zg")},     {STR("fo"), STR("Zm8")},
        {STR("foo"), STR("Zm9v")}, {STR("\xfb\xff\xbf"), STR("-_-_")},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        struct buf text = {0}, bytes = {0};
        base64url_add(&text, pairs[i].bytes);
        assert_true(str_eq(buf_str(&text), pairs[i].text));
        assert_int_equal(base64url_decode(&bytes, pairs[i].text), 0);
        assert_true(str_eq(buf_str(&bytes), pairs[i].bytes));
        buf_free(&text);
        buf_free(&bytes);
    }
}

static void base64url_that_is_not_strict_is_refused(void **state)
{
    (void)state;
    const struct str texts[] = {STR("Z"),     STR("Zm9vY"),   STR("Zg=="), STR("Zm8="),
                                STR("Zh"),    STR("Zm9"),     STR("Zm+v"), STR("Zm/v"),
                                STR("Zm9v "), STR("Zm9v\n"),  STR("Zm.v"), STR("Zm\0v"),
                                STR("="),     STR("\xff\xff")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct buf buf = {0};
        buf_add_lit(&buf, "before");
        if (base64url_decode(&buf, texts[i]) != -EINVAL)
            fail_msg("%.*s", STR_FMT(texts[i]));
        assert_true(str_eq(buf_str(&buf), STR("before")));
        buf_free(&buf);
    }
}

static void a_lack_of_memory_is_reported(void **state)
{
    (void)state;
    struct buf buf = {0};
    mem_fail_nth(1);
    assert_int_equal(base64_decode(&buf, STR("Zm9v")), -ENOMEM);
    assert_int_equal(base64_decode(&buf, STR("")), -ENOMEM);
    buf_clear(&buf);
    mem_fail_nth(1);
    base64_add(&buf, STR("foo"));
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.len, 0);
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_pairs_hold_both_ways),
        cmocka_unit_test(every_byte_at_every_length_comes_back),
        cmocka_unit_test(both_ways_add_to_what_is_there),
        cmocka_unit_test(text_that_is_not_strict_base64_is_refused),
        cmocka_unit_test(a_fault_late_in_the_text_leaves_the_buffer_alone),
        cmocka_unit_test(base64url_holds_both_ways_without_padding),
        cmocka_unit_test(base64url_that_is_not_strict_is_refused),
        cmocka_unit_test(a_lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
