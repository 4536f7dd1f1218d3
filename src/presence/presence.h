/* Presence: who is there, channel by channel, for the whole process.
 *
 * A thread of its own, the host, keeps the table of members. Everything reaches it as mail:
 *
 *     a subscription begins or ends    desk.h (one desk a worker)   ┐
 *     GET, PUT, the op of freshet.v1   presence_ask()               ├─▶ the host ─▶ events, by the
 *     a channel is deleted             presence_forget()            │               one door
 *     other settings                   presence_switch()            ┘   └────────▶ presence.db
 *
 * So the table has no lock, its events come in the order of its changes, and grace periods are
 * timers of one thread. See docs/decisions/0014-presence.md.
 *
 * A person is known by a name in one of two spaces: the verified one has subjects of credentials,
 * the other names that clients gave themselves (`as`). A subscriber without either is anonymous,
 * and only counted. */
#pragma once

#include "base/buf.h"
#include "base/memory_mark.h"
#include "log/log.h"
#include "net/mailbox.h"
#include "presence/names.h"
#include "presence/settings.h"

struct presence;

enum {
    PRESENCE_STATE_MAX = 1024,     /* bytes of a member's state, as JSON */
    PRESENCE_STATE_DEPTH_MAX = 32, /* a state is small, and is written into events as it came */
    PRESENCE_LIMIT_DEFAULT = 100,
    PRESENCE_LIMIT_MAX = 1000,        /* members, and marks, of an answer */
    PRESENCE_LIST_BYTES = 256 * 1024, /* from here on, a list of an answer gets no further one */
};

/* ---- questions and changes ------------------------------------------------------------------- */

enum presence_op {
    PRESENCE_GET, /* the list of members */
    PRESENCE_PUT, /* a state, a read mark, or both, of a member */
};

enum presence_fault {
    PRESENCE_FINE = 0,
    PRESENCE_E_OFF,    /* the channel's namespace has no presence: PROBLEM_NO_PRESENCE */
    PRESENCE_E_AWAY,   /* a state, by somebody who is no member: PROBLEM_NOT_A_MEMBER */
    PRESENCE_E_BEYOND, /* a read mark above the newest event of the channel: 400 */
    PRESENCE_E_FULL,   /* a limit of members or marks is reached: PROBLEM_TOO_MANY */
    PRESENCE_E_SHARE,  /* a share of an address or subject is: PROBLEM_PRESENCE_SHARE */
    PRESENCE_E_STORE,  /* the mark could not be saved, or no memory, or stopping: 503 */
    PRESENCE_E_FATE,   /* the mark may be there after a crash, or not: PROBLEM_FATE_UNKNOWN */
};

/* A question or change. The asker fills it in and lends it to the host until `mail` is opened
 * again, by `answered`, on the thread of `home`: always once, also when the server stops. All that
 * it borrows must stay as long: copy it into memory that is freed in `answered`. Rights are the
 * asker's to check before (`presence`, and for a mark `read` too), and so is whether the state is
 * JSON and at most PRESENCE_STATE_MAX. */
struct presence_request {
    enum presence_op op;
    struct str channel;
    /* GET */
    uint32_t limit;            /* most members; 0: none, the counts alone (`list=0`) */
    struct presence_who after; /* only members behind this one; an empty name: from the first */
    bool wants_marks;          /* with "marks", paged by the same `limit` and `after_mark` */
    struct presence_who after_mark;
    /* PUT */
    struct presence_who me; /* with a name */
    uint64_t address;       /* of the client (net/peer.h), whose shares count */
    bool has_state;
    struct str state; /* JSON; `null` removes the state */
    uint64_t read;    /* 0: no mark */

    struct mailbox *home;
    void (*answered)(struct presence_request *request, void *home_owner);
    /* Set by the asker once nobody wants the answer any more: a list that is not made yet is left
     * out. NULL: the answer is wanted in any case. */
    const atomic_bool *gone;

    /* The answer: members of a JSON object without its braces, as json_add_members() takes them:
     * GET: "channel","count","anonymous","members":[…],"more","cursor", and with wants_marks
     * "marks":[…],"more_marks"; PUT: "member","verified","connections","since","state"?,"read"?
     * ("connections" is 0, and there is no "since", while the member is away). The asker frees
     * both buffers. */
    enum presence_fault fault;
    const char *detail; /* with a fault: what would be right; static text */
    struct buf answer;
    bool more, more_marks;                /* there are more behind the page */
    struct buf last_name, last_mark_name; /* of the last member and mark of the page */
    bool last_verified, last_mark_verified;

    /* Of the host. */
    struct mail mail;
    struct presence *host;
    struct presence_request *next; /* in a queue of questions.h */
    size_t counted;                /* bytes of the answer that count there */
};

/* Any thread. `presence` is worker->config.presence; NULL means that there is none at all: answer
 * PROBLEM_NO_PRESENCE then. The host must not be freed before the answer was opened. */
void presence_ask(struct presence *presence, struct presence_request *request);

/* Whether the channel's namespace has presence. Any thread: for a refusal before a request is made;
 * the host looks again. */
bool presence_is_on(struct presence *presence, struct str channel);

/* Words for the problem, which say which key to set. */
#define PRESENCE_OFF_DETAIL                                                                        \
    "presence is off in this channel's namespace: set presence: true for its prefix under "        \
    "namespaces in the configuration"

/* The channel was deleted: its read marks go. Any thread. */
void presence_forget(struct presence *presence, struct str channel);

/* ---- the parts of the server ----------------------------------------------------------------- */

/* Beyond the limits of members a subscriber counts as anonymous, and beyond that of channels not at
 * all. */
struct presence_limits {
    uint64_t channels_max; /* with a subscriber, or one that has its grace */
    uint64_t members_max;  /* of all channels together; so many anonymous subscribers, too, have
                            * a grace */
    uint64_t channel_members_max; /* of one channel */
    uint64_t marks_max;           /* read marks of all channels together */
    /* The part that one address, and one subject, may have of the members, of the marks and (an
     * address alone) of the channels that are left; 0 counts as 100. See shares.h. */
    unsigned address_percent, subject_percent;
};

struct presence_bundle;

struct presence_config {
    struct log *log;
    struct clock *clock;
    const char *data; /* the data folder; NULL: nothing is saved */
    struct presence_limits limits;
    const struct presence_settings *settings; /* a reference is taken */
    const struct memory_mark *memory; /* while it is full nobody joins; NULL: there is none */
    /* Publishes the bundle's notes on some thread, and returns it (bundle.h). */
    void (*publish)(void *app, struct presence_bundle *bundle);
    void *app;
};

/* The memory of the table, by what it is held for: the name in /stats and /metrics. */
#define PRESENCE_MEMORY(X)                                                                         \
    X(CHANNELS, "channels") /* rooms, what each connection attends, counts to be told */           \
    X(MEMBERS, "members")   /* persons with their states, and the lists of them */                 \
    X(MARKS, "marks")       /* read marks, and those that are to be told */                        \
    X(GRACES, "graces")     /* timers of those who are away */

enum presence_memory {
#define PRESENCE_MEMORY_NAME(name, text) PRESENCE_MEMORY_##name,
    PRESENCE_MEMORY(PRESENCE_MEMORY_NAME)
#undef PRESENCE_MEMORY_NAME
        PRESENCE_MEMORY_KINDS,
};
extern const char *const presence_memory_names[PRESENCE_MEMORY_KINDS];

/* Counters, written by the host's thread and read by any. */
struct presence_stats {
    _Atomic uint64_t members;   /* now, of all channels */
    _Atomic uint64_t anonymous; /* connections of nobody in particular, now */
    _Atomic uint64_t channels;  /* with a subscriber, now */
    _Atomic uint64_t marks;     /* read marks */
    _Atomic uint64_t joins;
    _Atomic uint64_t leaves;
    _Atomic uint64_t refused; /* subscriptions that are not members because of a limit or a name
                               * that is too long */
    _Atomic uint64_t marks_refused; /* by marks_max, or a share of it */
    /* Of both: channels, members and marks over the share of an address, and of a subject. */
    _Atomic uint64_t address_refused;
    _Atomic uint64_t subject_refused;
    _Atomic uint64_t events_lost; /* refused by the log */
    _Atomic uint64_t bytes[PRESENCE_MEMORY_KINDS];
};

/* Opens what was saved. After log_open(), before the first append. 0, or a negative errno. */
int presence_open(const struct presence_config *config, struct presence **ret_presence);

/* Starts the thread. 0 or a negative errno. */
int presence_start(struct presence *presence);

/* Puts other settings and limits into effect; a reference is taken. Any thread. */
void presence_switch(struct presence *presence, const struct presence_settings *settings,
                     const struct presence_limits *limits);

/* The host, for the desks of workers: its mailbox, and how it opens their sheets (desk.h). */
struct mailbox *presence_mailbox(struct presence *presence);
void presence_open_sheet(struct mail *mail, void *owner);

/* The server begins to stop: from now on nobody leaves or joins any more, since those who go will
 * have a grace after the restart. Returns once that holds. Before the workers drain. */
void presence_pause(struct presence *presence);

/* Ends the thread: answers every request and saves. After the workers have ended, before
 * log_close(), while the mailboxes for the answers still exist. */
void presence_stop(struct presence *presence);

/* After log_close(). NULL is fine. */
void presence_free(struct presence *presence);

/* The counters, which live as long as presence does. Any thread may load them. */
const struct presence_stats *presence_stats(const struct presence *presence);
