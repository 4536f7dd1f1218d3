/* Where the log keeps its events: the interface behind which SQLite files or plain memory stand. */
#pragma once

#include "base/clock.h"
#include "log/event.h"
#include "log/selection.h"

/* What a store tells about a channel when it is opened. */
struct store_channel {
    struct str name;
    uint32_t number;
    uint64_t last;    /* id of its newest event ever, 0 for none */
    uint64_t trimmed; /* newest id removed from it */
    uint64_t count;   /* events retained above trimmed */
    uint64_t bytes;   /* of their data */
};

/* What a store reports while it opens; called on the opening thread, in this order: channels,
 * then keys by rising id. No two channels have the same number. Strings are good during the call
 * only. A negative errno ends the opening with it. */
struct store_loader {
    int (*channel)(void *context, const struct store_channel *channel);
    int (*key)(void *context, const struct event_key *key, uint64_t id, int64_t time_us);
    void *context;
    int64_t keys_since_us; /* keys of events older than this are of no use any more */
    /* After the channels: a number up to the highest of them that stands for nothing. May be NULL.
     */
    void (*unused)(void *context, uint32_t number);
    /* Before the channels: how many there will be. May be NULL. */
    void (*expect)(void *context, uint64_t count);
};

struct store_newest {
    uint64_t id;     /* of the newest event ever stored, retained or not; 0 when there was none */
    int64_t time_us; /* its time */
    uint32_t number; /* the highest channel number in use, forgotten ones included */
};

/* What to read. Events are those with after < id <= upto, of the channels named, of the types that
 * the selection has, and above their channel's `trimmed` as the store knows it. */
struct store_query {
    const struct selection *selection; /* for its types only; channels come as numbers */
    /* The channels, by number. Few: `numbers` (sorted) has them and the store goes by its index.
     * Many: `numbers` is NULL, the store scans in id order and asks the bitmap. */
    const uint32_t *numbers;
    size_t numbers_count;
    const uint8_t *bitmap; /* bit (n & 7) of byte (n >> 3) stands for channel n */
    size_t bitmap_bits;
    uint64_t after;
    uint64_t upto;
    bool backwards;   /* newest first: take the newest below or at upto; the result still ascends */
    uint32_t limit;   /* at most so many events, > 0 */
    size_t bytes;     /* stop once their data has reached this; at least one event is given */
    uint64_t rows;    /* look at no more rows than this */
    uint64_t *looked; /* the rows looked at are added to it; may be NULL */
    bool brief;       /* for log_read(): the read's first slice; stores do not care */
};

/* One channel that was trimmed, to be kept for good. */
struct store_trim {
    uint32_t number;
    struct str name;
    uint64_t last;
    uint64_t trimmed;
};

/* Where a channel is to be cut off, so that its oldest events go. */
struct store_cut {
    uint32_t number;
    uint64_t above;      /* the events in question have higher ids */
    uint64_t want_count; /* at least so many are to go, */
    uint64_t want_bytes; /* and at least so many bytes of data */
    /* The answer: */
    uint64_t upto; /* the oldest event with which both are reached, else the newest there is */
    uint64_t count;
    uint64_t bytes; /* what goes, `upto` included */
};

/* Memory that the store keeps for itself, whatever is read: it grows with what is appended, up to
 * bounds of its own. */
struct store_memory {
    uint64_t index;  /* which events of files that are not sealed belong to which channel */
    uint64_t sqlite; /* what SQLite holds in this process: pages in caches, statements */
    uint64_t trims;  /* up to where channels were trimmed, and which are to leave the disk */
};

struct store;

/* Of append alone: the medium failed, and failed again when it was to be proved that nothing of the
 * batches, nor of earlier ones with this result, will be there after a crash. Reads do not see
 * them. Their ids must not be given again, and who waits for them must not be told that they
 * failed. */
enum { STORE_E_FATE_UNKNOWN = 1 };

/* Every call returns 0 or a negative errno: -ENOSPC when there is no room, -EIO when the medium
 * fails, -ENOMEM. A call that failed with one has changed nothing, which no crash brings back, and
 * may be tried again. */
struct store_ops {
    /* Makes all batches durable, all or nothing: writes their APPENDED events and TRIM marks in
     * order; others are skipped. Marks alone may use room that is kept aside for them when the disk
     * is full. One thread (the writer) calls it. After 0 every read sees them. */
    int (*append)(struct store *store, struct batch *const *batches, size_t count);

    /* Reads a page into a new batch that the caller owns. `*ret_through` is the position up to
     * which everything that matched was given: the last event's id if a limit was hit, else how far
     * the rows were looked at (upto when all were); backwards: the id at or above which everything
     * was given. Any thread, several at a time. */
    int (*read)(struct store *store, const struct store_query *query, struct batch **ret_batch,
                uint64_t *ret_through);

    /* The id of the newest retained event whose time is <= time_us; 0 when there is none. If many
     * events before it were removed a moment ago, that of one of them: it divides what is retained
     * in the same way. Any thread. */
    int (*find_time)(struct store *store, int64_t time_us, uint64_t *ret_id);

    /* Answers cuts: goes by the index, and looks at no event beyond what is to go. A cut of a
     * channel without events has count 0. Any thread. */
    int (*find_cuts)(struct store *store, struct store_cut *cuts, size_t count);

    /* Calls `each` for every event with after < id <= upto, ascending, until it returns false. For
     * retention: only number, id and the size of the data. Any thread. */
    int (*walk)(struct store *store, uint64_t after, uint64_t upto,
                bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
                void *context);

    /* Keeps the trims for good (they are beyond recall once this is 0), all or none, hides the
     * events from reads, and frees what it can. One thread (the janitor's; in memory any). */
    int (*trim)(struct store *store, const struct store_trim *trims, size_t count);

    /* A turn of housekeeping: rolls a file that is due, seals and indexes, unlinks what is dead,
     * rewrites what is more than half dead or holds a channel in `erased`. `trimmed_of` answers a
     * channel's trimmed. Janitor's thread, about once a second; may take long, must not hold up
     * append or read. */
    int (*keep_house)(struct store *store, uint64_t (*trimmed_of)(void *context, uint32_t number),
                      void *context);

    /* The channels are forgotten: nothing of them is retained, and their trims need not be kept.
     * Rows `folded` (kept like a channel's, number 0, under names of the caller's that no channel
     * can have) become durable in the same step, and come back through the loader. Janitor's
     * thread. */
    int (*forget)(struct store *store, const struct store_trim *folded, size_t folded_count,
                  const uint32_t *numbers, size_t count);

    /* The bytes that it occupies, and the oldest id retained (0 when none): kept figures, as of the
     * last turn of housekeeping and what was appended since. Any thread; never waits. */
    uint64_t (*bytes)(struct store *store);
    uint64_t (*oldest)(struct store *store);

    /* The same of its memory. NULL for a store that is nothing but memory: see `bytes`. */
    struct store_memory (*memory)(struct store *store);

    /* Closes cleanly and frees it. After it, nobody calls. */
    void (*close)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

struct store_config {
    const char *dir;        /* SQLite: the folder; made when it is not there */
    uint64_t bytes_max;     /* memory: beyond this the oldest go; SQLite: unused, the log trims */
    uint64_t roll_bytes;    /* SQLite: a file's size at which the next is begun */
    int64_t roll_us;        /* SQLite: the age at which it is */
    uint64_t reserve_bytes; /* SQLite: room set aside for trims on a full disk; 0 for none */
    struct clock *clock;
    /* Memory: called from within append for each event that has to go, oldest first. */
    void (*evicted)(void *context, uint32_t number, uint64_t id, size_t bytes);
    /* SQLite: what was told of a channel at the opening was wrong by so much, as far as its events
     * up to `last` are concerned. Upkeep's thread. May be NULL. */
    void (*recounted)(void *context, uint32_t number, uint64_t last, int64_t count, int64_t bytes);
    /* Memory: called from within append; bytes that others hold for the events, which count against
     * bytes_max too. NULL for none. */
    uint64_t (*beside)(void *context);
    /* SQLite: nothing on the disk refers to the number of this forgotten channel any more. Upkeep's
     * thread. May be NULL. In memory nothing does once it is forgotten. */
    void (*released)(void *context, uint32_t number);
    void *context;
};

/* Opens or makes the chain of SQLite files in config->dir, recovers from whatever a crash left,
 * takes the folder's lock (-EBUSY when another process has it), and reports what it holds. */
int store_sqlite_open(const struct store_config *config, const struct store_loader *loader,
                      struct store **ret_store, struct store_newest *ret_newest);

/* An empty store in memory, bounded by bytes. Keeps references to the batches it is given, so that
 * an event costs no second copy. */
int store_memory_open(const struct store_config *config, struct store **ret_store);
