/* The authorize callback: the operator's own server says whether somebody may do something.
 *
 * A question is an action, channels, and what shows who asks: the subject of a credential, or the
 * credential itself if this server does not know it, and the fields of the request that the
 * configuration names, such as the cookie of a session. It is POSTed as JSON, signed as webhooks
 * are. The answer is JSON:
 *
 *     {"allow": true, "subject": "alice", "ttl_s": 300}
 *
 * Answers are kept for cache_s, and equal questions wait for the same request. Whatever is not an
 * answer of status 200 allows nothing. What waits and what is kept is bounded, and no address has
 * more than its share of what may wait.
 *
 * Few questions are sent at a time, so the others wait for their turn (turns.h): a slow server
 * leaves places to the other servers, and an address that asks much leaves places to the others. A
 * question's timeout_ms runs while it waits. */
#pragma once

#include "access/permission.h"
#include "backend/authorize_reply.h"
#include "backend/turns.h"
#include "base/map.h"
#include "base/quota.h"
#include "base/sparing.h"
#include "fetch/client.h"
#include "fetch/sign.h"

#include <pthread.h>

enum {
    AUTHORIZE_TERMS_MAX = 100,
    AUTHORIZE_HEADERS_MAX = 8,
    AUTHORIZE_PLACES = 64,           /* questions that are sent at a time, to all servers */
    AUTHORIZE_SITE_MAX = 48,         /* of these to one host and port, unless configured */
    AUTHORIZE_ADDRESS_MAX = 1000,    /* questions of one address that wait, unless configured */
    AUTHORIZE_KEPT_MAX = 16 << 20,   /* bytes of the answers that are kept, unless configured */
    AUTHORIZE_CACHED_MAX = 10000,    /* answers that are kept */
    AUTHORIZE_QUESTIONS_MAX = 10000, /* requests that wait for answers */
    AUTHORIZE_HELD_MAX = 64 << 20,   /* bytes of all of them */
    AUTHORIZE_BODY_MAX = 64 << 10,   /* of a question */
};

/* A server to ask. All is borrowed. */
struct authorize_server {
    uint64_t voucher;  /* a number for all below: see voucher_of() */
    struct str prefix; /* of its namespace */
    const char *url;
    struct sign_key key;
    int64_t cache_s;
    int64_t timeout_ms;
    struct str headers[AUTHORIZE_HEADERS_MAX]; /* in lower case: the fields that are passed on */
    size_t headers_count;
};

/* A question to the operator's server. All is borrowed for the call. */
struct authorize_question {
    const struct authorize_server *server;
    enum action action;
    const struct str *terms; /* channels and patterns */
    size_t terms_count;
    const struct caller *caller;     /* by a credential; NULL: none */
    const struct evidence *evidence; /* fields that are not the server's are left out */
};

/* The counters: the name in /stats and /metrics, and the help text of the metric. Each question
 * is one of cached, coalesced, refused and asked; of those asked, some are denied, fail or time
 * out. */
#define AUTHORIZE_COUNTS(X)                                                                        \
    X(ASKED, "asked", "Requests to the operator's servers about access")                           \
    X(CACHED, "cached", "Questions about access whose answer was kept")                            \
    X(COALESCED, "coalesced", "Questions about access that joined an equal one under way")         \
    X(REFUSED, "refused", "Questions about access that were too many")                             \
    X(DENIED, "denied", "Answers about access that allow nothing")                                 \
    X(FAILED, "failed", "Requests about access without an answer that counts")                     \
    X(TIMED_OUT, "timed_out", "Requests about access that were not answered in time")

enum authorize_count {
#define AUTHORIZE_COUNT_NAME(name, text, help) AUTHORIZE_##name,
    AUTHORIZE_COUNTS(AUTHORIZE_COUNT_NAME)
#undef AUTHORIZE_COUNT_NAME
        AUTHORIZE_COUNT,
};
extern const char *const authorize_count_names[AUTHORIZE_COUNT];
extern const char *const authorize_count_helps[AUTHORIZE_COUNT];

struct authorize_limits {
    size_t kept_max;      /* bytes of answers that are kept; 0: none is */
    uint32_t address_max; /* questions of one address that wait; 0: as many as come */
    uint32_t site_max;    /* questions that are sent to one site at a time: 1 or more. A quarter of
                           * them is left by each address to others, unless address_max is 0 */
};

struct authorize {
    struct client *client;
    pthread_mutex_t lock; /* of the cache */
    struct map cached;    /* by digest */
    struct list by_age;   /* of the same, the oldest first */
    atomic_size_t kept;   /* bytes of the same; changed under the lock */
    atomic_size_t kept_max;
    struct map asked; /* requests that wait for a turn or an answer, by digest; the thread's */
    struct list under_way;
    struct turns turns;      /* of the same */
    struct sparing failures; /* limits the log lines about them; the thread's */
    atomic_uint questions;
    atomic_size_t held;     /* bytes of the questions */
    struct quota addresses; /* the questions of each */
    _Atomic uint32_t address_max;
    _Atomic uint32_t site_max;
    _Atomic uint64_t counts[AUTHORIZE_COUNT];
};

struct authorize_stats {
    uint64_t counts[AUTHORIZE_COUNT];
    uint64_t kept, kept_bytes;                  /* answers */
    uint64_t waiting, waiting_bytes, addresses; /* questions, and those who ask them */
};

/* Returns 0, or -ENOMEM, and then nothing is left. */
int authorize_init(struct authorize *authorize, struct client *client);

/* Takes other limits; what exceeds them goes at once, or when it is answered. Places that are new
 * are taken at the next question or answer. Any thread. */
void authorize_limit(struct authorize *authorize, const struct authorize_limits *limits);

/* NULL is fine: all zeroes. Any thread. */
struct authorize_stats authorize_stats(struct authorize *authorize);

/* Any thread. The answer is an identity: known, with a caller who may do this action on these
 * terms, beside what its credential grants, and which ends when the permission or the credential
 * does; or bad, or unavailable. Without a credential, and without a subject in the answer, the
 * caller is still anybody. After IDENTITY_LATER it comes by identification_answer(). */
struct identity authorize_ask(struct authorize *authorize,
                              const struct authorize_question *question,
                              struct identification *identification);

/* Thread of the client. Breaks off what is under way; those who wait are told unavailable. */
void authorize_end(struct authorize *authorize);
void authorize_deinit(struct authorize *authorize);
