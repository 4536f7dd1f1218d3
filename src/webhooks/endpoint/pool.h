/* The seats for requests of webhooks: a bounded number, divided by how well endpoints answer, so
 * that receivers that hang hold up only themselves. */
#pragma once

#include "base/list.h"

#include <stdint.h>

/* A class of endpoints. Each but QUICK has a share of the seats that it cannot exceed; QUICK may
 * have all that is free. What the shares leave over is thus a reserve for QUICK. */
enum pool_class {
    POOL_QUICK,   /* accepted its last request, quickly */
    POOL_SLOW,    /* accepted, but late; or was aborted before it answered */
    POOL_NEW,     /* has not answered yet */
    POOL_FAILING, /* does not answer, or refuses everything */
    POOL_ASKED,   /* pings and verifications */
    POOL_CLASSES,
};
extern const char *const pool_class_names[POOL_CLASSES];

/* The default shares in percent; that of QUICK is what is left. */
extern const unsigned pool_shares[POOL_CLASSES];

enum { POOL_TOTAL_MIN = POOL_CLASSES };

/* A holder of seats, embedded in an endpoint. Zeroes: has no seat and does not wait. */
struct pool_waiter {
    struct list node; /* in `first` or `more` of its class */
    void (*call)(struct pool_waiter *waiter);
    unsigned held; /* seats */
    bool called;   /* a seat is reserved for it */
    enum pool_class class;
};

/* A seat, embedded in a request. Zeroes: not taken. */
struct pool_seat {
    struct list node; /* in `seats` of its class, the oldest first */
    struct pool_waiter *holder;
    enum pool_class class;
    int64_t overdue_ns; /* after this time it may be aborted for others; INT64_MAX for never */
    /* Aborts the request, and calls pool_rise(). */
    void (*give_way)(struct pool_seat *seat);
};

struct pool {
    unsigned total;
    unsigned quota[POOL_CLASSES];
    unsigned used;
    unsigned kept; /* reserved for those that were called */
    unsigned used_by[POOL_CLASSES];
    unsigned kept_by[POOL_CLASSES];
    struct list seats[POOL_CLASSES];
    struct list first[POOL_CLASSES]; /* waiters without a seat */
    struct list more[POOL_CLASSES];  /* waiters that have a seat */
    unsigned waiting[POOL_CLASSES];  /* the length of `first` */
    unsigned turn;                   /* the class that is called next */
    uint64_t waits;                  /* how often an endpoint without a seat had to wait */
    uint64_t gave_way;
};

/* `percent` has each class's share of `total` (POOL_QUICK's is ignored). Every class gets at least
 * one seat. */
void pool_init(struct pool *pool, unsigned total, const unsigned percent[POOL_CLASSES]);

/* Whether the waiter may take one more seat of the class now. If not, the waiter is queued, and
 * called once a seat is free. No waiter overtakes those that have no seat, and a waiter with seats
 * may have no more than are left free. So a few waiters that want many seats leave room for many
 * that want one. */
bool pool_ask(struct pool *pool, struct pool_waiter *waiter, enum pool_class class);

/* The same without queueing. */
bool pool_has_room(const struct pool *pool, enum pool_class class);

/* Takes a seat, after pool_ask() or pool_has_room() has allowed it. `holder` may be NULL. */
void pool_sit(struct pool *pool, struct pool_seat *seat, struct pool_waiter *holder,
              enum pool_class class, int64_t overdue_ns);
/* Gives the seat back, if it has one. */
void pool_rise(struct pool *pool, struct pool_seat *seat);

/* Ends the waiting, and frees the reserved seat if there is one. Seats in use stay. */
void pool_forget(struct pool *pool, struct pool_waiter *waiter);

/* Gives up the seat that was reserved for the called endpoint. */
void pool_decline(struct pool *pool, struct pool_waiter *waiter);

/* Calls those that may take a seat now. */
void pool_call(struct pool *pool);

/* While endpoints without a seat wait, aborts as many overdue requests. Returns when the next will
 * be overdue; INT64_MAX for never. */
int64_t pool_press(struct pool *pool, int64_t now_ns);

/* Whether an endpoint without a seat waits: then pool_press() must be called in time. */
bool pool_is_crowded(const struct pool *pool);
