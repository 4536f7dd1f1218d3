/* The idempotency keys of the last minutes: which event was published under which key. The log's
 * lock guards them. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "log/event.h"

struct keys {
    struct map map;
    struct list by_age; /* oldest first */
    uint64_t count_max;
    int64_t expired_us; /* entries of this time or before count as absent */
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

/* From now on entries of `upto_us` or before count as absent, however many they are. Their memory
 * is freed later, in keys_add() and keys_free_expired(), so that a million keys that expire at once
 * hold no thread up. `upto_us` never falls. */
void keys_expire(struct keys *keys, int64_t upto_us);

/* Frees up to `most` expired entries; returns false if none is left. */
bool keys_free_expired(struct keys *keys, unsigned most);

/* The entry under this key, or NULL. */
struct keys_entry *keys_find(const struct keys *keys, const struct event_key *key);

enum { KEYS_E_FULL = 1 }; /* the table is full */

/* Does some of the work of keys_add() ahead of time, for a key that is likely to be one of `soon`
 * that are added under one hold of the lock. */
void keys_expect(struct keys *keys, const struct event_key *key, size_t soon);

/* Notes an event's key, which keys_find() does not know. Times never fall from call to call.
 * Returns 0, KEYS_E_FULL or -ENOMEM. */
int keys_add(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us);

/* The same for a log that is opened: makes room by dropping the oldest key, and replaces an older
 * entry of the same key. Returns 0 or -ENOMEM. Adds the dropped keys to `*dropped`. */
int keys_load(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us,
              uint64_t *dropped);

/* Undoes a keys_add() whose event did not become safe. */
void keys_remove(struct keys *keys, const struct event_key *key);
