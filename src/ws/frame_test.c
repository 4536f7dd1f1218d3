#include "ws/frame.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

static void assert_bytes(const struct buf *buf, const char *want, size_t len)
{
    assert_int_equal(buf->len, len);
    assert_memory_equal(buf->at, want, len);
}

#define ASSERT_BYTES(buf, literal) assert_bytes((buf), (literal), sizeof(literal) - 1)

static void the_frames_of_rfc_6455_section_5_7_come_out_as_printed(void **state)
{
    (void)state;
    struct buf buf = {0};
    ws_add_frame(&buf, true, false, WS_TEXT, STR("Hello"), NULL);
    ASSERT_BYTES(&buf, "\x81\x05Hello");
    buf_clear(&buf);
    ws_add_frame(&buf, true, false, WS_TEXT, STR("Hello"), MASK);
    ASSERT_BYTES(&buf, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    buf_clear(&buf);
    ws_add_frame(&buf, false, false, WS_TEXT, STR("Hel"), NULL);
    ws_add_frame(&buf, true, false, WS_CONTINUATION, STR("lo"), NULL);
    ASSERT_BYTES(&buf, "\x01\x03Hel\x80\x02lo");
    buf_clear(&buf);
    ws_add_frame(&buf, true, false, WS_PING, STR("Hello"), NULL);
    ws_add_frame(&buf, true, false, WS_PONG, STR("Hello"), MASK);
    ASSERT_BYTES(&buf, "\x89\x05Hello\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    buf_free(&buf);
}

static void assert_head(uint64_t len, const char *want, size_t want_len)
{
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(ws_frame_head(head, true, false, WS_BINARY, len, NULL), want_len);
    assert_memory_equal(head, want, want_len);
}

static void a_length_takes_its_shortest_form(void **state)
{
    (void)state;
    assert_head(0, "\x82\x00", 2);
    assert_head(125, "\x82\x7d", 2);
    assert_head(126, "\x82\x7e\x00\x7e", 4);
    assert_head(256, "\x82\x7e\x01\x00", 4);
    assert_head(65535, "\x82\x7e\xff\xff", 4);
    assert_head(65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    assert_head(INT64_MAX, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
}

static void rsv1_marks_what_is_compressed(void **state)
{
    (void)state;
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(ws_frame_head(head, false, true, WS_TEXT, 1, NULL), 2);
    assert_int_equal(head[0], 0x41);
}

static void a_mask_stands_behind_the_longest_length(void **state)
{
    (void)state;
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(ws_frame_head(head, true, false, WS_TEXT, 65536, MASK), WS_HEAD_MAX);
    assert_int_equal(head[1], 0xff);
    assert_memory_equal(head + 10, MASK, 4);
}

static void masking_is_the_same_at_every_length_and_alignment(void **state)
{
    (void)state;
    char bytes[64], want[64];
    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; len < 40; len++) {
            for (size_t i = 0; i < sizeof(bytes); i++)
                want[i] = bytes[i] = (char)(i * 7);
            for (size_t i = 0; i < len; i++)
                want[start + i] = (char)(want[start + i] ^ (char)MASK[i % 4]);
            ws_mask(bytes + start, len, MASK);
            assert_memory_equal(bytes, want, sizeof(bytes));
        }
    }
}

static void a_close_frame_carries_code_and_reason(void **state)
{
    (void)state;
    struct buf buf = {0};
    ws_add_close(&buf, WS_CLOSE_NORMAL, STR("bye"), NULL);
    ASSERT_BYTES(&buf, "\x88\x05\x03\xe8"
                       "bye");
    buf_clear(&buf);
    ws_add_close(&buf, 4410, STR_NONE, NULL);
    ASSERT_BYTES(&buf, "\x88\x02\x11\x3a");
    buf_clear(&buf);
    ws_add_close(&buf, WS_CLOSE_NONE, STR("ignored"), NULL);
    ASSERT_BYTES(&buf, "\x88\x00");
    buf_free(&buf);
}

static void assert_reason_cut_to(const char *filler, size_t filler_len, const char *tail,
                                 size_t want)
{
    struct buf reason = {0}, frame = {0};
    for (size_t i = 0; i < filler_len; i++)
        buf_add_str(&reason, str_from(filler));
    buf_add_str(&reason, str_from(tail));
    ws_add_close(&frame, WS_CLOSE_NORMAL, buf_str(&reason), NULL);
    assert_int_equal(frame.len, 4 + want);
    assert_int_equal(frame.at[1], 2 + want);
    assert_memory_equal(frame.at + 4, reason.at, want);
    buf_free(&reason);
    buf_free(&frame);
}

static void a_long_close_reason_is_cut_between_characters(void **state)
{
    (void)state;
    assert_reason_cut_to("a", 123, "", 123);
    assert_reason_cut_to("a", 124, "", 123);
    assert_reason_cut_to("a", 122, "\xc3\xa4", 122);
    assert_reason_cut_to("a", 121, "\xc3\xa4", 123);
    assert_reason_cut_to("a", 121, "\xc3\xa4z", 123);
    assert_reason_cut_to("a", 121, "\xe2\x82\xac", 121);
    assert_reason_cut_to("a", 120, "\xf0\x9f\x98\x80", 120);
    assert_reason_cut_to("\xf0\x9f\x98\x80", 31, "", 120);
}

static void a_reason_of_continuation_bytes_alone_is_cut_to_nothing(void **state)
{
    (void)state;
    assert_reason_cut_to("\x80", 200, "", 0);
}

static void the_close_codes_that_may_be_sent_are_those_of_section_7_4(void **state)
{
    (void)state;
    const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
                             1012, 1013, 1014, 3000, 3999, 4000, 4410, 4999};
    const unsigned bad[] = {0,    1,    999,  1004, 1005, 1006,  1015,
                            1016, 1100, 2000, 2999, 5000, 65535, 100000};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(ws_close_code_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(ws_close_code_valid(bad[i]));
}

static void a_frame_without_memory_leaves_nothing_of_itself(void **state)
{
    (void)state;
    struct buf buf = {0};
    char big[200] = {0};
    buf_add_lit(&buf, "before");
    mem_fail_nth(1);
    ws_add_frame(&buf, true, false, WS_BINARY, (struct str){big, sizeof(big)}, MASK);
    mem_fail_nth(0);
    assert_true(buf_failed(&buf));
    ASSERT_BYTES(&buf, "before");
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frames_of_rfc_6455_section_5_7_come_out_as_printed),
        cmocka_unit_test(a_length_takes_its_shortest_form),
        cmocka_unit_test(rsv1_marks_what_is_compressed),
        cmocka_unit_test(a_mask_stands_behind_the_longest_length),
        cmocka_unit_test(masking_is_the_same_at_every_length_and_alignment),
        cmocka_unit_test(a_close_frame_carries_code_and_reason),
        cmocka_unit_test(a_long_close_reason_is_cut_between_characters),
        cmocka_unit_test(a_reason_of_continuation_bytes_alone_is_cut_to_nothing),
        cmocka_unit_test(the_close_codes_that_may_be_sent_are_those_of_section_7_4),
        cmocka_unit_test(a_frame_without_memory_leaves_nothing_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
