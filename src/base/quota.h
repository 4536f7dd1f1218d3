/* A table that counts, for each of many holders, how many of something they have, up to a limit.
 *
 * Holders are numbers of 64 bits: addresses, or hashes of names by a secret seed. All memory is
 * reserved by quota_init(), and pages of it are touched only as holders come, so strangers cannot
 * make the table grow. A holder that has nothing is not in it. If all places are taken, further
 * holders are refused, as if each were over its limit.
 *
 * A place stays where it is while its holder has anything, so that the owner of the counted thing
 * remembers four bytes. Threads share the table under a lock that is held for a search in a short
 * chain. */
#pragma once

#include "base/str.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUOTA_NONE = 0 }; /* no place: nothing is counted */

struct quota {
    pthread_mutex_t lock;
    struct quota_place *places; /* the first is not used */
    uint32_t *chains;           /* the first place of each */
    uint32_t mask;              /* of chains */
    uint32_t size;
    uint32_t used; /* places that were ever taken */
    uint32_t free; /* the first place that was given back, or QUOTA_NONE */
    uint32_t holders;
    uint64_t seed[2];
};

/* Makes room for so many holders at a time. Returns 0, or -ENOMEM. */
int quota_init(struct quota *quota, uint32_t holders_max);
void quota_deinit(struct quota *quota);

/* The number of a holder that has a name: a hash that strangers cannot foresee. Any thread. */
uint64_t quota_holder(const struct quota *quota, struct str name);

/* Counts one more for the holder, if it has fewer than `max`. Returns its place, or QUOTA_NONE if
 * it has as many or there is no place left. Any thread. */
uint32_t quota_take(struct quota *quota, uint64_t holder, uint32_t max);

/* Counts one less. Any thread; QUOTA_NONE is fine. */
void quota_give(struct quota *quota, uint32_t place);

/* How many the holder has. Any thread. */
uint32_t quota_count(struct quota *quota, uint64_t holder);

/* The holders that have anything. Any thread. */
uint32_t quota_holders(struct quota *quota);
