/* Taking: the next encoded bytes of a subscriber, and what becomes of them when they are sent. */
#pragma once

#include "hub/chunk.h"

struct hub;
struct sub;

enum take {
    TAKE_NOTHING, /* nothing to take: the subscriber is live, and will be woken */
    TAKE_BYTES,   /* bytes to send; hub_sent() must follow */
    TAKE_WAIT,    /* nothing yet: a read or mail is on its way; the subscriber will be woken */
    TAKE_GAP,     /* events between the cursor and `trimmed` are gone; reported once */
    TAKE_FAILED,  /* the store could not be read: try again later, or give up */
};

struct taken {
    struct str bytes;
    struct chunk *chunk; /* borrowed until hub_sent() */
    uint32_t first;      /* records [first, end) of the chunk */
    uint32_t end;
    uint64_t trimmed; /* for TAKE_GAP */
};

/* Returns the next bytes for the subscriber: whole records, in order. */
enum take hub_take(struct hub *hub, struct sub *sub, struct taken *ret_taken);

/* The first `n` bytes that were taken have been sent. The cursor moves past every record of which
 * at least a byte was sent, and a subscriber that has everything becomes live. A record that was
 * cut is passed to ops->keep_rest(): nothing that points into the taken bytes outlives this call.
 * `blocked` means that the socket is full: the subscriber then falls behind instead of staying
 * queued. */
void hub_sent(struct hub *hub, struct sub *sub, size_t n, bool blocked);

/* Counts events that are handed to a socket now; none of them was accepted before `accepted_ns`.
 * Calls in a row for the same time share a look at the clock, up to 64 of them: the time of 64
 * calls is the error. */
void hub_timed(struct hub *hub, int64_t accepted_ns, uint32_t count);

/* Adds to latency_ns all that hub_timed() has collected. Call it after each flush. */
void hub_note_timed(struct hub *hub);
