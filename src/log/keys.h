/* Idempotency keys of the last minutes: which event was published under which key. The log's lock
 * guards it. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "log/event.h"

struct keys {
    struct map map;
    struct list by_age; /* oldest first */
    int64_t life_us;
    uint64_t count_max;
};

struct keys_entry {
    struct map_node node;
    struct list by_age;
    struct event_key key;
    uint64_t id;
    int64_t time_us;
};

void keys_init(struct keys *keys, int64_t life_us, uint64_t count_max);
void keys_deinit(struct keys *keys);

/* Forgets what is older than its life at `now_us`. */
void keys_expire(struct keys *keys, int64_t now_us);

/* The entry under this key, or NULL. */
const struct keys_entry *keys_find(const struct keys *keys, const struct event_key *key);

enum { KEYS_E_FULL = 1 }; /* there are count_max already */

/* Notes an event's key. KEYS_E_FULL or -ENOMEM. */
int keys_add(struct keys *keys, const struct event_key *key, uint64_t id, int64_t time_us);

/* Takes back a keys_add whose event did not become safe. */
void keys_remove(struct keys *keys, const struct event_key *key);
