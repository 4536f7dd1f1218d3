/* The courier's configuration and counters. */
#pragma once

#include "access/changes.h"
#include "base/hist.h"
#include "hub/hub.h"
#include "webhooks/endpoint/pool.h"
#include "webhooks/wire/websub.h"
#include "fetch/address.h"
#include "fetch/identity.h"

/* The configuration. Its pointers must stay valid as long as the courier. */
struct courier_config {
    struct log *log;
    struct clock *clock;
    const char *dir; /* the folder of state.db; NULL: endpoints are kept in memory only */
    struct hub_limits hub;
    bool allow_loopback;            /* webhooks may go to addresses of this machine */
    const struct network *networks; /* and there, whatever is there */
    size_t networks_count;
    /* delays after the first, second, … failure; NULL for the standard's */
    const int64_t *schedule_ms;
    size_t schedule_count;          /* at most SCHEDULE_MAX */
    int64_t timeout_ms;             /* of a request; 0 for 15 s */
    uint32_t endpoints_max;         /* 0 for 1000 */
    uint32_t subject_endpoints_max; /* of one subject; 0: as many as there may be */
    uint32_t requests_max;          /* requests under way in all; 0 for 2048 */
    unsigned hops_max;              /* of what is sent, at most EVENT_HOPS_MAX; 0 for 8 */
    unsigned shares[POOL_CLASSES];  /* shares of the classes in percent; 0 for the defaults */
    uint64_t backlog_max; /* bytes of events that wait in memory to be looked at; 0 for 8 MiB */
    uint64_t queued_max;  /* bytes of events that wait in lanes, in all; 0 for 64 MiB */
    uint64_t reads_max;   /* bytes that reads of the store have found; 0 for 8 MiB */
    int64_t patience_ms;  /* a request may be aborted for others after so long; 0 for 250 ms */
    int64_t probe_ms;     /* pause between probes of an endpoint that fails always; 0 for 30 s */
    int64_t disable_after_us; /* an endpoint is disabled after failing for so long; 0 for 5 days */
    int64_t records_age_us;   /* deliveries but dead letters are kept for so long; 0 for 7 days */
    uint64_t records_max;     /* successful deliveries kept in all; 0 for 250000 */
    const char *const *hosts; /* names of hosts to which webhooks may go at any address */
    size_t hosts_count;
    const char *const *resolve;      /* for tests: see client.h */
    struct str authorities;          /* the operator's own, in PEM form; empty: only the system's */
    struct client_identity identity; /* for receivers that ask; zeroes for none */
    struct str base;                 /* the path under which the API hangs, for WebSub's topics */
    /* Whether the caller's credential was revoked; NULL: none is. Any thread. */
    bool (*is_revoked)(void *access, const struct caller *caller, int64_t now_us);
    /* The caller that a maker's credential stands for now, see worker_config.renew. NULL: the same.
     */
    struct caller *(*renew)(void *access, const struct caller *caller);
    void *access;                /* the courier's thread alone uses it */
    const struct rules *rules;   /* of access, for the same thread; NULL: none are asked */
    struct websub_leases leases; /* all zeroes for the defaults */
};

/* Counters, written by the courier's thread and read by any. */
struct courier_stats {
    _Atomic uint64_t endpoints;
    _Atomic uint64_t refused; /* webhooks and subscriptions, by either limit of endpoints */
    _Atomic uint64_t inflight[POOL_CLASSES]; /* requests under way */
    _Atomic uint64_t requests_max;
    _Atomic uint64_t waiting; /* endpoints that wait for a seat */
    _Atomic uint64_t waits;   /* how often one had to */
    _Atomic uint64_t backlog; /* bytes of batches that were not fanned out yet */
    _Atomic uint64_t queued;  /* bytes of events in lanes, for requests to come */
    _Atomic uint64_t bodies;  /* bytes of requests under way */
    _Atomic uint64_t found;   /* bytes that reads of the store have found, not in lanes yet */
    _Atomic uint64_t missed; /* how often these were too many, so that the store was read instead */
    _Atomic uint64_t turns_cut;  /* turns whose time was over before their work */
    _Atomic uint64_t gave_way;   /* requests aborted for others and repeated later */
    _Atomic uint64_t deliveries; /* attempts that were answered 2xx */
    _Atomic uint64_t failures;   /* attempts that were not */
    _Atomic uint64_t looped;     /* events not sent, because they had too many hops */
    struct hist attempts_ns;     /* how long they took */
};
