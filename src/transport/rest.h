/* The unsent rest of a large event, kept by reference and shared by all connections that lack a
 * part of it.
 *
 * A connection that the socket cut within a piece holds a reference and a position instead of a
 * copy. So hundreds of slow peers hold a large event once. The account counts it once too, as
 * rests, and for each connection its share. */
#pragma once

#include "hub/chunk.h"
#include "transport/holding.h"

/* A piece that some connections have not sent completely: one holding for all of them. */
struct rest {
    struct holdings *holdings;
    struct holding holding;
    struct piece *piece;
    struct list places;
    uint32_t count; /* of places */
};

/* The position of a connection in a rest. Zeroes: the connection lacks nothing. */
struct rest_place {
    struct list node;
    struct rest *rest;
    struct request_stream *request;
    size_t sent; /* bytes of the piece */
};

/* Notes that the connection has sent only the first `sent` bytes of the piece; the place must be
 * empty. Returns false, with the place still empty, if there is no memory. */
bool rest_keep(struct holdings *holdings, struct rest_place *place, struct request_stream *request,
               struct piece *piece, size_t sent);

/* Notes that `n` more bytes were sent. After the last one the place is empty. */
void rest_advance(struct rest_place *place, size_t n);

/* Empties the place, if it is not empty. */
void rest_drop(struct rest_place *place);

/* The bytes that are not sent yet. */
static inline struct str rest_unsent(const struct rest_place *place)
{
    return place->rest ? str_skip(buf_str(&place->rest->piece->bytes), place->sent) : STR_NONE;
}
