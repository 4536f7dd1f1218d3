/* A small WebSocket client over TCP or TLS: connects, shakes hands, sends and receives whole
 * messages (RFC 6455). Blocks, but ends on an interrupt. */
#pragma once

#include "client/lib/client_socket.h"
#include "client/lib/interrupt.h"
#include "client/lib/server_url.h"

#include "http/http1_response.h"
#include "ws/reader.h"

enum ws_link_result {
    WS_LINK_MESSAGE = 1,
    WS_LINK_E_CONNECT, /* no TCP connection, or no handshake of TLS */
    WS_LINK_E_REFUSED, /* an answer other than 101: see `status`, and `in` for its body */
    WS_LINK_E_BROKEN,  /* the connection broke, or the bytes are not WebSocket */
    WS_LINK_E_QUIET,
    WS_LINK_E_CLOSED, /* by a close frame: see `close_code` and `why` */
    WS_LINK_STOPPED,  /* by the interrupt, or because `watched_fd` has no reader any more */
    WS_LINK_MORE,     /* only with `at_hand` */
};

struct ws_link {
    const struct interrupt *interrupt;
    int64_t quiet_ms;
    int watched_fd; /* -1: not watched */
    struct client_socket socket;
    struct ws_limits limits;
    struct ws_reader reader;
    struct buf in; /* received bytes; those from `in_used` on are not yet taken */
    size_t in_used;
    struct buf out;
    int status;
    unsigned close_code;
    struct buf why;     /* a sentence about an error */
    const char *advice; /* what can be done about it: see advice.h; NULL if nothing is known */
};

/* A link for one thread at a time, without a connection yet. `interrupt` is borrowed as long as it
 * lives. Without a byte for `quiet_ms` the connection counts as broken; a message of more than
 * `message_max` bytes breaks it. */
void ws_link_init(struct ws_link *link, const struct interrupt *interrupt, int watched_fd,
                  int64_t quiet_ms, size_t message_max);
/* Closes the connection and frees what the link has, `in` and `why` too. */
void ws_link_deinit(struct ws_link *link);

/* Opens `path` (with its query) at the server. `tls` is of its host, and NULL if the URL has no
 * TLS; `protocol` and `token` may be NULL. Returns 0 or an enum ws_link_result. */
int ws_link_open(struct ws_link *link, const struct server_url *url, struct tls_client *tls,
                 const char *path, const char *protocol, const char *token);

/* Sends a text message. Returns 0 or an enum ws_link_result. */
int ws_link_send(struct ws_link *link, struct str text);

/* Returns the next text message, valid until the next call; answers pings meanwhile. With `at_hand`
 * it does not wait: it returns WS_LINK_MORE if the received bytes hold no further message. */
int ws_link_next(struct ws_link *link, bool at_hand, struct str *ret_message);

/* Sends a close frame, if that is possible without waiting. */
void ws_link_close(struct ws_link *link);
