/* The unsent rest of a large event, kept by reference and shared by all connections that lack some.
 *
 * A connection that the socket cut within a piece holds a reference and a position instead of a
 * copy. So hundreds of slow peers hold a large event once. The account counts it once too, as
 * rests, and each connection for its share. */
#pragma once

#include "hub/chunk.h"
#include "transport/holding.h"

/* A piece of which connections lack something: one holding for all of them. */
struct rest {
    struct holdings *holdings;
    struct holding holding;
    struct piece *piece;
    struct list places;
    uint32_t count; /* of places */
};

/* Where a connection is in it. All zeroes: it lacks nothing. */
struct rest_place {
    struct list node;
    struct rest *rest;
    struct session *session;
    size_t sent; /* bytes of the piece */
};

/* The connection lacks what follows the first `sent` bytes of the piece; the place is empty. False
 * without memory, and then the place is empty still. */
bool rest_keep(struct holdings *holdings, struct rest_place *place, struct session *session,
               struct piece *piece, size_t sent);

/* So many more bytes are sent. With the last of them the place is empty. */
void rest_advance(struct rest_place *place, size_t n);

/* Gives the place up; harmless when it is empty. */
void rest_drop(struct rest_place *place);

/* What is unsent. */
static inline struct str rest_unsent(const struct rest_place *place)
{
    return place->rest ? str_skip(buf_str(&place->rest->piece->bytes), place->sent) : STR_NONE;
}
