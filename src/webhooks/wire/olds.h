/* The keys of an endpoint that rotations have replaced: each signs as well until its time is over,
 * so that a receiver has a day to learn of the next one. */
#pragma once

#include "fetch/sign.h"

/* With the newest ten keys sign at most, which is what a receiver has to try. */
enum { OLDS_MAX = 9 };

struct old_key {
    struct sign_key key;
    struct sign_pair pair; /* not set for none */
    int64_t until_us;
};

/* The newest first. All zeroes is none. */
struct olds {
    struct old_key *at; /* owned */
    uint32_t count;
};

/* A copy without those whose time is over, and with `key` in front. False, and nothing was made,
 * when there is no memory. */
bool olds_with(const struct olds *olds, const struct old_key *key, int64_t now_us,
               struct olds *ret);

void olds_free(struct olds *olds);

/* Adds the keys in the form in which the registry keeps them. Marks `out` failed when there is no
 * memory. */
void olds_pack(struct buf *out, const struct olds *olds);

/* Reads that form. Bytes of another form are passed over. False when there is no memory. */
bool olds_unpack(struct str bytes, struct olds *ret);
