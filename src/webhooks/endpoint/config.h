/* The courier's configuration and counters. */
#pragma once

#include "base/hist.h"
#include "hub/hub.h"
#include "webhooks/endpoint/pool.h"
#include "webhooks/wire/websub.h"
#include "fetch/address.h"
#include "fetch/identity.h"

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
    const char *const *resolve; /* for tests: see client.h */
    const char *ca_file;        /* authorities of one's own, PEM; NULL for the system's alone */
    struct client_identity identity; /* for receivers that ask; all zeroes for none */
    struct str base;                 /* the path under which the API hangs, for WebSub's topics */
    struct websub_leases leases;     /* all zeroes for the defaults */
};

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
