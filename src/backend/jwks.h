/* Key sets of issuers, fetched from their URLs: at the start, again from time to time, and sooner
 * when a token names a key that is not there.
 *
 * Anybody can invent key ids. So no address has more than its share of the tokens that wait for a
 * fetch, and none causes a fetch of a set more than once in JWKS_ADDRESS_MS. Between these, others
 * cause theirs, which are JWKS_AGAIN_MS apart. */
#pragma once

#include "access/issuers.h"
#include "base/quota.h"
#include "fetch/client.h"

enum {
    JWKS_AGAIN_MS = 2000,       /* least time between two fetches of a set, whoever asks */
    JWKS_ADDRESS_MS = 10000,    /* the same for tokens that come from one address */
    JWKS_RETRY_MS = 10000,      /* from a fetch that failed to the next, if nobody asks */
    JWKS_TIMEOUT_MS = 10000,    /* for the whole of an answer */
    JWKS_QUESTIONS_MAX = 10000, /* tokens that wait for a fetch */
    JWKS_ADDRESS_MAX = 1000,    /* those of one address, unless configured */
    JWKS_CAUSES = JWKS_ADDRESS_MS / JWKS_AGAIN_MS,
};

/* The counters: the name in /stats and /metrics, and the help text of the metric. */
#define JWKS_COUNTS(X)                                                                             \
    X(FETCHED, "fetched", "Key sets of tokens that were fetched")                                  \
    X(FAILED, "failed", "Fetches of key sets that brought no keys")                                \
    X(TOO_SOON, "too_soon", "Tokens with an unknown key that came too soon after a fetch")         \
    X(REFUSED, "refused", "Tokens that were too many to wait for a fetch")

enum jwks_count {
#define JWKS_COUNT_NAME(name, text, help) JWKS_##name,
    JWKS_COUNTS(JWKS_COUNT_NAME)
#undef JWKS_COUNT_NAME
        JWKS_COUNT,
};
extern const char *const jwks_count_names[JWKS_COUNT];
extern const char *const jwks_count_helps[JWKS_COUNT];

struct jwks;

/* A fetch that a token has caused. */
struct jwks_cause {
    uint64_t peer; /* the address of the token */
    int64_t at_ns; /* 0: none */
};

/* A key set, as it is fetched. */
struct jwks_set {
    struct jwks *jwks;
    size_t place; /* of its issuer */
    struct call call;
    struct timer timer;
    int64_t tried_ns;                      /* when the last fetch began; 0: never */
    int64_t fetched_ns;                    /* when the last good one ended; 0: never */
    struct jwks_cause causes[JWKS_CAUSES]; /* the last ones, in a ring: older ones do not count */
    unsigned next_cause;
};

/* All belongs to one thread, whose loop it is. Others ask by issuers->fetch alone. */
struct jwks {
    struct issuers *issuers;
    struct client *client;
    struct jwks_set sets[ISSUERS_MAX];
    struct list waiting;    /* questions whose sets are being fetched */
    atomic_uint questions;  /* that are not answered yet */
    struct quota addresses; /* the questions of each */
    _Atomic uint32_t address_max;
    _Atomic uint64_t counts[JWKS_COUNT];
};

struct jwks_stats {
    uint64_t counts[JWKS_COUNT];
    uint64_t waiting, addresses; /* tokens that wait, and the addresses that they come from */
};

/* `client` and `issuers` stay until jwks_deinit(). Sets issuers->fetch. Returns 0, or -ENOMEM, and
 * then nothing is left. */
int jwks_init(struct jwks *jwks, struct issuers *issuers, struct client *client);

/* How many tokens of one address may wait from now on; 0: as many as come. Any thread. */
void jwks_limit(struct jwks *jwks, uint32_t address_max);

/* NULL is fine: all zeroes. Any thread. */
struct jwks_stats jwks_stats(struct jwks *jwks);

/* Begins the first fetch of each set. */
void jwks_begin(struct jwks *jwks);

/* Breaks off what is under way, and answers all questions by the keys that are there. */
void jwks_end(struct jwks *jwks);
void jwks_deinit(struct jwks *jwks);
