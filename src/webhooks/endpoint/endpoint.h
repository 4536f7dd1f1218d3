/* A webhook: what its owner wants, what is saved of it, and how its deliveries stand.
 *
 *      log  ──hub──▶  scan  ──▶  lanes  ──▶  attempts  ──▶  receiver
 *                      │           ▲
 *                      │ cursor    └── what failed, or lies behind it: read from the log again
 *
 * An endpoint scans the log once. Each event goes into a lane: in order, its channel's; without
 * order, one of its own. A lane has one attempt (a request) at a time. The cursor is where the scan
 * is; what is not settled below it is in lanes, and lanes are saved on disk.
 *
 * This room (`endpoint/`) holds the state of endpoints and lanes. `delivery/` moves it on. */
#pragma once

#include "webhooks/endpoint/carried.h"
#include "webhooks/endpoint/shared.h"

enum {
    WINDOW_FIRST = 8,  /* requests under way at first; the window grows as they are accepted */
    FAILING_AFTER = 4, /* failures in a row */
    CIRCUIT_AFTER =
        5, /* lanes that fail in a row, with nothing accepted, before the circuit opens */
    DEAD_MAX = 10000,  /* dead letters of an endpoint; beyond it no delivery is given up */
    RESENDS_MAX = 256, /* deliveries that wait to be sent again */
    CONCURRENCY_DEFAULT = 32,
};

/* The courier's lists and maps that hold the endpoint. Touched by directory.c, endpoint_ready() and
 * saving.c. */
struct endpoint_links {
    struct map_node in_map;  /* courier->by_id */
    struct map_node in_keys; /* courier->by_key, if has_key */
    bool has_key;
    struct list node;    /* courier->endpoints */
    struct list visit;   /* courier->visits, if its receiver is inside; from before it is saved */
    uint32_t place;      /* of its maker's subject in courier->subjects; QUOTA_NONE: none */
    struct list ready;   /* courier->ready */
    struct list changed; /* courier->changed */
};

/* Derived from the row, by endpoint_prepare() alone, after each change of the row. */
struct endpoint_prepared {
    struct selection *selection;
    char **headers; /* "Name: value", ended by a NULL */
    struct schedule schedule;
};

/* The single reading of the log. Touched by delivery/scan.c; others only set where it begins. */
struct endpoint_scan {
    struct sub sub;
    struct chunk *chunk; /* events at hand: records [at, end) of the chunk */
    uint32_t at;
    uint32_t end;
    uint64_t trimmed;   /* a gap up to it was found, and is told once the events behind it were
                           read; 0: none */
    struct lane *gap;   /* being told; the scan waits */
    unsigned leaving;   /* number of lanes that end with their request; the scan waits for them */
    bool crowded;       /* the scan stopped because the queues had no room */
    int64_t room_at_ns; /* no earlier search for queues that can be freed */
    struct carried carried; /* events that leaving lanes have delivered: the scan skips them */
    struct timer wake;      /* looks again */
};

/* Lanes and what they hold. Touched by lane.c, read by all. */
struct endpoint_lanes {
    struct map by_channel;
    struct list all;
    struct list due;
    struct list changed; /* lanes whose rows are not saved yet */
    unsigned count;
    unsigned due_count;
    unsigned reading; /* lanes that read */
    unsigned queued;  /* events in all lanes' queues */
    uint64_t queued_bytes;
    bool misfits; /* the lanes on disk do not fit the options */
};

/* How much may be under way. Touched by standing.c, attempt.c and saving.c. */
struct endpoint_flow {
    unsigned inflight;
    unsigned window;  /* the window: attempts that may be under way */
    unsigned unsaved; /* deliveries accepted since the last bundle was filled */
    unsigned saving;  /* accepted, and with the saver */
    enum pool_class standing;
    int64_t patience_ms; /* a request that takes longer may be aborted for others that wait */
    struct pool_waiter waiter;
    struct pool_waiter ping_waiter; /* for the first ping */
    uint8_t hops;                   /* hops of the last event: for gaps, whose events are gone */
};

/* Whether the receiver works at all. Touched by delivery/health.c. */
struct endpoint_circuit {
    unsigned struck; /* lanes that failed at their first attempt since the last accepted delivery */
    unsigned probes; /* lanes that have failed while the circuit is open */
    bool probe_due;  /* a probe may be sent */
    int64_t accepted_us; /* when a delivery was last accepted; 0: never since the start */
    struct timer probe;
};

/* Resends. Touched by delivery/resend.c. */
struct endpoint_resends {
    uint64_t dead; /* dead letters in the delivery log */
    uint64_t numbers[RESENDS_MAX];
    unsigned count;
    unsigned lanes;
    bool asked;     /* a dead letter is being read */
    uint64_t after; /* resends all dead letters above this number; 0: none */
    uint64_t upto;
};

/* The last attempt, pings included. Touched by endpoint_note(). */
struct endpoint_last {
    int status; /* 0 for no answer */
    const char *error;
    int64_t at_us; /* 0: there was none yet */
    struct buf response;
};

/* Changes by its owner. Touched by requests/. */
struct endpoint_change {
    struct courier_request *busy; /* a change of the endpoint is being saved; nothing is sent or
                                     scanned meanwhile by what may be refused */
    struct list waiting;          /* requests that wait for that */
    bool held; /* nothing is scanned or sent until a replay is saved, or the endpoint is deleted */
    bool expired;            /* the subscription has ended, and the endpoint is being deleted */
    int64_t expire_again_ns; /* when to try again to delete it; 0: the last try did not fail */
};

/* Touched by the courier's thread only, with one exception: while a change is being saved
 * (`change.busy`), the saver's thread reads the texts and keys of `row`, and nobody may change
 * them. */
struct endpoint {
    struct courier *courier; /* written once */
    struct endpoint_row row; /* saved on disk */
    struct endpoint_links links;
    struct endpoint_prepared made;
    struct endpoint_scan scan;
    struct endpoint_lanes lanes;
    struct endpoint_flow flow;
    struct endpoint_circuit circuit;
    struct endpoint_resends resends;
    struct endpoint_last last;
    struct endpoint_change change;
    uint64_t visitor; /* the visitor of the playground; 0: none, or unknown since a restart */
};

/* Makes an endpoint that is not in the directory yet. Takes the row over, also on failure. NULL if
 * there is no memory. */
struct endpoint *endpoint_new(struct courier *courier, struct endpoint_row *row);

/* Frees an endpoint that has no lanes and is not in the directory. */
void endpoint_free(struct endpoint *endpoint);

/* Derives selection, schedule and header lines from the row. False if there is no memory. */
bool endpoint_prepare(struct endpoint *endpoint);

static inline bool endpoint_runs(const struct endpoint *endpoint)
{
    return endpoint->row.state == ENDPOINT_ACTIVE || endpoint->row.state == ENDPOINT_FAILING;
}

static inline bool endpoint_circuit_open(const struct endpoint *endpoint)
{
    return endpoint->circuit.struck >= CIRCUIT_AFTER;
}

/* Notes that the endpoint may have work: it is looked at in this turn. */
void endpoint_ready(struct endpoint *endpoint);

/* Looks at the endpoint again after `ms`. */
void endpoint_look_again(struct endpoint *endpoint, int64_t ms);

/* The position of the scan: events up to it are settled or in lanes. */
uint64_t endpoint_scanned(const struct endpoint *endpoint);
/* The position up to which all events are settled. */
uint64_t endpoint_cursor(const struct endpoint *endpoint);

/* Notes the outcome of a request, whatever its kind. */
void endpoint_note(struct endpoint *endpoint, const struct call *call);

/* The current terms of requests. Borrows from the endpoint. */
struct body_terms endpoint_terms(const struct endpoint *endpoint);
