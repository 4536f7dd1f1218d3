/* The state of the presence host: rooms with their members, the rooms that each party attends, and
 * the changes that are not told or not saved yet. The state belongs to the host's thread, except
 * for the counters and the fields with a lock.
 *
 *     room (a channel) ──▶ roster of members ──▶ person: connections, since, state, departure
 *        │                 roster of marks   ──▶ person: read
 *        └─ anonymous, departures of anonymous subscribers
 *
 *     desk, party ──▶ seats: the persons, or rooms without a name, that the party attends
 *
 * The life of a member: its first connection makes it (`joined`); the end of its last one begins a
 * departure, which another connection ends; when the departure rings, the member has left. A room
 * is occupied from its first subscriber until its last member and its last anonymous subscriber
 * have left. So the grace is in both. */
#pragma once

#include "base/buf.h"
#include "presence/bundle.h"
#include "presence/presence.h"
#include "presence/questions.h"
#include "presence/roster.h"
#include "presence/saver.h"
#include "presence/shares.h"

/* The telling of a room's count, and of what else the room owes its followers. It exists while
 * something is to be told, and for a second after that. */
struct counting {
    struct timer timer;
    struct list node; /* in presence->stale until the end of the turn */
    struct presence *presence;
    struct room *room;
    bool is_stale;
    bool has_count; /* the count has changed */
};

/* The read marks of a room. */
struct reads;
struct marks {
    struct roster roster;
    struct reads *reads; /* marks that are to be told; NULL: none was told lately (reads.h) */
};

struct room {
    struct map_node node;
    struct list walked; /* in a list of presence->walk */
    struct roster members;
    struct marks *marks;       /* NULL: none */
    struct counting *counting; /* NULL: its count has not changed lately */
    struct list departures;    /* of anonymous subscribers */
    uint32_t anonymous;        /* connections, and departures */
    uint32_t saving;           /* marks that are being saved */
    uint8_t is_occupied : 1;
    uint8_t is_lost : 1;     /* its namespace has lost its presence: all are about to leave */
    uint8_t has_untold : 1;  /* members came or went untold since the count was told */
    uint8_t is_unlisted : 1; /* the last count was told with "listed":false */
    /* Events were lost (losses.h): followers are to read the list anew, and to be told again
     * whether the room is occupied. */
    uint8_t owes_reset : 1;
    uint8_t owes_occupied : 1;
    uint8_t name_len;
    uint16_t tries : 4;    /* attempts to tell either; each waits twice as long as the last */
    uint16_t address : 12; /* the holder in whose share the room counts while it is occupied */
    char name[];
};

static inline struct str room_name(const struct room *room)
{
    return (struct str){room->name, room->name_len};
}

/* The seats of a party: 0 (none), or a pointer whose lowest bits say to what: a person, a room, the
 * name that the party had in a room without presence by now (struct former), or struct seats. */
typedef uintptr_t seat_ref;

enum {
    SEAT_ANONYMOUS = 1, /* a room */
    SEAT_POLLS = 2,     /* with SEAT_ANONYMOUS */
    SEAT_FORMER = 2,    /* without it: a struct former (seats.c) */
    SEAT_MANY = 4,      /* a struct seats */
    SEAT_TAGS = 7,
};

struct seats {
    uint32_t count;
    uint32_t cap;
    seat_ref at[];
};

struct parties {
    seat_ref *at;
    uint32_t cap;
};

/* Changes that wait for the saver, in their order. */
struct save_queue {
    struct save_row *first, **last;
    size_t count;
};

/* A walk over the table that queues all of it anew (saving.c). */
struct walk {
    struct list seen, left; /* rooms */
    struct save_queue rows;
    struct save_queue replaced; /* changes of before the walk */
    bool is_going, has_failed;
    bool after_verified; /* the member of the first room that is left */
    uint8_t after_len;   /* up to whom the walk has come; 0: to none */
    char after[PRESENCE_NAME_MAX];
};

/* A request whose mark is being saved. */
struct mark_request;

enum { PRESENCE_DESKS_MAX = 1024 };

struct presence {
    struct presence_config config;
    struct presence_stats stats;
    struct loop loop;
    const struct presence_settings *settings;
    pthread_mutex_t lock;                   /* of the next member */
    const struct presence_settings *shared; /* the same settings, for other threads */
    struct map rooms;
    size_t rooms_bytes; /* of the map, as counted */
    struct shares shares;
    struct parties parties[PRESENCE_DESKS_MAX];

    struct presence_bundle *bundle; /* of this turn; NULL: nothing yet */
    struct list stale;              /* of struct counting */
    void (*look)(struct presence *presence,
                 struct room *room); /* room_look(), once a room may be free */
    /* losses_returned() and losses_note(), for telling.c. */
    void (*returned)(struct mail *mail, void *owner);
    void (*lost)(struct presence *presence, struct str prefix, struct str channel);
    struct buf scratch;
    size_t told_bytes; /* of notes that have not come back */
    uint64_t told;     /* the number of the newest note */
    uint64_t taken;    /* and of the newest one that the log has taken */
    uint64_t taken_id; /* an id at least as high as that note's, below that of the next */

    struct presence_saver *saver; /* NULL: nothing is saved */
    struct questions questions;
    struct save_queue oldest;     /* of the whole table, see saving.c */
    struct walk walk;             /* over the table, while it is queued anew */
    struct save_queue changes;    /* of members and channels */
    struct save_queue garbage;    /* rows that the saver frees */
    struct save_queue marks;      /* and of marks */
    struct save_queue deletions;  /* of marks, which a save has failed with: they go before both */
    uint64_t anew;                /* the newest note at the end of the last walk (saving.c) */
    struct presence_save save;    /* under way, if has_save */
    struct mark_request *waiting; /* for the save that is gathered, */
    struct mark_request *flying;  /* and for the one under way */
    struct timer save_timer;
    struct timer position_timer;
    uint64_t saved; /* the position of the last save that has succeeded */
    bool has_save;
    bool paused; /* the server stops: nothing changes and nothing is told any more */
    bool stopping;
    bool saves_last; /* once more, everything, before the end */
    struct mail stop_mail;
    pthread_t thread;
    bool has_thread;
};

static inline void presence_count(_Atomic uint64_t *counter, int64_t n)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)n,
                          memory_order_relaxed);
}

/* Counts memory that grew from `before` to `after` bytes. */
static inline void presence_hold(struct presence *presence, enum presence_memory kind,
                                 size_t before, size_t after)
{
    presence_count(&presence->stats.bytes[kind], (int64_t)after - (int64_t)before);
}
