/* A subscriber of a benchmark: a connection that finds marks in the received bytes. */
#pragma once

#include "bench/load.h"

enum subscriber_state { SUBSCRIBER_NEW, SUBSCRIBER_OPENING, SUBSCRIBER_OPEN, SUBSCRIBER_GONE };

struct subscriber {
    struct load_watch watch;
    struct load *load;
    struct seen seen;
    struct client_socket socket;
    uint8_t state;
    uint8_t group;
    uint8_t held_len;
    uint16_t refusal; /* the status by which a stream of HTTP/2 is being refused; 0: it is not */
    bool caught_up;
    bool asked;          /* the first request is sent: the handshake is over */
    uint64_t frame_left; /* WebSocket: the rest of the current payload */
    struct plan_seat seat;
    uint32_t late_count; /* for a late subscriber: number of events to catch up with */
    char held[LOAD_HELD_MAX];
    struct buf in; /* a response that is not whole: of a poll, or the head of a stream */
};

/* Begins to open the subscriber; `load->opening` counts it until it is open or gone. */
void subscriber_start(struct subscriber *subscriber);
void subscriber_stop(struct subscriber *subscriber);
