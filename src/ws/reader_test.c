#include "ws/reader.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
static const struct ws_limits LIMITS = {.message_max = 1000, .frame_max = 700, .piece = 7};

/* The other end of the reader under test. */
struct peer {
    struct buf sent;   /* frames on their way to the reader */
    struct buf events; /* the reader's events, one a line */
    struct deflater deflater;
    struct ws_inflater inflater;
    bool deflate;
    enum ws_role role; /* the reader's */
};

static struct peer peer;

static int setup(void **state)
{
    (void)state;
    peer = (struct peer){.role = WS_SERVER};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mem_fail_nth(0);
    buf_free(&peer.sent);
    buf_free(&peer.events);
    deflater_deinit(&peer.deflater);
    ws_inflater_deinit(&peer.inflater);
    return 0;
}

enum { FIN = 0x80, RSV1 = 0x40, RSV2 = 0x20, RSV3 = 0x10 };

/* Sends a frame with this first byte. */
static void send_frame(int first, struct str payload)
{
    size_t start = peer.sent.len;
    ws_add_frame(&peer.sent, true, false, WS_BINARY, payload, peer.role == WS_SERVER ? MASK : NULL);
    peer.sent.at[start] = (char)first;
}

static void send_repeated(int first, char c, size_t count)
{
    struct buf payload = {0};
    for (size_t i = 0; i < count; i++)
        buf_add_char(&payload, c);
    send_frame(first, buf_str(&payload));
    buf_free(&payload);
}

static void send_deflated(int first, struct str message)
{
    struct buf payload = {0};
    assert_int_equal(ws_deflate(&peer.deflater, 15, message, &payload), 0);
    send_frame(first, buf_str(&payload));
    buf_free(&payload);
}

static void send_close(int code, const char *reason)
{
    struct buf payload = {0};
    buf_add_char(&payload, (char)(code >> 8));
    buf_add_char(&payload, (char)code);
    buf_add_str(&payload, str_from(reason));
    send_frame(FIN | WS_CLOSE, buf_str(&payload));
    buf_free(&payload);
}

static void write_event(struct buf *out, const struct ws_event *event)
{
    static const char *const names[] = {
        [WS_TEXT] = "text", [WS_BINARY] = "binary", [WS_CLOSE] = "close",
        [WS_PING] = "ping", [WS_PONG] = "pong",
    };
    buf_add_str(out, str_from(names[event->opcode]));
    if (event->opcode == WS_CLOSE)
        buf_addf(out, " %u", event->close_code);
    buf_add_char(out, ' ');
    buf_add_str(out, event->data);
    buf_add_char(out, '\n');
}

/* Gives the reader exactly these bytes, in memory of their own, so that a sanitizer sees any access
 * beyond them. Returns its last result. */
static int feed_piece(struct ws_reader *reader, const char *bytes, size_t len, struct buf *out)
{
    char *copy = malloc(len ? len : 1);
    size_t at = 0, used;
    struct ws_event event;
    int r;
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    while ((r = ws_reader_feed(reader, copy + at, len - at, &used, &event)) == WS_EVENT ||
           ws_reader_is_inflating(reader)) {
        if (r == WS_EVENT)
            write_event(out, &event);
        at += used;
        assert_true(at <= len);
    }
    if (r == WS_MORE)
        assert_int_equal(at + used, len);
    free(copy);
    return r;
}

/* Feeds all frames in pieces of a size that `split` determines: 0 all at once, 1 byte by byte,
 * otherwise a seed for random pieces. Writes events and a fault to `out`. */
static void feed_split(unsigned split, struct buf *out)
{
    struct ws_reader reader;
    unsigned seed = split;
    int r = WS_MORE;
    ws_reader_init(&reader, peer.role, &LIMITS, peer.deflate ? &peer.inflater : NULL);
    for (size_t at = 0, n; at < peer.sent.len && r == WS_MORE; at += n) {
        n = split == 0 ? peer.sent.len : split == 1 ? 1 : (size_t)rand_r(&seed) % 13;
        if (n > peer.sent.len - at)
            n = peer.sent.len - at;
        r = feed_piece(&reader, peer.sent.at + at, n, out);
    }
    if (r != WS_MORE)
        buf_addf(out, "error %u %.*s\n", ws_error_close_code(r), STR_FMT(ws_error_reason(r)));
    ws_reader_deinit(&reader);
}

/* The frames must give `want`, whatever the pieces. */
static void assert_understood(const char *want)
{
    for (unsigned split = 0; split < 30; split++) {
        buf_clear(&peer.events);
        feed_split(split, &peer.events);
        buf_add_char(&peer.events, '\0');
        assert_string_equal(peer.events.at, want);
    }
    buf_clear(&peer.sent);
}

static void assert_fault(enum ws_result fault)
{
    char want[100];
    struct str reason = ws_error_reason((int)fault);
    snprintf(want, sizeof(want), "error %u %.*s\n", ws_error_close_code((int)fault),
             STR_FMT(reason));
    assert_understood(want);
}

/* --- valid frames --- */

static void the_frames_of_rfc_6455_section_5_7_are_read(void **state)
{
    (void)state;
    buf_add_lit(&peer.sent, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    buf_add_lit(&peer.sent, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_understood("text Hello\npong Hello\n");
    peer.role = WS_CLIENT;
    buf_add_lit(&peer.sent, "\x81\x05\x48\x65\x6c\x6c\x6f");
    buf_add_lit(&peer.sent, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f");
    buf_add_lit(&peer.sent, "\x89\x05\x48\x65\x6c\x6c\x6f");
    assert_understood("text Hello\ntext Hello\nping Hello\n");
}

static void a_256_byte_message_of_section_5_7_is_read(void **state)
{
    (void)state;
    peer.role = WS_CLIENT;
    buf_add_lit(&peer.sent, "\x82\x7e\x01\x00");
    for (int i = 0; i < 256; i++)
        buf_add_char(&peer.sent, 'x');
    feed_split(0, &peer.events);
    assert_int_equal(peer.events.len, 256 + strlen("binary \n"));
}

static void the_compressed_frames_of_rfc_7692_section_7_2_3_are_read(void **state)
{
    (void)state;
    peer.role = WS_CLIENT;
    peer.deflate = true;
    buf_add_lit(&peer.sent, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    buf_add_lit(&peer.sent, "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00");
    buf_add_lit(&peer.sent, "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00");
    buf_add_lit(&peer.sent, "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00");
    buf_add_lit(&peer.sent, "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00");
    buf_add_lit(&peer.sent, "\xc1\x01\x00");
    assert_understood("text Hello\ntext Hello\ntext Hello\ntext Hello\ntext Hello\ntext \n");
}

static void empty_messages_pings_and_fragments_are_read(void **state)
{
    (void)state;
    send_frame(FIN | WS_TEXT, STR(""));
    send_frame(FIN | WS_BINARY, STR(""));
    send_frame(FIN | WS_PING, STR(""));
    send_frame(WS_TEXT, STR(""));
    send_frame(WS_CONTINUATION, STR(""));
    send_frame(FIN | WS_CONTINUATION, STR(""));
    send_frame(WS_TEXT, STR(""));
    send_frame(FIN | WS_CONTINUATION, STR("late"));
    send_frame(WS_TEXT, STR("early"));
    send_frame(FIN | WS_CONTINUATION, STR(""));
    assert_understood("text \nbinary \nping \ntext \ntext late\ntext early\n");
}

static void control_frames_between_fragments_come_out_at_once(void **state)
{
    (void)state;
    send_frame(WS_TEXT, STR("one "));
    send_frame(FIN | WS_PING, STR("are you there"));
    send_frame(WS_CONTINUATION, STR("two "));
    send_frame(FIN | WS_PONG, STR(""));
    send_frame(FIN | WS_PING, STR("again"));
    send_frame(FIN | WS_CONTINUATION, STR("three"));
    assert_understood("ping are you there\npong \nping again\ntext one two three\n");
}

static void a_close_between_fragments_ends_the_message(void **state)
{
    (void)state;
    send_frame(WS_TEXT, STR("one "));
    send_close(1001, "going");
    send_frame(FIN | WS_CONTINUATION, STR("two"));
    assert_understood("close 1001 going\n");
}

static void a_control_frame_of_125_bytes_is_read(void **state)
{
    (void)state;
    send_repeated(FIN | WS_PING, 'p', 125);
    feed_split(1, &peer.events);
    assert_int_equal(peer.events.len, strlen("ping \n") + 125);
}

static void a_close_frame_says_code_and_reason_or_nothing(void **state)
{
    (void)state;
    send_close(1000, "done \xe2\x82\xac");
    assert_understood("close 1000 done \xe2\x82\xac\n");
    send_close(4999, "");
    assert_understood("close 4999 \n");
    send_frame(FIN | WS_CLOSE, STR(""));
    assert_understood("close 1005 \n");
}

static void frames_after_a_close_are_ignored(void **state)
{
    (void)state;
    send_close(1000, "");
    send_frame(FIN | WS_TEXT, STR("too late"));
    buf_add_lit(&peer.sent, "\xff\xff\xff\xff");
    assert_understood("close 1000 \n");
}

static void text_may_be_cut_inside_a_character(void **state)
{
    (void)state;
    send_frame(WS_TEXT, STR("\xe2"));
    send_frame(FIN | WS_PING, STR("\xff"));
    send_frame(WS_CONTINUATION, STR("\x82"));
    send_frame(FIN | WS_CONTINUATION, STR("\xac"));
    assert_understood("ping \xff\ntext \xe2\x82\xac\n");
}

static void binary_messages_may_hold_any_bytes(void **state)
{
    (void)state;
    send_frame(FIN | WS_BINARY, STR("\xff\xfe\xc0\x80"));
    assert_understood("binary \xff\xfe\xc0\x80\n");
}

static void a_compressed_message_may_come_in_fragments_with_plain_ones_around(void **state)
{
    (void)state;
    peer.deflate = true;
    send_frame(FIN | WS_TEXT, STR("plain"));
    send_frame(RSV1 | WS_TEXT, STR("\xf2\x48\xcd"));
    send_frame(FIN | WS_PING, STR("p"));
    send_frame(FIN | WS_CONTINUATION, STR("\xc9\xc9\x07\x00"));
    send_deflated(FIN | RSV1 | WS_BINARY, STR("packed"));
    send_frame(WS_TEXT, STR("pl"));
    send_frame(FIN | WS_CONTINUATION, STR("ain"));
    assert_understood("text plain\nping p\ntext Hello\nbinary packed\ntext plain\n");
}

/* --- invalid frames --- */

static void an_unmasked_frame_from_a_client_is_refused(void **state)
{
    (void)state;
    buf_add_lit(&peer.sent, "\x81\x05Hello");
    assert_fault(WS_E_UNMASKED);
    buf_add_lit(&peer.sent, "\x88\x00");
    assert_fault(WS_E_UNMASKED);
}

static void a_masked_frame_from_a_server_is_refused(void **state)
{
    (void)state;
    send_frame(FIN | WS_TEXT, STR("Hello"));
    peer.role = WS_CLIENT;
    assert_fault(WS_E_MASKED);
}

static void reserved_bits_are_refused(void **state)
{
    (void)state;
    static const int bits[] = {RSV1, RSV2, RSV3, RSV1 | RSV2 | RSV3};
    for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
        send_frame(FIN | bits[i] | WS_TEXT, STR("a"));
        assert_fault(WS_E_RESERVED_BIT);
        send_frame(FIN | bits[i] | WS_PING, STR("a"));
        assert_fault(WS_E_RESERVED_BIT);
    }
    peer.deflate = true;
    send_frame(FIN | RSV2 | WS_TEXT, STR("a"));
    assert_fault(WS_E_RESERVED_BIT);
}

static void a_compression_bit_elsewhere_than_on_the_first_frame_is_refused(void **state)
{
    (void)state;
    peer.deflate = true;
    send_frame(RSV1 | WS_TEXT, STR("\xf2\x48\xcd"));
    send_frame(FIN | RSV1 | WS_CONTINUATION, STR("\xc9\xc9\x07\x00"));
    assert_fault(WS_E_RESERVED_BIT);
    send_frame(FIN | RSV1 | WS_PING, STR("a"));
    assert_fault(WS_E_RESERVED_BIT);
    send_frame(FIN | RSV1 | WS_CLOSE, STR(""));
    assert_fault(WS_E_RESERVED_BIT);
}

static void reserved_opcodes_are_refused(void **state)
{
    (void)state;
    for (int opcode = 0; opcode < 16; opcode++) {
        if (opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG))
            continue;
        send_frame(FIN | opcode, STR(""));
        assert_fault(WS_E_RESERVED_OPCODE);
    }
}

static void a_fragmented_control_frame_is_refused(void **state)
{
    (void)state;
    static const int opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    for (size_t i = 0; i < 3; i++) {
        send_frame(opcodes[i], STR("\x03\xe8"));
        assert_fault(WS_E_CONTROL_FRAGMENTED);
    }
}

static void a_control_frame_of_126_bytes_is_refused(void **state)
{
    (void)state;
    static const int opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    for (size_t i = 0; i < 3; i++) {
        /* only the head: the reader must not wait for the payload */
        buf_add(&peer.sent, (char[]){(char)(FIN | opcodes[i]), (char)(0x80 | 126)}, 2);
        assert_fault(WS_E_CONTROL_TOO_LONG);
        buf_add(&peer.sent, (char[]){(char)(FIN | opcodes[i]), (char)(0x80 | 127)}, 2);
        assert_fault(WS_E_CONTROL_TOO_LONG);
    }
}

static void a_length_longer_than_needed_is_refused(void **state)
{
    (void)state;
    buf_add_lit(&peer.sent, "\x82\xfe\x00\x00mask");
    assert_fault(WS_E_LENGTH_NOT_MINIMAL);
    buf_add_lit(&peer.sent, "\x82\xfe\x00\x7dmask");
    assert_fault(WS_E_LENGTH_NOT_MINIMAL);
    buf_add_lit(&peer.sent, "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x05mask");
    assert_fault(WS_E_LENGTH_NOT_MINIMAL);
    buf_add_lit(&peer.sent, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffmask");
    assert_fault(WS_E_LENGTH_NOT_MINIMAL);
}

static void a_length_with_the_highest_bit_set_is_refused(void **state)
{
    (void)state;
    buf_add_lit(&peer.sent, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask");
    assert_fault(WS_E_LENGTH_TOO_LARGE);
    buf_add_lit(&peer.sent, "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffmask");
    assert_fault(WS_E_LENGTH_TOO_LARGE);
}

static void the_largest_length_is_too_big_and_no_overflow(void **state)
{
    (void)state;
    buf_add_lit(&peer.sent, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask");
    assert_fault(WS_E_TOO_BIG);
    peer.deflate = true;
    buf_add_lit(&peer.sent, "\xc2\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask");
    assert_fault(WS_E_TOO_BIG);
}

static void a_continuation_of_nothing_is_refused(void **state)
{
    (void)state;
    send_frame(FIN | WS_CONTINUATION, STR("a"));
    assert_fault(WS_E_NOTHING_TO_CONTINUE);
    send_frame(WS_CONTINUATION, STR("a"));
    assert_fault(WS_E_NOTHING_TO_CONTINUE);
}

static void a_continuation_after_a_whole_message_is_refused(void **state)
{
    (void)state;
    send_frame(FIN | WS_TEXT, STR("a"));
    send_frame(FIN | WS_CONTINUATION, STR("b"));
    assert_understood("text a\nerror 1002 continuation of no message\n");
}

static void a_new_message_inside_a_fragmented_one_is_refused(void **state)
{
    (void)state;
    static const int opcodes[] = {WS_TEXT, WS_BINARY, FIN | WS_TEXT, FIN | WS_BINARY};
    for (size_t i = 0; i < 4; i++) {
        send_frame(WS_TEXT, STR("a"));
        send_frame(opcodes[i], STR("b"));
        assert_fault(WS_E_MESSAGE_UNFINISHED);
    }
}

static void text_that_is_not_utf_8_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xff",     "\xc0\x80",         "\xed\xa0\x80", "a\x80",
        "\xe2\x82", "\xf4\x90\x80\x80", "\xce\xba\xf8", "\xf0\x9f\x98\x80\xc3",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        send_frame(FIN | WS_TEXT, str_from(texts[i]));
        assert_fault(WS_E_UTF8);
        send_frame(WS_TEXT, str_from(texts[i]));
        send_frame(FIN | WS_CONTINUATION, STR(""));
        assert_fault(WS_E_UTF8);
    }
}

static void a_character_left_open_between_two_messages_does_not_join_them(void **state)
{
    (void)state;
    send_frame(FIN | WS_TEXT, STR("\xc3"));
    send_frame(FIN | WS_TEXT, STR("\xa4"));
    assert_fault(WS_E_UTF8);
}

static void text_fails_before_its_message_is_whole(void **state)
{
    (void)state;
    send_frame(WS_TEXT, STR("good \xed"));
    send_frame(WS_CONTINUATION, STR("\xa0"));
    assert_fault(WS_E_UTF8);
    /* inside a frame of which most has not come yet */
    send_repeated(FIN | WS_TEXT, '\xff', 600);
    peer.sent.len = 9;
    assert_fault(WS_E_UTF8);
}

static void compressed_text_that_is_not_utf_8_is_refused(void **state)
{
    (void)state;
    peer.deflate = true;
    send_deflated(FIN | RSV1 | WS_TEXT, STR("good, then \xff"));
    assert_fault(WS_E_UTF8);
    send_deflated(FIN | RSV1 | WS_TEXT, STR("cut \xe2\x82"));
    assert_fault(WS_E_UTF8);
}

static void compressed_data_that_is_none_is_refused(void **state)
{
    (void)state;
    peer.deflate = true;
    send_frame(FIN | RSV1 | WS_TEXT, STR("this is not deflate"));
    assert_fault(WS_E_DEFLATE);
    send_frame(FIN | RSV1 | WS_TEXT, STR("\xf2\x48\xcd\xc9"));
    assert_fault(WS_E_DEFLATE);
    send_frame(FIN | RSV1 | WS_TEXT, STR(""));
    assert_fault(WS_E_DEFLATE);
}

static void a_close_frame_of_one_byte_is_refused(void **state)
{
    (void)state;
    send_frame(FIN | WS_CLOSE, STR("\x03"));
    assert_fault(WS_E_CLOSE_LENGTH);
}

static void a_close_code_that_nobody_may_send_is_refused(void **state)
{
    (void)state;
    static const int codes[] = {0,    1,    500,  999,  1004, 1005, 1006, 1015,
                                1016, 1100, 2000, 2999, 5000, 6000, 65535};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        send_close(codes[i], "");
        assert_fault(WS_E_CLOSE_CODE);
        send_close(codes[i], "why");
        assert_fault(WS_E_CLOSE_CODE);
    }
}

static void a_close_reason_that_is_not_utf_8_is_refused(void **state)
{
    (void)state;
    send_close(1000, "\xff");
    assert_fault(WS_E_UTF8);
    send_close(1000, "cut \xe2\x82");
    assert_fault(WS_E_UTF8);
}

/* --- limits --- */

static void a_frame_beyond_its_limit_is_refused_by_its_head(void **state)
{
    (void)state;
    send_repeated(FIN | WS_BINARY, 'x', 701);
    peer.sent.len = 8;
    assert_fault(WS_E_TOO_BIG);
    send_repeated(FIN | WS_BINARY, 'x', 700);
    buf_clear(&peer.events);
    feed_split(0, &peer.events);
    assert_true(str_starts(buf_str(&peer.events), STR("binary xxx")));
}

static void a_message_beyond_its_limit_is_refused_by_the_head_that_exceeds_it(void **state)
{
    (void)state;
    send_repeated(WS_BINARY, 'x', 600);
    send_repeated(WS_CONTINUATION, 'x', 400);
    size_t fits = peer.sent.len;
    send_repeated(FIN | WS_CONTINUATION, 'x', 1);
    peer.sent.len = fits + 6;
    assert_fault(WS_E_TOO_BIG);
    send_repeated(WS_BINARY, 'x', 600);
    send_repeated(FIN | WS_CONTINUATION, 'x', 400);
    buf_clear(&peer.events);
    feed_split(1, &peer.events);
    assert_int_equal(peer.events.len, strlen("binary \n") + 1000);
}

static void a_compressed_message_counts_as_it_is_once_decompressed(void **state)
{
    (void)state;
    char same[1001];
    memset(same, 'x', sizeof(same));
    peer.deflate = true;
    send_deflated(FIN | RSV1 | WS_BINARY, (struct str){same, 1001});
    assert_fault(WS_E_TOO_BIG);
    send_deflated(FIN | RSV1 | WS_BINARY, (struct str){same, 1000});
    buf_clear(&peer.events);
    feed_split(0, &peer.events);
    assert_int_equal(peer.events.len, strlen("binary \n") + 1000);
}

static void noise_that_just_fits_passes_although_deflate_makes_it_longer(void **state)
{
    (void)state;
    char noise[700];
    unsigned seed = 7;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)rand_r(&seed);
    peer.deflate = true;
    send_deflated(FIN | RSV1 | WS_BINARY, (struct str){noise, sizeof(noise)});
    assert_true(peer.sent.len > 700 + 8);
    feed_split(0, &peer.events);
    assert_int_equal(peer.events.len, strlen("binary \n") + 700);
}

static void compressed_fragments_are_not_gathered_without_end(void **state)
{
    (void)state;
    peer.deflate = true;
    send_repeated(RSV1 | WS_BINARY, '\0', 700);
    send_repeated(WS_CONTINUATION, '\0', 500);
    assert_fault(WS_E_TOO_BIG);
}

/* --- the reader itself --- */

static void a_reader_takes_at_most_64_bytes(void **state)
{
    (void)state;
    assert_true(sizeof(struct ws_reader) <= 64);
}

static void a_whole_message_is_handed_out_without_a_copy(void **state)
{
    (void)state;
    struct ws_reader reader;
    struct ws_event event;
    size_t used;
    send_frame(FIN | WS_TEXT, STR("Hello"));
    ws_reader_init(&reader, WS_SERVER, &LIMITS, NULL);
    mem_fail_nth(1);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at, peer.sent.len, &used, &event), WS_EVENT);
    assert_ptr_equal(event.data.at, peer.sent.at + 6);
    assert_int_equal(used, peer.sent.len);
    assert_null(reader.progress);
    ws_reader_deinit(&reader);
}

static void nothing_is_held_between_messages(void **state)
{
    (void)state;
    struct ws_reader reader;
    struct ws_event event;
    size_t used;
    send_frame(WS_TEXT, STR("Hel"));
    send_frame(FIN | WS_CONTINUATION, STR("lo"));
    ws_reader_init(&reader, WS_SERVER, &LIMITS, NULL);
    assert_true(ws_reader_idle(&reader));
    assert_null(reader.progress);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at, 1, &used, &event), WS_MORE);
    assert_false(ws_reader_idle(&reader));
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at + 1, 8, &used, &event), WS_MORE);
    assert_false(ws_reader_idle(&reader));
    assert_true(ws_reader_held(&reader) > 2);
    assert_int_equal(ws_reader_inflated(&reader), 0);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at + 9, 8, &used, &event), WS_EVENT);
    assert_true(str_eq(event.data, STR("Hello")));
    assert_true(ws_reader_idle(&reader));
    assert_int_equal(ws_reader_feed(&reader, NULL, 0, &used, &event), WS_MORE);
    assert_null(reader.progress);
    assert_int_equal(ws_reader_held(&reader), 0);
    ws_reader_deinit(&reader);
}

static void a_message_that_is_given_up_is_forgotten_and_what_follows_ignored(void **state)
{
    (void)state;
    struct ws_reader reader;
    struct ws_event event;
    size_t used;
    send_frame(WS_TEXT, STR("Hel"));
    send_frame(FIN | WS_CONTINUATION, STR("lo"));
    ws_reader_init(&reader, WS_SERVER, &LIMITS, NULL);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at, 9, &used, &event), WS_MORE);
    ws_reader_give_up(&reader);
    assert_int_equal(ws_reader_held(&reader), 0);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at + 9, 8, &used, &event), WS_MORE);
    assert_int_equal(used, 8);
    ws_reader_deinit(&reader);
}

/* The length in a head costs nothing until the payload comes: the reader only notes its
 * position. */
static void a_head_alone_reserves_no_memory_for_its_payload(void **state)
{
    (void)state;
    struct ws_reader reader;
    struct ws_event event;
    size_t used;
    send_repeated(FIN | WS_BINARY, 'x', 700);
    ws_reader_init(&reader, WS_SERVER, &LIMITS, NULL);
    mem_fail_nth(2);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at, 8, &used, &event), WS_MORE);
    mem_fail_nth(0);
    assert_in_range(malloc_usable_size(reader.progress), 1, 128);
    ws_reader_deinit(&reader);
}

static void a_fault_is_final(void **state)
{
    (void)state;
    struct ws_reader reader;
    struct ws_event event;
    size_t used;
    send_frame(WS_TEXT, STR("gathered"));
    send_frame(FIN | WS_TEXT, STR(""));
    ws_reader_init(&reader, WS_SERVER, &LIMITS, NULL);
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at, peer.sent.len, &used, &event),
                     WS_E_MESSAGE_UNFINISHED);
    assert_null(reader.progress);
    buf_clear(&peer.sent);
    send_frame(FIN | WS_TEXT, STR("fine"));
    assert_int_equal(ws_reader_feed(&reader, peer.sent.at, peer.sent.len, &used, &event),
                     WS_E_MESSAGE_UNFINISHED);
    ws_reader_deinit(&reader);
}

static void every_fault_has_a_close_code_and_a_reason_that_may_be_sent(void **state)
{
    (void)state;
    for (int fault = WS_E_RESERVED_BIT; fault <= WS_E_DEFLATE; fault++) {
        assert_true(ws_close_code_valid(ws_error_close_code(fault)));
        assert_in_range(ws_error_reason(fault).len, 1, WS_CLOSE_REASON_MAX);
    }
    assert_int_equal(ws_error_close_code(-ENOMEM), WS_CLOSE_INTERNAL);
    assert_true(ws_error_reason(-ENOMEM).len > 0);
}

static void every_allocation_that_fails_is_reported_and_final(void **state)
{
    (void)state;
    static const char want[] = "ping split\ntext Hello again\ntext Hello\n";
    peer.deflate = true;
    send_frame(WS_TEXT, STR("Hello"));
    send_frame(FIN | WS_PING, STR("split"));
    send_frame(FIN | WS_CONTINUATION, STR(" again"));
    send_deflated(FIN | RSV1 | WS_TEXT, STR("Hello"));
    assert_non_null(buf_reserve(&peer.events, 1000));
    unsigned long nth = 0;
    bool failed;
    do {
        ws_inflater_deinit(&peer.inflater);
        buf_clear(&peer.events);
        mem_fail_nth(++nth);
        feed_split(1, &peer.events);
        mem_fail_nth(0);
        buf_add_char(&peer.events, '\0');
        char *error = strstr(peer.events.at, "error");
        failed = error != NULL;
        if (failed) {
            assert_string_equal(error, "error 1011 out of memory\n");
            *error = '\0';
        }
        assert_memory_equal(peer.events.at, want, strlen(peer.events.at));
    } while (failed);
    assert_true(nth > 5);
    assert_string_equal(peer.events.at, want);
}

static void a_long_mixed_stream_is_understood_however_it_is_cut(void **state)
{
    (void)state;
    peer.deflate = true;
    struct buf whole = {0};
    unsigned seed = 3;
    for (int i = 0; i < 300; i++) {
        char text[40];
        size_t len = (size_t)rand_r(&seed) % sizeof(text);
        memset(text, 'a' + i % 26, len);
        if (i % 3 == 0)
            send_deflated(FIN | RSV1 | WS_TEXT, (struct str){text, len});
        else if (i % 3 == 1)
            send_frame(FIN | WS_PING, (struct str){text, len});
        else {
            send_frame(WS_BINARY, (struct str){text, len / 2});
            send_frame(FIN | WS_CONTINUATION, (struct str){text, len - len / 2});
        }
    }
    feed_split(0, &whole);
    buf_add_char(&whole, '\0');
    assert_null(strstr(whole.at, "error"));
    assert_understood(whole.at);
    buf_free(&whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_frames_of_rfc_6455_section_5_7_are_read),
        TEST(a_256_byte_message_of_section_5_7_is_read),
        TEST(the_compressed_frames_of_rfc_7692_section_7_2_3_are_read),
        TEST(empty_messages_pings_and_fragments_are_read),
        TEST(control_frames_between_fragments_come_out_at_once),
        TEST(a_close_between_fragments_ends_the_message),
        TEST(a_control_frame_of_125_bytes_is_read),
        TEST(a_close_frame_says_code_and_reason_or_nothing),
        TEST(frames_after_a_close_are_ignored),
        TEST(text_may_be_cut_inside_a_character),
        TEST(binary_messages_may_hold_any_bytes),
        TEST(a_compressed_message_may_come_in_fragments_with_plain_ones_around),
        TEST(an_unmasked_frame_from_a_client_is_refused),
        TEST(a_masked_frame_from_a_server_is_refused),
        TEST(reserved_bits_are_refused),
        TEST(a_compression_bit_elsewhere_than_on_the_first_frame_is_refused),
        TEST(reserved_opcodes_are_refused),
        TEST(a_fragmented_control_frame_is_refused),
        TEST(a_control_frame_of_126_bytes_is_refused),
        TEST(a_length_longer_than_needed_is_refused),
        TEST(a_length_with_the_highest_bit_set_is_refused),
        TEST(the_largest_length_is_too_big_and_no_overflow),
        TEST(a_continuation_of_nothing_is_refused),
        TEST(a_continuation_after_a_whole_message_is_refused),
        TEST(a_new_message_inside_a_fragmented_one_is_refused),
        TEST(text_that_is_not_utf_8_is_refused),
        TEST(a_character_left_open_between_two_messages_does_not_join_them),
        TEST(text_fails_before_its_message_is_whole),
        TEST(compressed_text_that_is_not_utf_8_is_refused),
        TEST(compressed_data_that_is_none_is_refused),
        TEST(a_close_frame_of_one_byte_is_refused),
        TEST(a_close_code_that_nobody_may_send_is_refused),
        TEST(a_close_reason_that_is_not_utf_8_is_refused),
        TEST(a_frame_beyond_its_limit_is_refused_by_its_head),
        TEST(a_message_beyond_its_limit_is_refused_by_the_head_that_exceeds_it),
        TEST(a_compressed_message_counts_as_it_is_once_decompressed),
        TEST(noise_that_just_fits_passes_although_deflate_makes_it_longer),
        TEST(compressed_fragments_are_not_gathered_without_end),
        TEST(a_reader_takes_at_most_64_bytes),
        TEST(a_whole_message_is_handed_out_without_a_copy),
        TEST(nothing_is_held_between_messages),
        TEST(a_message_that_is_given_up_is_forgotten_and_what_follows_ignored),
        TEST(a_head_alone_reserves_no_memory_for_its_payload),
        TEST(a_fault_is_final),
        TEST(every_fault_has_a_close_code_and_a_reason_that_may_be_sent),
        TEST(every_allocation_that_fails_is_reported_and_final),
        TEST(a_long_mixed_stream_is_understood_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
