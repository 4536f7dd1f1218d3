/* The courier's inside, shared by its own files: endpoints, their lanes, and what is kept of them.
 *
 *      log  ──hub──▶  scan  ──▶  lanes  ──▶  flights  ──▶  receiver
 *                      │           ▲
 *                      │ cursor    └── what failed, or lies behind it: read from the log again
 *
 * An endpoint scans the log once. Each event goes into a lane: in order, its channel's; without
 * order, one of its own. A lane has one flight (a request) at a time. The cursor is where the scan
 * is; what is not settled below it is in lanes, and lanes are kept on disk. */
#pragma once

#include "base/budget.h"
#include "base/map.h"
#include "base/sparing.h"
#include "base/steady.h"
#include "webhooks/wire/client.h"
#include "webhooks/courier.h"
#include "webhooks/progress/saver.h"
#include "webhooks/progress/delivery_log.h"
#include "webhooks/progress/registry.h"
#include "webhooks/endpoint/schedule.h"
#include "webhooks/endpoint/spec.h"
#include "webhooks/websub/form.h"
#include "publish/submit.h"

enum {
    WEBHOOK_ID_MAX = 64,
    LANES_MAX = 1000,       /* of an endpoint; when there are more its scan waits */
    QUEUE_MAX = 64,         /* events of a lane in memory */
    QUEUED_MAX = 1024,      /* of an endpoint */
    QUEUED_BYTES = 4 << 20, /* the same in bytes, and one event more */
    READS_MAX = 4,          /* lanes of an endpoint that read from the log */
    WINDOW_FIRST = 8,       /* requests under way at first; grows as they are accepted */
    UNKEPT_LEAST = 32,      /* accepted but not kept yet, and under way, for small windows */
    SLOW_MS = 200,          /* a request under way for longer lets other channels pass by */
    FAILING_AFTER = 4,      /* failures in a row */
    CIRCUIT_AFTER = 5,      /* lanes that failed, one after the other, and nothing accepted */
    DEAD_MAX = 10000,       /* letters of an endpoint; with more none is given up */
    CONCURRENCY_DEFAULT = 32,
};

struct courier {
    struct courier_config config;
    struct schedule schedule;
    struct courier_stats stats;
    struct loop loop;
    struct steady time;   /* for courier_now_us() */
    int64_t unshifted_us; /* a jump that schedules have not followed yet */
    struct asker asker;   /* the hub, lanes and requests ask the log by it */
    struct hub hub;
    struct submitter submitter; /* of notices */
    struct list mail;           /* of struct batch_mail, not fanned out yet */
    uint64_t mail_bytes;
    uint64_t queued_bytes; /* in the lanes of all endpoints */
    uint64_t body_bytes;   /* of requests under way */
    uint64_t mailed;       /* the newest event that was ever queued there */
    struct budget budget;  /* of what endpoints do in this turn */
    struct client client;
    struct pool pool;    /* the seats for requests */
    int64_t press_at_ns; /* when one of them may have to give way; 0 for now */
    struct registry *registry;
    struct keeper *keeper;
    struct map by_id;
    struct map by_key;     /* endpoints, by the key that they were made under */
    struct map creating;   /* requests under way that create under a key */
    struct list endpoints; /* the oldest first */
    struct list loaded;    /* while it opens: those without their lanes yet, by `ready` */
    struct list ready;     /* endpoints that may have work */
    struct list changed;   /* endpoints whose progress is not stored yet */
    struct list pings;
    struct list listings;    /* of struct listing: lists of all endpoints that are being written */
    struct list intents;     /* WebSub: GETs under way */
    struct timer lease;      /* the next that ends */
    struct sparing refusals; /* of WebSub, for the log */
    struct sparing loops;    /* the same for events that came round too often, */
    char loop_error[32];     /* and what the record says of them */
    unsigned creations;      /* endpoints that are being kept for the first time */
    unsigned jobs;           /* with the keeper, under way */
    uint64_t next_slot;
    uint64_t next_n;
    struct keep *keep;  /* the bundle that is being filled for the keeper; NULL if there is nothing
                         * in it */
    unsigned keeping;   /* how many of these the keeper has */
    bool keep_urgent;   /* somebody waits for it */
    bool keep_fails;    /* the keeper could not write the last bundle */
    int64_t keep_at_ns; /* when the next may go */
    int64_t prune_at_ns;
    struct timer settle;
    bool stopping;
    char origin[256]; /* the origin that the CloudEvents handshake sends */
    int64_t stop_at_ns;
    struct mail stop_mail;
    pthread_t thread;
};

/* An event that is owed: points into what it came in. */
struct owed {
    struct list node;
    struct event event;
    struct chunk *chunk;
    struct batch *batch;
};

enum lane_kind {
    LANE_CHANNEL, /* all events of a channel above `after` */
    LANE_ALL,     /* all events above `after`: pages in order */
    LANE_RANGE,   /* events in (after, upto], in several requests if need be */
    LANE_GAP,     /* no events: a gap to be told before the scan goes on; not kept */
    LANE_LETTER,  /* a delivery that somebody wants sent again; not kept */
};

struct lane {
    struct map_node in_map; /* in endpoint->by_channel, for LANE_CHANNEL and LANE_ALL */
    struct list node;       /* in endpoint->lanes */
    struct list due;        /* in endpoint->due */
    struct list changed;    /* in endpoint->lanes_changed */
    struct endpoint *endpoint;
    enum lane_kind kind;
    struct lane_row row;
    uint64_t newest;                /* the newest event of it that the scan has passed */
    uint64_t trimmed;               /* a gap up to there is to be told; 0 for none */
    const char *reason;             /* for that gap */
    uint64_t gap_cursor;            /* where the scan (LANE_GAP) or the lane goes on behind it; a
                                       lane that has events to go on with: 0 */
    struct list queue;              /* of struct owed */
    struct buf bytes;               /* LANE_LETTER: what these point into */
    enum record_state letter_state; /* LANE_LETTER: what it is unless it is accepted */
    uint32_t queued;
    uint32_t count; /* LANE_RANGE: its events */
    bool behind;    /* there is more in the log than in the queue, up to `newest` */
    bool closed;    /* LANE_RANGE: takes no further events */
    bool kept;      /* has a row on disk, or will soon */
    bool exhausted; /* exhaustion was reported */
    bool probing;   /* the current request is a probe */
    bool leaves;    /* ends with its flight, and has no row: see anew.c */
    bool again;     /* leaves, and what it delivers comes again */
    struct lane_read *read;
    struct flight *flight;
    struct timer retry;
};

/* A webhook. */
struct endpoint {
    struct map_node in_map;
    struct map_node in_keys; /* in courier->by_key, if has_key */
    bool has_key;
    struct list node;    /* in courier->endpoints */
    struct list ready;   /* in courier->ready */
    struct list changed; /* in courier->changed */
    struct courier *courier;
    struct endpoint_row row;
    struct selection *selection;
    char **headers; /* "Name: value", ended by a NULL */
    struct schedule schedule;
    struct sub sub;
    struct chunk *chunk; /* the events at hand: records [at, end) */
    uint32_t at;
    uint32_t end;
    struct lane *gap; /* being told; the scan waits */
    struct map by_channel;
    struct list lanes;
    struct list due;
    struct list lanes_changed;
    unsigned lanes_count;
    unsigned due_count;
    unsigned queued; /* events in all lanes' queues */
    uint64_t queued_bytes;
    bool crowded;       /* the scan ended for want of room in the queues */
    int64_t room_at_ns; /* when queues may be looked through for what stands still */
    unsigned reads;     /* lanes that read */
    unsigned inflight;
    uint8_t hops; /* of what was sent last, for gaps: what they stand for is not known any more */
    struct pool_waiter waiter;
    struct pool_waiter ping_waiter; /* for the first ping */
    enum pool_class standing;
    int64_t patience_ms; /* a request that takes longer gives way to others that wait */
    unsigned window;     /* flights that may be under way */
    unsigned unkept;     /* accepted since the last keep was filled */
    unsigned keeping;    /* accepted, and with the keeper */
    unsigned struck;     /* lanes that failed at their first attempt since anything was accepted */
    unsigned probes;     /* while the circuit is open: how many have failed */
    bool probe_due;      /* a probe may be sent */
    uint64_t dead;       /* letters that are kept of it */
    unsigned leaving;    /* lanes that end with their request; the scan waits for them */
    uint64_t *carried;   /* ids that these delivered, rising: the scan passes them by */
    uint32_t carried_count;
    bool misfits;          /* lanes on disk are not of these options */
    int64_t accepted_us;   /* the last time that anything was; 0 for never in this life */
    uint64_t letters[256]; /* numbers of deliveries to be sent again */
    unsigned letters_count;
    unsigned letter_lanes;
    bool letter_asked;      /* a dead letter is being read */
    uint64_t letters_after; /* dead letters above this one follow; 0 for none */
    uint64_t letters_upto;
    struct timer wake; /* looks again */
    struct timer probe;
    bool expired;                 /* the lease has ended, and it will be deleted */
    struct courier_request *busy; /* a change of it is being kept */
    struct list waiting;          /* requests that wait for that */
    int last_status;              /* of the last attempt, pings too; 0 for no answer */
    const char *last_error;
    int64_t last_us; /* 0: there was none yet */
    struct buf last_response;
};

/* ---- courier.c ------------------------------------------------------------------------------- */

/* Fans out what the log has mailed, for as long as a turn may take. */
void courier_read_mail(struct courier *courier);

/* ---- endpoint.c: what there is -------------------------------------------------------------- */

/* A new endpoint that is not among the others yet. Takes the row over, in any case. NULL when there
 * is no memory. */
struct endpoint *endpoint_new(struct courier *courier, struct endpoint_row *row);
/* Ends whatever it does; takes it from the others if it is among them. Requests that wait for it
 * are refused. */
void endpoint_free(struct endpoint *endpoint);

/* Puts it among the others and lets it begin. */
void endpoint_add(struct endpoint *endpoint);
struct endpoint *endpoint_find(const struct courier *courier, const char *id);

/* Makes selection, schedule and header lines anew from the row. False when there is no memory. */
bool endpoint_prepare(struct endpoint *endpoint);

static inline bool endpoint_runs(const struct endpoint *endpoint)
{
    return endpoint->row.state == ENDPOINT_ACTIVE || endpoint->row.state == ENDPOINT_FAILING;
}

static inline bool endpoint_circuit_open(const struct endpoint *endpoint)
{
    return endpoint->struck >= CIRCUIT_AFTER;
}

/* Where the scan is: everything up to there is settled or in a lane. */
uint64_t endpoint_scanned(const struct endpoint *endpoint);
/* Everything up to there was settled. */
uint64_t endpoint_cursor(const struct endpoint *endpoint);

/* ---- keep.c: what is kept -------------------------------------------------------------------- */

/* Notes that progress must be stored soon. */
void endpoint_changed(struct endpoint *endpoint);
void lane_changed(struct lane *lane);
/* The lane is over: its row goes. */
void lane_forgotten(struct lane *lane);
/* An attempt, for the record. Copies what it is given. */
void keep_attempt(struct courier *courier, const struct record_attempt *attempt);
/* Hands what has changed to the keeper, if it is time or `now`: then whatever is submitted behind
 * it finds it there. */
void courier_keep(struct courier *courier, bool now);
/* Forgets what could not be handed over. */
void keep_discard(struct courier *courier);
/* When that is next; 0 for not at all. */
int64_t courier_keep_at(const struct courier *courier);
/* Brings the cursors of those that have all there is up to date. */
void endpoints_settle(struct courier *courier);
/* Submits a job and counts it in courier->jobs, which its mail counts down. */
void courier_submit_job(struct courier *courier, struct keeper_job *job);

/* ---- lane.c ---------------------------------------------------------------------------------- */

struct lane *lane_new(struct endpoint *endpoint, enum lane_kind kind, struct str channel);
/* A lane from disk; takes the row's text over. */
struct lane *lane_restore(struct endpoint *endpoint, struct lane_row *row);
/* Ends whatever it does and forgets it. */
void lane_free(struct lane *lane);
struct lane *lane_find(const struct endpoint *endpoint, struct str channel);
/* Looks at what it can do now: fly, wait, read, or be over (and then it is freed). */
void lane_look(struct lane *lane);
/* Takes it out of endpoint->due, if it is there. */
void lane_not_due(struct lane *lane);
/* Puts an event behind the others. False when there is no memory. */
bool lane_add(struct lane *lane, const struct event *event, struct chunk *chunk,
              struct batch *batch);
/* Lets go of what is in memory, to read it from the log again. */
void lane_drop_queue(struct lane *lane);
/* Whether the lane is among those that are tried. While everything fails what is new waits, and
 * what has failed is tried one by one. */
bool lane_is_tried(const struct lane *lane);
/* Drops the queue of a lane that is not tried: nothing would take it away, and the lanes that are
 * tried need the room to read. */
void lane_wait(struct lane *lane);
void owed_free(struct owed *owed);
/* An event has come into the lane's queue, or has left it. */
void lane_queued(struct lane *lane, const struct owed *owed);
void lane_unqueued(struct lane *lane, const struct owed *owed);
/* Lets the lane send at once, whatever it waited for. */
void lane_hurry(struct lane *lane);
/* Starts reading what it lacks. */
void lane_read(struct lane *lane);
/* A lane with a flight: it is no longer found, kept or read for, and ends with the flight. */
void lane_leave(struct lane *lane, bool again);

/* ---- creation.c: registrations under an Idempotency-Key ----------------------------------------
 *
 * A request that is repeated, since its answer was lost, finds the webhook that the first one made.
 */

/* The hashes of the request's key and body; not keyed without a key. */
struct creation creation_of(const struct courier_request *request);
/* Answers a request whose key is known, and returns true. Otherwise notes the key, so that no other
 * request creates under it meanwhile. */
bool creation_is_settled(struct courier *courier, struct courier_request *request);
/* The request is answered: its key is free, or its endpoint's. */
void creation_ends(struct courier_request *request);
void creations_init(struct courier *courier);
void creations_deinit(struct courier *courier);
/* Add the endpoint's key to those that count, and remove it. */
void endpoint_remember_key(struct endpoint *endpoint);
void endpoint_forget_key(struct endpoint *endpoint);

/* ---- anew.c: a webhook whose channels, types, order or pages are changed ------------------------
 */

/* The scan goes back to where everything was settled, and all lanes are dropped. Requests under way
 * end first; `again`: what they deliver comes again. */
void endpoint_begin_anew(struct endpoint *endpoint, bool again);
/* Drops every lane, flights too. */
void endpoint_drop_lanes(struct endpoint *endpoint);
/* Notes what a lane that leaves has delivered. */
void endpoint_add_carried(struct endpoint *endpoint, const struct list *events);
void endpoint_forget_carried(struct endpoint *endpoint);
/* Whether the scan is to pass the event by. It asks by rising ids. */
bool endpoint_has_carried(struct endpoint *endpoint, uint64_t id);
/* Whether a lane from disk is one that the endpoint's options would make. */
bool lane_row_fits(const struct endpoint *endpoint, const struct lane_row *row);
/* Begins anew if lanes from disk do not fit. */
void endpoint_mend_lanes(struct endpoint *endpoint);

/* ---- scan.c: from the hub into lanes ----------------------------------------------------------
 */

/* Notes that the endpoint may have work: it is looked at before the turn ends. */
void endpoint_ready(struct endpoint *endpoint);
void endpoints_go(struct courier *courier);
/* Lets go of events at hand, of queues and of the hub, to begin again where the scan was. Flights
 * go on. */
void endpoint_let_go(struct endpoint *endpoint);

/* ---- flight.c: requests, and what comes of them ------------------------------------------------
 */

/* Whether the endpoint may have one more request under way. If not it becomes ready once it may. */
bool flight_allowed(struct endpoint *endpoint);
/* Sends what the lane has next. */
void flight_start(struct lane *lane);
/* Whether what the lane has next came round too often. A delivery that somebody wants sent again
 * never does. */
bool lane_is_looped(const struct lane *lane);
/* Settles that without a request, if as much may be settled that is not kept yet; else the endpoint
 * becomes ready once it may. The lane may be gone afterwards. */
void lane_pass_loop(struct lane *lane);
/* Breaks it off. NULL is fine. */
void flight_free(struct flight *flight);
/* Events (first, last] that it carries. */
uint64_t flight_last(const struct flight *flight);
int64_t flight_since_ns(const struct flight *flight);

/* ---- standing.c: how well it answers -----------------------------------------------------------
 */

/* Begins the endpoint's standing anew: only whether it failed is known of it. */
void endpoint_begin_standing(struct endpoint *endpoint);
/* A request has ended, and what follows for `failures` is done. */
void endpoint_judge(struct endpoint *endpoint, const struct call *call);
/* A request of it gave way to others that wait. */
void endpoint_gave_way(struct endpoint *endpoint);
/* When a request that begins now is to give way. */
int64_t endpoint_overdue_ns(const struct endpoint *endpoint);
/* How many requests it may have under way, as far as it is concerned alone. */
unsigned endpoint_most(const struct endpoint *endpoint);

/* ---- outcome.c --------------------------------------------------------------------------------
 */

struct outcome {
    const struct call *call;
    struct list *events; /* of struct owed, those that were carried */
    uint64_t first;
    uint64_t last;
    uint32_t count;
    bool gap;
};
/* The lane's flight has ended, and is no longer the lane's. */
void lane_outcome(struct lane *lane, const struct outcome *outcome);
/* The events came round to this server too often: they are noted, and the lane goes on behind them,
 * or is gone afterwards. */
void lane_looped(struct lane *lane, const struct outcome *outcome);
/* The lane's gap is settled; the lane may be gone afterwards. */
void lane_gap_told(struct lane *lane);
/* Notes the outcome of any request. */
void endpoint_note(struct endpoint *endpoint, const struct call *call);

/* ---- notice.c: $webhooks/ID --------------------------------------------------------------------
 */

/* Publishes `{"webhook":…,"url":…` and `more` (members, beginning with a comma) there. */
void endpoint_notice(struct endpoint *endpoint, const char *type, struct str more);

/* ---- letter.c: what is sent again by hand ------------------------------------------------------
 */

/* Fetches the next one, if there is any. */
void letters_look(struct endpoint *endpoint);

/* ---- body.c -----------------------------------------------------------------------------------
 */

/* Writes the body of a delivery, and its id. */
void body_add(struct buf *out, const struct endpoint *endpoint, const struct list *events,
              char id[WEBHOOK_ID_MAX]);
/* The headers of a signed request; `first` (may be NULL) is the event that CloudEvents' binary mode
 * puts into them, and `hops` those of what is sent. NULL when there is no memory. */
struct curl_slist *body_headers(const struct endpoint *endpoint, struct str id, struct str body,
                                const struct event *first, unsigned hops);
/* The headers of a ping. */
static inline struct curl_slist *body_plain_headers(const struct endpoint *endpoint, struct str id,
                                                    struct str body)
{
    return body_headers(endpoint, id, body, NULL, 0);
}

/* ---- ping.c --------------------------------------------------------------------------------- */

/* Sends the ping that follows a creation, once it may be under way. */
void ping_first(struct endpoint *endpoint);
/* Sends a ping, or what `how` stands for. The request is answered after it; if it is a creation,
 * the endpoint is not among the others yet, and is added or freed. False when too many are under
 * way, or there is no memory. */
bool ping_start(struct endpoint *endpoint, struct courier_request *request, enum spec_verify how);
/* The endpoint goes away. */
void pings_forget(struct endpoint *endpoint);
/* Breaks all of them off and answers who waits. */
void pings_end(struct courier *courier);

/* ---- courier.c ------------------------------------------------------------------------------ */

/* Wall time for what counts from now: waits, leases, for how long something fails. A wall clock
 * that jumps moves none of that: see shift_schedules(). */
int64_t courier_now_us(struct courier *courier);

/* ---- subscription.c: WebSub ------------------------------------------------------------------
 */

/* COURIER_HUB. */
void websub_ask(struct courier *courier, struct courier_request *request);
/* Looks when the next lease ends; those that have ended are deleted. */
void websub_watch(struct courier *courier);
/* Tells a subscriber that it is none any more. */
void websub_deny(struct courier *courier, const struct endpoint_row *row, const char *reason);
/* Breaks off what is under way. */
void websub_end(struct courier *courier);

/* ---- tell.c --------------------------------------------------------------------------------- */

enum tell { TELL_LINE, TELL_ALL, TELL_SECRET };
/* Adds the endpoint as a JSON object. Only TELL_SECRET shows the secret. */
void endpoint_tell(const struct endpoint *endpoint, struct buf *out, enum tell tell);

/* ---- change.c: what changes an endpoint, and is answered once that is kept ------------------- */

void change_create(struct courier *courier, struct courier_request *request);
/* A WebSub subscription that was verified; `wish` is borrowed. */
void change_subscribe(struct courier *courier, struct courier_request *request,
                      const struct websub_wish *wish);
/* Whether it may be called at all, as far as the URL tells. */
bool change_may_go_to(const struct courier *courier, const char *url);
/* CHANGE, PAUSE, RESUME, ROTATE, REPLAY and DELETE, of an endpoint that is not busy. */
void change_endpoint(struct courier_request *request, struct endpoint *endpoint);

/* ---- request.c ------------------------------------------------------------------------------ */

void request_refuse_store(struct courier_request *request, int result);

void request_answer(struct courier_request *request);
/* Writes more of the lists that somebody waits for, for as long as a turn may take. */
void listings_go_on(struct courier *courier);
/* The endpoint goes away. */
void listings_forget(struct endpoint *endpoint);
/* Refuses those who wait for a list. */
void listings_end(struct courier *courier);
void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail);
/* The last step of a creation: keeps it, adds it, answers. Takes the endpoint over. */
void request_created(struct courier_request *request, struct endpoint *endpoint);
/* The endpoint is no longer busy: opens the requests that wait for it. It may be gone afterwards.
 */
void requests_go_on(struct endpoint *endpoint);
