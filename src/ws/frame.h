/* A writer of WebSocket frames: heads, masks, close frames (RFC 6455 section 5). */
#pragma once

#include "base/buf.h"

/* All opcodes that are defined; the others are reserved (RFC 6455 section 11.8). */
enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

/* Close codes (RFC 6455 section 7.4.1 and its registry). 3000–3999 belong to registered
 * libraries, 4000–4999 to the application. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NONE = 1005,     /* never sent: a close frame without a code */
    WS_CLOSE_ABNORMAL = 1006, /* never sent: the connection broke */
    WS_CLOSE_INVALID_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_EXTENSION = 1010,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_RESTART = 1012,
    WS_CLOSE_LATER = 1013,
};

enum {
    WS_HEAD_MAX = 14,          /* bytes of the longest frame head */
    WS_CONTROL_MAX = 125,      /* bytes of payload in a control frame */
    WS_CLOSE_REASON_MAX = 123, /* the same without the code */
};

/* Writes the head of a frame with `len` bytes of payload; returns its length, 2 to 14. `mask` is
 * NULL from a server, four unpredictable bytes from a client (section 5.3). `rsv1` marks the first
 * frame of a compressed message (RFC 7692 section 6). */
size_t ws_frame_head(uint8_t ret[WS_HEAD_MAX], bool fin, bool rsv1, enum ws_opcode opcode,
                     uint64_t len, const uint8_t mask[4]);

/* Adds a whole frame, masked if `mask` is not NULL. The payload of a control frame must be at most
 * WS_CONTROL_MAX bytes. */
void ws_add_frame(struct buf *buf, bool fin, bool rsv1, enum ws_opcode opcode, struct str payload,
                  const uint8_t mask[4]);

/* Adds a close frame. `reason` is UTF-8 and is cut between characters to WS_CLOSE_REASON_MAX bytes.
 * With WS_CLOSE_NONE the frame is empty; otherwise `code` must satisfy ws_close_code_valid(). */
void ws_add_close(struct buf *buf, unsigned code, struct str reason, const uint8_t mask[4]);

/* Whether a code may stand in a close frame: 1000–1003, 1007–1014, 3000–4999 (section 7.4). */
bool ws_close_code_valid(unsigned code);

/* Masks or unmasks in place; mask[0] applies to the first byte. */
void ws_mask(char *bytes, size_t len, const uint8_t mask[4]);
