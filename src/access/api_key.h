/* An API key: its name, what it grants, and the forms in which it is asked for, saved and shown. */
#pragma once

#include "access/decide.h"
#include "access/key_text.h"
#include "base/json_writer.h"
#include "base/list.h"
#include "base/map.h"

enum { API_KEY_NAME_MAX = 100 };

/* Unchanged once it is in a table, but for the use. */
struct api_key {
    struct map_node node; /* of the table, by id */
    struct list in_order; /* of the table, by creation */
    struct key_digest digest;
    struct caller *caller;   /* the name as the subject, the id, the grants and the expiry */
    char *made_by;           /* the subject that has made it; empty for nobody, and the command */
    int64_t created_us;      /* 0: unknown, from the configuration */
    _Atomic int64_t used_us; /* the latest use, but for some seconds; 0: never */
    int64_t saved_used_us;   /* the use that is saved; -1: unknown. The saver's thread */
    bool is_configured;      /* the key stands in the configuration, and is changed there */
    bool is_listed;          /* a reload has found it in the new configuration; under the lock */
};

/* The facts of a new key, borrowed. */
struct api_key_facts {
    struct str name; /* UTF-8 without control characters */
    const struct grant *grants;
    size_t grants_count;
    int64_t created_us;
    int64_t expires_us; /* 0: never */
    int64_t used_us;
    struct str made_by;
    bool is_configured;
};

/* NULL if there is no memory. */
struct api_key *api_key_new(const struct key_digest *digest, const struct api_key_facts *facts);
/* NULL is fine. */
void api_key_free(struct api_key *key);

/* Reads a request for a key, a JSON object with name, grants and perhaps expires or expires_in_s,
 * and makes the key with a new text, which is shown once and wiped then. NULL, or the sentence
 * that says what would be right, in static memory. */
const char *api_key_request(struct str body, int64_t now_us, struct str made_by,
                            char ret_text[KEY_TEXT_LEN + 1], struct api_key **ret_key);

/* Whether somebody may do all that the key grants, so that nobody can make a key that grants more
 * than its maker has. Otherwise false, with the refusal, which borrows from the key. */
bool api_key_is_within(const struct api_key *key, const struct access *maker,
                       struct refusal *ret_refusal);

/* Whether both are the same key, with the same name, grants and end. */
bool api_key_equal(const struct api_key *a, const struct api_key *b);

/* Whether people can tell keys apart by this name. */
bool api_key_name_valid(struct str name);

/* Writes the members that people may see, without braces. */
void api_key_show(struct json_writer *writer, const struct api_key *key);

/* The record that is saved: a JSON object with the hash. Reading makes a key; NULL if the record
 * is none, or there is no memory. */
void api_key_write_record(struct buf *out, const struct api_key *key);
struct api_key *api_key_read_record(struct str record);

static inline struct str api_key_id(const struct api_key *key)
{
    return (struct str){key->digest.id, KEY_ID_LEN};
}
