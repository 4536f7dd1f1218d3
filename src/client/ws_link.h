/* A small WebSocket client over a plain TCP socket: connect, shake hands, whole messages in and out
 * (RFC 6455). Blocks, but ends on a signal. */
#pragma once

#include "client/interrupt.h"
#include "client/server_url.h"

#include "http/response.h"
#include "ws/reader.h"

enum ws_link_result {
    WS_LINK_MESSAGE = 1,
    WS_LINK_E_CONNECT, /* no TCP connection */
    WS_LINK_E_REFUSED, /* another answer than 101: `status`, and its body in `in` */
    WS_LINK_E_BROKEN,  /* the connection broke, or what came is no WebSocket */
    WS_LINK_E_QUIET,
    WS_LINK_E_CLOSED, /* by a close frame: `close_code`, `why` */
    WS_LINK_STOPPED,  /* by a signal, or because `watched_fd` has no reader any more */
    WS_LINK_MORE,     /* only with `at_hand` */
};

struct ws_link {
    const struct interrupt *interrupt;
    int64_t quiet_ms;
    int watched_fd; /* -1: none */
    int fd;
    struct ws_limits limits;
    struct ws_reader reader;
    struct buf in; /* bytes that were read, from `in_used` on not yet taken */
    size_t in_used;
    struct buf out;
    int status;
    unsigned close_code;
    struct buf why; /* a sentence about an error */
};

void ws_link_init(struct ws_link *link, const struct interrupt *interrupt, int watched_fd,
                  int64_t quiet_ms, size_t message_max);
void ws_link_deinit(struct ws_link *link);

/* Opens `path` (with its query) at the server. `protocol` and `token` may be NULL. 0 or an enum
 * ws_link_result. */
int ws_link_open(struct ws_link *link, const struct server_url *url, const char *path,
                 const char *protocol, const char *token);

/* Sends a text message. 0 or an enum ws_link_result. */
int ws_link_send(struct ws_link *link, struct str text);

/* The next text message, which stands until the next call; pings are answered on the way. With
 * `at_hand` it does not wait: WS_LINK_MORE when what was read holds no further message. */
int ws_link_next(struct ws_link *link, bool at_hand, struct str *ret_message);

/* Says goodbye, as far as that goes without waiting. */
void ws_link_close(struct ws_link *link);
