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
    WINDOW_FIRST = 8,  /* requests under way at first; grows as they are accepted */
    FAILING_AFTER = 4, /* failures in a row */
    CIRCUIT_AFTER = 5, /* lanes that failed, one after the other, and nothing accepted */
    DEAD_MAX = 10000,  /* dead letters of an endpoint; with more none is given up */
    RESENDS_MAX = 256, /* deliveries that wait to be sent again */
    CONCURRENCY_DEFAULT = 32,
};

/* The lists and maps of the courier that an endpoint is in. Touched by directory.c,
 * endpoint_ready() and saving.c. */
struct endpoint_links {
    struct map_node in_map;  /* courier->by_id */
    struct map_node in_keys; /* courier->by_key, if has_key */
    bool has_key;
    struct list node;    /* courier->endpoints */
    struct list ready;   /* courier->ready */
    struct list changed; /* courier->changed */
};

/* Made from the row, and anew with each change of it, by endpoint_prepare() alone. */
struct endpoint_prepared {
    struct selection *selection;
    char **headers; /* "Name: value", ended by a NULL */
    struct schedule schedule;
};

/* The one reading of the log. Touched by delivery/scan.c, and where it is to begin elsewhere. */
struct endpoint_scan {
    struct sub sub;
    struct chunk *chunk; /* the events at hand: records [at, end) */
    uint32_t at;
    uint32_t end;
    struct lane *gap;       /* being told; the scan waits */
    unsigned leaving;       /* lanes that end with their request; the scan waits for them */
    bool crowded;           /* the scan ended for want of room in the queues */
    int64_t room_at_ns;     /* when queues may be looked through for what stands still */
    struct carried carried; /* events that lanes which left have delivered: passed by */
    struct timer wake;      /* looks again */
};

/* Lanes and how much they hold. Touched by lane.c, and read by all. */
struct endpoint_lanes {
    struct map by_channel;
    struct list all;
    struct list due;
    struct list changed; /* rows that are not saved yet */
    unsigned count;
    unsigned due_count;
    unsigned reading; /* lanes that read */
    unsigned queued;  /* events in all lanes' queues */
    uint64_t queued_bytes;
    bool misfits; /* lanes on disk are not of these options */
};

/* How much may be under way. Touched by standing.c, attempt.c and saving.c. */
struct endpoint_flow {
    unsigned inflight;
    unsigned window;  /* attempts that may be under way */
    unsigned unsaved; /* accepted since the last bundle was filled */
    unsigned saving;  /* accepted, and with the saver */
    enum pool_class standing;
    int64_t patience_ms; /* a request that takes longer gives way to others that wait */
    struct pool_waiter waiter;
    struct pool_waiter ping_waiter; /* for the first ping */
    uint8_t hops; /* of the event sent last: used for gaps, whose events are gone */
};

/* Whether the receiver works at all. Touched by delivery/health.c. */
struct endpoint_circuit {
    unsigned struck;     /* lanes that failed at their first attempt since anything was accepted */
    unsigned probes;     /* while the circuit is open: how many have failed */
    bool probe_due;      /* a probe may be sent */
    int64_t accepted_us; /* the last time that anything was; 0 for never in this life */
    struct timer probe;
};

/* Deliveries that somebody wants sent again. Touched by delivery/resend.c. */
struct endpoint_resends {
    uint64_t dead; /* letters that are kept of it */
    uint64_t numbers[RESENDS_MAX];
    unsigned count;
    unsigned lanes;
    bool asked;     /* a dead letter is being read */
    uint64_t after; /* dead letters above this one follow; 0 for none */
    uint64_t upto;
};

/* The last attempt, pings too. Touched by endpoint_note(). */
struct endpoint_last {
    int status; /* 0 for no answer */
    const char *error;
    int64_t at_us; /* 0: there was none yet */
    struct buf response;
};

/* Changes by its owner. Touched by requests/. */
struct endpoint_change {
    struct courier_request *busy; /* a change of it is being saved */
    struct list waiting;          /* requests that wait for that */
    bool held;                    /* nothing is scanned or sent until it is saved */
    bool expired;                 /* the lease has ended, and it is being deleted, */
    int64_t expire_again_ns;      /* or is tried again then, since it could not be; 0: not yet */
};

/* All of it is the courier's thread's alone, with one exception: while a change is being saved
 * (`change.busy`), the saver's thread reads the texts and keys of `row`, and nobody changes them.
 */
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
};

/* A new endpoint that is not in the directory yet. Takes the row over, in any case. NULL when there
 * is no memory. */
struct endpoint *endpoint_new(struct courier *courier, struct endpoint_row *row);

/* Frees an endpoint that has no lanes and is not in the directory (any more). */
void endpoint_free(struct endpoint *endpoint);

/* Makes selection, schedule and header lines anew from the row. False when there is no memory. */
bool endpoint_prepare(struct endpoint *endpoint);

static inline bool endpoint_runs(const struct endpoint *endpoint)
{
    return endpoint->row.state == ENDPOINT_ACTIVE || endpoint->row.state == ENDPOINT_FAILING;
}

static inline bool endpoint_circuit_open(const struct endpoint *endpoint)
{
    return endpoint->circuit.struck >= CIRCUIT_AFTER;
}

/* Notes that the endpoint may have work: it is looked at before the turn ends. */
void endpoint_ready(struct endpoint *endpoint);

/* Looks at it again after so long. */
void endpoint_look_again(struct endpoint *endpoint, int64_t ms);

/* Where the scan is: everything up to there is settled or in a lane. */
uint64_t endpoint_scanned(const struct endpoint *endpoint);
/* Everything up to there was settled. */
uint64_t endpoint_cursor(const struct endpoint *endpoint);

/* Notes the outcome of any request. */
void endpoint_note(struct endpoint *endpoint, const struct call *call);

/* The terms of requests as they are now. Borrows from the endpoint. */
struct body_terms endpoint_terms(const struct endpoint *endpoint);
