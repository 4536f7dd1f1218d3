/* What is owed to whom: numbers every event that is published and checks, at every subscriber, that
 * none is missing, repeated or out of order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Events are numbered by lane: as many lanes as there are channels or publishers, whichever is
 * more. Lane L leads to channel L % channels and belongs to publisher L % publishers, so that each
 * has one order that every server must keep. */
struct tally {
    uint32_t channels;
    uint32_t publishers;
    uint32_t lanes;
    uint32_t *published; /* by lane: how many, and so the next one's number */
    uint32_t *audience;  /* by channel: how many subscribers count on its events */
    uint64_t owed;       /* deliveries, of all that was published */
    uint64_t taken;      /* deliveries that came in order */
    uint64_t missing;    /* numbers that were skipped */
    uint64_t repeated;   /* numbers that came again, or after a later one */
    uint64_t strange;    /* of lanes that the subscriber did not ask for */
};

enum { SEEN_ALL = UINT32_MAX };

/* How far one subscriber has come in each of its lanes. */
struct seen {
    uint32_t channel; /* or SEEN_ALL */
    uint32_t lanes;
    union {
        uint32_t one; /* the commonest case needs no second look into memory */
        uint32_t *many;
    } next;
};

void tally_init(struct tally *tally, uint32_t channels, uint32_t publishers);
void tally_deinit(struct tally *tally);

/* A subscriber of one channel or of all, who counts on what comes from now on, and if `from_start`
 * on all that went before. */
void tally_join(struct tally *tally, struct seen *seen, uint32_t channel, bool from_start);
void seen_deinit(struct seen *seen);

/* Numbers the next event of the lane. */
uint32_t tally_publish(struct tally *tally, uint32_t lane);

/* Notes that the subscriber got that event. */
void tally_take(struct tally *tally, struct seen *seen, uint32_t lane, uint32_t number);

/* Whether all that was owed has come. */
bool tally_settled(const struct tally *tally);

/* Whether nothing is or was amiss: all has come, once, in order. */
bool tally_perfect(const struct tally *tally);

/* Whether the subscriber has the first `count` events of the lane. */
bool seen_has(const struct tally *tally, const struct seen *seen, uint32_t lane, uint32_t count);
