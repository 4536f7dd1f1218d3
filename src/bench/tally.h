/* The account of deliveries: numbers every event, and checks for every subscriber that none is
 * missing, repeated or out of order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Events are numbered by lane. There are as many lanes as channels or publishers, whichever is
 * more. Lane L leads to channel L % channels and belongs to publisher L % publishers, so every
 * server must keep the order within a lane. */
struct tally {
    uint32_t channels;
    uint32_t publishers;
    uint32_t lanes;
    uint32_t *published; /* by lane: the number of events, and so the next number */
    uint32_t *audience;  /* by channel: the number of subscribers that expect its events */
    uint64_t due;        /* deliveries that are due for all published events */
    uint64_t taken;      /* deliveries that came in order */
    uint64_t missing;    /* numbers that were skipped */
    uint64_t repeated;   /* numbers that came again, or after a later one */
    uint64_t strange;    /* deliveries of lanes that the subscriber did not ask for */
};

enum { SEEN_ALL = UINT32_MAX };

/* A subscriber's position in each of its lanes. */
struct seen {
    uint32_t channel; /* or SEEN_ALL */
    uint32_t lanes;
    union {
        uint32_t one; /* the most common case, a single lane, needs no array */
        uint32_t *many;
    } next;
};

void tally_init(struct tally *tally, uint32_t channels, uint32_t publishers);
void tally_deinit(struct tally *tally);

/* Adds a subscriber of a channel, or of all. It expects the events from now on and, if
 * `from_start`, all earlier ones. */
void tally_join(struct tally *tally, struct seen *seen, uint32_t channel, bool from_start);
void seen_deinit(struct seen *seen);

/* Counts an event of the lane; returns its number. */
uint32_t tally_publish(struct tally *tally, uint32_t lane);

/* Notes that the subscriber received that event. */
void tally_take(struct tally *tally, struct seen *seen, uint32_t lane, uint32_t number);

/* Whether all deliveries that are due have come. */
bool tally_settled(const struct tally *tally);

/* Whether all deliveries have come, once and in order. */
bool tally_perfect(const struct tally *tally);

/* Whether the subscriber has the first `count` events of the lane. */
bool seen_has(const struct tally *tally, const struct seen *seen, uint32_t lane, uint32_t count);
