/* The log's verdicts: what a publish becomes, decided in log order and nowhere else. No threads, no
 * I/O: a replicated engine can run the same decisions on every node. */
#pragma once

#include "log/channels.h"
#include "log/keys.h"
#include "log/log_time.h"
#include "log/numbers.h"

/* Why a publish was refused; 0 is accepted (or a duplicate of what was). */
enum publish_verdict {
    PUBLISH_OK = 0,
    PUBLISH_E_KEY_REUSED,   /* another content under the same idempotency key */
    PUBLISH_E_NOT_NEWEST,   /* If-Match names another id than the channel's newest */
    PUBLISH_E_CHANNELS,     /* there are as many channels as may be */
    PUBLISH_E_SHARE,        /* its maker has had its share of the channels that are left */
    PUBLISH_E_KEYS,         /* there are as many keys as may be */
    PUBLISH_E_NO_SPACE,     /* the store is full */
    PUBLISH_E_UNAVAILABLE,  /* the store failed, or there is no memory */
    PUBLISH_E_FATE_UNKNOWN, /* the store failed, and after a crash it may be there all the same */
};

/* One request to publish: one event, or many that stand or fall together. */
struct publish {
    struct publish *next;
    uint32_t first; /* its events in the batch of its append */
    uint32_t count;
    bool has_if_match;
    uint64_t if_match;
    struct maker maker; /* of new channels: zeroes as long as log_wants_makers() says no */
    /* The answer; the events' own ids and states are in the batch. */
    enum publish_verdict verdict;
    uint32_t fault;  /* which of its events was at fault, counted from its first */
    uint64_t newest; /* the channel's newest id, when NOT_NEWEST */
    /* Called on the thread of the append's port, once the answer is true. */
    void (*done)(struct publish *publish, struct batch *batch);
};

/* Channels that somebody has to look at: each is in a queue at most once. */
enum apply_queue {
    QUEUE_OVER,   /* has more than its namespace keeps */
    QUEUE_URGENT, /* has so much more that it is to be trimmed at once */
    QUEUE_UNKEPT, /* was trimmed, which the store does not know yet */
    QUEUE_NOTED,  /* was trimmed, which nobody was told yet */
    APPLY_QUEUES,
};

/* The state that verdicts are made from. One lock guards all of it. */
struct apply {
    struct channels channels;
    struct keys keys;
    int64_t key_life_us;
    struct log_time time;
    struct map deletions; /* that were decided and are not safe yet, by channel */
    uint64_t last;        /* the newest id given */
    uint64_t count;       /* events retained in all channels */
    uint64_t bytes;       /* of their data */
    struct numbers queues[APPLY_QUEUES];
    struct numbers unclaimed; /* channels that were prepared, and that no verdict has claimed */
};

/* Begins with empty tables and the time of `clock`. The caller sets `channels` and `keys` up. */
void apply_init(struct apply *apply, struct clock *clock, int64_t key_life_us);

/* Frees what is in it. */
void apply_deinit(struct apply *apply);

/* Reads the clocks for the publishes that follow; keys that have had their life are gone. */
void apply_tick(struct apply *apply);

/* Puts the channel last in a queue, unless it is in there. Without memory it is not, and is tried
 * again when it is noted again. */
void apply_enqueue(struct apply *apply, struct channel *channel, enum apply_queue queue);

/* Takes the first of a queue that has one; NULL when that channel is gone. */
struct channel *apply_dequeue(struct apply *apply, enum apply_queue queue);

/* How much a channel has beyond what its namespace keeps. */
struct excess {
    uint64_t count;
    uint64_t bytes;
};
struct excess apply_excess(const struct apply *apply, const struct channel *channel);

/* Queues the channel if it has more than its namespace keeps. */
void apply_note(struct apply *apply, struct channel *channel);

/* Counts events into a channel, or out of it with what they weigh. */
void apply_count_in(struct apply *apply, struct channel *channel, uint64_t count, uint64_t bytes);
void apply_count_out(struct apply *apply, struct channel *channel, uint64_t count, uint64_t bytes);

/* The newest id that was removed from the channel by what was decided so far. Verdicts and
 * retention build on it. Readers go by channel->trimmed, which a DELETE raises only once it is
 * safe: a page that hides events must not be wrong if the commit then fails. */
uint64_t apply_trimmed(const struct apply *apply, const struct channel *channel);

/* Removes a channel's oldest events, which are so many, up to `upto`. */
void apply_trim(struct apply *apply, struct channel *channel, uint64_t upto, uint64_t count,
                uint64_t bytes);

/* Finds the channels that events have, if there are any, for the verdicts that follow soon. */
void apply_look_up(struct apply *apply, struct event *events, size_t count);

/* A large batch is prepared in slices, with the lock given away between them: its events' channels
 * are looked up, those that are new are made, and the table of keys grows. The verdicts are made
 * under one hold all the same, so that a batch stands or falls as one, by the keys and channels of
 * that moment; they find most of their work done. What was prepared and is not needed is dropped in
 * slices.
 *
 *     apply_prepare(apply, events, count, all)        for all events of the batch
 *     apply_publish(apply, publish, batch)            for each publish, and in the same hold
 *     apply_end_prepared(apply, batch)
 *     while (apply_drop_unclaimed(apply, SLICE)) …
 *
 * A verdict needs nothing of it: without preparation it is the same, and takes longer. */
void apply_prepare(struct apply *apply, struct event *events, size_t count, size_t all);
void apply_end_prepared(struct apply *apply, struct batch *batch);
/* Whether there are more than `most`. */
bool apply_drop_unclaimed(struct apply *apply, uint32_t most);

/* Decides one publish: gives ids, prev and times to its events and marks them APPENDED, DUPLICATE
 * or TRIM, or sets publish->verdict and leaves every event PROPOSED. */
void apply_publish(struct apply *apply, struct publish *publish, struct batch *batch);

/* The batch has become safe: readers are to see its DELETEs. */
void apply_settle(struct apply *apply, const struct batch *batch);

/* Takes back what apply_publish did to the state, and refuses the publish with `verdict`. Publishes
 * are undone in reverse order. The ids may be given again, since nobody has seen them, unless the
 * verdict is FATE_UNKNOWN: then somebody may. */
void apply_undo(struct apply *apply, struct publish *publish, struct batch *batch,
                enum publish_verdict verdict);
