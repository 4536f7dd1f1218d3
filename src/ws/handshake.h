/* The WebSocket part of the opening handshake: key, subprotocol, permessage-deflate (RFC 6455
 * section 4, RFC 7692 section 7.1). The HTTP around it is the caller's. */
#pragma once

#include "base/buf.h"

enum {
    WS_VERSION = 13,    /* the only Sec-WebSocket-Version there is */
    WS_KEY_LEN = 24,    /* Sec-WebSocket-Key: 16 bytes in base64 */
    WS_ACCEPT_LEN = 28, /* Sec-WebSocket-Accept: 20 bytes in base64 */
};

/* Whether this is a Sec-WebSocket-Key: base64 of 16 bytes. */
bool ws_key_valid(struct str key);

/* Writes the Sec-WebSocket-Accept that answers `key`, without a zero at the end. Returns 0, -EINVAL
 * if the key is not WS_KEY_LEN bytes long, or -ENOMEM. */
int ws_accept_key(struct str key, char ret[WS_ACCEPT_LEN]);

/* Chooses the first protocol of the client's Sec-WebSocket-Protocol list, which is in order of
 * preference, that is among `supported`. `*ret` is that element of `supported`, or STR_NONE if
 * there is none: then answer without the header. Returns 0, or -EINVAL if the list is no list of
 * tokens: then answer 400. Names are compared with case. Join several header fields with a comma
 * first. */
int ws_choose_protocol(struct str list, const struct str *supported, size_t count, struct str *ret);

/* The agreement of both ends. It is always without context takeover, in either direction, so that
 * no connection holds a compressor or decompressor. */
struct ws_deflate_params {
    bool enabled;
    bool answer_names_window;       /* the offer asked for a window, so the answer must name it */
    uint8_t server_max_window_bits; /* 9, 12 or 15, for ws_add_message() */
};

/* Server: accepts the first offer of permessage-deflate in a Sec-WebSocket-Extensions value that
 * the server can meet; `ret->enabled` says whether there was one. An offer with a parameter that is
 * unknown, repeated or wrong is declined, as section 7.1 demands, and the next one tried. Other
 * extensions are ignored. Returns 0, or -EINVAL if the value breaks the grammar: the handshake must
 * fail with 400 (RFC 6455 section 9.1). Join several header fields with a comma first. */
int ws_negotiate_deflate(struct str extensions, struct ws_deflate_params *ret);

/* Adds the Sec-WebSocket-Extensions value that answers with `params`, which must be enabled. */
void ws_add_deflate_answer(struct buf *buf, const struct ws_deflate_params *params);

/* Client: makes a random key. Returns 0 or -ENOMEM. */
int ws_make_key(char ret[WS_KEY_LEN]);

/* Client: whether `accept` answers `key`. */
bool ws_accept_matches(struct str key, struct str accept);
