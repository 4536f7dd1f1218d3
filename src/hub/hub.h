/* The hub of one thread: views, the subscribers that share them, and the fan-out of safe batches.
 *
 * A subscriber is a cursor with a writer. Live delivery, catching up and resuming are the same
 * call: hub_take() returns the next encoded bytes after the cursor, from the live chunk, the window
 * or the store. The hub knows neither HTTP nor sockets. */
#pragma once

#include "base/budget.h"
#include "hub/chunk.h"
#include "hub/take.h"
#include "hub/window.h"
#include "log/ask.h"

/* Writes an event in a format, which is a number that only the hub's owner understands; the hub
 * only compares it. Views are equal if selection and number are. `context` is the owner's (a
 * compressor, say). */
typedef void hub_encode(void *context, unsigned encoding, struct buf *out,
                        const struct event *event);

struct view;
struct sub;
struct hub;

struct sub_ops {
    /* Says that there may be bytes to take, or that a wait is over. Called from within the hub, on
     * its thread: the callee only notes it, and calls hub_take() from the flush. In SUB_BEHIND the
     * flush may come some turns later, after subscribers with new events. */
    void (*wake)(struct sub *sub);
    /* Hands over the unsent rest of a record that the socket cut, to be sent before more is taken.
     * The bytes may be gone when this returns: copy them, or take a reference to `piece` if the
     * rest lies in a piece (else `piece` is NULL). May be NULL if sends are never cut. */
    void (*keep_rest)(struct sub *sub, struct str rest, struct piece *piece);
    bool holds; /* the bytes it takes may be sent later: then it calls hub_timed() itself */
};

enum sub_state {
    SUB_NONE,    /* not subscribed */
    SUB_LIVE,    /* has every event */
    SUB_QUEUED,  /* was live, and its view has new records for it */
    SUB_BEHIND,  /* must catch up by its cursor */
    SUB_WAITING, /* waits for a page that is read, or for this thread to reach its cursor */
};

/* Embedded in the structure that has a writer. */
struct sub {
    struct list node; /* in a list of its view, of the read that it waits for, or in hub->ahead */
    struct view *view;
    const struct sub_ops *ops;
    struct chunk *taken; /* set between hub_take() and hub_sent() */
    uint64_t cursor;     /* see hub_cursor() */
    uint64_t stamp;      /* the last record of the live chunk that it has, in SUB_QUEUED */
    uint64_t told;       /* gaps up to this id were reported */
    uint32_t first;      /* the first record that was taken, between hub_take() and hub_sent() */
    uint32_t skip;       /* leave out events that are not for this connection; 0: none */
    uint8_t state;       /* enum sub_state */
    bool fresh;          /* nothing was taken yet: the cursor is a client's claim */
    bool keeps_up;       /* was live, and its socket was not full since */
    int8_t failed;       /* the errno of the last read if it failed, else 0 */
    uint32_t most;       /* most events of a read for it; 0: a chunk's worth */
};

struct hub_limits {
    size_t window_bytes;  /* memory for recent events of this thread */
    size_t chunk_bytes;   /* size of a page for a subscriber that is behind; also a bound for live
                           * chunks */
    size_t cache_bytes;   /* memory for encoded pages that others may want too */
    size_t branches_max;  /* bound for the segments of all patterns together, see topics.h; 0:
                           * none */
    uint64_t backlog_max; /* see struct log_port; 0: the log waits for this thread */
    void (*on_missed)(void *owner, uint64_t upto); /* called if batches passed the port by; calls
                                                    * hub_miss(). Needed with backlog_max */
    size_t large_bytes; /* size of data from which an event is shared by reference; 0: the
                         * default */
    size_t slice_bytes; /* bytes of fan-out, and of pages, in a turn; 0: no limit, and hub_turn() is
                         * not called */
    size_t live_max;    /* encoded bytes beyond which views fall behind; 0: no bound */
};

/* The encoded bytes, in a format, of the event that is fanned out: other views copy them. */
struct hub_shared {
    const struct chunk *chunk;
    unsigned encoding;
    uint32_t start;
    uint32_t end;
};

enum { HUB_SHARED = 4 };

/* Safe batches on their way to the views. One event at a time is fanned out: the views that it
 * matches are gathered first, then served one after the other, under a budget. */
struct fan_out {
    struct batch **batches; /* [first, end); the first may be fanned out in part */
    size_t first, end, cap;
    uint64_t posted;      /* the newest id in the batches, or `applied` if there are none */
    uint32_t next;        /* index in the first batch */
    uint32_t views_count; /* number of views that the current event matches */
    uint32_t views_cap;
    uint32_t at;         /* index of the view to be served next */
    struct view **views; /* NULL for a view that is gone */
    const struct event *event;
    bool open;      /* the first batch is being added to the window */
    bool under_way; /* an event is being fanned out */
    bool put;       /* the event is in the live chunk of the view at `at` */
    bool paused;    /* there was a pause since it began */
    bool awaited;   /* a subscriber waits for a flush between two events, see hub_await_pause() */
    bool stops;     /* the wait was long: the turn ends with this event */
    uint32_t turns_within; /* turns since then that have ended within an event */
    struct budget budget;
};

struct hub {
    struct log *log;
    struct asker *asker;
    struct clock *clock;
    struct log_port port;
    hub_encode *encode;
    void *context; /* passed to `encode` */
    struct hub_limits limits;
    struct topics topics;
    struct window window;
    struct map views;
    struct map wanted;    /* reads of the store that subscribers wait for */
    struct buf key;       /* scratch for the key of a view */
    struct list dirty;    /* views with a live chunk */
    struct list cache;    /* cached pages, oldest first */
    struct list ahead;    /* subscribers that wait until this thread reaches their cursors */
    uint64_t ahead_least; /* at most the least id that they wait for */
    struct list put_off;  /* subscribers whose page was put off to a later turn */
    struct list reads_put_off;
    struct fan_out fan_out;
    struct budget paging;
    uint64_t applied; /* everything up to this id was fanned out */
    uint64_t fan_outs_put_off;
    uint64_t pages_put_off;
    struct list pieces;       /* large events in the cache, oldest first */
    struct list loose_pieces; /* large events that only chunks and connections hold, newest first */
    struct chunk_room room;
    struct hub_shared shared[HUB_SHARED];
    uint32_t shared_count;
    uint32_t pieces_count;
    uint32_t pages_count;  /* number of pages in the cache */
    size_t cached;         /* bytes of these pages */
    size_t cached_pieces;  /* bytes of the pieces in the cache */
    uint64_t fell_behind;  /* views whose live chunk was dropped because too much was held */
    uint64_t event_serial; /* so that a view takes an event once, even if several terms match it */
    uint64_t deliveries;
    uint32_t subs;
    uint32_t views_count;
    bool closing;
    /* Called, if not NULL, when somebody subscribes to a selection that nobody here has. `owner` is
     * that of the mailbox. */
    void (*on_view)(void *owner, const struct selection *selection);
    int64_t timed_ns;        /* deliveries that are not in latency_ns yet: when their events were
                              * accepted */
    uint32_t timed;          /* number of these deliveries */
    struct hist *latency_ns; /* time from accepted to the socket, of subscribers that keep up; may
                              * be NULL */
};

/* Attaches the hub to the log of the asker, by which it reads, and which must outlive it. The log
 * posts to `mailbox`, whose owner must be `hub`'s owner; the owner passes batches on by
 * hub_on_batch(). */
int hub_init(struct hub *hub, struct asker *asker, struct clock *clock, struct mailbox *mailbox,
             const struct hub_limits *limits, hub_encode *encode, void *context,
             void (*on_batch)(void *owner, struct batch *batch));

/* Call it only without subscribers and without questions of the hub under way. */
void hub_deinit(struct hub *hub);

/* Takes other limits; what exceeds them goes with the next events. The bounds of the port stay. */
void hub_limit(struct hub *hub, const struct hub_limits *limits);

/* Fans a safe batch out as far as this turn's budget allows. Called from the owner's on_batch. */
void hub_on_batch(struct hub *hub, struct batch *batch);

/* Like hub_on_batch(), for a hub without subscribers: notes the position, and keeps nothing of the
 * batch. */
void hub_pass(struct hub *hub, struct batch *batch);

/* Instead of batches that passed the port by (see struct log_port): all subscribers read on from
 * the store. */
void hub_miss(struct hub *hub, uint64_t upto);

/* Begins a turn of the owner, with a new budget: continues the work that the last turn left. For
 * hubs with limits.slice_bytes. */
void hub_turn(struct hub *hub);

/* Whether work is left for the next turn. */
static inline bool hub_is_busy(const struct hub *hub)
{
    return hub->fan_out.first < hub->fan_out.end || !list_empty(&hub->put_off) ||
           !list_empty(&hub->reads_put_off);
}

/* Whether an event has reached some of its views and not all. Positions of subscribers of different
 * views cannot be compared then. */
static inline bool hub_is_between(const struct hub *hub)
{
    return hub->fan_out.under_way;
}

/* Has a flush come between two events, after a few turns at the latest: under a heavy load each
 * turn may end within one. For somebody who has to compare positions, or to become live. */
static inline void hub_await_pause(struct hub *hub)
{
    hub->fan_out.awaited = true;
}

struct hub_stats {
    uint64_t deliveries;
    uint64_t views;
    uint64_t window_bytes;
    uint64_t window_own_bytes; /* the part that no other thread's window shares */
    uint64_t fell_behind;      /* views whose live chunk was dropped because too much was held */
    uint64_t fan_outs_put_off;
    uint64_t pages_put_off;
};

void hub_stats(const struct hub *hub, struct hub_stats *ret_stats);

/* Ends a flush: all subscribers that were woken have taken what they could. Lets go of live chunks,
 * unless the hub is busy. */
void hub_turn_end(struct hub *hub);

/* Whether somebody is subscribed to the channel by its name. */
bool hub_has_name(const struct hub *hub, struct str channel);

/* The newest position that this thread has seen. */
static inline uint64_t hub_applied(const struct hub *hub)
{
    return hub->applied;
}

/* The newest position whose mail this thread has opened; the events may not be fanned out yet. */
static inline uint64_t hub_posted(const struct hub *hub)
{
    return hub->fan_out.posted;
}

/* Subscribes at a cursor. Gaps up to position `told` are known to the subscriber (0: none). Takes
 * its own reference to the selection. Returns 0, -ENOMEM, or -ENOSPC at branches_max. At the newest
 * position, or if no event can have come since, the subscriber is live at once; otherwise the
 * caller calls hub_take() until it returns TAKE_NOTHING. */
int hub_subscribe(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                  struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told);

/* The same for a subscriber that was live until now and continues at its position with another
 * selection. It does not wait for queued batches, since it would miss ephemeral events
 * meanwhile. */
int hub_go_on(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
              struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told);

/* Ends the subscription; does nothing if there is none. */
void hub_unsubscribe(struct hub *hub, struct sub *sub);

/* The position up to which this subscriber has taken everything. */
uint64_t hub_cursor(const struct hub *hub, const struct sub *sub);

/* The selection of a subscriber; borrowed, valid while it is subscribed. */
struct selection *hub_selection(const struct sub *sub);

static inline bool sub_is_live(const struct sub *sub)
{
    return sub->state == SUB_LIVE;
}

/* Whether the subscriber waits for a page from the store, and not for a turn with time for a page
 * from the window. */
static inline bool hub_sub_reads_store(const struct hub *hub, const struct sub *sub)
{
    return sub->state == SUB_WAITING && sub->cursor < hub->window.held_above;
}
