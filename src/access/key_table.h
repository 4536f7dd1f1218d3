/* The API keys of a server, and the source of the authority that knows them. */
#pragma once

#include "access/api_key.h"
#include "access/authority.h"
#include "access/made.h"

#include <pthread.h>

/* More keys than a list can show at once would be no help to anybody. */
enum { KEYS_MAX = 1000 };

/* A use is noted once in so many seconds, so that requests do not write to shared memory. */
enum { KEY_USE_STEP_S = 10 };

/* Many threads look up, a few change: under a lock that readers share. */
struct key_table {
    struct identity_source source;
    pthread_rwlock_t lock;
    struct map map;       /* by id */
    struct list in_order; /* see made.h */
};

void key_table_init(struct key_table *table);
void key_table_deinit(struct key_table *table);

/* Adds a key, or puts it in the place of the one with its id. The table owns it from here on. Any
 * thread. */
void key_table_put(struct key_table *table, struct api_key *key);

/* Puts the keys of the configuration, which are taken over and leave NULL, in the place of those
 * that it had before; a key that is the same stays, with its callers. Whether something was taken
 * away: a key that is gone, or one that has changed. Any thread. */
bool key_table_replace_configured(struct key_table *table, struct api_key **keys, size_t count);

/* The caller as its key makes it now, or as the key does on which it rests, with a reference. NULL
 * if the key has not changed or is gone, or there is none. Any thread. */
struct caller *key_table_renew(struct key_table *table, const struct caller *caller);

/* Any thread. False if there is no such key. */
bool key_table_remove(struct key_table *table, struct str id);

/* Any thread. */
size_t key_table_count(struct key_table *table);

/* Calls `each` for all keys in the order of their creation, under the lock. Any thread. */
void key_table_each(struct key_table *table, void (*each)(void *context, struct api_key *key),
                    void *context);

/* The place of a key among all. */
struct made api_key_made(const struct api_key *key);

/* Calls `each` for the keys behind a place in that order, until it returns false. Any thread. */
void key_table_each_behind(struct key_table *table, struct made after,
                           bool (*each)(void *context, struct api_key *key), void *context);

/* Calls `look` for the key with this id, under the lock. False if there is none. Any thread. */
bool key_table_look(struct key_table *table, struct str id,
                    void (*look)(void *context, struct api_key *key), void *context);

/* Whether the caller, or one that it rests on, came by a key that is gone. False for callers of
 * other kinds. Any thread. */
bool key_table_is_gone(struct key_table *table, const struct caller *caller);
