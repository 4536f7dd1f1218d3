/* Replaced keys of an endpoint: after a rotation the old key also signs for a day, so that
 * receivers have time to learn the new one. */
#pragma once

#include "fetch/sign.h"

/* Together with the current key ten keys sign at most: a receiver must try all of them. */
enum { OLDS_MAX = 9 };

struct old_key {
    struct sign_key key;
    struct sign_pair pair; /* not set for none */
    int64_t until_us;
};

/* Newest first. Zeroes: none. */
struct olds {
    struct old_key *at; /* owned */
    uint32_t count;
};

/* Copies the keys that have not expired, with `key` in front. Returns false, and makes nothing, if
 * there is no memory. */
bool olds_with(const struct olds *olds, const struct old_key *key, int64_t now_us,
               struct olds *ret);

void olds_free(struct olds *olds);

/* Adds the keys in the registry's format. Without memory `out` is failed. */
void olds_pack(struct buf *out, const struct olds *olds);

/* Reads the registry's format. Malformed bytes give no keys. False if there is no memory. */
bool olds_unpack(struct str bytes, struct olds *ret);
