/* The state of a worker: a thread with its listeners, its connections and its hub, and the accounts
 * of memory and time that its connections share. Modules that work on a connection include this
 * header. worker.h has the functions that run a worker. */
#pragma once

#include "access/audit.h"
#include "access/changes.h"
#include "access/authority.h"
#include "access/permission.h"
#include "base/account.h"
#include "base/budget.h"
#include "base/hist.h"
#include "base/memory_mark.h"
#include "base/quota.h"
#include "base/slab.h"
#include "base/spares.h"
#include "base/top.h"
#include "http/date.h"
#include "http/head_memo.h"
#include "http2/http2.h"
#include "hub/hub.h"
#include "net/conn_name.h"
#include "net/listen.h"
#include "presence/desk.h"
#include "presence/presence.h"
#include "publish/submit.h"
#include "transport/formats/formats.h"
#include "transport/holding.h"
#include "transport/live.h"
#include "transport/pace.h"
#include "transport/packs.h"
#include "transport/answer_cache.h"
#include "transport/request_cache.h"
#include "transport/send_room.h"
#include "ws/reader.h"

struct exchange;
struct permit_turn;
struct json_scan;
struct http1;
struct worker_change;

/* The limits, each with a counter of how often it was hit. Name in /stats and /metrics, and help
 * text. A refusal with a problem document is also counted by its problem. */
#define LIMITS(X)                                                                                  \
    X(CONNECTIONS, "connections_refused", "Connections over connections_max, refused")             \
    X(ADDRESS, "address_connections_refused", "Connections over address_connections_max, refused") \
    X(SUBJECT, "subject_connections_refused", "Streams and polls over subject_connections_max")    \
    X(MEMORY, "memory_refused", "Connections, subscriptions and publishes refused by memory_max")  \
    X(SUBSCRIPTIONS, "subscriptions_refused",                                                      \
      "Subscriptions over those of a request or connection")                                       \
    X(BODIES, "bodies_refused", "Requests over body_max or batch_max")                             \
    X(EVENTS, "events_refused", "Publishes over the event_max of their namespace")                 \
    X(RATES, "rates_refused", "Publishes faster than a rate allows")                               \
    X(INFLIGHT, "publishes_held", "Waits of a connection that had inflight_max publishes open")    \
    X(PENDING, "publishes_paused", "Waits of a publisher because of pending_max")                  \
    X(RESTS, "unsent_closed", "Connections closed because peers do not read, by rests_max")        \
    X(BRANCHES, "patterns_refused", "Subscriptions to patterns over branches_max")                 \
    X(HELD, "held_closed", "Connections closed, or requests refused, by held_max")                 \
    X(CHANNELS, "channels_refused", "Publishes to a new channel over channels_max")                \
    X(SHARES, "shares_refused", "Publishes to a new channel over a share of channels_max")         \
    X(KEYS, "keys_refused", "Publishes under a new key over keys_max")                             \
    X(MESSAGE, "messages_refused", "WebSocket messages over message_max, closed with 1009")        \
    X(IDLE, "idle_closed", "Connections closed after idle_ms without a request")                   \
    X(STALL, "stalled_closed", "Connections closed after stall_ms in which nothing was read")      \
    X(GONE, "peers_gone", "Subscribers closed because their peers were silent for two beats")      \
    X(CLOSE, "websockets_unclosed", "WebSockets whose peer did not answer a close in close_ms")    \
    X(FLOODS, "http2_floods", "HTTP/2 connections closed, over http2_control_max")                 \
    X(STREAMS, "http2_streams_refused", "HTTP/2 streams over http2_streams_max, refused")          \
    X(PROXY, "proxy_headers_refused", "Connections without the PROXY header of a trusted proxy")   \
    X(HANDSHAKE, "handshakes_late", "PROXY headers and TLS handshakes over handshake_ms")          \
    X(SHAKING, "handshakes_shed", "Handshakes of TLS given up for newer ones, by handshakes_max")

enum limit {
#define LIMIT_NAME(name, text, help) LIMIT_##name,
    LIMITS(LIMIT_NAME)
#undef LIMIT_NAME
        LIMIT_COUNT,
};
extern const char *const limit_names[LIMIT_COUNT];
extern const char *const limit_helps[LIMIT_COUNT];

/* The limit over which a new connection is. */
enum entry_excess {
    EXCESS_NONE,
    EXCESS_OF_ALL,     /* connections_max */
    EXCESS_OF_ADDRESS, /* address_connections_max */
    EXCESS_OF_MEMORY,  /* memory_max */
};

/* The budgets, each with a counter of how often it was spent in a step of a turn; the rest of the
 * step then goes to the end of a queue. Name in /stats and /metrics, and help text. */
#define BUDGETS(X)                                                                                 \
    X(READ, "read", "Reads from a connection that were put off, with bytes left")                  \
    X(TURN, "turn", "Turns that put off connections which had not been read yet")                  \
    X(TIMERS, "timers", "Turns that put off timers which were due")                                \
    X(FLUSH, "flush", "Slices of sends that ended by their bytes or their time")                   \
    X(BURY, "bury", "Turns that left closed connections to be freed later")                        \
    X(SEARCH, "search", "Pages that ended because their request had looked at a million rows")     \
    X(FAN_OUT, "fan_out", "Turns that left events which had not reached all views")                \
    X(PAGES, "pages", "Pages of recent events that were put off")                                  \
    X(LIVE, "live", "Views that fell behind because of live_max")                                  \
    X(FOUND, "found", "Reads of the store that waited, or ended, because of what others found")    \
    X(HANDSHAKES, "handshakes", "Turns that left handshakes of TLS to the next")

enum budget_kind {
#define BUDGET_NAME(name, text, help) BUDGET_##name,
    BUDGETS(BUDGET_NAME)
#undef BUDGET_NAME
        BUDGET_COUNT,
};
extern const char *const budget_names[BUDGET_COUNT];
extern const char *const budget_helps[BUDGET_COUNT];

enum { DRAIN_LAST_MS = 1000 }; /* after drain_ms, for the last bytes to be sent */

/* All times in ms, all sizes in bytes. */
struct worker_limits {
    struct http_limits http;
    struct http2_limits http2;
    struct ws_limits ws;
    int64_t handshake_ms; /* of TLS, from the connection on */
    int64_t head_ms;      /* from a request's first byte to the end of its head */
    int64_t body_ms;      /* and from there to the end of its body */
    int64_t idle_ms;      /* between requests */
    int64_t stall_ms;     /* for a peer to read an answer */
    int64_t publish_ms;   /* for a publish to become safe; later its fate is unknown */
    int64_t close_ms;     /* for the other side of a close handshake */
    int64_t message_ms;   /* from a WebSocket message's first byte to its end */
    int64_t drain_ms;     /* the time over which streams end when the server stops */
    unsigned drain_some;  /* connections told in a turn that the server stops; 0: 8,192 */
    /* The pause between two answers to polls of a connection while the worker is busy, and the
     * longest time that an event waits for it. 0: a poll is answered as soon as it has an event. */
    int64_t poll_pace_ms;
    uint64_t body_max;
    uint32_t inflight_max;            /* unanswered publishes of a connection */
    uint32_t connections_max;         /* of all workers together */
    uint32_t address_connections_max; /* connections of an address; 0: as many as come */
    uint32_t subject_connections_max; /* streams and polls of a subject; 0: as many as come */
    uint64_t pending_max;    /* bytes, not safe or not applied by the slowest worker, at which
                                publishers must wait */
    uint64_t handshakes_max; /* memory of a worker's unfinished handshakes of TLS */
    uint64_t rests_max;      /* unsent bytes of all connections of a worker */
    uint64_t memory_max;     /* memory of the whole process; 0: no mark */
    int64_t read_ms;         /* for what a request searches in the log; 0: half of publish_ms */
    uint64_t held_max;       /* all memory that peers make a worker hold, by its account */
    struct hub_limits hub;
    const struct publish_limits *publish; /* rates and sizes of events; NULL: none */
};

/* The most that a turn may spend on reading: on one connection, on all, and on those that have used
 * up a share before. 0: the default. */
struct worker_budgets {
    int64_t step_us, step_bytes;
    int64_t turn_us, turn_bytes;
    int64_t put_off_us;
};

/* The rights that pages of an origin have. */
enum admission {
    ADMITS_NOBODY,
    ADMITS,
    ADMITS_CREDENTIALS, /* and may send requests with the user's credentials (cookies) */
};

/* The channel of the server's figures: an event a second while somebody listens. */
#define FIGURES_CHANNEL STR("$stats")

enum { WORKER_LISTENERS_MAX = 16 };

/* The proxies whose word about a client's address and scheme is believed. */
struct trusted_proxies {
    const struct network *networks;
    size_t networks_count;
    bool unix_sockets; /* peers of Unix sockets are proxies, too */
    bool is_standard;  /* the proxies write Forwarded, in place of X-Forwarded-For */
};

struct worker_config {
    unsigned index;
    unsigned count;
    struct log *log;
    struct clock *clock;
    struct worker_limits limits;
    struct worker_budgets budgets;
    int64_t spin_us; /* polling after work, before the worker sleeps */
    bool want_uring;
    _Atomic uint32_t *connections; /* connections of all workers; NULL: there is only this worker */
    _Atomic uint32_t *undrained_workers; /* workers that have not drained; NULL: see above */
    /* Connections over connections_max of which the worker reads a request, to refuse it by a 503.
     * Others are closed at once. */
    uint32_t refusing_max;
    /* The holders of address_connections_max and subject_connections_max, of all workers. NULL:
     * these are not counted. */
    struct quota *addresses;
    struct quota *subjects;
    struct memory_mark *memory; /* the process's memory, measured by the first worker; or NULL */
    struct rates *rates;        /* the buckets for limits.publish */
    const struct authority *authority;     /* for `auth` of freshet.v1; NULL: there are no rules */
    const struct trusted_proxies *proxies; /* NULL: none */
    const struct rules *rules;             /* the rules of access; never changed */
    struct presence *presence;             /* the presence host; NULL: no presence */
    const struct presence_settings *presence_settings; /* the namespaces that have presence */
    struct conn_names names;                           /* makes names of connections */
    struct audit *audit; /* of all workers together; NULL: no audit log */
    bool has_admin_door; /* only connections of DOOR_ADMIN may manage the server */
    uint16_t https_port; /* the port to which DOOR_REDIRECT redirects */
    struct str base;     /* path under which the API hangs: empty, or "/x" */
    void *app;           /* for handle */
    /* Handles a request: answers at once, or later by exchange_respond(), or makes the response a
     * stream by exchange_pull(). */
    void (*handle)(struct exchange *exchange);
    /* Asks the operator's server whether a message of a WebSocket is allowed, if its exchange has
     * `may_ask`. `show` copies the parts of the exchange that such a question needs, or returns
     * NULL without memory. */
    const struct permission_source *permissions;
    struct evidence *(*show)(struct exchange *exchange);
    /* Called when a client subscribes to FIGURES_CHANNEL on the calling worker; may be NULL. */
    void (*figures_wanted)(void *app);
    /* Whether the caller's credential was revoked. NULL: none is. */
    bool (*is_revoked)(void *app, const struct caller *caller, int64_t now_us);
    /* Whether a caller of is_revoked() has lost its rights by other rules alone. NULL: none has. */
    bool (*is_disowned)(void *app, const struct caller *caller, int64_t now_us);
    /* Looks up a caller anew, because its key may have changed. Returns a reference, or NULL if the
     * caller is the same as before or cannot be looked up. */
    struct caller *(*renew)(void *app, const struct caller *caller);
    /* Whether pages of this origin (`at` may be NULL) may read answers. NULL: none may. */
    enum admission (*admits)(void *app, struct str origin);
};

/* The listener by which a connection came, as its handlers see it (conn->door). */
enum door_flags {
    DOOR_TLS = 1,      /* connections begin with a handshake */
    DOOR_REDIRECT = 2, /* each request is sent to https:// */
    DOOR_BARE = 4,     /* plain HTTP came where TLS is spoken: the request is refused */
    DOOR_TRUSTED = 8,  /* the peer is a trusted proxy */
    DOOR_PROXY = 16,   /* connections begin with a header of the PROXY protocol */
    DOOR_ADMIN = 32,   /* the admin address */
};

/* Counters, written by the worker's thread and read by any. */
struct worker_stats {
    _Atomic uint64_t requests;
    _Atomic uint64_t connections;
    _Atomic uint64_t connections_total;
    _Atomic uint64_t handshakes; /* of TLS: full ones, those by a ticket, and those that failed */
    _Atomic uint64_t handshakes_resumed;
    _Atomic uint64_t handshakes_failed;
    _Atomic uint64_t tls_shaking; /* approximate bytes of unfinished handshakes */
    _Atomic uint64_t tls_kept;    /* bytes of records that no socket has taken yet */
    _Atomic uint64_t tls_until_s; /* the end of the certificate that ends first; 0: no TLS */
    _Atomic uint64_t subscribers[FORMATS_COUNT];
    _Atomic uint64_t compressed; /* of them, streams by gzip */
    _Atomic uint64_t deliveries;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t sends;
    _Atomic uint64_t window_bytes;
    _Atomic uint64_t window_own_bytes;
    _Atomic uint64_t views;
    _Atomic uint64_t rests_bytes;
    _Atomic uint64_t busy_us;               /* the worker's time that was not idle */
    _Atomic uint64_t problems[64];          /* by enum problem */
    _Atomic uint64_t limits[LIMIT_COUNT];   /* how often each was hit */
    _Atomic uint64_t budgets[BUDGET_COUNT]; /* how often each ran out */
    struct hist latency_ns;
    struct hist turn_ns; /* turn length: how long a busy turn kept all others waiting */
    struct hist mail_ns; /* how long the oldest mail waited before it was opened */
};

static inline void stat_add(_Atomic uint64_t *stat, uint64_t n)
{
    atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void stat_set(_Atomic uint64_t *stat, uint64_t n)
{
    atomic_store_explicit(stat, n, memory_order_relaxed);
}

/* The head of an HTTP/1.1 response up to its length, reused for responses with an equal one; see
 * http1_writer.c. */
struct http1_head {
    struct buf text; /* empty: none */
    int status;
    char date[HTTP_DATE_LEN];
    char type[48];
    size_t type_len;
};

struct worker {
    struct worker_config config;
    struct loop loop;
    struct net net;
    struct worker_listener {
        struct listener listener;
        struct worker *worker;
        uint8_t door;
        bool is_passed; /* the service manager has passed the socket, and keeps it */
    } listeners[WORKER_LISTENERS_MAX];
    unsigned listeners_count;
    struct asker asker;
    struct hub hub;
    struct slabs slabs;      /* memory for the objects of subscribers, by their size */
    struct list connections; /* struct conn */
    uint32_t refusing;       /* connections over connections_max that will get a 503 */
    struct list auths;       /* `auth` of freshet.v1 that the authority has not answered yet */
    struct list undrained;   /* connections to be told that the server stops */
    struct list unreviewed;  /* connections to be checked again, since the rules have changed */
    int64_t reviewed_ns;     /* when the rules changed; INT64_MIN: never */
    struct list rounds;      /* struct rounds: walks over all connections, the first is under way */
    struct list unvisited;   /* connections that the first walk has not visited yet */
    bool rounds_cut;         /* the walk has lost its place, and begins again */
    _Atomic uint32_t own_connections; /* when config.connections names no other */
    _Atomic uint32_t own_undrained;   /* when config.undrained_workers names no other */
    struct list paused;               /* connections whose publish waits for the log */
    struct list resumed;              /* connections that may continue with what they have read */
    struct list put_off;              /* connections whose budget of this turn is spent */
    struct list unfinished;           /* connections with an unfinished message */
    struct list bodies;               /* connections with a body whose JSON is being checked */
    struct budget turn_budget;        /* for reading all connections in this turn */
    struct budget step_budget;        /* for the connection being read */
    uint32_t inflating;               /* WebSockets with an unfinished compressed message */
    bool decompresses;                /* whether a compressed message may begin now */
    bool late;                        /* the last turn left some of `resumed` unread */
    struct pace pace;                 /* polls that have events, and wait for their pace */
    struct timer pressure;
    struct timer memory_look;
    struct live_table live;          /* pulls and polls under a caller */
    struct presence_desk desk;       /* subscriptions that count for presence */
    struct map permits;              /* answers of the operator's server about WebSockets */
    struct permit_turn *permit_turn; /* the message of a WebSocket being handled; NULL: none */
    struct change_listener revoked;  /* called when callers may have lost their rights */
    struct submitter submitter;      /* gathers the publishes of a turn */
    struct http_memo memo;           /* the head of the request being read, and some before it */
    struct str head_bytes;           /* the bytes of that head */
    struct str body;
    const struct exchange *handled; /* the exchange whose handler runs; NULL: none does */
    struct reading *known; /* the API's reading of an equal head, to be shared; NULL: the head is
                              new. See request_cache.h */
    struct str received;   /* the body as it came, before its content coding was undone */
    /* the result of the check of its body; NULL: not checked. See checked.h */
    const struct json_scan *checked;
    struct http_date date;
    struct http1_head usual_head;
    struct spares spare_exchanges; /* memory of publishes that were answered, for the next ones */
    struct buf receipt;            /* of the publish being answered; keeps its memory */
    int64_t tls_said_ns;           /* when the log last reported a TLS client; 0: never */
    struct tls *tls;               /* NULL: no TLS */
    struct list shaking;           /* connections in a handshake that have unread input */
    struct list shaken; /* connections whose handshake has taken memory, the oldest first */
    uint64_t shaking_bytes;
    struct send_room send_room; /* buffers in which connections of HTTP/2 gather frames */
    struct answer_cache answer_cache;
    struct request_cache request_cache;
    struct deflater deflater;
    struct packs packs;
    struct ws_inflater inflater;
    struct worker_stats stats;
    struct top refused;     /* clients that hit limits lately; see refused_kind() */
    struct account account; /* memory that peers make this worker hold */
    int64_t turn_ended_ns;  /* and the idle time up to then */
    int64_t turn_idle_ns;
    struct holdings holdings; /* of connections; counts in `account` */
    size_t turn_bytes;        /* gathered by `submitter`, in `account` */
    size_t reads_bytes;       /* bytes that reads of the store have found, in `account` */
    struct buf no_room; /* stands in for a buffer without memory: bytes added to it are lost */
    bool draining;
    bool is_drained; /* this worker's connections have ended, or their time is over */
    bool stopping;   /* the thread has ended, so nothing is published any more */
    int64_t stop_at_ns;
    int64_t drained_busy_ns; /* loop_busy_ns() when connections were last told of the drain */
    struct mail drain_mail;
    struct worker_change *change; /* of the settings, to be made at the end of the turn */
    pthread_t thread;
};

/* Accepts connections again after descriptors had run out. */
void worker_resume_accepting(struct worker *worker);

/* How often a limit was hit. Any thread. */
uint64_t worker_hits(const struct worker *worker, enum limit limit);

/* The Origin of a page that may use this server; empty for others. Browsers show an answer to a
 * page of another origin only if the answer names that origin. The API checks the Origin of handled
 * requests; this is for refusals before that. */
static inline struct str worker_admitted(const struct worker *worker, struct str origin)
{
    bool admitted = worker->config.admits && worker->config.admits(worker->config.app, origin);
    return admitted ? origin : STR_NONE;
}

/* The caller, which is taken over, as its key makes it by now. Whoever has waited for an answer
 * asks: meanwhile a reload may have changed the key. */
static inline struct caller *worker_renew(const struct worker *worker, struct caller *caller)
{
    const struct worker_config *config = &worker->config;
    struct caller *now = caller && config->renew ? config->renew(config->app, caller) : NULL;
    if (!now)
        return caller;
    caller_unref(caller);
    return now;
}

/* The caller with the rules, the time, and whether its connection came by the admin address. A NULL
 * connection did not. `caller` is borrowed. */
static inline struct access worker_access(const struct worker *worker, const struct conn *conn,
                                          const struct caller *caller)
{
    return (struct access){.rules = worker->config.rules,
                           .caller = caller,
                           .now_us = caller ? clock_wall_us(worker->config.clock) : 0,
                           .is_elsewhere =
                               worker->config.has_admin_door && !(conn && conn->door & DOOR_ADMIN)};
}

/* Has a connection checked again, since the rules under which it was allowed have changed. */
void worker_review(struct worker *worker, struct conn *conn);

/* Appends the publishes of this turn to the log. Returns false if there were none. */
bool worker_flush(struct worker *worker);

/* Counts that a limit was hit. Limits of publishes are counted by the submitter. */
static inline void worker_hit(struct worker *worker, enum limit limit)
{
    stat_add(&worker->stats.limits[limit], 1);
}

/* The kind of an entry of worker->refused: the problem, and whether the name is a subject or an
 * address. */
static inline uint16_t refused_kind(enum problem problem, bool is_subject)
{
    return (uint16_t)(2 * (unsigned)problem + is_subject);
}

/* Counts that a budget ran out. */
static inline void worker_put_off(struct worker *worker, enum budget_kind budget)
{
    stat_add(&worker->stats.budgets[budget], 1);
}

/* A connection's turn to be read begins. */
void worker_begin_step(struct worker *worker);

/* Charges bytes that the connection being read made us process, after each request or message, and
 * gives the log what the turn has gathered if that is much. Returns whether the connection may
 * continue. */
bool worker_spend(struct worker *worker, size_t bytes);

/* Ends the step of the connection being read, whatever budget it has left. */
static inline void worker_end_step(struct worker *worker)
{
    budget_end(&worker->step_budget);
}

static inline bool worker_is_spent(const struct worker *worker)
{
    return budget_is_spent(&worker->step_budget);
}

/* Whether a connection with unread bytes must wait until others were read: the turn's budget is
 * spent, or the last turn left some unread. */
static inline bool worker_reads_later(const struct worker *worker)
{
    return worker->late || budget_is_spent(&worker->turn_budget);
}

/* Whether publishers must wait, for the log or for what this turn has gathered. */
bool worker_pressed(const struct worker *worker);

/* Whether the process is at its mark of memory: new work is refused. Counts that. */
bool worker_is_full(struct worker *worker);

/* Whether memory is so tight that the largest holders are not read any further. */
static inline bool worker_is_tight(const struct worker *worker)
{
    const struct account *account = &worker->account;
    return account->limit && account->total > account->limit - account->limit / 4;
}

/* Looks at the paused connections again soon. */
void worker_check_paused(struct worker *worker);

/* The time after which a stream ends while the server stops: any within what is left of drain_ms,
 * also if the stream is told late. */
uint32_t worker_drain_after_ms(const struct worker *worker);

/* A random number below `below`, not for secrets. */
uint32_t worker_random(uint32_t below);
