#include "http/gzip.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PIECE = 1000, MAX = 1 << 20 };

/* Adds a gzip member that decodes to `text`. */
static void add_member(struct buf *out, struct str text, int level)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = text.len + 1000;
    stream.next_in = (z_const Bytef *)(uintptr_t)text.at;
    stream.avail_in = (uInt)text.len;
    stream.next_out = (Bytef *)buf_reserve(out, room);
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->len += room - stream.avail_out;
    deflateEnd(&stream);
}

/* Decodes in pieces and counts them. The body moves between pieces. */
static int decode(struct str body, size_t max, struct buf *out, unsigned *ret_pieces)
{
    struct http_gzip gzip;
    int result;
    assert_int_equal(http_gzip_begin(&gzip), 0);
    *ret_pieces = 0;
    do {
        char *copy = malloc(body.len + 1);
        memcpy(copy, body.at, body.len);
        size_t before = out->len;
        result = http_gzip_some(&gzip, (struct str){copy, body.len}, PIECE, max, out);
        assert_true(out->len - before <= PIECE);
        free(copy);
        ++*ret_pieces;
    } while (result == -EAGAIN);
    http_gzip_end(&gzip);
    return result;
}

static struct buf text_of(size_t len)
{
    struct buf text = {0};
    for (uint32_t x = 1; text.len < len; x = x * 1664525 + 1013904223)
        buf_addf(&text, "%u ", x >> 24);
    text.len = len;
    return text;
}

static void a_body_comes_out_as_it_went_in_piece_by_piece(void **state)
{
    static const size_t lens[] = {0, 1, 10, PIECE - 1, PIECE, PIECE + 1, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
        for (int level = 0; level <= 9; level += 3) {
            struct buf text = text_of(lens[i]), body = {0}, out = {0};
            unsigned pieces;
            add_member(&body, (struct str){text.at ? text.at : "", text.len}, level);
            assert_int_equal(decode(buf_str(&body), MAX, &out, &pieces), 0);
            assert_int_equal(out.len, text.len);
            if (text.at && out.at)
                assert_memory_equal(out.at, text.at, text.len);
            assert_true(pieces >= text.len / PIECE);
            buf_free(&text);
            buf_free(&body);
            buf_free(&out);
        }
    }
}

static void members_follow_one_another(void **state)
{
    struct buf body = {0}, out = {0};
    unsigned pieces;
    (void)state;
    add_member(&body, STR("one "), 6);
    add_member(&body, STR(""), 6);
    add_member(&body, STR("two"), 0);
    assert_int_equal(decode(buf_str(&body), MAX, &out, &pieces), 0);
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.at, "one two", 7);
    buf_free(&body);
    buf_free(&out);
}

/* A body that is cut or changed at any byte is never taken for whole, and never read beyond its
 * end. */
static void a_truncated_or_damaged_body_is_refused(void **state)
{
    struct buf text = text_of(3000), body = {0}, out = {0};
    unsigned pieces;
    (void)state;
    add_member(&body, buf_str(&text), 6);
    for (size_t len = 0; len < body.len; len++) {
        buf_clear(&out);
        assert_int_equal(decode((struct str){body.at, len}, MAX, &out, &pieces), -EBADMSG);
    }
    for (size_t at = 0; at < body.len; at++) {
        if (at >= 4 && at < 10)
            continue; /* time and system of the header, which the content does not depend on */
        buf_clear(&out);
        body.at[at] ^= 0x55;
        assert_int_equal(decode(buf_str(&body), MAX, &out, &pieces), -EBADMSG);
        body.at[at] ^= 0x55;
    }
    static const char *const others[] = {"", "hello", "{\"a\":1}", "\x1f\x8b", "\x78\x9c\x03\x00"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_equal(decode(str_from(others[i]), MAX, &out, &pieces), -EBADMSG);
    buf_add_lit(&body, "behind it");
    assert_int_equal(decode(buf_str(&body), MAX, &out, &pieces), -EBADMSG);
    buf_free(&text);
    buf_free(&body);
    buf_free(&out);
}

static void a_bomb_costs_no_more_than_the_limit(void **state)
{
    struct buf zeroes = {0}, body = {0}, out = {0};
    unsigned pieces;
    (void)state;
    char *at = buf_reserve(&zeroes, 5000);
    memset(at, 0, 5000);
    zeroes.len = 5000;
    add_member(&body, buf_str(&zeroes), 9);
    assert_true(body.len < 100);
    for (size_t max = 4998; max <= 5001; max++) {
        buf_clear(&out);
        assert_int_equal(decode(buf_str(&body), max, &out, &pieces), max < 5000 ? -EMSGSIZE : 0);
        assert_true(out.len <= max + 1);
    }
    buf_free(&zeroes);
    buf_free(&body);
    buf_free(&out);
}

/* Stored blocks without content, five bytes each. */
static void blocks_that_hold_nothing_end_pieces_and_are_not_many(void **state)
{
    static const char head[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03";
    (void)state;
    for (unsigned blocks = 100; blocks <= HTTP_GZIP_BLOCKS_MAX + 1;
         blocks = HTTP_GZIP_BLOCKS_MAX + 1) {
        struct buf body = {0}, out = {0};
        unsigned pieces;
        buf_add(&body, head, 10);
        for (unsigned i = 0; i < blocks; i++)
            buf_add(&body, "\0\0\0\xff\xff", 5);
        buf_add(&body, "\1\0\0\xff\xff", 5);
        buf_add(&body, "\0\0\0\0\0\0\0\0", 8);
        bool few = blocks < HTTP_GZIP_BLOCKS_MAX;
        assert_int_equal(decode(buf_str(&body), MAX, &out, &pieces), few ? 0 : -EBADMSG);
        assert_true(pieces >= (few ? blocks : HTTP_GZIP_BLOCKS_MAX) / 64);
        buf_free(&body);
        buf_free(&out);
        if (!few)
            break;
    }
}

static void a_lack_of_memory_is_reported(void **state)
{
    struct http_gzip gzip;
    struct buf body = {0}, out = {0};
    (void)state;
    add_member(&body, STR("text"), 6);
    mem_fail_nth(1);
    assert_int_equal(http_gzip_begin(&gzip), -ENOMEM);
    http_gzip_end(&gzip);
    assert_int_equal(http_gzip_begin(&gzip), 0);
    mem_fail_nth(1);
    assert_int_equal(http_gzip_some(&gzip, buf_str(&body), PIECE, MAX, &out), -ENOMEM);
    mem_fail_nth(0);
    http_gzip_end(&gzip);
    buf_free(&body);
    buf_free(&out);
}

static void the_coding_is_none_gzip_or_another(void **state)
{
    static const struct {
        const char *lines;
        enum http_coding coding;
    } cases[] = {
        {"A: b\r\n", HTTP_CODING_NONE},
        {"Content-Encoding: identity\r\n", HTTP_CODING_NONE},
        {"Content-Encoding:\r\n", HTTP_CODING_NONE},
        {"Content-Encoding: gzip\r\n", HTTP_CODING_GZIP},
        {"content-encoding:  GZip \r\n", HTTP_CODING_GZIP},
        {"Content-Encoding: x-gzip\r\n", HTTP_CODING_GZIP},
        {"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", HTTP_CODING_GZIP},
        {"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", HTTP_CODING_OTHER},
        {"Content-Encoding: gzip, gzip\r\n", HTTP_CODING_OTHER},
        {"Content-Encoding: deflate\r\n", HTTP_CODING_OTHER},
        {"Content-Encoding: br\r\n", HTTP_CODING_OTHER},
        {"Content-Encoding: br\r\nContent-Encoding: identity\r\n", HTTP_CODING_OTHER},
        {"Content-Encoding: gzipp\r\n", HTTP_CODING_OTHER},
    };
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct http_fields fields;
        assert_int_equal(http_fields_parse(str_from(cases[i].lines), &limits, &fields), 0);
        assert_int_equal(http_coding_of(&fields), cases[i].coding);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_comes_out_as_it_went_in_piece_by_piece),
        cmocka_unit_test(members_follow_one_another),
        cmocka_unit_test(a_truncated_or_damaged_body_is_refused),
        cmocka_unit_test(a_bomb_costs_no_more_than_the_limit),
        cmocka_unit_test(blocks_that_hold_nothing_end_pieces_and_are_not_many),
        cmocka_unit_test(a_lack_of_memory_is_reported),
        cmocka_unit_test(the_coding_is_none_gzip_or_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
