/* A publisher of a benchmark: a connection with a number of publishes in flight. */
#pragma once

#include "bench/load.h"

struct publisher {
    struct load_watch watch;
    struct load *load;
    struct client_socket socket; /* none while there is no connection */
    bool connected;
    uint32_t index;
    uint32_t lane;      /* the next lane, if lanes are used in turn */
    uint32_t in_flight; /* requests */
    uint64_t sent;      /* requests since the start; modulo plan->in_flight, the index in `asked` */
    struct asked {
        uint64_t time_ns; /* when it was sent */
        uint32_t events;
    } * asked;      /* requests in flight, a ring of plan->in_flight */
    struct buf out; /* requests that the socket has not taken yet */
    struct buf in;  /* a response that is not whole yet */
};

void publisher_init(struct publisher *publisher, struct load *load, uint32_t index);
void publisher_deinit(struct publisher *publisher);

/* Whether there may be another request in flight. */
bool publisher_has_room(const struct publisher *publisher);

/* Adds a request with one event, stamped with the time, to the output; there must be room. */
void publisher_push(struct publisher *publisher, uint32_t lane, uint64_t now);

/* The same for plan->batch events on the publisher's own lanes, in turn or at random. */
void publisher_push_next(struct publisher *publisher, uint64_t now);

/* Publishes as much as load->limit and plan->in_flight allow, and sends. */
void publisher_fill(struct publisher *publisher);

/* Sends the output, connecting if need be. */
void publisher_flush(struct publisher *publisher);
