/* A strict decoder of WebSocket frames: bytes in, whole messages and control frames out (RFC 6455
 * sections 5 to 8). */
#pragma once

#include "ws/deflate.h"

#include "base/utf8.h"

/* The end that we are: a server demands that frames are masked, a client that they are not (section
 * 5.1). */
enum ws_role {
    WS_SERVER,
    WS_CLIENT,
};

/* Limits in bytes; only `piece` may be 0. The size of a message is its size when decompressed. */
struct ws_limits {
    size_t message_max;
    size_t frame_max;
    size_t piece; /* most bytes that a call decompresses; 0: no limit */
};

/* Results of ws_reader_feed(), apart from a negative errno. From WS_E_… on the peer broke the
 * protocol: answer with ws_error_close_code() and ws_error_reason(), then close the connection
 * (section 7.1.7). */
enum ws_result {
    WS_MORE = 0,
    WS_EVENT = 1,
    WS_E_RESERVED_BIT, /* RSV1 without compression, RSV2 or RSV3 */
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
    WS_E_DEFLATE, /* invalid compressed data */
};

/* 1002, 1007 or 1009; 1011 for a negative errno. */
unsigned ws_error_close_code(int result);
/* A short English sentence without secrets, to send as the reason and to log. */
struct str ws_error_reason(int result);

/* A message or control frame. */
struct ws_event {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY, WS_PING, WS_PONG or WS_CLOSE */
    unsigned close_code;   /* with WS_CLOSE: the peer's code, WS_CLOSE_NONE if there was none */
    struct str data;       /* the message, the ping's payload, or the close reason */
};

struct ws_progress;

/* The decoder of a connection: 32 bytes, and nothing on the heap between messages. */
struct ws_reader {
    const struct ws_limits *limits;
    struct ws_inflater *inflater;
    struct ws_progress *progress; /* of the message or frame that is not yet whole */
    uint8_t role;
    bool closed; /* the peer sent a close frame */
    int8_t error;
};

/* `limits` and `inflater` are borrowed and must outlive the reader. The reader must be used on the
 * inflater's thread. `inflater` is NULL unless permessage-deflate was negotiated. */
void ws_reader_init(struct ws_reader *reader, enum ws_role role, const struct ws_limits *limits,
                    struct ws_inflater *inflater);

void ws_reader_deinit(struct ws_reader *reader);

/* Decodes `bytes`, and unmasks them in place. Returns
 *   WS_EVENT  `*ret_event` is filled. `*ret_used` bytes were taken; call again for the rest;
 *   WS_MORE   all bytes were taken, and no event is ready;
 *   WS_E_…    the peer broke the protocol; every later call returns the same;
 *   -ENOMEM   no memory; final as well.
 * The event's data points into `bytes` if possible, else into memory of the reader, and is valid
 * until the next call for this reader. Call until WS_MORE: that call frees the memory of the last
 * event. With limits.piece, WS_MORE can also mean that a message is decompressed in part
 * (ws_reader_is_inflating()). Then nothing behind that message was taken, and the next call
 * continues with it. After a WS_CLOSE event all bytes are taken and ignored (section 5.5.1). */
int ws_reader_feed(struct ws_reader *reader, char *bytes, size_t len, size_t *ret_used,
                   struct ws_event *ret_event);

/* Whether a message is decompressed in part. */
bool ws_reader_is_inflating(const struct ws_reader *reader);

/* Whether `data`, of an event, is memory of the reader, valid until the next call. */
bool ws_reader_owns(const struct ws_reader *reader, struct str data);

/* The bytes that the reader holds on the heap, and those of them that are a decompressed event. */
size_t ws_reader_held(const struct ws_reader *reader);
size_t ws_reader_inflated(const struct ws_reader *reader);

/* Drops the unfinished message; all further bytes are taken and ignored. */
void ws_reader_give_up(struct ws_reader *reader);

/* Whether the reader stands between messages, with no part of a frame or message. */
bool ws_reader_idle(const struct ws_reader *reader);
