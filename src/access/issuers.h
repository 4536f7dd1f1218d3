/* Issuers of tokens: the source of identities that admits their tokens.
 *
 * Each issuer has keys of its own and what its tokens must say: whose they are and for whom. Keys
 * are given once, or fetched again and again by somebody else, who is asked for newer ones when a
 * token names a key that is not there (backend/jwks.h). */
#pragma once

#include "access/authority.h"
#include "access/token.h"
#include "access/token_cache.h"

#include <pthread.h>

enum { ISSUERS_MAX = 16 };

/* All texts are borrowed. */
struct issuer {
    struct token_keys *keys; /* under the lock; NULL while none are known */
    struct str issuer, audience, claim;
    int64_t leeway_s;
    uint64_t voucher;     /* a number for all that its tokens are held against: see voucher_of() */
    const char *jwks_url; /* NULL: the keys never change */
    int64_t refresh_s;    /* keys are fetched so often */
    int64_t keep_s;       /* and count for so long, if they cannot be fetched again */
};

/* A set of issuers, by their place. */
typedef uint32_t issuers_set;

/* Zeroes are none. The list is filled before threads start; only keys change later. */
struct issuers {
    struct identity_source source;
    pthread_mutex_t lock;
    struct issuer at[ISSUERS_MAX];
    size_t count;
    struct token_cache *cache;   /* tokens that were verified; NULL: none is remembered. Owned */
    _Atomic uint64_t generation; /* goes up whenever keys change: what was verified before ends */
    /* Fetches newer keys of `wanted` and then answers the identification; copies the text. Returns
     * NULL, or a sentence that says why it cannot now. NULL: nobody fetches. */
    void *fetcher; /* argument of the fetch */
    const char *(*fetch)(struct issuers *issuers, issuers_set wanted, struct str text,
                         struct identification *identification);
};

void issuers_init(struct issuers *issuers);

/* Frees the keys. */
void issuers_deinit(struct issuers *issuers);

/* Adds an issuer and takes its keys over. False if there are too many. */
bool issuers_add(struct issuers *issuers, const struct issuer *issuer);

/* Replaces the keys of an issuer, and takes them over; NULL: none are known. Any thread. */
void issuers_set_keys(struct issuers *issuers, size_t place, struct token_keys *keys);

/* Whether any keys of an issuer are known. Any thread. */
bool issuers_has_keys(struct issuers *issuers, size_t place);

/* Gives issuers whose keys are fetched those that equal issuers of `from` have by now. Any thread.
 */
void issuers_share_keys(struct issuers *issuers, struct issuers *from);

/* Holds a token against all issuers. With TOKEN_OK there is a caller. `ret_lacking` gets the
 * issuers that have no key of the token's id, or none for a token without one, but may have one
 * when it is fetched. The verdict is that of the issuer that came nearest. Any thread. */
enum token_verdict issuers_judge(struct issuers *issuers, struct str text, int64_t now_us,
                                 struct caller **ret, issuers_set *ret_lacking);

/* Remembers verified tokens in so many bytes; 0: none. Before threads start, or any thread once it
 * was called then. */
void issuers_remember(struct issuers *issuers, size_t bytes_max);

/* The identity that a token shows by the keys that are there: known, bad, or unavailable while an
 * issuer that might know it has none. Any thread. */
struct identity issuers_identify(struct issuers *issuers, struct str text, int64_t now_us,
                                 issuers_set *ret_lacking);
