/* The interface to the store of events: SQLite files or plain memory stand behind it. */
#pragma once

#include "base/clock.h"
#include "log/event.h"
#include "log/selection.h"

/* The state of a channel as a store reports it while it opens. */
struct store_channel {
    struct str name;
    uint32_t number;
    uint64_t last;    /* id of its newest event ever, 0: none */
    uint64_t trimmed; /* newest id that was removed from it */
    uint64_t count;   /* events retained above trimmed */
    uint64_t bytes;   /* bytes of their data */
};

/* Callbacks for the contents of a store while it opens, on the opening thread: channels first, then
 * keys by ascending id. No two channels have the same number. Strings are valid during the call
 * only. A negative errno ends the opening with that error. */
struct store_loader {
    int (*channel)(void *context, const struct store_channel *channel);
    int (*key)(void *context, const struct event_key *key, uint64_t id, int64_t time_us);
    void *context;
    int64_t keys_since_us; /* keys of events older than this are not needed */
    /* After the channels: reports a number below the highest that no channel has. May be NULL. */
    void (*unused)(void *context, uint32_t number);
    /* Before the channels: their number. May be NULL. */
    void (*expect)(void *context, uint64_t count);
};

/* Positions between two runs of the server: after < position < upto, where `upto` is the beginning
 * of the later one. No run that the store knows of has told a reader any of them. */
struct store_pause {
    uint64_t after, upto;
};

enum { STORE_PAUSES = 64 };

struct store_newest {
    uint64_t id;     /* id of the newest event ever stored, retained or not; 0: none */
    int64_t time_us; /* time of that event */
    uint32_t number; /* the highest channel number in use, with forgotten channels */
    uint64_t lost;   /* events up to this id may be lost, and no trim says so; 0: none */
    size_t pauses;   /* of the latest runs, see store_ops.begin */
    struct store_pause pause[STORE_PAUSES]; /* oldest first */
};

/* The bounds of a read. It finds events with after < id <= upto, of the given channels and of the
 * selection's types, above their channel's `trimmed` as the store knows it. */
struct store_query {
    const struct selection *selection; /* only its types count; channels come as numbers */
    /* The channels, by number. Few: `numbers` (sorted) has them, and the store uses its index.
     * Many: `numbers` is NULL, and the store scans in id order and looks into the bitmap. */
    const uint32_t *numbers;
    size_t numbers_count;
    const uint8_t *bitmap; /* bit (n & 7) of byte (n >> 3) stands for channel n */
    size_t bitmap_bits;
    uint64_t after;
    uint64_t upto;
    bool backwards;   /* take the newest at or below upto; the result still ascends */
    uint32_t limit;   /* most events, above 0 */
    size_t bytes;     /* stop once the data reaches this size; there is always one event */
    uint64_t rows;    /* most rows to look at */
    uint64_t *looked; /* the number of rows looked at is added to it; may be NULL */
    bool brief;       /* for log_read(): the first slice of the read; stores ignore it */
};

/* A channel that was trimmed, to be stored. */
struct store_trim {
    uint32_t number;
    struct str name;
    uint64_t last;
    uint64_t trimmed;
};

/* A question for retention: up to which id must a channel be trimmed? */
struct store_cut {
    uint32_t number;
    uint64_t above;      /* only events with higher ids count */
    uint64_t want_count; /* number of events to trim, at least, */
    uint64_t want_bytes; /* and bytes of data to trim, at least */
    /* The answer: */
    uint64_t upto; /* the oldest event that satisfies both, else the newest of the channel */
    uint64_t count;
    uint64_t bytes; /* bytes of data to be trimmed, with `upto` */
};

/* Memory of the store that does not depend on reads: it grows with appends, up to bounds of its
 * own. */
struct store_memory {
    uint64_t index;  /* the index of events by channel, in files that are not sealed */
    uint64_t sqlite; /* SQLite's memory in this process: cached pages, statements */
    uint64_t trims;  /* the trimmed ids of channels, and the events that must leave the disk */
};

/* Parts of the log that were lost on the disk, by no decision of the server's. */
struct store_losses {
    uint64_t holes; /* ranges of ids whose files are missing or incomplete, in what is retained */
    uint64_t after; /* the newest of them: after < id <= upto */
    uint64_t upto;
    uint64_t foreign;  /* files in the folder that are not of this log */
    uint64_t damaged;  /* events, or runs of them, that were found damaged since the start */
    uint64_t given_up; /* files that upkeep cannot rewrite: deleted events stay in them */
};

struct store;

/* Result of append: the medium failed, and the store could not prove that the batches, and earlier
 * ones with this result, will be gone after a crash. Reads do not see them. Their ids must not be
 * given again, and their publishers must not be told that they failed. */
enum { STORE_E_FATE_UNKNOWN = 1 };

/* Every call returns 0 or a negative errno: -ENOSPC if the disk is full, -EIO if the medium fails,
 * -ENOMEM. A call that failed with an errno has changed nothing, even after a crash, and may be
 * tried again. */
struct store_ops {
    /* Notes the pause before this run, for later openings. Before the first append. Forgets all but
     * the STORE_PAUSES newest ones. NULL for a store in memory. */
    int (*begin)(struct store *store, const struct store_pause *pause);

    /* Makes all batches durable, or none: writes their APPENDED events and TRIM entries in order;
     * skips others. A call with only TRIM entries may use reserved space when the disk is full.
     * Called by one thread, the writer. After 0 every read sees the events. */
    int (*append)(struct store *store, struct batch *const *batches, size_t count);

    /* Reads a page into a new batch, which the caller owns. `*ret_through` is the position up to
     * which every match was returned: the last event's id if a limit was hit, else the last row
     * that was looked at (upto if all were). Backwards: the id from which on every match was
     * returned. Any thread, several at a time. */
    int (*read)(struct store *store, const struct store_query *query, struct batch **ret_batch,
                uint64_t *ret_through);

    /* Finds the id of the newest retained event whose time is <= time_us; 0: none. If many events
     * before it were removed a moment ago, it may return the id of one of them, which divides the
     * retained events in the same way. Any thread. */
    int (*find_time)(struct store *store, int64_t time_us, uint64_t *ret_id);

    /* Answers cuts, from the index: looks at no event beyond those to be trimmed. A cut of a
     * channel without events has count 0. Any thread. */
    int (*find_cuts)(struct store *store, struct store_cut *cuts, size_t count);

    /* Calls `each` for every event with after < id <= upto, ascending, until it returns false. For
     * retention: only number, id and the size of the data. Any thread. */
    int (*walk)(struct store *store, uint64_t after, uint64_t upto,
                bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
                void *context);

    /* Stores the trims, all or none; they are final when this returns 0. Hides the events from
     * reads, and frees what it can. Called by one thread: that of upkeep, in memory any. */
    int (*trim)(struct store *store, const struct store_trim *trims, size_t count);

    /* Frees some of the events that trims have hidden and left to upkeep. Returns false if there
     * are none. Any thread. NULL if trimmed events take no memory. */
    bool (*drop_trimmed)(struct store *store);

    /* A turn of upkeep: begins a new file if that is due, seals and indexes files, unlinks dead
     * ones, and rewrites files that are more than half dead or hold events that were deleted.
     * Upkeep thread, about once a second; may take long, must not hold up append or read. */
    int (*upkeep)(struct store *store);

    /* Forgets channels: none of their events is retained, and their trims need not be kept. The
     * rows `namespaces` become durable in the same step, and come back through the loader. They
     * look like channels with number 0, under names of the caller that no channel can have. Upkeep
     * thread. */
    int (*forget)(struct store *store, const struct store_trim *namespaces, size_t namespaces_count,
                  const uint32_t *numbers, size_t count);

    /* The size of the store in bytes, and the oldest retained id (0: none), as of the last upkeep
     * and the appends since. Any thread; never waits. */
    uint64_t (*bytes)(struct store *store);
    uint64_t (*oldest)(struct store *store);

    /* The memory of the store. NULL for a store in memory: see `bytes`. */
    struct store_memory (*memory)(struct store *store);

    /* Any thread; never waits. NULL for a store that is nothing but memory. */
    struct store_losses (*losses)(struct store *store);

    /* Closes cleanly and frees the store. No other call may follow or be running. */
    void (*close)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

struct progress;
struct trouble;

struct store_config {
    const char *dir;        /* SQLite: the folder; created if need be */
    uint64_t roll_bytes;    /* SQLite: size of a file at which the next begins */
    int64_t roll_us;        /* SQLite: age of a file at which the next begins */
    uint64_t reserve_bytes; /* SQLite: space reserved for trims on a full disk; 0: none */
    struct clock *clock;
    /* SQLite: the counts of a channel at the opening were wrong by this much, for its events up to
     * `last`. Upkeep thread. May be NULL. */
    void (*recounted)(void *context, uint32_t number, uint64_t last, int64_t count, int64_t bytes);
    /* The number of a forgotten channel is free again, since nothing in the store refers to it any
     * more: in memory as soon as the channel is forgotten. Upkeep thread. May be NULL. */
    void (*released)(void *context, uint32_t number);
    /* SQLite: events up to `upto` are lost: their file is missing, or they are damaged. While it is
     * opened, and from within reads, before they return. May be NULL. */
    void (*lost)(void *context, uint64_t upto);
    void *context;
    /* SQLite: how far an opening is, and why one failed. For the time of the opening; each may be
     * NULL. */
    struct progress *progress;
    struct trouble *trouble;
};

/* Opens or creates the chain of SQLite files in config->dir, recovers from any crash, takes the
 * folder's lock (-EBUSY if another process has it), and reports the contents to `loader`. */
int store_sqlite_open(const struct store_config *config, const struct store_loader *loader,
                      struct store **ret_store, struct store_newest *ret_newest);

/* Opens an empty store in memory. Keeps references to the batches of append, so
 * that events are not copied. */
int store_memory_open(const struct store_config *config, struct store **ret_store);
