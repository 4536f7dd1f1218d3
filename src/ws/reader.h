/* The decoder of WebSocket frames: bytes in, whole messages and control frames out (RFC 6455
 * sections 5 to 8), strict in everything. */
#pragma once

#include "ws/deflate.h"

#include "base/utf8.h"

/* Which end we are: a server wants every frame masked, a client wants none masked (section 5.1). */
enum ws_role {
    WS_SERVER,
    WS_CLIENT,
};

/* All in bytes, and above 0 but for `piece`. A message counts as it is once decompressed. */
struct ws_limits {
    size_t message_max;
    size_t frame_max;
    size_t piece; /* of a message that one call decompresses; 0: all of it */
};

/* What ws_reader_feed() returns when it is not a negative errno. From WS_E_… on the peer broke the
 * protocol: answer with ws_error_close_code() and ws_error_reason(), then hang up (section 7.1.7).
 */
enum ws_result {
    WS_MORE = 0,
    WS_EVENT = 1,
    WS_E_RESERVED_BIT, /* RSV1 where nothing was compressed, RSV2, RSV3 */
    WS_E_RESERVED_OPCODE,
    WS_E_UNMASKED,
    WS_E_MASKED,
    WS_E_CONTROL_FRAGMENTED,
    WS_E_CONTROL_TOO_LONG,
    WS_E_LENGTH_NOT_MINIMAL,
    WS_E_LENGTH_TOO_LARGE, /* the highest of the 64 bits is set */
    WS_E_NOTHING_TO_CONTINUE,
    WS_E_MESSAGE_UNFINISHED, /* a new message began inside another */
    WS_E_CLOSE_LENGTH,       /* a close frame with half a code */
    WS_E_CLOSE_CODE,
    WS_E_UTF8,    /* in a text message or a close reason */
    WS_E_TOO_BIG, /* a frame or message beyond the limits */
    WS_E_DEFLATE, /* compressed data that is none */
};

/* 1002, 1007 or 1009; 1011 for a negative errno. */
unsigned ws_error_close_code(int result);
/* One short English sentence without secrets, to send as the reason and to log. */
struct str ws_error_reason(int result);

/* One message or control frame. */
struct ws_event {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY, WS_PING, WS_PONG or WS_CLOSE */
    unsigned close_code; /* with WS_CLOSE: what the peer said, WS_CLOSE_NONE when it said nothing */
    struct str data;     /* the message, the ping's payload, or the close reason */
};

struct ws_progress;

/* One connection's decoder: 32 bytes, and nothing on the heap while no message is under way. */
struct ws_reader {
    const struct ws_limits *limits;
    struct ws_inflater *inflater;
    struct ws_progress *progress; /* of a message or frame that is not whole yet */
    uint8_t role;
    bool closed; /* the peer said goodbye */
    int8_t error;
};

/* `limits` and `inflater` are borrowed and must outlive the reader; the reader may only be used on
 * the inflater's thread. `inflater` is NULL unless permessage-deflate was negotiated. */
void ws_reader_init(struct ws_reader *reader, enum ws_role role, const struct ws_limits *limits,
                    struct ws_inflater *inflater);

void ws_reader_deinit(struct ws_reader *reader);

/* Takes in `bytes`, which it may change (it unmasks in place). Returns
 *   WS_EVENT  `*ret_event` is filled. `*ret_used` bytes were taken; call again for the rest;
 *   WS_MORE   all was taken, nothing is ready;
 *   WS_E_…    the peer broke the protocol; every later call says the same;
 *   -ENOMEM   no memory; final as well.
 * The event's data points into `bytes` where that saves copying, else to memory of the reader, and
 * stands until the next call for this reader. So go on calling until WS_MORE: the last call gives
 * back what the last event held. With limits.piece WS_MORE also says that a message has been
 * decompressed in part: ws_reader_is_inflating(). Nothing behind it was taken, and the next call
 * goes on with it before it takes anything. After a WS_CLOSE event everything is taken and ignored
 * (section 5.5.1). */
int ws_reader_feed(struct ws_reader *reader, char *bytes, size_t len, size_t *ret_used,
                   struct ws_event *ret_event);

/* Whether a message is decompressed in part. */
bool ws_reader_is_inflating(const struct ws_reader *reader);

/* Whether the event's data is memory of the reader, which stands until the next call. */
bool ws_reader_owns(const struct ws_reader *reader, struct str data);

/* What the reader holds on the heap, and how much of it is an event that was decompressed. */
size_t ws_reader_held(const struct ws_reader *reader);
size_t ws_reader_inflated(const struct ws_reader *reader);

/* Forgets what is under way, and takes and ignores all that still comes. */
void ws_reader_give_up(struct ws_reader *reader);

/* Whether the reader stands between messages: no frame head, payload or fragment is under way. */
bool ws_reader_idle(const struct ws_reader *reader);
