/* The log's verdicts: how each publish is decided, in log order and nowhere else. No threads, no
 * clocks, no I/O: a replicated engine can run the same decisions on every node. */
#pragma once

#include "log/channels.h"
#include "log/keys.h"
#include "log/numbers.h"

/* Why a publish was refused. 0: accepted, or a duplicate of an accepted one. */
enum publish_verdict {
    PUBLISH_OK = 0,
    PUBLISH_E_KEY_REUSED,   /* the same idempotency key with other content */
    PUBLISH_E_NOT_NEWEST,   /* If-Match names another id than the channel's newest */
    PUBLISH_E_CHANNELS,     /* channel limit reached */
    PUBLISH_E_SHARE,        /* the publisher's share of the remaining channels is used up */
    PUBLISH_E_KEYS,         /* limit of idempotency keys reached */
    PUBLISH_E_NO_SPACE,     /* the store is full */
    PUBLISH_E_UNAVAILABLE,  /* the store failed, or there is no memory */
    PUBLISH_E_FATE_UNKNOWN, /* the store failed, and the publish may exist after a crash all the
                             * same */
    PUBLISH_VERDICTS,
};

/* A request to publish: an event, or several that succeed or fail together. */
struct publish {
    struct publish *next;
    uint32_t first; /* index of its first event in the append's batch */
    uint32_t count;
    bool has_if_match;
    bool hides_newest; /* its publisher may not read the channel, nor be told `newest` */
    uint64_t if_match;
    struct maker maker; /* of new channels; zeroes unless log_wants_makers() */
    /* The answer. The ids and states of the events are in the batch. */
    enum publish_verdict verdict;
    uint32_t fault;  /* index of the event at fault, counted from the first of this publish */
    uint64_t newest; /* the channel's newest id, with PUBLISH_E_NOT_NEWEST */
    /* Called on the thread of the append's port, once the answer is final. */
    void (*done)(struct publish *publish, struct batch *batch);
};

/* Queues of channels that need work. A channel is at most once in each. */
enum apply_queue {
    QUEUE_OVER,   /* exceeds its namespace's bounds */
    QUEUE_URGENT, /* exceeds them so far that it must be trimmed at once */
    QUEUE_UNKEPT, /* was trimmed, and the store does not know yet */
    QUEUE_NOTED,  /* was trimmed, and the ports do not know yet */
    APPLY_QUEUES,
};

/* The state that verdicts depend on, guarded by the log's lock. */
struct apply {
    struct channels channels;
    struct keys keys;
    int64_t now_us;       /* log time of the decisions that follow */
    struct map deletions; /* pending DELETEs: decided and not yet safe, by channel */
    uint64_t last;        /* the newest id that was given */
    uint64_t count;       /* events retained in all channels */
    uint64_t bytes;       /* size of the data of these events */
    struct numbers queues[APPLY_QUEUES];
    struct numbers unclaimed; /* prepared channels that no verdict has claimed */
};

/* Begins with empty tables. The caller fills `channels` and `keys`. */
void apply_init(struct apply *apply);

/* Frees the tables. */
void apply_deinit(struct apply *apply);

/* Goes on to a log time, which never decreases: that of the decisions that follow. Expires the keys
 * of events up to `keys_upto_us`. */
void apply_advance(struct apply *apply, int64_t now_us, int64_t keys_upto_us);

/* Puts the channel last in a queue, unless it is in that queue. False without memory: the channel
 * is left out until it is noted again. */
bool apply_enqueue(struct apply *apply, struct channel *channel, enum apply_queue queue);

/* Takes the first channel of a queue that is not empty. NULL if the channel is gone. */
struct channel *apply_dequeue(struct apply *apply, enum apply_queue queue);

/* The part of a channel beyond its namespace's bounds. */
struct excess {
    uint64_t count;
    uint64_t bytes;
};
struct excess apply_excess(const struct apply *apply, const struct channel *channel);

/* Queues the channel if it exceeds its namespace's bounds. */
void apply_note(struct apply *apply, struct channel *channel);

/* Add events to a channel's counts, or take them off. */
void apply_count_in(struct apply *apply, struct channel *channel, uint64_t count, uint64_t bytes);
void apply_count_out(struct apply *apply, struct channel *channel, uint64_t count, uint64_t bytes);

/* The newest id that the decisions so far have removed from the channel. Verdicts and retention use
 * it. Readers use channel->trimmed, which a DELETE raises only once it is safe: if the commit
 * failed, a page would otherwise lack events that still exist. */
uint64_t apply_trimmed(const struct apply *apply, const struct channel *channel);

/* Removes a channel's oldest events up to `upto`; `count` and `bytes` are their sizes. */
void apply_trim(struct apply *apply, struct channel *channel, uint64_t upto, uint64_t count,
                uint64_t bytes);

/* Looks up the channels of the events, for verdicts that follow soon. */
void apply_look_up(struct apply *apply, struct event *events, size_t count);

/* Preparation of a large batch, in slices between which the lock is given away. Each slice looks up
 * the channels of its events, creates the new ones, and grows the table of keys. The verdicts are
 * still made under one hold of the lock, so that a batch succeeds or fails as a whole by the keys
 * and channels of that moment; most of their work is already done. Prepared channels that are not
 * needed are dropped in slices.
 *
 *     apply_prepare(apply, events, count, all)        for all events of the batch
 *     apply_publish(apply, publish, batch)            for each publish, and in the same hold
 *     apply_end_prepared(apply, batch)
 *     while (apply_drop_unclaimed(apply, SLICE)) …
 *
 * Verdicts are the same without preparation, only slower. */
void apply_prepare(struct apply *apply, struct event *events, size_t count, size_t all);
void apply_end_prepared(struct apply *apply, struct batch *batch);
/* Drops up to `most` channels. Returns whether there are more. */
bool apply_drop_unclaimed(struct apply *apply, uint32_t most);

/* Decides a publish: either gives ids, prev and times to its events and marks them APPENDED,
 * DUPLICATE or TRIM, or sets publish->verdict and leaves every event PROPOSED. */
void apply_publish(struct apply *apply, struct publish *publish, struct batch *batch);

/* The batch is safe now: shows its DELETEs to readers. */
void apply_settle(struct apply *apply, const struct batch *batch);

/* Undoes what apply_publish() did to the state, and refuses the publish with `verdict`. Publishes
 * are undone in reverse order. Their ids may be given again, since no client has seen them. With
 * the verdict FATE_UNKNOWN a client may see them after a crash, so they are not. */
void apply_undo(struct apply *apply, struct publish *publish, struct batch *batch,
                enum publish_verdict verdict);
