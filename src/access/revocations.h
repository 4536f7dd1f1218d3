/* Revocations: credentials that are no longer accepted although their time has not come.
 *
 * A revocation names a subject, the `jti` of a token, or the id of a key. Of a subject it takes
 * back what was issued up to the revocation, so that somebody who signs in again afterwards gets in
 * again. It ends when what it revokes has expired, if that is known. */
#pragma once

#include "access/caller.h"
#include "access/made.h"
#include "base/json_writer.h"
#include "base/list.h"
#include "base/map.h"

#include <pthread.h>

enum { REVOCATIONS_MAX = 10000, REVOKED_NAME_MAX = 255, REVOCATION_REASON_MAX = 200 };

enum revoked_kind { REVOKED_SUBJECT, REVOKED_JTI, REVOKED_KEY, REVOKED_KINDS };

/* Unchanged once it is in a list. The texts are of its own memory. */
struct revocation {
    struct map_node node;
    struct list in_order; /* see made.h */
    enum revoked_kind kind;
    struct str name;    /* the subject, jti or id of a key */
    struct str id;      /* the kind, a colon and the name */
    struct str reason;  /* for people; may be empty */
    struct str made_by; /* a subject */
    int64_t at_us;      /* of a subject, credentials issued later stand */
    int64_t until_us;   /* when it ends; 0: never */
};

struct revocation_facts {
    enum revoked_kind kind;
    struct str name, reason, made_by;
    int64_t at_us, until_us;
};

/* Whether something can be revoked by this name: 1 to 255 bytes of UTF-8 without control
 * characters. Sources of callers take no other subjects and ids. */
bool revoked_name_valid(struct str name);

/* The word of a kind, as the API has it, in static memory; NULL from REVOKED_KINDS on. */
const char *revoked_kind_word(enum revoked_kind kind);

/* A copy of the facts. NULL if there is no memory. Free with free(). */
struct revocation *revocation_new(const struct revocation_facts *facts);

/* Reads a request: an object with one of subject, jti and key, and perhaps until and reason. NULL,
 * or the sentence that says what would be right, in static memory. */
const char *revocation_request(struct str body, int64_t now_us, struct str made_by,
                               struct revocation **ret);

/* Writes all members as an object, as the API shows it and as it is saved. */
void revocation_write(struct json_writer *writer, const struct revocation *revocation);
/* NULL if the text is no record, or there is no memory. */
struct revocation *revocation_read_record(struct str record);

/* Costs nothing while nothing is revoked. Many threads look up, a few change. */
struct revocations {
    pthread_rwlock_t lock;
    struct map map; /* by id */
    struct list in_order;
    atomic_size_t count;
};

void revocations_init(struct revocations *list);
void revocations_deinit(struct revocations *list);

/* Adds one, or replaces the one of the same id. The list owns it from here on. Any thread. */
void revocations_put(struct revocations *list, struct revocation *revocation);
/* False if there is none of this id. Any thread. */
bool revocations_remove(struct revocations *list, struct str id);
/* Any thread. */
bool revocations_has_id(struct revocations *list, struct str id);
/* Removes one that has ended and calls `each` with its id before. False if none has. Any thread. */
bool revocations_remove_ended(struct revocations *list, int64_t now_us,
                              void (*each)(void *context, struct str id), void *context);

static inline size_t revocations_count(struct revocations *list)
{
    return atomic_load_explicit(&list->count, memory_order_acquire);
}

/* Whether the caller's credential was revoked, or the one that it rests on. False for anybody. Any
 * thread. */
bool revocations_have(struct revocations *list, const struct caller *caller, int64_t now_us);

/* The place of a revocation among all. */
struct made revocation_made(const struct revocation *revocation);

/* Calls `each` for those behind a place, in their order, until it returns false; under the lock.
 * Any thread. */
void revocations_each_behind(struct revocations *list, struct made after,
                             bool (*each)(void *context, const struct revocation *revocation),
                             void *context);

/* Calls `look` for the one of this id, if there is one, under the lock. Any thread. */
void revocations_look(struct revocations *list, struct str id,
                      bool (*look)(void *context, const struct revocation *revocation),
                      void *context);
