/* While bytes are fed, the state of a message or frame that is not whole lies on the stack; between
 * two calls it lies on the heap. A frame's head, at most 14 bytes, is checked as soon as its first
 * two bytes are there. Payload is unmasked in place. A message or control frame that lies in the
 * caller's bytes as a whole is handed out from there. Only one that comes in pieces is gathered on
 * the heap; that memory is freed by the call after the one that handed it out. */
#include "ws/reader.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { BIT_FIN = 0x80, BIT_RSV1 = 0x40, BITS_RSV = 0x70, BIT_MASK = 0x80, BIT_CONTROL = 0x08 };

struct ws_partial {
    struct buf message;  /* payload so far, as on the wire but unmasked */
    struct buf inflated; /* the whole message, decompressed */
    struct ws_inflating inflating;
    bool is_inflating;
    size_t control_len;
    char control[WS_CONTROL_MAX];
};

/* The state of the message and frame that are not yet whole. */
struct ws_progress {
    struct ws_reader *reader;
    struct ws_partial *partial; /* the bytes so far of a message or control frame */
    uint64_t left;              /* bytes of the frame's payload still to come */
    struct utf8_state utf8;
    uint8_t mask[4]; /* rotated to the position of the next byte of payload */
    uint8_t head[WS_HEAD_MAX];
    uint8_t head_len;
    uint8_t message; /* opcode of the message that is not yet whole, or 0 */
    bool compressed; /* whether that message is compressed */
    bool in_payload;
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

static bool is_inflating(const struct ws_progress *progress)
{
    return progress->partial && progress->partial->is_inflating;
}

static void end_inflating(struct ws_partial *partial)
{
    if (!partial->is_inflating)
        return;
    partial->is_inflating = false;
    ws_inflate_end(&partial->inflating);
}

static void drop_partial(struct ws_progress *progress)
{
    if (!progress->partial)
        return;
    end_inflating(progress->partial);
    buf_free(&progress->partial->message);
    buf_free(&progress->partial->inflated);
    free(progress->partial);
    progress->partial = NULL;
}

static void drop_progress(struct ws_reader *reader)
{
    if (!reader->progress)
        return;
    drop_partial(reader->progress);
    free(reader->progress);
    reader->progress = NULL;
}

void ws_reader_deinit(struct ws_reader *reader)
{
    drop_progress(reader);
}

void ws_reader_give_up(struct ws_reader *reader)
{
    drop_progress(reader);
    reader->closed = true;
}

bool ws_reader_is_inflating(const struct ws_reader *reader)
{
    return reader->progress && is_inflating(reader->progress);
}

bool ws_reader_owns(const struct ws_reader *reader, struct str data)
{
    const struct ws_partial *partial = reader->progress ? reader->progress->partial : NULL;
    return partial && (data.at == partial->message.at || data.at == partial->inflated.at);
}

size_t ws_reader_inflated(const struct ws_reader *reader)
{
    const struct ws_partial *partial = reader->progress ? reader->progress->partial : NULL;
    return partial ? partial->inflated.cap : 0;
}

size_t ws_reader_held(const struct ws_reader *reader)
{
    const struct ws_progress *progress = reader->progress;
    if (!progress)
        return 0;
    const struct ws_partial *partial = progress->partial;
    return sizeof(*progress) +
           (partial ? sizeof(*partial) + partial->message.cap + partial->inflated.cap : 0) +
           (ws_reader_is_inflating(reader) ? WS_INFLATER_SIZE : 0);
}

static bool is_between(const struct ws_progress *progress)
{
    return !progress->in_payload && !progress->head_len && !progress->message;
}

bool ws_reader_idle(const struct ws_reader *reader)
{
    return !reader->progress || is_between(reader->progress);
}

static struct ws_partial *partial_of(struct ws_progress *progress)
{
    if (progress->partial)
        return progress->partial;
    struct ws_partial *partial = mem_try_alloc(sizeof(*partial));
    if (partial)
        *partial = (struct ws_partial){.is_inflating = false};
    return progress->partial = partial;
}

static enum ws_opcode opcode_of(const struct ws_progress *progress)
{
    return (enum ws_opcode)(progress->head[0] & 0x0f);
}

static bool is_control(const struct ws_progress *progress)
{
    return progress->head[0] & BIT_CONTROL;
}

static bool is_final(const struct ws_progress *progress)
{
    return progress->head[0] & BIT_FIN;
}

static bool opcode_known(enum ws_opcode opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static int check_bits(const struct ws_progress *progress)
{
    enum ws_opcode opcode = opcode_of(progress);
    bool starts_message = opcode == WS_TEXT || opcode == WS_BINARY;
    int allowed = progress->reader->inflater && starts_message ? BIT_RSV1 : 0;
    if (progress->head[0] & BITS_RSV & ~allowed)
        return WS_E_RESERVED_BIT;
    if (!opcode_known(opcode))
        return WS_E_RESERVED_OPCODE;
    bool masked = progress->head[1] & BIT_MASK;
    if (progress->reader->role == WS_SERVER && !masked)
        return WS_E_UNMASKED;
    return progress->reader->role == WS_CLIENT && masked ? WS_E_MASKED : 0;
}

/* Whether a frame of this kind may come at this point. */
static int check_place(const struct ws_progress *progress)
{
    if (is_control(progress)) {
        if (!is_final(progress))
            return WS_E_CONTROL_FRAGMENTED;
        return (progress->head[1] & 0x7f) > WS_CONTROL_MAX ? WS_E_CONTROL_TOO_LONG : 0;
    }
    if (opcode_of(progress) == WS_CONTINUATION)
        return progress->message ? 0 : WS_E_NOTHING_TO_CONTINUE;
    return progress->message ? WS_E_MESSAGE_UNFINISHED : 0;
}

static int check_first_bytes(const struct ws_progress *progress)
{
    int r = check_bits(progress);
    return r ? r : check_place(progress);
}

/* The size of the length field behind the first two bytes of the head. */
static size_t length_size(const struct ws_progress *progress)
{
    int short_len = progress->head[1] & 0x7f;
    return short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
}

static size_t head_size(const struct ws_progress *progress)
{
    if (progress->head_len < 2)
        return 2;
    return 2 + length_size(progress) + (progress->head[1] & BIT_MASK ? 4 : 0);
}

static int read_length(const struct ws_progress *progress, uint64_t *ret)
{
    size_t size = length_size(progress);
    uint64_t len = size ? 0 : progress->head[1] & 0x7f;
    for (size_t i = 0; i < size; i++)
        len = len << 8 | progress->head[2 + i];
    if (len >> 63)
        return WS_E_LENGTH_TOO_LARGE;
    if ((size == 2 && len < 126) || (size == 8 && len <= UINT16_MAX))
        return WS_E_LENGTH_NOT_MINIMAL;
    *ret = len;
    return 0;
}

/* The most bytes on the wire of a message within `limit`, which counts decompressed bytes: text
 * that does not compress gets a little longer. */
static uint64_t wire_max(size_t limit, bool compressed)
{
    return compressed ? (uint64_t)limit + limit / 16 + 64 : limit;
}

static int check_size(const struct ws_progress *progress, uint64_t len, bool compressed)
{
    size_t gathered = progress->partial ? progress->partial->message.len : 0;
    if (len > wire_max(progress->reader->limits->frame_max, compressed))
        return WS_E_TOO_BIG;
    return len > wire_max(progress->reader->limits->message_max, compressed) - gathered
               ? WS_E_TOO_BIG
               : 0;
}

/* Checks the whole head and prepares for the payload. */
static int begin_payload(struct ws_progress *progress)
{
    int r = read_length(progress, &progress->left);
    if (r)
        return r;
    if (progress->reader->role == WS_SERVER)
        memcpy(progress->mask, progress->head + 2 + length_size(progress), 4);
    progress->in_payload = true;
    if (is_control(progress)) {
        if (progress->partial)
            progress->partial->control_len = 0;
        return 0;
    }
    if (!progress->message) {
        progress->message = (uint8_t)opcode_of(progress);
        progress->compressed = progress->head[0] & BIT_RSV1;
        progress->utf8 = (struct utf8_state){0};
    }
    return check_size(progress, progress->left, progress->compressed);
}

/* Moves bytes of the head into the reader until it is whole or `*bytes` is empty. */
static int take_head(struct ws_progress *progress, struct str *bytes)
{
    int r = 0;
    while (!r && bytes->len && !progress->in_payload) {
        size_t want = head_size(progress) - progress->head_len;
        size_t n = want < bytes->len ? want : bytes->len;
        memcpy(progress->head + progress->head_len, bytes->at, n);
        progress->head_len = (uint8_t)(progress->head_len + n);
        *bytes = str_skip(*bytes, n);
        if (progress->head_len == 2)
            r = check_first_bytes(progress);
        if (!r && progress->head_len >= 2 && progress->head_len == head_size(progress))
            r = begin_payload(progress);
    }
    return r;
}

static void frame_done(struct ws_progress *progress)
{
    progress->in_payload = false;
    progress->head_len = 0;
}

static void unmask(struct ws_progress *progress, char *bytes, size_t len)
{
    ws_mask(bytes, len, progress->mask);
    uint8_t rotated[4];
    for (size_t i = 0; i < 4; i++)
        rotated[i] = progress->mask[(len + i) & 3];
    memcpy(progress->mask, rotated, 4);
}

static int parse_close(struct ws_progress *progress, struct str payload, struct ws_event *ret)
{
    progress->reader->closed = true;
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

static int take_control(struct ws_progress *progress, struct str piece, struct ws_event *ret)
{
    bool gathered = progress->partial && progress->partial->control_len;
    if (piece.len && (progress->left || gathered)) {
        struct ws_partial *partial = partial_of(progress);
        if (!partial)
            return -ENOMEM;
        memcpy(partial->control + partial->control_len, piece.at, piece.len);
        partial->control_len += piece.len;
        piece = (struct str){partial->control, partial->control_len};
    }
    if (progress->left)
        return WS_MORE;
    frame_done(progress);
    *ret = (struct ws_event){.opcode = opcode_of(progress), .data = piece};
    return ret->opcode == WS_CLOSE ? parse_close(progress, piece, ret) : WS_EVENT;
}

static int hand_out(struct ws_progress *progress, struct str message, struct ws_event *ret)
{
    *ret = (struct ws_event){.opcode = (enum ws_opcode)progress->message, .data = message};
    progress->message = 0;
    return WS_EVENT;
}

/* Decompresses a piece of the message, which is in `message` if it came in several frames or
 * calls. */
static int inflate_on(struct ws_progress *progress, struct ws_event *ret)
{
    struct ws_partial *partial = progress->partial;
    size_t piece = progress->reader->limits->piece;
    int r = ws_inflate_some(&partial->inflating, piece ? piece : SIZE_MAX);
    if (r == WS_INFLATE_MORE)
        return WS_MORE;
    end_inflating(partial);
    if (r)
        return r < 0 ? r : r == WS_INFLATE_TOO_BIG ? WS_E_TOO_BIG : WS_E_DEFLATE;
    buf_free(&partial->message);
    struct str message = buf_str(&partial->inflated);
    if (progress->message == WS_TEXT && !utf8_valid(message))
        return WS_E_UTF8;
    return hand_out(progress, message, ret);
}

/* Copies the bytes that are not decompressed yet: the caller's bytes go away. */
static int keep_compressed(struct ws_partial *partial, struct str message)
{
    if (partial->message.len)
        return 0;
    buf_add_str(&partial->message, message);
    if (buf_failed(&partial->message))
        return -ENOMEM;
    ws_inflate_move(&partial->inflating, buf_str(&partial->message));
    return 0;
}

static int inflate_message(struct ws_progress *progress, struct str message, struct ws_event *ret)
{
    struct ws_partial *partial = partial_of(progress);
    if (!partial)
        return -ENOMEM;
    partial->is_inflating = true;
    int r = ws_inflate_begin(&partial->inflating, progress->reader->inflater, message,
                             progress->reader->limits->message_max, &partial->inflated);
    if (!r)
        r = inflate_on(progress, ret);
    if (!r)
        r = keep_compressed(partial, message);
    return r;
}

static int message_done(struct ws_progress *progress, struct str message, struct ws_event *ret)
{
    if (progress->compressed)
        return inflate_message(progress, message, ret);
    if (progress->message == WS_TEXT && !utf8_done(&progress->utf8))
        return WS_E_UTF8;
    return hand_out(progress, message, ret);
}

static int gather(struct ws_progress *progress, struct str *piece)
{
    struct ws_partial *partial = partial_of(progress);
    if (!partial)
        return -ENOMEM;
    buf_add_str(&partial->message, *piece);
    *piece = buf_str(&partial->message);
    return buf_failed(&partial->message) ? -ENOMEM : 0;
}

static int take_data(struct ws_progress *progress, struct str piece, struct ws_event *ret)
{
    /* Compressed text can only be looked at once it is whole. */
    bool look = progress->message == WS_TEXT && !progress->compressed;
    if (look && !utf8_feed(&progress->utf8, piece))
        return WS_E_UTF8;
    bool whole = !progress->left && is_final(progress);
    bool gathered = progress->partial && progress->partial->message.len;
    if (gathered || (piece.len && !whole)) {
        int r = gather(progress, &piece);
        if (r)
            return r;
    }
    if (!progress->left)
        frame_done(progress);
    return whole ? message_done(progress, piece, ret) : WS_MORE;
}

static int take_payload(struct ws_progress *progress, char *bytes, size_t len, struct ws_event *ret)
{
    if (progress->reader->role == WS_SERVER)
        unmask(progress, bytes, len);
    progress->left -= len;
    struct str piece = {bytes, len};
    return is_control(progress) ? take_control(progress, piece, ret)
                                : take_data(progress, piece, ret);
}

/* Reads on until there is an event, a fault, or no more bytes. */
static int run(struct ws_progress *progress, char *bytes, size_t len, size_t *used,
               struct ws_event *ret)
{
    int r;
    do {
        struct str rest = {bytes + *used, len - *used};
        r = take_head(progress, &rest);
        *used = len - rest.len;
        if (r || !progress->in_payload)
            return r;
        size_t n = progress->left < rest.len ? (size_t)progress->left : rest.len;
        r = take_payload(progress, bytes + *used, n, ret);
        *used += n;
    } while (r == WS_MORE && *used < len && !is_inflating(progress));
    return r;
}

/* Moves the state of a message that is not whole, or the data of an event, to the heap; frees all
 * else. */
static int keep(struct ws_reader *reader, struct ws_progress *progress)
{
    if (is_between(progress) && !progress->partial) {
        drop_progress(reader);
        return 0;
    }
    if (reader->progress)
        return 0;
    reader->progress = mem_try_alloc(sizeof(*progress));
    if (!reader->progress) {
        drop_partial(progress);
        return -ENOMEM;
    }
    *reader->progress = *progress;
    return 0;
}

int ws_reader_feed(struct ws_reader *reader, char *bytes, size_t len, size_t *ret_used,
                   struct ws_event *ret_event)
{
    *ret_used = reader->closed ? len : 0;
    if (reader->error)
        return reader->error;
    /* No message is unfinished, so the memory that is still held belonged to the previous event. */
    if (reader->closed || ws_reader_idle(reader))
        drop_progress(reader);
    if (reader->closed || (!len && !ws_reader_is_inflating(reader)))
        return WS_MORE;
    struct ws_progress fresh = {.reader = reader};
    struct ws_progress *progress = reader->progress ? reader->progress : &fresh;
    int r = is_inflating(progress) ? inflate_on(progress, ret_event)
                                   : run(progress, bytes, len, ret_used, ret_event);
    if (r == WS_MORE || r == WS_EVENT) {
        int kept = keep(reader, progress);
        r = kept ? kept : r;
    } else {
        drop_partial(progress);
    }
    if (r != WS_MORE && r != WS_EVENT) {
        reader->error = (int8_t)r;
        drop_progress(reader);
    }
    return r;
}
