/* Idempotency keys of the last minutes: which event was published under which key. The log's lock
 * guards it. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "log/event.h"

struct keys {
    struct map map;
    struct list by_age; /* oldest first */
    uint64_t count_max;
    int64_t expired_us; /* entries of this time or an earlier one are not there any more */
};

struct keys_entry {
    struct map_node node;
    struct list by_age;
    struct event_key key;
    uint64_t id;
    int64_t time_us;
};

void keys_init(struct keys *keys, uint64_t count_max);
void keys_deinit(struct keys *keys);

/* Entries of `upto_us` or an earlier time count as absent from now on, however many they are. Their
 * memory is freed by and by, in keys_add() and keys_free_expired(): a million keys that expire at
 * once hold nobody up. The mark never falls. */
void keys_expire(struct keys *keys, int64_t upto_us);

/* Frees at most `most` expired entries; false when none is left. */
bool keys_free_expired(struct keys *keys, unsigned most);

/* The entry under this key, or NULL. */
struct keys_entry *keys_find(const struct keys *keys, const struct event_key *key);

enum { KEYS_E_FULL = 1 }; /* there are count_max already */

/* The key is likely to be one of `soon` that are added under one hold of the lock: does some of the
 * work before. */
void keys_expect(struct keys *keys, const struct event_key *key, size_t soon);

/* Notes an event's key, which keys_find() does not know. Times never fall from call to call.
 * KEYS_E_FULL or -ENOMEM. */
int keys_add(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us);

/* The same for a log that is being opened: makes room by dropping the oldest key, and replaces an
 * older entry of the same key. 0, or -ENOMEM. `*dropped` is counted up for a key that went. */
int keys_load(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us,
              uint64_t *dropped);

/* Takes back a keys_add whose event did not become safe. */
void keys_remove(struct keys *keys, const struct event_key *key);
