#define ZLIB_CONST
#include "base/deflate.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <zlib.h>

static int teardown(void **state)
{
    (void)state;
    mem_fail_nth(0);
    return 0;
}

/* Decompresses runs that were joined; a last, empty block ends them. */
static void assert_inflates(struct buf *runs, unsigned bits, struct str want)
{
    z_stream stream = {0};
    char *out = malloc(want.len + 1);
    buf_add_lit(runs, "\x03\x00");
    assert_int_equal(inflateInit2(&stream, -(int)bits), Z_OK);
    stream.next_in = (const Bytef *)runs->at;
    stream.avail_in = (unsigned)runs->len;
    stream.next_out = (Bytef *)out;
    stream.avail_out = (unsigned)want.len + 1;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, want.len);
    assert_memory_equal(out, want.at, want.len);
    inflateEnd(&stream);
    free(out);
}

static void add_text(struct buf *buf, size_t len)
{
    uint32_t n = 1;
    while (buf->len < len) {
        n = n * 1664525 + 1013904223;
        buf_addf(buf, "{\"price\":%u},", n >> 16);
    }
    buf->len = len;
}

static void runs_can_be_joined_in_any_order(void **state)
{
    (void)state;
    static const size_t lens[] = {1, 63, 300, DEFLATE_FAST - 1, DEFLATE_FAST, DEFLATE_MOST};
    enum { LENS = sizeof(lens) / sizeof(lens[0]) };
    for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits += 3) {
        struct deflater deflater = {0};
        struct buf runs = {0}, all = {0}, text = {0}, run = {0};
        add_text(&text, DEFLATE_MOST);
        for (int i = 0; i < 2 * LENS; i++) {
            struct str some = {text.at, lens[i < LENS ? i : 2 * LENS - 1 - i]};
            buf_clear(&run);
            assert_int_equal(deflate_run(&deflater, bits, some, &run), 0);
            assert_memory_equal(run.at + run.len - 4, "\0\0\xff\xff", 4);
            buf_add_str(&runs, buf_str(&run));
            buf_add_str(&all, some);
        }
        assert_inflates(&runs, bits, buf_str(&all));
        assert_true(runs.len < all.len / 2);
        buf_free(&runs);
        buf_free(&all);
        buf_free(&text);
        buf_free(&run);
        deflater_deinit(&deflater);
    }
}

static void equal_texts_give_equal_runs(void **state)
{
    (void)state;
    struct deflater deflater = {0};
    struct buf text = {0}, first = {0}, other = {0}, second = {0};
    add_text(&text, 2000);
    assert_int_equal(deflate_run(&deflater, 15, buf_str(&text), &first), 0);
    assert_int_equal(deflate_run(&deflater, 15, STR("something else"), &other), 0);
    assert_int_equal(deflate_run(&deflater, 15, buf_str(&text), &second), 0);
    assert_true(str_eq(buf_str(&first), buf_str(&second)));
    buf_free(&text);
    buf_free(&first);
    buf_free(&other);
    buf_free(&second);
    deflater_deinit(&deflater);
}

static void nothing_is_added_without_memory(void **state)
{
    (void)state;
    int result = -ENOMEM;
    for (unsigned long nth = 1; result; nth++) {
        struct deflater deflater = {0};
        struct buf out = {0};
        mem_fail_nth(nth);
        result = deflate_run(&deflater, 15, STR("some text"), &out);
        mem_fail_nth(0);
        deflater_deinit(&deflater);
        assert_true(result == 0 || result == -ENOMEM);
        assert_true(!out.len == (result != 0));
        assert_true(result || nth > 3);
        buf_free(&out);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(runs_can_be_joined_in_any_order),
        TEST(equal_texts_give_equal_runs),
        TEST(nothing_is_added_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
