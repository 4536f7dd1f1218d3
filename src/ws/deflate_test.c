#define ZLIB_CONST
#include "ws/deflate.h"

#include "base/mem.h"
#include "ws/deflate_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <zlib.h>

static struct deflater deflater;
static struct ws_inflater inflater;

static int setup(void **state)
{
    (void)state;
    deflater = (struct deflater){0};
    inflater = (struct ws_inflater){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mem_fail_nth(0);
    deflater_deinit(&deflater);
    ws_inflater_deinit(&inflater);
    return 0;
}

/* Decompresses in pieces, while another message is decompressed between two of them and the bytes
 * move. */
static int inflate_pieces(struct str bytes, size_t max, size_t piece, struct buf *out)
{
    struct ws_inflating inflating;
    struct buf moved[2] = {{0}, {0}}, other = {0};
    for (int i = 0; i < 2; i++)
        buf_add_str(&moved[i], bytes);
    int result = ws_inflate_begin(&inflating, &inflater, buf_str(&moved[0]), max, out);
    for (int i = 1; !result; i ^= 1) {
        size_t before = out->len;
        result = ws_inflate_some(&inflating, piece);
        assert_true(out->len <= before + piece);
        if (result != WS_INFLATE_MORE)
            break;
        result = 0;
        buf_clear(&other);
        assert_int_equal(ws_inflate(&inflater, STR("\x4a\x04\x00"), 1, &other), 0);
        ws_inflate_move(&inflating, buf_str(&moved[i]));
    }
    ws_inflate_end(&inflating);
    buf_free(&moved[0]);
    buf_free(&moved[1]);
    buf_free(&other);
    return result;
}

static void assert_inflates(struct str bytes, struct str want)
{
    struct buf out = {0};
    assert_int_equal(ws_inflate(&inflater, bytes, want.len, &out), 0);
    assert_true(str_eq(buf_str(&out), want));
    buf_clear(&out);
    assert_int_equal(inflate_pieces(bytes, want.len, 1 + want.len / 50, &out), 0);
    assert_true(str_eq(buf_str(&out), want));
    buf_free(&out);
}

static void assert_refused(struct str bytes, size_t max, int want)
{
    struct buf out = {0};
    assert_int_equal(ws_inflate(&inflater, bytes, max, &out), want);
    assert_true(out.len <= max + 1);
    buf_clear(&out);
    assert_int_equal(inflate_pieces(bytes, max, 1 + max / 50, &out), want);
    assert_true(out.len <= max + 1);
    buf_free(&out);
}

static void deflated(struct str message, struct buf *ret)
{
    assert_int_equal(ws_deflate(&deflater, 15, message, ret), 0);
}

/* Text that compresses well, but not to nothing. */
static void add_text(struct buf *buf, size_t len)
{
    uint32_t n = 1;
    while (buf->len < len) {
        n = n * 1664525 + 1013904223;
        buf_addf(buf, "{\"price\":%u},", n >> 16);
    }
    buf->len = len;
}

static void add_noise(struct buf *buf, size_t len)
{
    uint64_t n = 88172645463325252;
    while (buf->len < len) {
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        buf_add_char(buf, (char)n);
    }
}

static void the_examples_of_rfc_7692_section_7_2_3_are_read(void **state)
{
    (void)state;
    /* Sections 7.2.3.1: one block; 7.2.3.3: stored; 7.2.3.4: marked as the last; 7.2.3.5: two
     * blocks. */
    assert_inflates(STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), STR("Hello"));
    assert_inflates(STR("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), STR("Hello"));
    assert_inflates(STR("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), STR("Hello"));
    assert_inflates(STR("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), STR("Hello"));
}

static void hello_is_written_as_in_rfc_7692_section_7_2_3_1(void **state)
{
    (void)state;
    struct buf out = {0};
    deflated(STR("Hello"), &out);
    assert_true(str_eq(buf_str(&out), STR("\xf2\x48\xcd\xc9\xc9\x07\x00")));
    buf_free(&out);
}

static void nothing_of_a_message_is_remembered_for_the_next(void **state)
{
    (void)state;
    struct buf first = {0}, second = {0};
    deflated(STR("Hello"), &first);
    deflated(STR("Hello"), &second);
    assert_true(str_eq(buf_str(&first), buf_str(&second)));
    /* The second message of section 7.2.3.2 refers to the first. */
    assert_inflates(buf_str(&first), STR("Hello"));
    assert_refused(STR("\xf2\x00\x11\x00\x00"), 100, WS_INFLATE_BROKEN);
    buf_free(&first);
    buf_free(&second);
}

static void an_empty_message_is_one_zero_byte(void **state)
{
    (void)state;
    struct buf out = {0};
    deflated(STR(""), &out);
    assert_true(str_eq(buf_str(&out), STR("\0")));
    assert_inflates(buf_str(&out), STR(""));
    buf_free(&out);
}

static void every_size_comes_back_through_every_window(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 63, 64, 255, 256, 511, 4096, 32768, 70000, 1000000};
    static const unsigned windows[] = {9, 12, 15};
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
        struct buf plain = {0};
        (i & 1 ? add_noise : add_text)(&plain, sizes[i / 2]);
        for (size_t k = 0; k < 3; k++) {
            struct buf out = {0};
            assert_int_equal(ws_deflate(&deflater, windows[k], buf_str(&plain), &out), 0);
            assert_inflates(buf_str(&out), buf_str(&plain));
            buf_free(&out);
        }
        buf_free(&plain);
    }
}

static void earlier_bytes_of_the_buffers_are_kept(void **state)
{
    (void)state;
    struct buf packed = {0}, plain = {0};
    buf_add_lit(&packed, "ab");
    deflated(STR("Hello"), &packed);
    assert_memory_equal(packed.at, "ab", 2);
    buf_add_lit(&plain, "cd");
    assert_int_equal(ws_inflate(&inflater, str_skip(buf_str(&packed), 2), 5, &plain), 0);
    assert_true(str_eq(buf_str(&plain), STR("cdHello")));
    buf_free(&packed);
    buf_free(&plain);
}

static void a_block_after_the_last_may_refer_to_what_came_before(void **state)
{
    (void)state;
    /* "Hello" with BFINAL set, then the second message of section 7.2.3.2, all back-reference. */
    assert_inflates(STR("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"), STR("HelloHello"));
    /* The block that the tail completes may be marked as the last too. */
    assert_inflates(STR("\xf2\x48\xcd\xc9\xc9\x07\x04"), STR("Hello"));
}

/* Adds bits in the order of deflate: the lowest first. */
static void add_bits(struct buf *buf, unsigned *have, uint64_t bits, unsigned count)
{
    for (unsigned i = 0; i < count; i++, ++*have) {
        if (*have % 8 == 0)
            buf_add_char(buf, 0);
        buf->at[buf->len - 1] |= (char)((bits >> i & 1) << *have % 8);
    }
}

/* Adds empty blocks; a dynamic one has a code only for its end. */
static void add_empty_blocks(struct buf *buf, unsigned type, bool final, unsigned count)
{
    unsigned have = 0;
    for (unsigned i = 0; i < count; i++) {
        add_bits(buf, &have, final | type << 1, 3);
        if (type == 1) {
            add_bits(buf, &have, 0, 7);
        } else {
            add_bits(buf, &have, 14 << 10, 14); /* 257 and 1 codes, 18 lengths of code lengths */
            for (unsigned k = 0; k < 18; k++)   /* in the order 16 17 18 0 8 … 1 */
                add_bits(buf, &have, k == 2 || k == 17 ? 1 : 0, 3);
            add_bits(buf, &have, 1 | 127 << 1, 8); /* 138 zeroes */
            add_bits(buf, &have, 1 | 107 << 1, 8); /* 118 zeroes */
            add_bits(buf, &have, 0, 3);            /* two lengths of one, and the end of the
                                                    * block */
        }
        have += final ? (8 - have % 8) % 8 : 0;
    }
    add_bits(buf, &have, 0, 3); /* the block that the tail completes */
}

static int inflate_result(struct str bytes)
{
    struct buf out = {0};
    int result = ws_inflate(&inflater, bytes, 1 << 20, &out);
    buf_free(&out);
    return result;
}

static int empty_blocks(struct str before, unsigned type, bool final, unsigned count)
{
    struct buf bytes = {0};
    buf_add_str(&bytes, before);
    add_empty_blocks(&bytes, type, final, count);
    int result = inflate_result(buf_str(&bytes));
    buf_free(&bytes);
    return result;
}

static void blocks_that_hold_nothing_are_bounded(void **state)
{
    (void)state;
    struct str hello = STR("\xf3\x48\xcd\xc9\xc9\x07\x00"); /* ends with a final block */
    for (int i = 0; i < 2; i++) {
        struct str before = i ? hello : STR_NONE;
        assert_int_equal(empty_blocks(before, 1, true, 15), 0);
        assert_int_equal(empty_blocks(before, 1, true, 17), WS_INFLATE_BROKEN);
        assert_int_equal(empty_blocks(before, 1, true, 500000), WS_INFLATE_BROKEN);
        assert_int_equal(empty_blocks(before, 2, true, 500), WS_INFLATE_BROKEN);
        assert_int_equal(empty_blocks(before, 2, false, 9990), 0);
        assert_int_equal(empty_blocks(before, 2, false, 10001), WS_INFLATE_BROKEN);
        assert_int_equal(empty_blocks(before, 2, false, 65000), WS_INFLATE_BROKEN);
        assert_int_equal(empty_blocks(before, 1, false, 200000), 0);
        assert_int_equal(empty_blocks(before, 1, false, 800000), WS_INFLATE_BROKEN);
    }
    assert_inflates(STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), STR("Hello"));
}

/* A compressor with the worst habits: the smallest memory, and a flush after each small write. */
static void assert_flushed_inflates(struct str plain, int flush, int strategy, size_t write)
{
    z_stream stream = {0};
    struct buf out = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 1, strategy), Z_OK);
    stream.next_in = (const Bytef *)plain.at;
    size_t room = plain.len * 2 + (plain.len / write + 2) * 12;
    stream.next_out = (Bytef *)buf_reserve(&out, room);
    stream.avail_out = (unsigned)room;
    for (size_t at = 0; at < plain.len; at += write) {
        stream.avail_in = (unsigned)(plain.len - at < write ? plain.len - at : write);
        int mode = at + write >= plain.len ? Z_SYNC_FLUSH : flush;
        assert_int_equal(deflate(&stream, mode), Z_OK);
    }
    out.len = room - stream.avail_out;
    deflateEnd(&stream);
    assert_memory_equal(out.at + out.len - 4, "\x00\x00\xff\xff", 4);
    out.len -= 4;
    assert_inflates(buf_str(&out), plain);
    buf_free(&out);
}

static void every_habit_of_an_honest_compressor_is_read(void **state)
{
    (void)state;
    static const int flushes[] = {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK};
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    static const size_t writes[] = {1, 7, 60, 300, 1 << 20};
    for (size_t i = 0; i < (size_t)2 * 5 * 4 * 5; i++) {
        struct buf plain = {0};
        size_t write = writes[i / 2 % 5];
        (i & 1 ? add_noise : add_text)(&plain, write == 1 ? 5000 : 20000);
        assert_flushed_inflates(buf_str(&plain), flushes[i / 10 % 5], strategies[i / 50], write);
        buf_free(&plain);
    }
    struct buf plain = {0};
    add_text(&plain, 1 << 20); /* 8,192 dynamic blocks, and 20,000 others */
    assert_flushed_inflates(buf_str(&plain), Z_NO_FLUSH, Z_HUFFMAN_ONLY, 1 << 20);
    assert_flushed_inflates(buf_str(&plain), Z_SYNC_FLUSH, Z_DEFAULT_STRATEGY, 100);
    buf_free(&plain);
}

static void a_message_that_just_fits_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    struct buf plain = {0}, out = {0};
    add_text(&plain, 10000);
    deflated(buf_str(&plain), &out);
    assert_inflates(buf_str(&out), buf_str(&plain));
    assert_refused(buf_str(&out), 9999, WS_INFLATE_TOO_BIG);
    assert_refused(buf_str(&out), 0, WS_INFLATE_TOO_BIG);
    buf_free(&plain);
    buf_free(&out);
}

static void a_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    struct buf zeroes = {0}, bomb = {0}, out = {0};
    memset(buf_reserve(&zeroes, 10000000), 0, 10000000);
    zeroes.len = 10000000;
    deflated(buf_str(&zeroes), &bomb);
    assert_true(bomb.len < 60000);
    assert_int_equal(ws_inflate(&inflater, buf_str(&bomb), 65536, &out), WS_INFLATE_TOO_BIG);
    assert_true(out.len <= 65537 && out.cap <= 131072);
    buf_free(&zeroes);
    buf_free(&bomb);
    buf_free(&out);
}

static void data_that_is_not_deflate_is_refused(void **state)
{
    (void)state;
    assert_refused(STR(""), 100, WS_INFLATE_BROKEN);
    assert_refused(STR("\x07"), 100, WS_INFLATE_BROKEN);
    assert_refused(STR("Hello, this is no deflate"), 100, WS_INFLATE_BROKEN);
    assert_refused(STR("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"), 100, WS_INFLATE_BROKEN);
    /* the decompressor still works */
    assert_inflates(STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), STR("Hello"));
}

static void a_message_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    struct buf plain = {0}, out = {0};
    add_text(&plain, 300);
    deflated(buf_str(&plain), &out);
    for (size_t n = 0; n < out.len; n++) {
        struct buf got = {0};
        assert_int_not_equal(ws_inflate(&inflater, (struct str){out.at, n}, 1000, &got), 0);
        buf_free(&got);
    }
    buf_free(&plain);
    buf_free(&out);
}

static void a_tail_that_was_not_left_out_is_refused(void **state)
{
    (void)state;
    assert_refused(STR("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"), 100, WS_INFLATE_BROKEN);
}

static void the_window_is_the_next_smaller_of_ours(void **state)
{
    (void)state;
    static const unsigned want[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 12, 12, 12, 15, 15};
    for (unsigned bits = 0; bits <= 16; bits++)
        assert_int_equal(deflate_bits(bits), want[bits]);
}

static void a_message_is_compressed_only_where_that_pays(void **state)
{
    (void)state;
    struct buf text = {0}, noise = {0}, out = {0};
    add_text(&text, 1000);
    add_noise(&noise, 1000);
    ws_add_message(&out, &deflater, 15, WS_TEXT, buf_str(&text));
    assert_int_equal((uint8_t)out.at[0], 0xc1);
    assert_true(out.len < 600);
    assert_inflates(str_skip(buf_str(&out), 4), buf_str(&text));
    buf_clear(&out);
    ws_add_message(&out, &deflater, 15, WS_BINARY, buf_str(&noise));
    assert_int_equal((uint8_t)out.at[0], 0x82);
    assert_int_equal(out.len, 1004);
    assert_memory_equal(out.at + 4, noise.at, 1000);
    buf_free(&text);
    buf_free(&noise);
    buf_free(&out);
}

static void assert_plain(struct deflater *with, unsigned window_bits, size_t len, bool want)
{
    char *same = mem_alloc(len);
    struct buf out = {0};
    ws_add_message(&out, with, window_bits, WS_TEXT, (struct str){same, len});
    assert_int_equal((uint8_t)out.at[0], want ? 0x81 : 0xc1);
    buf_free(&out);
    free(same);
}

static void a_short_message_and_one_without_the_extension_go_out_plain(void **state)
{
    (void)state;
    assert_plain(&deflater, 15, DEFLATE_LEAST, false);
    assert_plain(&deflater, 15, DEFLATE_LEAST - 1, true);
    assert_plain(&deflater, 0, DEFLATE_LEAST, true);
    assert_plain(NULL, 15, DEFLATE_LEAST, true);
}

static void a_message_that_would_take_long_goes_out_plain(void **state)
{
    (void)state;
    assert_plain(&deflater, 9, DEFLATE_MOST, false);
    assert_plain(&deflater, 9, DEFLATE_MOST + 1, true);
    assert_plain(&deflater, 15, 1 << 20, true);
}

/* A compressor that was used on the lowest level compresses its best afterwards. */
static void the_level_is_that_of_the_message(void **state)
{
    (void)state;
    struct buf small = {0}, large = {0}, before = {0}, between = {0}, after = {0};
    add_text(&small, DEFLATE_FAST - 1);
    add_text(&large, (size_t)DEFLATE_FAST * 4);
    ws_add_message(&before, &deflater, 15, WS_TEXT, buf_str(&small));
    ws_add_message(&between, &deflater, 15, WS_TEXT, buf_str(&large));
    ws_add_message(&after, &deflater, 15, WS_TEXT, buf_str(&small));
    assert_int_equal((uint8_t)between.at[0], 0xc1);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    buf_free(&small);
    buf_free(&large);
    buf_free(&before);
    buf_free(&between);
    buf_free(&after);
}

static void a_big_message_does_not_stay_in_the_scratch_buffer(void **state)
{
    (void)state;
    struct buf noise = {0}, out = {0};
    add_noise(&noise, 100000);
    ws_add_message(&out, &deflater, 15, WS_BINARY, buf_str(&noise));
    assert_int_equal(deflater.scratch.cap, 0);
    buf_free(&noise);
    buf_free(&out);
}

static void without_memory_a_message_goes_out_plain(void **state)
{
    (void)state;
    struct buf text = {0}, out = {0};
    add_text(&text, 500);
    unsigned long nth = 0;
    do {
        deflater_deinit(&deflater);
        buf_clear(&out);
        assert_non_null(buf_reserve(&out, 1000));
        mem_fail_nth(++nth);
        ws_add_message(&out, &deflater, 15, WS_TEXT, buf_str(&text));
        mem_fail_nth(0);
        assert_false(buf_failed(&out));
    } while ((uint8_t)out.at[0] == 0x81);
    assert_true(nth > 5);
    buf_free(&text);
    buf_free(&out);
}

static void every_allocation_that_fails_is_reported_and_survived(void **state)
{
    (void)state;
    struct buf text = {0}, packed = {0}, plain = {0};
    add_text(&text, 5000);
    int r = -ENOMEM;
    for (unsigned long nth = 1; r; nth++) {
        deflater_deinit(&deflater);
        buf_free(&packed);
        buf_add_lit(&packed, "ab");
        mem_fail_nth(nth);
        r = ws_deflate(&deflater, 15, buf_str(&text), &packed);
        mem_fail_nth(0);
        assert_true(r == 0 || (r == -ENOMEM && packed.len == 2));
    }
    r = -ENOMEM;
    for (unsigned long nth = 1; r; nth++) {
        ws_inflater_deinit(&inflater);
        buf_free(&plain);
        mem_fail_nth(nth);
        r = ws_inflate(&inflater, str_skip(buf_str(&packed), 2), 5000, &plain);
        mem_fail_nth(0);
        assert_true(r == 0 || r == -ENOMEM);
    }
    assert_true(str_eq(buf_str(&plain), buf_str(&text)));
    buf_free(&text);
    buf_free(&packed);
    buf_free(&plain);
}

static void a_context_works_on_after_a_failure_in_the_middle(void **state)
{
    (void)state;
    struct buf text = {0}, packed = {0}, out = {0};
    add_text(&text, 100000);
    deflated(buf_str(&text), &packed);
    for (unsigned long nth = 1; nth < 6; nth++) {
        mem_fail_nth(1); /* the room for all of it is allocated at once */
        assert_int_equal(ws_deflate(&deflater, 15, buf_str(&text), &out), -ENOMEM);
        buf_free(&out);
        mem_fail_nth(nth);
        assert_int_equal(ws_inflate(&inflater, buf_str(&packed), 100000, &out), -ENOMEM);
        buf_free(&out);
        mem_fail_nth(0);
        assert_inflates(buf_str(&packed), buf_str(&text));
    }
    buf_free(&text);
    buf_free(&packed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_examples_of_rfc_7692_section_7_2_3_are_read),
        TEST(hello_is_written_as_in_rfc_7692_section_7_2_3_1),
        TEST(nothing_of_a_message_is_remembered_for_the_next),
        TEST(an_empty_message_is_one_zero_byte),
        TEST(every_size_comes_back_through_every_window),
        TEST(earlier_bytes_of_the_buffers_are_kept),
        TEST(a_block_after_the_last_may_refer_to_what_came_before),
        TEST(blocks_that_hold_nothing_are_bounded),
        TEST(every_habit_of_an_honest_compressor_is_read),
        TEST(a_message_that_just_fits_passes_and_one_byte_more_does_not),
        TEST(a_bomb_stops_at_the_limit),
        TEST(data_that_is_not_deflate_is_refused),
        TEST(a_message_cut_short_anywhere_is_refused),
        TEST(a_tail_that_was_not_left_out_is_refused),
        TEST(the_window_is_the_next_smaller_of_ours),
        TEST(a_message_is_compressed_only_where_that_pays),
        TEST(a_short_message_and_one_without_the_extension_go_out_plain),
        TEST(a_message_that_would_take_long_goes_out_plain),
        TEST(the_level_is_that_of_the_message),
        TEST(a_big_message_does_not_stay_in_the_scratch_buffer),
        TEST(without_memory_a_message_goes_out_plain),
        TEST(every_allocation_that_fails_is_reported_and_survived),
        TEST(a_context_works_on_after_a_failure_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
