/* The courier's state: what all endpoints share. Only the courier's thread touches it, apart from
 * the counters in `stats` and the parts that have locks of their own (mailbox, hub's port, saver).
 *
 * Running it is courier.c's part; here is what every room needs of it. */
#pragma once

#include "base/budget.h"
#include "base/quota.h"
#include "base/sparing.h"
#include "base/steady.h"
#include "publish/submit.h"
#include "webhooks/endpoint/config.h"
#include "webhooks/endpoint/request.h"
#include "webhooks/endpoint/schedule.h"
#include "webhooks/progress/bundle.h"
#include "fetch/client.h"

struct courier {
    /* Written once, before the thread starts. */
    struct courier_config config;
    struct schedule schedule;
    char origin[256];    /* the origin that the CloudEvents handshake sends */
    char loop_error[32]; /* the delivery log's error for events with too many hops */
    void (*open_request)(struct mail *mail, void *owner);
    pthread_t thread;

    /* Counted by the courier's thread, read by any. */
    struct courier_stats stats;

    struct loop loop;
    struct steady time;   /* for courier_now_us() */
    int64_t unshifted_us; /* a jump of the wall clock that schedules do not include yet */
    struct budget budget; /* the budget of endpoints in this turn */
    bool has_opened;      /* and has had no turn yet */

    /* The log: questions go to it, events come from it as mail, notices are published to it. */
    struct asker asker; /* for questions of the hub, of lanes and of requests */
    struct hub hub;
    struct list mail; /* struct batch_mail, to be fanned out */
    uint64_t mail_bytes;
    uint64_t mailed; /* the newest event ever queued there */
    struct submitter submitter;

    /* Requests to receivers. */
    struct client client;
    struct client inside;  /* to receivers inside of this server: see inside.h */
    struct pool pool;      /* the seats for them */
    int64_t press_at_ns;   /* when the next request may have to be aborted; 0: now */
    uint64_t queued_bytes; /* events in the lanes of all endpoints */
    uint64_t body_bytes;   /* of requests under way */
    struct list pings;
    struct list intents;   /* WebSub: GETs under way, */
    struct list confirmed; /* and intents whose change is being saved, or waits for that */
    unsigned confirmed_count;
    struct sparing refusals; /* limits the log lines about WebSub */
    struct sparing loops;    /* limits those about skipped events */

    /* Endpoints. */
    struct map by_id;
    struct map by_key;     /* by the Idempotency-Key that created them */
    struct map creating;   /* running requests that create under a key */
    struct list endpoints; /* the oldest first */
    struct quota subjects; /* the endpoints of each */
    struct list visits;    /* the few of the playground: see inside.h */
    struct list loaded; /* while opening: endpoints whose lanes are not loaded, by `links.ready` */
    struct list ready;  /* endpoints that may have work */
    struct list listings; /* struct listing: lists of all endpoints being written */
    struct timer lease;   /* the next that ends */
    unsigned creations;   /* endpoints that are being saved for the first time */
    uint64_t next_slot;
    uint64_t next_n;

    /* Progress. */
    struct registry *registry;
    struct saver *saver;
    struct list changed;   /* endpoints whose progress is not saved yet */
    struct bundle *bundle; /* the bundle being filled; NULL if it is empty */
    unsigned saving;       /* bundles that the saver has */
    bool saving_whole;     /* one of them is whole */
    bool save_urgent;      /* somebody waits for it */
    bool save_fails;       /* the last bundle could not be written */
    int64_t save_at_ns;    /* when the next may go */
    int64_t prune_at_ns;
    struct timer settle;
    unsigned jobs; /* with the saver, under way */

    struct change_listener revoked; /* hears that some makers may have lost their rights */

    bool stopping;
    int64_t stop_at_ns;
    struct mail stop_mail;
};

/* The wall time for waits, leases and durations. Jumps of the wall clock are taken out: see
 * shift.h. */
int64_t courier_now_us(struct courier *courier);

static inline int64_t courier_now_ns(const struct courier *courier)
{
    return clock_now_ns(courier->config.clock);
}

static inline int64_t courier_wall_us(const struct courier *courier)
{
    return clock_wall_us(courier->config.clock);
}

/* Whether requests may go to the URL, as far as the URL itself tells. Addresses of a name are
 * checked when it is connected to. */
bool courier_may_call(const struct courier *courier, const char *url);

/* Submits a job to the saver and counts it in courier->jobs, which its mail counts down. */
void courier_submit_job(struct courier *courier, struct saver_job *job);
