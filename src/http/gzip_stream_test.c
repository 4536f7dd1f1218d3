#define ZLIB_CONST
#include "http/gzip_stream.h"

#include "base/mem.h"
#include "http/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct deflater deflater;

static int teardown(void **state)
{
    (void)state;
    mem_fail_nth(0);
    deflater_deinit(&deflater);
    return 0;
}

/* Whether the bytes are a whole gzip stream of this text. */
static void assert_reads(struct str bytes, struct str want)
{
    struct http_gzip gzip;
    struct buf out = {0};
    int result = http_gzip_begin(&gzip);
    while (!result || result == -EAGAIN) {
        result = http_gzip_some(&gzip, bytes, 1 << 20, 10 << 20, &out);
        if (!result)
            break;
    }
    assert_int_equal(result, 0);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(out.at, want.at, want.len);
    http_gzip_end(&gzip);
    buf_free(&out);
}

static void add_events(struct buf *buf, size_t len)
{
    uint32_t n = 1;
    while (buf->len < len) {
        n = n * 1664525 + 1013904223;
        buf_addf(buf, "data: {\"price\":%u}\n\n", n >> 12);
    }
    buf->len = len;
}

static void parts_made_once_fit_into_every_stream(void **state)
{
    (void)state;
    static const size_t lens[] = {1, 63, 64, 500, 9000, 65535, 65536, DEFLATE_MOST + 1};
    enum { LENS = sizeof(lens) / sizeof(lens[0]) };
    struct buf text = {0}, parts[LENS] = {{0}};
    struct gzip_part sums[LENS];
    add_events(&text, DEFLATE_MOST + 1);
    for (int i = 0; i < LENS; i++) {
        gzip_add_part(&parts[i], &deflater, (struct str){text.at, lens[i]});
        sums[i] = gzip_part_of((struct str){text.at, lens[i]});
    }
    for (unsigned which = 1; which < 1 << LENS; which += 7) { /* which parts a stream has */
        struct buf stream = {0}, want = {0};
        struct gzip_sum sum = {0};
        gzip_add_header(&stream);
        for (int i = 0; i < LENS; i++) {
            if (!(which >> i & 1))
                continue;
            buf_add_str(&stream, buf_str(&parts[i]));
            buf_add(&want, text.at, lens[i]);
            gzip_sum_part(&sum, &sums[i]);
            gzip_add_stored(&stream, STR("beat")); /* of this stream alone */
            buf_add_lit(&want, "beat");
            gzip_sum_text(&sum, STR("beat"));
        }
        gzip_add_end(&stream, &sum);
        assert_reads(buf_str(&stream), buf_str(&want));
        buf_free(&stream);
        buf_free(&want);
    }
    for (int i = 0; i < LENS; i++)
        buf_free(&parts[i]);
    buf_free(&text);
}

static void a_stream_without_text_is_whole(void **state)
{
    (void)state;
    struct buf stream = {0};
    gzip_add_header(&stream);
    gzip_add_end(&stream, &(struct gzip_sum){0});
    assert_reads(buf_str(&stream), STR_NONE);
    buf_free(&stream);
}

/* Bytes that cannot be compressed cost five bytes for each 64 KiB, and no more. */
static void noise_is_stored(void **state)
{
    (void)state;
    static const size_t lens[] = {10, 64, 1000, 65536, 100000};
    uint64_t n = 88172645463325252;
    struct buf noise = {0};
    for (int i = 0; i < 100000; i++) {
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        buf_add_char(&noise, (char)n);
    }
    for (int i = 0; i < 5; i++) {
        struct buf out = {0};
        gzip_add_part(&out, &deflater, (struct str){noise.at, lens[i]});
        assert_in_range(out.len, lens[i], lens[i] + 10);
        buf_free(&out);
    }
    buf_free(&noise);
}

static void without_memory_for_a_compressor_the_text_is_stored(void **state)
{
    (void)state;
    struct buf text = {0}, out = {0};
    add_events(&text, 1000);
    assert_non_null(buf_reserve(&out, 2000));
    mem_fail_nth(1);
    gzip_add_part(&out, &deflater, buf_str(&text));
    assert_int_equal(out.len, 1005);
    buf_free(&text);
    buf_free(&out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(parts_made_once_fit_into_every_stream),
        TEST(a_stream_without_text_is_whole),
        TEST(noise_is_stored),
        TEST(without_memory_for_a_compressor_the_text_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
