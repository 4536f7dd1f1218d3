/* WebSocket: the handshake and the frames of a connection, for any protocol on top. */
#pragma once

#include "transport/reading.h"

struct websocket;
struct websocket_publish;

/* The operations that a protocol on top of the WebSocket (the envelopes of a channel, or
 * freshet.v1) has beside those of its pull. */
struct websocket_ops {
    bool json; /* text messages must be JSON */
    void (*message)(struct websocket *websocket, enum ws_opcode opcode, struct str data);
    void (*beat)(struct websocket *websocket);
    /* Reports a publish without a verdict in time; NULL: no report. */
    void (*lost)(struct websocket *websocket, struct websocket_publish *publish);
};

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
    uint8_t beats_unanswered; /* by a pong, or anything else */
    bool browser;
    bool publishes; /* has done so */
    bool inflates;  /* in the midst of a message that was compressed */
    bool close_sent;
    bool close_seen;
    bool close_due; /* the peer's close is answered once its publishes are */
    uint16_t close_code;
};

/* A publish that came over a WebSocket; the protocol embeds it. */
struct websocket_publish {
    struct publish publish;
    struct list node;
    struct websocket *websocket; /* NULL once it is gone, or has given the publish up */
    int64_t since_ns;
};

/* Checks the handshake and answers 101 with the WebSocket as the connection's pull; `protocol` is
 * the one chosen, or empty; `cursor` (may be NULL) goes into the header of that name. False: it was
 * answered with a problem, or the connection is gone, and the pull was freed. The
 * exchange is used up either way. */
bool websocket_open(struct exchange *exchange, struct websocket *websocket, struct str protocol,
                    const uint64_t *cursor);

/* The operations of the pull that are the same for every protocol. */
#define WEBSOCKET_PULL                                                                             \
    .input = websocket_input, .deaf = websocket_deaf, .ring = websocket_ring,                      \
    .held = websocket_held, .busy = websocket_is_busy, .refuse = websocket_refuse_rest

size_t websocket_input(struct pull *pull, char *bytes, size_t len);
bool websocket_deaf(struct pull *pull);
void websocket_ring(struct pull *pull);
size_t websocket_held(const struct pull *pull);
bool websocket_is_busy(const struct pull *pull);
void websocket_refuse_rest(struct pull *pull, enum problem problem);

/* The end of each `fill` of a protocol that has nothing to send: closes if that is due. What is to
 * be sent before anything else. After websocket_close() there is nothing to fill. */
struct str websocket_fill(struct websocket *websocket);

/* The end of each `sent`: whether to ask again, if only because a close is due. */
static inline bool websocket_sent(const struct websocket *websocket, bool more)
{
    return more || websocket->close_due;
}

/* pull_ops.drain, for a protocol that says no goodbye of its own. */
void websocket_drain(struct pull *pull);

/* For pull_ops.free, also of a WebSocket that was never opened. */
void websocket_deinit(struct websocket *websocket);

/* Refuses a handshake: to a browser after the upgrade, by a close code; else as plain HTTP. */
void websocket_refuse(struct exchange *exchange, enum problem problem, struct str detail);

/* Closes a WebSocket whose client offers subprotocols none of which is spoken there: it would take
 * our frames for something else. `reason` (123 bytes at most) says which is. */
void websocket_refuse_protocols(struct exchange *exchange, struct str reason);

/* Sends a close frame, once, and closes when the peer has answered or after a while. */
void websocket_close(struct websocket *websocket, unsigned code, struct str reason);
void websocket_close_problem(struct websocket *websocket, enum problem problem);

/* Publishes an event that came over the WebSocket: fills in the rest of the proposal and submits
 * it. `publish` has its `done`; NULL stands for a lack of memory. False: nothing was published, and
 * `publish` is the caller's still. Otherwise the WebSocket stops reading while it has too many
 * publishes open, or the log is behind, and gives up those that are not safe in time. */
bool websocket_submit(struct websocket *websocket, struct proposal *proposal,
                      struct websocket_publish *publish, struct refusal *ret_refusal);
/* Notes that a publish was answered; returns false if its websocket has given it up or is gone. */
bool websocket_end_publish(struct websocket_publish *publish);

/* The channel's WebSocket: what GET /channels/… upgrades to. Takes the reading over. */
void channel_websocket_begin(struct exchange *exchange, struct reading *reading);
