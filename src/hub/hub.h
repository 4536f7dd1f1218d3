/* The hub of one thread: views, the subscribers that share them, and the fan-out of safe batches.
 *
 * A subscriber is a cursor with a writer. Live delivery, catching up and resuming are one call:
 * hub_take() gives the next encoded bytes after the cursor, wherever they come from: what was just
 * encoded for everybody, the window, or the store. Knows neither HTTP nor sockets. */
#pragma once

#include "base/budget.h"
#include "hub/chunk.h"
#include "hub/window.h"
#include "log/read_room.h"

/* Writes an event in the way that the number stands for. The hub knows no way of its own: views are
 * equal when selection and number are. `context` is the hub's owner's (a compressor, say). */
typedef void hub_encode(void *context, unsigned encoding, struct buf *out,
                        const struct event *event);

struct view;
struct sub;
struct hub;

struct sub_ops {
    /* There may be something to take, or the wait is over. Called on the hub's thread from within
     * the hub: only notes it, and calls hub_take() from the flush; in SUB_BEHIND that may be some
     * turns later, when others have what is new. */
    void (*wake)(struct sub *sub);
    /* The unsent rest of a record that the socket cut. It is to be sent before more is taken. The
     * bytes may be gone once this returns: they are copied here or, if the rest is the end of a
     * piece, kept by a reference to that. `piece` is NULL for all others. NULL if its sends are
     * never cut. */
    void (*keep_rest)(struct sub *sub, struct str rest, struct piece *piece);
    bool holds; /* what it has taken may wait: it tells hub_timed() itself when that goes out */
};

enum sub_state {
    SUB_NONE,    /* not subscribed */
    SUB_LIVE,    /* has all there is */
    SUB_QUEUED,  /* was live, and its view has new records for it */
    SUB_BEHIND,  /* must catch up by its cursor */
    SUB_WAITING, /* a page is being read for it, or its cursor is ahead of this thread */
};

/* Embedded in whatever has a writer. */
struct sub {
    struct list node; /* in one list of its view, of the read that it waits for, or hub->ahead */
    struct view *view;
    const struct sub_ops *ops;
    struct chunk *taken; /* between hub_take and hub_sent */
    uint64_t cursor;     /* see hub_cursor() */
    uint64_t stamp;      /* in SUB_QUEUED: the last record of the live chunk that it has */
    uint64_t told;       /* gaps up to here have been told */
    uint32_t first;      /* between hub_take and hub_sent: the first record taken */
    uint32_t skip;       /* leave out events of this connection; 0 for none */
    uint8_t state;       /* enum sub_state */
    bool fresh;          /* nothing was taken yet: its cursor is a client's claim */
    bool keeps_up;       /* was live, and its socket has not been full since */
    int8_t failed;       /* the last read failed: 0, or the errno */
    uint32_t most;       /* a read for it takes at most so many events; 0: a chunk's worth */
};

struct hub_limits {
    size_t window_bytes;  /* recent events kept for this thread */
    size_t chunk_bytes;   /* a page for one who catches up; also a bound for live chunks */
    size_t cache_bytes;   /* encoded pages kept for others who might want the same */
    size_t branches_max;  /* segments of all patterns together, see topics.h; 0 for no bound */
    uint64_t backlog_max; /* see struct log_port; 0: the log waits for this thread */
    void (*on_missed)(void *owner, uint64_t upto); /* hands on with hub_miss; with backlog_max */
    size_t large_bytes; /* data from which an event is shared by reference; 0 for the default */
    size_t slice_bytes; /* of fan-out, and of pages, in one turn; 0: all at once, hub_turn() is not
                           called */
    size_t live_max;    /* encoded events held, beyond which views fall behind; 0 for no bound */
    size_t reads_max;   /* events that reads of the store have found and that are not encoded yet,
                           beyond which they wait; 0 for no bound */
};

/* Where an event that is being fanned out was encoded in a format: other views copy it. */
struct hub_shared {
    const struct chunk *chunk;
    unsigned encoding;
    uint32_t start;
    uint32_t end;
};

enum { HUB_SHARED = 4 };

/* Safe batches on their way to the views. One event at a time is under way: the views that it
 * matches are gathered first, then served one after the other, under a budget. */
struct fan_out {
    struct batch **batches; /* [first, end), of which the first may be fanned out in part */
    size_t first, end, cap;
    uint64_t posted;      /* the newest id in them, or `applied` */
    uint32_t next;        /* event of the first batch */
    uint32_t views_count; /* that the event under way matches */
    uint32_t views_cap;
    uint32_t at;         /* of them, the one to be served next */
    struct view **views; /* NULL where a view has gone meanwhile */
    const struct event *event;
    bool open;      /* the first batch is being added to the window */
    bool under_way; /* an event is */
    bool put;       /* and is in the live chunk of the view at `at` */
    bool paused;    /* since it began */
    struct budget budget;
};

struct hub {
    struct log *log;
    struct clock *clock;
    struct mailbox *mailbox;
    struct log_port port;
    hub_encode *encode;
    void *context; /* for encode */
    struct hub_limits limits;
    struct topics topics;
    struct window window;
    struct map views;
    struct map wanted;    /* reads of the store that somebody waits for */
    struct buf key;       /* room to write a view's key in */
    struct list dirty;    /* views that have a live chunk */
    struct list cache;    /* cached pages, oldest first */
    struct list ahead;    /* subscribers that wait until this thread is where they are */
    uint64_t ahead_least; /* at most the least id that one of them waits for */
    struct list put_off;  /* subscribers whose page is for a later turn */
    struct list reads_put_off;
    struct fan_out fan_out;
    struct budget paging;
    uint64_t applied; /* everything up to here was fanned out */
    uint64_t fan_outs_put_off;
    uint64_t pages_put_off;
    struct list pieces;       /* large events that were encoded, oldest first */
    struct list loose_pieces; /* those that only others hold any more, newest first */
    struct chunk_room room;
    struct hub_shared shared[HUB_SHARED];
    uint32_t shared_count;
    uint32_t pieces_count;
    uint32_t pages_count;  /* in the cache */
    size_t cached;         /* bytes of pages */
    size_t cached_pieces;  /* and of pieces */
    uint64_t fell_behind;  /* views that were given up because too much was held */
    uint64_t event_serial; /* so that a view takes an event once, however many terms match it */
    uint64_t deliveries;
    uint32_t subs;
    uint32_t views_count;
    uint32_t reads; /* under way, or waiting for room */
    struct read_room read_room;
    bool closing;
    int64_t timed_ns; /* of deliveries that are not in latency_ns yet: when all were accepted */
    uint32_t timed;   /* and how many there are */
    struct hist *latency_ns; /* from accepted to handed to the socket of those who keep up; may be
                                NULL */
};

/* `mailbox` is where the log posts; its owner must be `hub`'s owner, which hands on with
 * hub_on_batch. Attaches the hub's port to the log. */
int hub_init(struct hub *hub, struct log *log, struct clock *clock, struct mailbox *mailbox,
             const struct hub_limits *limits, hub_encode *encode, void *context,
             void (*on_batch)(void *owner, struct batch *batch));

/* No subscriber is left, and no read is under way (hub->reads). */
void hub_deinit(struct hub *hub);

/* Fans a safe batch out, or what of it this turn's budget allows: called from the owner's on_batch.
 */
void hub_on_batch(struct hub *hub, struct batch *batch);

/* Instead of that while nobody is subscribed: notes how far the log is, and keeps nothing of it. */
void hub_pass(struct hub *hub, struct batch *batch);

/* Instead of batches that passed the port by (see struct log_port): everybody reads on from the
 * store. */
void hub_miss(struct hub *hub, uint64_t upto);

/* A turn of the owner begins, with a new budget: goes on with what the last one left. For hubs with
 * limits.slice_bytes. */
void hub_turn(struct hub *hub);

/* Whether there is something left for the next turn. */
static inline bool hub_is_busy(const struct hub *hub)
{
    return hub->fan_out.first < hub->fan_out.end || !list_empty(&hub->put_off) ||
           !list_empty(&hub->reads_put_off);
}

/* Whether an event has reached some of its views and not all: positions of subscribers of different
 * views do not compare then. */
static inline bool hub_is_between(const struct hub *hub)
{
    return hub->fan_out.under_way;
}

/* The end of a flush: all who were woken have taken what they could. Lets go of live chunks, unless
 * the hub is busy. */
void hub_turn_end(struct hub *hub);

/* The newest position that this thread has seen. */
static inline uint64_t hub_applied(const struct hub *hub)
{
    return hub->applied;
}

/* The newest position whose mail this thread has opened; its fan-out may be to come. */
static inline uint64_t hub_posted(const struct hub *hub)
{
    return hub->fan_out.posted;
}

/* Subscribes at a cursor. `told`: gaps up to that position are known to the subscriber already (0:
 * none). Takes its own reference to the selection. -ENOMEM, or -ENOSPC at branches_max. At the
 * newest position, or where nothing can have come since, it is live at once; otherwise the caller
 * calls hub_take() until there is nothing. */
int hub_subscribe(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                  struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told);

/* The same for what was live until now and goes on at its position with another selection. It does
 * not wait for what is queued, since ephemeral events would pass it by meanwhile. */
int hub_go_on(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
              struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told);

/* Ends it; harmless when it is not subscribed. */
void hub_unsubscribe(struct hub *hub, struct sub *sub);

/* The position up to which everything was handed out to this subscriber. */
uint64_t hub_cursor(const struct hub *hub, const struct sub *sub);

/* What it is subscribed to; borrowed, and stands while it is subscribed. */
struct selection *hub_selection(const struct sub *sub);

static inline bool sub_is_live(const struct sub *sub)
{
    return sub->state == SUB_LIVE;
}

/* Whether it waits for a page of the store, rather than for a turn that has time for a page of the
 * window. */
static inline bool hub_sub_reads_store(const struct hub *hub, const struct sub *sub)
{
    return sub->state == SUB_WAITING && sub->cursor < hub->window.floor;
}

enum take {
    TAKE_NOTHING, /* it has all there is: it is live, and will be woken */
    TAKE_BYTES,   /* here is more; hub_sent() must follow */
    TAKE_WAIT,    /* not yet: the store is being asked, or mail is on its way; it will be woken */
    TAKE_GAP,     /* events between its cursor and `trimmed` are gone; told once */
    TAKE_FAILED,  /* the store could not be read; try again later, or give up */
};

struct taken {
    struct str bytes;
    const struct chunk *chunk;
    uint32_t first; /* records [first, end) of the chunk */
    uint32_t end;
    uint64_t trimmed; /* for TAKE_GAP */
};

/* The next bytes for the subscriber: whole records, in order. */
enum take hub_take(struct hub *hub, struct sub *sub, struct taken *ret_taken);

/* The first `n` bytes of what was taken are out of our hands. The cursor moves past every record of
 * which at least a byte went out, and a subscriber that has all there is becomes live by it. A
 * record that was cut is handed to ops->keep_rest(): nothing that points into what was taken
 * outlives this call. With `blocked` the subscriber falls behind rather than stay queued: its
 * socket is full. */
void hub_sent(struct hub *hub, struct sub *sub, size_t n, bool blocked);

/* So many events, of which none was accepted before `accepted_ns`, are handed to a socket now.
 * Those of one event that follow each other look at the clock once in 64: what is late by that is
 * the time of 64 calls. */
void hub_timed(struct hub *hub, int64_t accepted_ns, uint32_t count);

/* Puts into latency_ns what hub_timed() has not yet. After each flush. */
void hub_note_timed(struct hub *hub);
