/* A checker of JSON's grammar (RFC 8259) that builds nothing: payloads are kept as they came. */
#pragma once

#include "base/buf.h"

enum {
    JSON_DEPTH_MAX = 128,   /* for payloads */
    JSON_DEPTH_LIMIT = 192, /* for documents of our own that carry payloads */
};

enum json_error {
    JSON_OK = 0,
    JSON_E_SYNTAX = 1, /* not JSON; `at` is the first byte that cannot be */
    JSON_E_DEPTH,      /* nested deeper than depth_max */
    JSON_E_UTF8,       /* not UTF-8 */
    JSON_E_EMPTY,      /* nothing but white space */
};

/* Checks that `text` is exactly one JSON value with white space around it. Numbers may have any
 * size, strings may hold any escape of the grammar (lone surrogate escapes included), no byte
 * order mark. Arrays and objects nest at most `depth_max`. Returns an enum json_error; `ret_at`
 * (may be NULL) gets the offset of the fault. */
int json_check(struct str text, unsigned depth_max, size_t *ret_at);

/* Notes of a check: the ends of the containers that begin `depth` deep, in their order. A walk by
 * json_next_noted() need not look for these ends again, but for those beyond JSON_NOTES_MAX. */
enum { JSON_NOTES_MAX = 256 };

struct json_notes {
    unsigned depth; /* 1: within the outermost container */
    uint32_t count;
    uint32_t used; /* by the walk */
    const char *ends[JSON_NOTES_MAX];
};

/* Begins the notes of a check. */
static inline void json_notes_begin(struct json_notes *notes, unsigned depth)
{
    notes->depth = depth;
    notes->count = notes->used = 0;
}

/* The same check, which may pause. The check is one pass without recursion: a stack of bits, one
 * for each open container, says what encloses the current value. All fields but `error`, `at`,
 * `deep_at` and `notes` are internal. */
struct json_scan {
    struct str text;
    size_t at;      /* the position; at the end, that of the fault */
    size_t deep_at; /* the first container nested deeper than JSON_DEPTH_MAX, or JSON_NOT_DEEP */
    unsigned depth;
    unsigned depth_max;
    uint64_t is_object[JSON_DEPTH_LIMIT / 64];
    struct json_notes *notes; /* may be set once the check has begun, for a text that does not move
                               * in memory; NULL: no notes are made */
    bool begun;
    uint8_t error; /* enum json_error, once the check is done */
};

#define JSON_NOT_DEEP SIZE_MAX

void json_scan_begin(struct json_scan *scan, unsigned depth_max);

/* Checks about `bytes` more of the text, up to the end of the value that stands there. Returns
 * whether the check is done. The text must be the same each time, though it may have moved in
 * memory. */
bool json_scan_some(struct json_scan *scan, struct str text, size_t bytes);

/* The text behind the white space that stands in front. */
struct str json_skip_space(struct str text);

/* Replaces raw CR and LF by spaces, in place, so that one value stays one line. In a valid text
 * they can only be white space between tokens. Call it after json_check(). */
void json_one_line(char *text, size_t len);

/* Whether a media type (without parameters) is JSON: application/json or …+json. */
bool json_media_type(struct str type);

/* Walks the members of an object, or the elements of an array, that json_check() has accepted,
 * without building a tree. For the few API bodies whose payloads must be kept byte for byte. Start
 * with `pos` = 0. Returns 1 with the member's raw key (still escaped, without quotes; STR_NONE in
 * an array) and raw value, 0 at the end: then `*pos` is behind the container, which may be the
 * beginning of a longer text. */
int json_next(struct str container, size_t *pos, struct str *ret_key, struct str *ret_value);

/* The same for the containers one level above the notes, in the order of the text that was checked.
 * `notes` may be NULL. */
int json_next_noted(struct str container, size_t *pos, struct json_notes *notes,
                    struct str *ret_key, struct str *ret_value);

/* The raw value of an object's member, the first of this name; STR_NONE if there is none. The name
 * is compared as it is written, without a look at escapes. */
struct str json_find(struct str object, struct str name);

/* The first half of json_next(): moves `*pos` to where the next member or element begins. False at
 * the end. So a container within another one can be walked without a search for its end before:
 * walk it from here, and go on with `*pos` moved behind it. */
bool json_next_begins(struct str container, size_t *pos);

/* Decodes a raw JSON string value (with its quotes) into `out`, as UTF-8. Returns -ENOMEM, or
 * -EINVAL if `raw` is no string or has a lone surrogate, which UTF-8 cannot express. */
int json_unescape(struct str raw, struct buf *out);
