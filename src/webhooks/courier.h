/* The courier: webhooks. One thread, whose subscribers are endpoints with a cursor on disk. */
#pragma once

#include "base/hist.h"
#include "webhooks/wire/address.h"
#include "webhooks/endpoint/pool.h"
#include "webhooks/websub/form.h"
#include "webhooks/wire/identity.h"
#include "hub/hub.h"

struct courier;

/* The configuration. All that its pointers refer to must stay as long as the courier. */
struct courier_config {
    struct log *log;
    struct clock *clock;
    const char *dir; /* where state.db is; NULL: endpoints die with the process */
    struct hub_limits hub;
    bool allow_loopback;            /* webhooks may go to this machine itself */
    const struct network *networks; /* and there, whatever is there */
    size_t networks_count;
    const int64_t
        *schedule_ms; /* delays after the first, second, … failure; NULL for the standard's */
    size_t schedule_count;         /* at most SCHEDULE_MAX */
    int64_t timeout_ms;            /* of a request; 0 for 15 s */
    uint32_t endpoints_max;        /* 0 for 1000 */
    uint32_t requests_max;         /* requests under way in all; 0 for 2048 */
    unsigned hops_max;             /* of what is sent, at most EVENT_HOPS_MAX; 0 for 8 */
    unsigned shares[POOL_CLASSES]; /* percent of these; 0 for the defaults */
    uint64_t backlog_max; /* bytes of events that wait in memory to be looked at; 0 for 8 MiB */
    uint64_t queued_max;  /* bytes of events that wait in lanes, in all; 0 for 64 MiB */
    uint64_t reads_max;   /* bytes that reads of the store have found; 0 for 8 MiB */
    int64_t patience_ms;  /* a request may give way to others after so long; 0 for 250 ms */
    int64_t probe_ms;     /* how soon an endpoint that fails in everything is tried; 0 for 30 s */
    int64_t disable_after_us; /* of nothing but failure; 0 for 5 days */
    int64_t records_age_us;   /* of deliveries, dead letters apart; 0 for 7 days */
    uint64_t records_max;     /* deliveries in all, those that failed apart; 0 for 250000 */
    const char *const *hosts; /* by these names webhooks may go anywhere */
    size_t hosts_count;
    const char *const *resolve;  /* for tests: see client.h */
    const char *ca_file;         /* authorities of one's own, PEM; NULL for the system's alone */
    struct identity identity;    /* for receivers that ask; all zeroes for none */
    struct str base;             /* the path under which the API hangs, for WebSub's topics */
    struct websub_leases leases; /* all zeroes for the defaults */
};

/* Opens the endpoints and attaches to the log. Before the first append, after log_open. 0 or a
 * negative errno, and then nothing is left. */
int courier_open(const struct courier_config *config, struct courier **ret_courier);

/* The largest body that a request to the courier may have: its thread parses it, between the
 * deliveries of all endpoints. */
enum { COURIER_BODY_MAX = 64 << 10 };

/* Starts the thread. 0 or a negative errno. */
int courier_start(struct courier *courier);

/* Ends the thread: requests in flight have 2 s to end, cursors are kept, every courier_request is
 * answered. Before log_close; the mailboxes of those who ask still stand. */
void courier_stop(struct courier *courier);

/* After log_close. */
void courier_free(struct courier *courier);

/* Counted by the courier's thread, read by any. */
struct courier_stats {
    _Atomic uint64_t endpoints;
    _Atomic uint64_t inflight[POOL_CLASSES]; /* requests under way */
    _Atomic uint64_t requests_max;
    _Atomic uint64_t waiting;    /* endpoints that wait for a request's end */
    _Atomic uint64_t waits;      /* how often one had to */
    _Atomic uint64_t backlog;    /* bytes of events that were not looked at yet */
    _Atomic uint64_t queued;     /* bytes of events in lanes, for requests to come */
    _Atomic uint64_t bodies;     /* bytes of requests under way */
    _Atomic uint64_t found;      /* bytes that reads of the store have found, not in lanes yet */
    _Atomic uint64_t missed;     /* how often these were too many, and the store is read instead */
    _Atomic uint64_t turns_cut;  /* turns that ended before all was done */
    _Atomic uint64_t gave_way;   /* requests that were broken off for others, and came again */
    _Atomic uint64_t deliveries; /* attempts that were answered 2xx */
    _Atomic uint64_t failures;   /* attempts that were not */
    _Atomic uint64_t looped;     /* events that were not sent, since they came round too often */
    struct hist attempts_ns;     /* how long they took */
};
const struct courier_stats *courier_stats(const struct courier *courier);

/* How many endpoints there are. Any thread. */
static inline uint64_t courier_endpoints(const struct courier *courier)
{
    return atomic_load_explicit(&courier_stats(courier)->endpoints, memory_order_relaxed);
}

enum courier_op {
    COURIER_CREATE,
    COURIER_LIST,
    COURIER_GET,
    COURIER_CHANGE,
    COURIER_DELETE,
    COURIER_PING, /* answered once the receiver has answered */
    COURIER_PAUSE,
    COURIER_RESUME, /* disabled ones too; tries again at once */
    COURIER_ROTATE, /* a new secret; the old one signs too for a day */
    COURIER_REPLAY, /* from what `after` in the body says */
    COURIER_DELIVERIES,
    COURIER_DELIVERY,
    COURIER_RETRY,     /* of delivery n */
    COURIER_RETRY_ALL, /* of all that have failed */
    COURIER_DISCARD,   /* dead letter n: dealt with otherwise */
    COURIER_HUB,       /* a form of WebSub; answered before the subscriber is asked */
    COURIER_RENEW,     /* the courier's own: a subscription was verified anew */
};

enum courier_fault {
    COURIER_FINE = 0,
    COURIER_E_BAD,       /* the body is not what it should be, or the receiver did not verify */
    COURIER_E_CURSOR,    /* `after` is no position in the log */
    COURIER_E_FORBIDDEN, /* the address is not allowed */
    COURIER_E_MISSING,   /* there is no such endpoint */
    COURIER_E_MANY,
    COURIER_E_NOW,      /* stopping, or no memory: try again */
    COURIER_E_SPACE,    /* the disk is full */
    COURIER_E_DELIVERY, /* there is no such delivery */
    COURIER_E_KEY,      /* another body under the same key */
};

/* A request, filled in by who asks and owned by them; lent to the courier until `reply_mail` was
 * opened, with `answer` filled in. */
struct courier_request {
    enum courier_op op;
    char id[32];     /* of the endpoint */
    struct buf body; /* JSON, for create, change and replay; a form for the hub */
    struct buf key;  /* with create: its Idempotency-Key; empty for none; the asker's to free */
    uint64_t n;      /* the delivery */
    struct courier_filter {
        uint64_t before; /* numbers below; 0 for no bound */
        uint64_t event;  /* only deliveries with this event; 0: all */
        unsigned states; /* bits 1 << enum record_state; 0 for all */
        uint32_t limit;
        struct buf channel; /* only this one; the asker's to free */
        struct buf kept;    /* for the link to the next page; the asker's to free */
    } filter;
    struct mailbox *reply;
    struct mail reply_mail; /* posted to `reply` */
    enum courier_fault fault;
    const char *detail; /* with a fault: what would be right; static memory, or in `why` */
    struct buf why;     /* the asker's to free */
    struct buf answer;  /* JSON, empty after delete */
    bool repeated;      /* the endpoint was there: made by an earlier request with the same key */
    /* The courier's own: */
    struct mail mail;
    struct list waiting;     /* behind another change of the same endpoint */
    struct map_node in_keys; /* of those that create under a key, while `creates` */
    bool creates;
    struct courier *courier;
};

/* Any thread, between courier_start and courier_stop. */
void courier_submit(struct courier *courier, struct courier_request *request);
