/* WebSocket: the handshake and the frames of a connection, for any protocol on top. */
#pragma once

#include "transport/reading.h"

struct socket;
struct socket_publish;

/* The operations that a protocol on top of the WebSocket (the envelopes of a channel, or
 * freshet.v1) has beside those of its pull. */
struct socket_ops {
    bool json; /* text messages must be JSON */
    void (*message)(struct socket *socket, enum ws_opcode opcode, struct str data);
    void (*beat)(struct socket *socket);
    /* Reports a publish without a verdict in time; NULL: no report. */
    void (*lost)(struct socket *socket, struct socket_publish *publish);
};

/* Embedded in the structure of the protocol, whose pull_ops begin with SOCKET_PULL. */
struct socket {
    struct pull pull;
    const struct socket_ops *ops;
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

/* A publish that came over a socket; the protocol embeds it. */
struct socket_publish {
    struct publish publish;
    struct list node;
    struct socket *socket; /* NULL once it is gone, or has given the publish up */
    int64_t since_ns;
};

/* Checks the handshake and answers 101 with the socket as the connection's pull; `protocol` is the
 * one chosen, or empty; `cursor` (may be NULL) goes into the header of that name. False: it was
 * answered with a problem, or the connection is gone, and the pull was freed. The
 * exchange is used up either way. */
bool socket_open(struct exchange *exchange, struct socket *socket, struct str protocol,
                 const uint64_t *cursor);

/* The operations of the pull that are the same for every protocol. */
#define SOCKET_PULL                                                                                \
    .input = socket_input, .deaf = socket_deaf, .ring = socket_ring, .held = socket_held,          \
    .busy = socket_is_busy, .refuse = socket_refuse_rest

size_t socket_input(struct pull *pull, char *bytes, size_t len);
bool socket_deaf(struct pull *pull);
void socket_ring(struct pull *pull);
size_t socket_held(const struct pull *pull);
bool socket_is_busy(const struct pull *pull);
void socket_refuse_rest(struct pull *pull, enum problem problem);

/* The end of each `fill` of a protocol that has nothing to send: closes if that is due. What is to
 * be sent before anything else. After socket_close() there is nothing to fill. */
struct str socket_fill(struct socket *socket);

/* The end of each `sent`: whether to ask again, if only because a close is due. */
static inline bool socket_sent(const struct socket *socket, bool more)
{
    return more || socket->close_due;
}

/* pull_ops.drain, for a protocol that says no goodbye of its own. */
void socket_drain(struct pull *pull);

/* For pull_ops.free, also of a socket that was never opened. */
void socket_deinit(struct socket *socket);

/* Refuses a handshake: to a browser after the upgrade, by a close code; else as plain HTTP. */
void socket_refuse(struct exchange *exchange, enum problem problem, struct str detail);

/* Closes a socket whose client offers subprotocols none of which is spoken there: it would take our
 * frames for something else. `reason` (123 bytes at most) says which is. */
void socket_refuse_protocols(struct exchange *exchange, struct str reason);

/* Sends a close frame, once, and closes when the peer has answered or after a while. */
void socket_close(struct socket *socket, unsigned code, struct str reason);
void socket_close_problem(struct socket *socket, enum problem problem);

/* Publishes an event that came over the socket: fills in the rest of the proposal and submits it.
 * `publish` has its `done`; NULL stands for a lack of memory. False: nothing was published, and
 * `publish` is the caller's still. Otherwise the socket stops reading while it has too many
 * publishes open, or the log is behind, and gives up those that are not safe in time. */
bool socket_submit(struct socket *socket, struct proposal *proposal, struct socket_publish *publish,
                   struct refusal *ret_refusal);
/* Notes that a publish was answered; returns false if its websocket has given it up or is gone. */
bool socket_end_publish(struct socket_publish *publish);

/* The channel's socket: what GET /channels/… upgrades to. Takes the reading over. */
void channel_socket_begin(struct exchange *exchange, struct reading *reading);
