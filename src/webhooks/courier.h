/* The courier: webhooks. One thread, whose subscribers are endpoints with a cursor on disk. */
#pragma once

#include "webhooks/endpoint/config.h"
#include "webhooks/endpoint/request.h"

struct courier;

/* Opens the endpoints and attaches to the log. Call after log_open(), before the first append.
 * Returns 0, or a negative errno and frees everything. */
int courier_open(const struct courier_config *config, struct courier **ret_courier);

/* Hears of revocations, for changes_listen(). */
struct change_listener *courier_revoked(struct courier *courier);

/* A change to other rights, limits and certificates, lent to the courier until `done`. */
struct courier_change {
    struct mail mail;
    void *access;                                /* courier_config.access */
    bool allow_loopback;                         /* courier_config.allow_loopback */
    struct hub_limits hub;                       /* courier_config.hub */
    uint32_t subject_endpoints_max;              /* courier_config.subject_endpoints_max */
    struct str authorities;                      /* courier_config.authorities */
    struct client_identity identity;             /* courier_config.identity */
    const struct rules *before, *after;          /* of access */
    void (*done)(struct courier_change *change); /* on the courier's thread */
};

/* Takes the change as a whole, between two turns. Webhooks that the change takes the rights away
 * from are disabled. Any thread, once it is started; one change at a time. */
void courier_switch(struct courier *courier, struct courier_change *change);

/* Starts the thread. 0 or a negative errno. */
int courier_start(struct courier *courier);

/* Ends the thread: requests in flight have 2 s to end, progress is saved, every courier_request is
 * answered. Call before log_close(), while the mailboxes for the answers still exist. */
void courier_stop(struct courier *courier);

/* After log_close. */
void courier_free(struct courier *courier);

/* The counters, which live as long as the courier. Any thread may load them. */
const struct courier_stats *courier_stats(const struct courier *courier);

/* The number of endpoints. Any thread. */
static inline uint64_t courier_endpoints(const struct courier *courier)
{
    return atomic_load_explicit(&courier_stats(courier)->endpoints, memory_order_relaxed);
}
