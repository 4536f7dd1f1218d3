/* WebSocket: the handshake and the frames of a connection, for whatever protocol runs on top. */
#pragma once

#include "transport/reading.h"

struct websocket;
struct websocket_publish;

/* The operations that a protocol on top of the WebSocket (the envelopes of a channel, or
 * freshet.v1) has beside those of its pull. */
struct websocket_ops {
    bool json; /* text messages must be JSON */
    bool asks; /* messages may be asked for: see permits.h */
    void (*message)(struct websocket *websocket, enum ws_opcode opcode, struct str data);
    void (*beat)(struct websocket *websocket);
    /* Reports a publish that got no verdict in time; NULL: no report. */
    void (*lost)(struct websocket *websocket, struct websocket_publish *publish);
};

/* Before a credential in the list of subprotocols, which is a secret and is never chosen. */
#define WEBSOCKET_TOKEN STR("freshet.token.")

/* Embedded in the structure of the protocol, whose pull_ops begin with WEBSOCKET_PULL. */
struct websocket {
    struct pull pull;
    const struct websocket_ops *ops;
    struct ws_reader reader;
    struct list publishes_open; /* not answered, oldest first */
    int64_t beat_ns;            /* when the next heartbeat is due */
    uint32_t inflight;
    uint8_t window_bits; /* of permessage-deflate, 0 without */
    uint8_t beat_s;
    uint8_t beats_unanswered; /* beats since the last pong or other frame */
    bool browser;
    bool publishes; /* has done so */
    bool asks : 1;  /* the operator's server decides about some messages: see permits.h */
    bool waits : 1; /* a message waits for its answer */
    bool inflates;  /* while a compressed message is unfinished */
    bool close_sent;
    bool close_seen;
    bool close_due; /* the peer's close is answered after its publishes */
    uint16_t close_code;
};

/* A publish that came over a WebSocket; embedded by the protocol on top. */
struct websocket_publish {
    struct publish publish;
    struct list node;
    struct websocket *websocket; /* NULL once the WebSocket is gone, or has given the publish up */
    int64_t since_ns;
};

/* Checks the handshake and answers 101; the WebSocket becomes the connection's pull. `protocol` is
 * the chosen subprotocol, or empty; `cursor` (may be NULL) is sent in the header Cursor. False: the
 * exchange was answered with a problem, or the connection is gone, and the pull was freed. Uses up
 * the exchange either way. */
bool websocket_open(struct exchange *exchange, struct websocket *websocket, struct str protocol,
                    const uint64_t *cursor);

/* The operations of the pull that are the same for every protocol on top. */
#define WEBSOCKET_PULL                                                                             \
    .input = websocket_input, .deaf = websocket_deaf, .ring = websocket_ring,                      \
    .held = websocket_held, .busy = websocket_is_busy, .refuse = websocket_refuse_rest,            \
    .leaves = websocket_leaves

size_t websocket_input(struct pull *pull, char *bytes, size_t len);
bool websocket_deaf(struct pull *pull);
void websocket_ring(struct pull *pull);
size_t websocket_held(const struct pull *pull);
bool websocket_is_busy(const struct pull *pull);
bool websocket_leaves(const struct pull *pull);
void websocket_refuse_rest(struct pull *pull, enum problem problem);

/* The end of `fill` for a protocol that has nothing to send: closes if a close is due. After
 * websocket_close() a protocol sends nothing. */
struct str websocket_fill(struct websocket *websocket);

/* The end of `sent`: whether to call `fill` again, if only because a close is due. */
static inline bool websocket_sent(const struct websocket *websocket, bool more)
{
    return more || websocket->close_due;
}

/* pull_ops.goodbye, for a protocol without a goodbye of its own: closes with a code. */
void websocket_goodbye(struct pull *pull, enum ending why);

/* For pull_ops.free, also of a WebSocket that was never opened. */
void websocket_deinit(struct websocket *websocket);

/* Refuses a handshake: a browser gets a close code after the upgrade, other clients plain HTTP. */
void websocket_refuse(struct exchange *exchange, enum problem problem, struct str detail);

/* Closes a WebSocket whose client offers only subprotocols that are not spoken there, because it
 * would misread our frames. `reason`: names the one that is spoken, 123 bytes at most. */
void websocket_refuse_protocols(struct exchange *exchange, struct str reason);

/* Sends a close frame, once, and closes when the peer has answered, or after a while. */
void websocket_close(struct websocket *websocket, unsigned code, struct str reason);
void websocket_close_problem(struct websocket *websocket, enum problem problem);
/* The same for a message that was refused; the audit is told if a right was lacking. */
void websocket_close_refusal(struct websocket *websocket, const struct refusal *refusal);

/* Publishes an event that came over the WebSocket: completes the proposal and submits it. `publish`
 * has its `done`; NULL stands for a lack of memory. False: nothing was published, and the caller
 * still owns `publish`. The WebSocket reads nothing while it has too many unanswered publishes or
 * the log is behind, and gives up publishes that are not safe in time. */
bool websocket_submit(struct websocket *websocket, struct proposal *proposal,
                      struct websocket_publish *publish, struct refusal *ret_refusal);
/* Notes that a publish was answered; false if its WebSocket has given it up or is gone. */
bool websocket_end_publish(struct websocket_publish *publish);

/* A channel's WebSocket: what GET /channels/… upgrades to. Takes the reading over. */
void channel_websocket_begin(struct exchange *exchange, struct reading *reading);
