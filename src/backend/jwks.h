/* Key sets of issuers, fetched from their URLs: at the start, again from time to time, and sooner
 * when a token names a key that is not there. */
#pragma once

#include "access/issuers.h"
#include "fetch/client.h"

enum {
    JWKS_AGAIN_MS = 10000,      /* least time between two fetches of a set, whoever asks */
    JWKS_TIMEOUT_MS = 10000,    /* for the whole of an answer */
    JWKS_QUESTIONS_MAX = 10000, /* tokens that wait for a fetch */
};

struct jwks;

/* A key set, as it is fetched. */
struct jwks_set {
    struct jwks *jwks;
    size_t place; /* of its issuer */
    struct call call;
    struct timer timer;
    int64_t tried_ns;   /* when the last fetch began; 0: never */
    int64_t fetched_ns; /* when the last good one ended; 0: never */
};

/* All belongs to one thread, whose loop it is. Others ask by issuers->fetch alone. */
struct jwks {
    struct issuers *issuers;
    struct client *client;
    struct jwks_set sets[ISSUERS_MAX];
    struct list waiting;   /* questions whose sets are being fetched */
    atomic_uint questions; /* that are not answered yet */
};

/* `client` and `issuers` stay until jwks_deinit(). Sets issuers->fetch. */
void jwks_init(struct jwks *jwks, struct issuers *issuers, struct client *client);

/* Begins the first fetch of each set. */
void jwks_begin(struct jwks *jwks);

/* Breaks off what is under way, and answers all questions by the keys that are there. */
void jwks_end(struct jwks *jwks);
void jwks_deinit(struct jwks *jwks);
