/* A frame's head is gathered in the reader itself, at most 14 bytes, and checked as soon as its
 * first two bytes are there. Payload is unmasked where it lies. A message or control frame that
 * lies in the caller's bytes as a whole is handed out from there; only one that comes in pieces is
 * gathered on the heap, and that memory goes back with the call after the one that handed it out.
 */
#include "ws/reader.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum state {
    AT_HEAD,
    IN_PAYLOAD,
    CLOSED, /* the peer said goodbye */
};

enum { BIT_FIN = 0x80, BIT_RSV1 = 0x40, BITS_RSV = 0x70, BIT_MASK = 0x80, BIT_CONTROL = 0x08 };

struct ws_partial {
    struct buf message;  /* payload so far, as on the wire but unmasked */
    struct buf inflated; /* the whole message, once it was compressed */
    size_t control_len;
    char control[WS_CONTROL_MAX];
};

struct fault {
    unsigned close_code;
    struct str reason;
};

static const struct fault faults[] = {
    [WS_E_RESERVED_BIT] = {WS_CLOSE_PROTOCOL, STR("reserved bit set")},
    [WS_E_RESERVED_OPCODE] = {WS_CLOSE_PROTOCOL, STR("reserved opcode")},
    [WS_E_UNMASKED] = {WS_CLOSE_PROTOCOL, STR("frames from a client must be masked")},
    [WS_E_MASKED] = {WS_CLOSE_PROTOCOL, STR("frames from a server must not be masked")},
    [WS_E_CONTROL_FRAGMENTED] = {WS_CLOSE_PROTOCOL, STR("control frame fragmented")},
    [WS_E_CONTROL_TOO_LONG] = {WS_CLOSE_PROTOCOL, STR("control frame longer than 125 bytes")},
    [WS_E_LENGTH_NOT_MINIMAL] = {WS_CLOSE_PROTOCOL, STR("payload length not in its shortest form")},
    [WS_E_LENGTH_TOO_LARGE] = {WS_CLOSE_PROTOCOL, STR("payload length has its highest bit set")},
    [WS_E_NOTHING_TO_CONTINUE] = {WS_CLOSE_PROTOCOL, STR("continuation of no message")},
    [WS_E_MESSAGE_UNFINISHED] = {WS_CLOSE_PROTOCOL, STR("new message inside a fragmented one")},
    [WS_E_CLOSE_LENGTH] = {WS_CLOSE_PROTOCOL, STR("close frame of one byte")},
    [WS_E_CLOSE_CODE] = {WS_CLOSE_PROTOCOL, STR("close code not allowed in a close frame")},
    [WS_E_UTF8] = {WS_CLOSE_INVALID_DATA, STR("text is not UTF-8")},
    [WS_E_TOO_BIG] = {WS_CLOSE_TOO_BIG, STR("message too big")},
    [WS_E_DEFLATE] = {WS_CLOSE_INVALID_DATA, STR("compressed message is not valid deflate")},
};

unsigned ws_error_close_code(int result)
{
    return result > 0 ? faults[result].close_code : WS_CLOSE_INTERNAL;
}

struct str ws_error_reason(int result)
{
    return result > 0 ? faults[result].reason : STR("out of memory");
}

void ws_reader_init(struct ws_reader *reader, enum ws_role role, const struct ws_limits *limits,
                    struct ws_inflater *inflater)
{
    assert(limits->message_max && limits->frame_max);
    *reader = (struct ws_reader){.limits = limits, .inflater = inflater, .role = (uint8_t)role};
}

static void drop_partial(struct ws_reader *reader)
{
    if (!reader->partial)
        return;
    buf_free(&reader->partial->message);
    buf_free(&reader->partial->inflated);
    free(reader->partial);
    reader->partial = NULL;
}

void ws_reader_deinit(struct ws_reader *reader)
{
    drop_partial(reader);
}

bool ws_reader_idle(const struct ws_reader *reader)
{
    return reader->state != IN_PAYLOAD && !reader->head_len && !reader->message;
}

static struct ws_partial *partial_of(struct ws_reader *reader)
{
    if (reader->partial)
        return reader->partial;
    struct ws_partial *partial = mem_try_alloc(sizeof(*partial));
    if (partial)
        *partial = (struct ws_partial){.control_len = 0};
    return reader->partial = partial;
}

static enum ws_opcode opcode_of(const struct ws_reader *reader)
{
    return (enum ws_opcode)(reader->head[0] & 0x0f);
}

static bool is_control(const struct ws_reader *reader)
{
    return reader->head[0] & BIT_CONTROL;
}

static bool is_final(const struct ws_reader *reader)
{
    return reader->head[0] & BIT_FIN;
}

static bool opcode_known(enum ws_opcode opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static int check_bits(const struct ws_reader *reader)
{
    enum ws_opcode opcode = opcode_of(reader);
    bool starts_message = opcode == WS_TEXT || opcode == WS_BINARY;
    int allowed = reader->inflater && starts_message ? BIT_RSV1 : 0;
    if (reader->head[0] & BITS_RSV & ~allowed)
        return WS_E_RESERVED_BIT;
    if (!opcode_known(opcode))
        return WS_E_RESERVED_OPCODE;
    bool masked = reader->head[1] & BIT_MASK;
    if (reader->role == WS_SERVER && !masked)
        return WS_E_UNMASKED;
    return reader->role == WS_CLIENT && masked ? WS_E_MASKED : 0;
}

/* Whether such a frame may come at this point. */
static int check_place(const struct ws_reader *reader)
{
    if (is_control(reader)) {
        if (!is_final(reader))
            return WS_E_CONTROL_FRAGMENTED;
        return (reader->head[1] & 0x7f) > WS_CONTROL_MAX ? WS_E_CONTROL_TOO_LONG : 0;
    }
    if (opcode_of(reader) == WS_CONTINUATION)
        return reader->message ? 0 : WS_E_NOTHING_TO_CONTINUE;
    return reader->message ? WS_E_MESSAGE_UNFINISHED : 0;
}

static int check_first_bytes(const struct ws_reader *reader)
{
    int r = check_bits(reader);
    return r ? r : check_place(reader);
}

/* How many bytes hold the length behind the first two of the head. */
static size_t length_size(const struct ws_reader *reader)
{
    int short_len = reader->head[1] & 0x7f;
    return short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
}

static size_t head_size(const struct ws_reader *reader)
{
    if (reader->head_len < 2)
        return 2;
    return 2 + length_size(reader) + (reader->head[1] & BIT_MASK ? 4 : 0);
}

static int read_length(const struct ws_reader *reader, uint64_t *ret)
{
    size_t size = length_size(reader);
    uint64_t len = size ? 0 : reader->head[1] & 0x7f;
    for (size_t i = 0; i < size; i++)
        len = len << 8 | reader->head[2 + i];
    if (len >> 63)
        return WS_E_LENGTH_TOO_LARGE;
    if ((size == 2 && len < 126) || (size == 8 && len <= UINT16_MAX))
        return WS_E_LENGTH_NOT_MINIMAL;
    *ret = len;
    return 0;
}

/* A limit counts bytes of the message; what does not compress is a little longer on the wire. */
static uint64_t wire_max(size_t limit, bool compressed)
{
    return compressed ? (uint64_t)limit + limit / 16 + 64 : limit;
}

static int check_size(const struct ws_reader *reader, uint64_t len, bool compressed)
{
    size_t gathered = reader->partial ? reader->partial->message.len : 0;
    if (len > wire_max(reader->limits->frame_max, compressed))
        return WS_E_TOO_BIG;
    return len > wire_max(reader->limits->message_max, compressed) - gathered ? WS_E_TOO_BIG : 0;
}

/* The head is whole: makes ready for the payload. */
static int begin_payload(struct ws_reader *reader)
{
    int r = read_length(reader, &reader->left);
    if (r)
        return r;
    if (reader->role == WS_SERVER)
        memcpy(reader->mask, reader->head + 2 + length_size(reader), 4);
    reader->state = IN_PAYLOAD;
    if (is_control(reader)) {
        if (reader->partial)
            reader->partial->control_len = 0;
        return 0;
    }
    if (!reader->message) {
        reader->message = (uint8_t)opcode_of(reader);
        reader->compressed = reader->head[0] & BIT_RSV1;
        reader->utf8 = (struct utf8_state){0};
    }
    return check_size(reader, reader->left, reader->compressed);
}

/* Moves bytes of the head into the reader until it is whole or `*bytes` is empty. */
static int take_head(struct ws_reader *reader, struct str *bytes)
{
    int r = 0;
    while (!r && bytes->len && reader->state == AT_HEAD) {
        size_t want = head_size(reader) - reader->head_len;
        size_t n = want < bytes->len ? want : bytes->len;
        memcpy(reader->head + reader->head_len, bytes->at, n);
        reader->head_len = (uint8_t)(reader->head_len + n);
        *bytes = str_skip(*bytes, n);
        if (reader->head_len == 2)
            r = check_first_bytes(reader);
        if (!r && reader->head_len >= 2 && reader->head_len == head_size(reader))
            r = begin_payload(reader);
    }
    return r;
}

static void frame_done(struct ws_reader *reader)
{
    reader->state = AT_HEAD;
    reader->head_len = 0;
}

static void unmask(struct ws_reader *reader, char *bytes, size_t len)
{
    ws_mask(bytes, len, reader->mask);
    uint8_t rotated[4];
    for (size_t i = 0; i < 4; i++)
        rotated[i] = reader->mask[(len + i) & 3];
    memcpy(reader->mask, rotated, 4);
}

static int parse_close(struct ws_reader *reader, struct str payload, struct ws_event *ret)
{
    reader->state = CLOSED;
    ret->close_code = WS_CLOSE_NONE;
    if (!payload.len)
        return WS_EVENT;
    if (payload.len == 1)
        return WS_E_CLOSE_LENGTH;
    ret->close_code = (unsigned)(uint8_t)payload.at[0] << 8 | (uint8_t)payload.at[1];
    ret->data = str_skip(payload, 2);
    if (!ws_close_code_valid(ret->close_code))
        return WS_E_CLOSE_CODE;
    return utf8_valid(ret->data) ? WS_EVENT : WS_E_UTF8;
}

static int take_control(struct ws_reader *reader, struct str piece, struct ws_event *ret)
{
    bool gathered = reader->partial && reader->partial->control_len;
    if (piece.len && (reader->left || gathered)) {
        struct ws_partial *partial = partial_of(reader);
        if (!partial)
            return -ENOMEM;
        memcpy(partial->control + partial->control_len, piece.at, piece.len);
        partial->control_len += piece.len;
        piece = (struct str){partial->control, partial->control_len};
    }
    if (reader->left)
        return WS_MORE;
    frame_done(reader);
    *ret = (struct ws_event){.opcode = opcode_of(reader), .data = piece};
    return ret->opcode == WS_CLOSE ? parse_close(reader, piece, ret) : WS_EVENT;
}

/* Replaces a compressed message by what it says. */
static int inflate_message(struct ws_reader *reader, struct str *message)
{
    struct ws_partial *partial = partial_of(reader);
    if (!partial)
        return -ENOMEM;
    int r = ws_inflate(reader->inflater, *message, reader->limits->message_max, &partial->inflated);
    if (r > 0)
        return r == WS_INFLATE_TOO_BIG ? WS_E_TOO_BIG : WS_E_DEFLATE;
    buf_free(&partial->message);
    *message = buf_str(&partial->inflated);
    return r;
}

static int message_done(struct ws_reader *reader, struct str message, struct ws_event *ret)
{
    bool text = reader->message == WS_TEXT;
    if (reader->compressed) {
        int r = inflate_message(reader, &message);
        if (r)
            return r;
        if (text && !utf8_valid(message))
            return WS_E_UTF8;
    } else if (text && !utf8_done(&reader->utf8)) {
        return WS_E_UTF8;
    }
    *ret = (struct ws_event){.opcode = (enum ws_opcode)reader->message, .data = message};
    reader->message = 0;
    return WS_EVENT;
}

static int gather(struct ws_reader *reader, struct str *piece)
{
    struct ws_partial *partial = partial_of(reader);
    if (!partial)
        return -ENOMEM;
    buf_add_str(&partial->message, *piece);
    *piece = buf_str(&partial->message);
    return buf_failed(&partial->message) ? -ENOMEM : 0;
}

static int take_data(struct ws_reader *reader, struct str piece, struct ws_event *ret)
{
    /* Compressed text can only be looked at once it is whole. */
    bool look = reader->message == WS_TEXT && !reader->compressed;
    if (look && !utf8_feed(&reader->utf8, piece))
        return WS_E_UTF8;
    bool whole = !reader->left && is_final(reader);
    bool gathered = reader->partial && reader->partial->message.len;
    if (gathered || (piece.len && !whole)) {
        int r = gather(reader, &piece);
        if (r)
            return r;
    }
    if (!reader->left)
        frame_done(reader);
    return whole ? message_done(reader, piece, ret) : WS_MORE;
}

static int take_payload(struct ws_reader *reader, char *bytes, size_t len, struct ws_event *ret)
{
    if (reader->role == WS_SERVER)
        unmask(reader, bytes, len);
    reader->left -= len;
    struct str piece = {bytes, len};
    return is_control(reader) ? take_control(reader, piece, ret) : take_data(reader, piece, ret);
}

/* Goes on until there is an event, a fault, or nothing left of the bytes. */
static int run(struct ws_reader *reader, char *bytes, size_t len, size_t *used,
               struct ws_event *ret)
{
    int r;
    do {
        struct str rest = {bytes + *used, len - *used};
        r = take_head(reader, &rest);
        *used = len - rest.len;
        if (r || reader->state != IN_PAYLOAD)
            return r;
        size_t n = reader->left < rest.len ? (size_t)reader->left : rest.len;
        r = take_payload(reader, bytes + *used, n, ret);
        *used += n;
    } while (r == WS_MORE && *used < len);
    return r;
}

int ws_reader_feed(struct ws_reader *reader, char *bytes, size_t len, size_t *ret_used,
                   struct ws_event *ret_event)
{
    *ret_used = reader->state == CLOSED ? len : 0;
    if (reader->error)
        return reader->error;
    /* Nothing is under way, so what is still held belonged to the event before. */
    if (!reader->message && reader->state != IN_PAYLOAD)
        drop_partial(reader);
    if (reader->state == CLOSED || !len)
        return WS_MORE;
    int r = run(reader, bytes, len, ret_used, ret_event);
    if (r != WS_MORE && r != WS_EVENT) {
        reader->error = (int8_t)r;
        drop_partial(reader);
    }
    return r;
}
