/* One publisher of a benchmark: a connection with as many publishes in flight as it may have. */
#pragma once

#include "bench/load.h"

struct publisher {
    struct load_watch watch;
    struct load *load;
    int fd; /* -1 while there is no connection */
    bool connected;
    uint32_t index;
    uint32_t lane; /* that is next, when they come in turn */
    uint32_t in_flight;
    uint64_t sent;   /* publishes ever; its remainder is the place in `times` */
    uint64_t *times; /* when those in flight were sent, a ring of plan->in_flight */
    struct buf out;  /* requests that the socket has not taken */
    struct buf in;   /* an answer that is not whole */
};

void publisher_init(struct publisher *publisher, struct load *load, uint32_t index);
void publisher_deinit(struct publisher *publisher);

/* Whether one more may be in flight. */
bool publisher_has_room(const struct publisher *publisher);

/* Writes one publish, stamped with the time, behind what is to be sent; there must be room. */
void publisher_push(struct publisher *publisher, uint32_t lane, uint64_t now);

/* The same for one of its own lanes, in turn or at random. */
void publisher_push_next(struct publisher *publisher, uint64_t now);

/* Fills it up to what load->limit and plan->in_flight allow, and sends. */
void publisher_fill(struct publisher *publisher);

/* Sends what was pushed, connecting if need be. */
void publisher_flush(struct publisher *publisher);
