/* How much may be published: events and bytes a second by key, subject, address and channel, and
 * the size of an event.
 *
 *     settings: struct publish_limits, immutable, by namespace
 *     state:    struct rates, the buckets of all workers, in memory that is reserved at the start
 *
 * The door for publishes (submit.c) asks rates_take() for each event that has passed all other
 * checks. A publish of several events that is refused gives back what the events before had taken,
 * so a batch counts as a whole or not at all. A bucket that was full when the first of them came
 * gives to all of them, and owes what lacks: else a batch larger than a bucket could never pass.
 *
 * Buckets lie in sets of a few. A new holder takes the place of a bucket of its set that is full,
 * since that one is as good as none, or else of the one that is full soonest. So strangers who are
 * many make the limits more lenient for each other, but the table no larger. */
#pragma once

#include "base/bucket.h"
#include "base/refusal.h"
#include "publish/proposal.h"

enum rate_holder { RATE_KEY, RATE_SUBJECT, RATE_ADDRESS, RATE_CHANNEL, RATE_HOLDERS };
enum rate_unit { RATE_EVENTS, RATE_BYTES, RATE_UNITS };

/* Limits of the channels under a prefix. */
struct publish_limit {
    struct str prefix;
    uint64_t rates[RATE_HOLDERS][RATE_UNITS]; /* a second; 0: no limit */
    uint64_t window_s;                        /* a bucket holds as much as flows in so long */
    uint64_t event_max;                       /* bytes of an event's data; 0: no limit */
    /* Set by publish_limits_new(): */
    bool has_rates;
    uint16_t owner; /* the limit whose rates these are: its own, or that of a shorter prefix */
};

/* Immutable; any thread may read them. */
struct publish_limits {
    size_t count;
    struct publish_limit at[]; /* sorted by prefix; the first has none */
};

/* A copy of these limits, each with another prefix; the first has none and is for all channels. A
 * namespace without rates of its own has those of the next shorter prefix, and so it is with the
 * size of events. `*ret` is NULL if nothing is limited. The prefixes are borrowed. Returns 0 or
 * -ENOMEM. Free with free(). */
int publish_limits_new(const struct publish_limit *list, size_t count, struct publish_limits **ret);

struct rates;

/* Returns NULL if there is no memory. */
struct rates *rates_new(void);
void rates_free(struct rates *rates);

/* A number for a publish of several events. Any thread. */
uint32_t rates_number(struct rates *rates);

/* An event as its publisher sends it. */
struct rate_event {
    const struct publisher *publisher;
    struct str channel;
    size_t bytes;   /* of its data */
    uint32_t batch; /* the number of the publish that it is part of; 0: it comes alone */
};

/* Takes an event from the buckets that it counts for, or refuses it: then nothing was taken. The
 * server's own events are not counted. Any thread. */
bool rates_take(struct rates *rates, const struct publish_limits *limits,
                const struct rate_event *event, int64_t now_ns, struct refusal *ret_refusal);

/* In how many ms the bucket is full that has refused an event; at least 1. A batch passes then as a
 * whole, whatever its size. `refusal` is what rates_take() has said. */
uint64_t rates_full_ms(struct rates *rates, const struct publish_limits *limits,
                       const struct rate_event *event, int64_t now_ns,
                       const struct refusal *refusal);

/* Gives back what an event had taken. */
void rates_give(struct rates *rates, const struct publish_limits *limits,
                const struct rate_event *event);
