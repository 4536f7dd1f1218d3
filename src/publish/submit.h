/* Submitting proposals: all that a thread publishes in one turn becomes one append to the log.
 *
 *     POST, webhooks of others ┐
 *     POST /events             ├─▶ proposal ─▶ checks ─▶ the turn's append ─▶ submitter_flush()
 *     sockets                  │                 │                               │
 *     the server's own notices ┘                 ▼ refusal                       ▼ log, then `done`
 *
 * A submission is the events of one publish, which stand or fall together: they are added one by
 * one, and handed over or taken back as a whole. Whoever publishes embeds a struct publish with a
 * `done`, which the log calls on the submitter's thread with the verdict. */
#pragma once

#include "base/memory_mark.h"
#include "base/rfc3339.h"
#include "log/log.h"
#include "publish/rates.h"

/* Belongs to one thread. The counters may be read by any. */
struct submitter {
    struct log *log;
    struct log_port *port; /* of the thread: `done` is called there */
    struct clock *clock;
    struct append *turn;           /* events for the log; NULL: none */
    uint32_t expected;             /* the number of events of the last turn: room for the next */
    struct append *turn_ephemeral; /* ephemeral events; NULL: none */
    bool is_limited;               /* by any of these */
    const struct publish_limits *limits; /* NULL: none */
    struct rates *rates;                 /* with limits */
    const struct memory_mark *memory;    /* NULL: none */
    struct rfc3339_memo times;           /* for receipts: the times of a turn lie close together */
    _Atomic uint64_t published;          /* events submitted */
    _Atomic uint64_t refused[PUBLISH_VERDICTS]; /* publishes, by verdict */
    _Atomic uint64_t too_fast;                  /* publishes, by a rate */
    _Atomic uint64_t too_large;                 /* publishes, by event_max */
    _Atomic uint64_t too_full;                  /* publishes, by the mark of memory */
};

void submitter_init(struct submitter *submitter, struct log *log, struct log_port *port,
                    struct clock *clock);

/* Bounds what is published from here on. What is given stays in place until the next call. */
void submitter_limit(struct submitter *submitter, const struct publish_limits *limits,
                     struct rates *rates, const struct memory_mark *memory);

/* Gives the log what the turn has gathered. A log in memory posts it back as mail at once. False if
 * there was nothing. */
bool submitter_flush(struct submitter *submitter);

/* Whether anything is gathered; how many bytes; how many events for the log. */
static inline bool submitter_has_any(const struct submitter *submitter)
{
    return submitter->turn || submitter->turn_ephemeral;
}

size_t submitter_bytes(const struct submitter *submitter);

static inline uint32_t submitter_events(const struct submitter *submitter)
{
    return submitter->turn ? submitter->turn->batch->count : 0;
}

/* Publishes an event. False: nothing happened, and the caller still owns `publish`. True: `publish`
 * stays in place until its `done` was called. */
bool submit_proposal(struct submitter *submitter, const struct publisher *publisher,
                     const struct proposal *proposal, struct publish *publish,
                     struct refusal *ret_refusal);

/* Deletes everything in a channel, in the same way; takes the right to `admin` there. */
bool submit_trim(struct submitter *submitter, const struct publisher *publisher, struct str channel,
                 struct publish *publish, struct refusal *ret_refusal);

/* The refusal of a publish whose verdict is not PUBLISH_OK; counts it. Call it from within `done`.
 */
struct refusal submit_refusal(struct submitter *submitter, const struct publish *publish);

/* Counts a change that becomes no event of its publisher's, such as a member's state, like a
 * publish to the channel. False if it comes too fast, or the process is full: then nothing was
 * counted. */
bool submitter_take(struct submitter *submitter, const struct publisher *publisher,
                    struct str channel, size_t bytes, struct refusal *ret_refusal);

/* ---- many events as one publish -------------------------------------------------------------- */

/* Begins a submission. No other may begin before it has ended or was dropped. */
struct submission {
    struct submitter *submitter;
    const struct publisher *publisher;
    struct append *append;
    uint32_t first;
    uint32_t number; /* for rates, which let a batch pass as a whole */
};

/* Returns false if there is no memory. */
bool submission_begin(struct submission *submission, struct submitter *submitter,
                      const struct publisher *publisher, struct refusal *ret_refusal);

/* Adds an event, which is ephemeral if its namespace is. On false it was not added, and the
 * submission must be dropped. Where a rate refused it, the submission was dropped already, and the
 * refusal says when all of it can pass. */
bool submission_add(struct submission *submission, const struct proposal *proposal,
                    struct refusal *ret_refusal);

/* Removes everything that was added. */
void submission_drop(struct submission *submission);

/* Submits what was added, at least one event; result as of submit_proposal(). */
void submission_end(struct submission *submission, struct publish *publish);
