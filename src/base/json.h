/* The grammar of JSON (RFC 8259), checked without building anything: payloads are kept as they
 * came. */
#pragma once

#include "base/buf.h"

enum {
    JSON_DEPTH_MAX = 128,   /* for data */
    JSON_DEPTH_LIMIT = 192, /* for documents of our own that carry data */
};

enum json_error {
    JSON_OK = 0,
    JSON_E_SYNTAX = 1, /* not JSON; `at` is where it stops being so */
    JSON_E_DEPTH,      /* nested deeper than depth_max */
    JSON_E_UTF8,       /* not UTF-8 */
    JSON_E_EMPTY,      /* nothing but white space */
};

/* Checks that `text` is exactly one JSON value with white space around it. Numbers may have any
 * size, strings may hold any escape of the grammar (lone surrogate escapes included), no byte
 * order mark. Arrays and objects nest at most `depth_max`. Returns an enum json_error; `ret_at`
 * (may be NULL) gets the offset of the fault. */
int json_check(struct str text, unsigned depth_max, size_t *ret_at);

/* The same check, which may pause: one pass without recursion, in which what encloses the current
 * value is a stack of bits, one an open container. All but `error`, `at` and `deep_at` is its own.
 */
struct json_scan {
    struct str text;
    size_t at;      /* how far it has come, and in the end where the fault is */
    size_t deep_at; /* the first container nested deeper than JSON_DEPTH_MAX, or JSON_NOT_DEEP */
    unsigned depth;
    unsigned depth_max;
    uint64_t is_object[JSON_DEPTH_LIMIT / 64];
    bool begun;
    uint8_t error; /* enum json_error, once it is done */
};

#define JSON_NOT_DEEP SIZE_MAX

void json_scan_begin(struct json_scan *scan, unsigned depth_max);

/* Checks about `bytes` more of the text, and the rest of the value that stands there. Whether it is
 * done. The text is the same each time, though it may have moved. */
bool json_scan_some(struct json_scan *scan, struct str text, size_t bytes);

/* Replaces raw CR and LF, which in a valid text can only be white space between tokens, by
 * spaces, in place: one value stays one line. Call after json_check. */
void json_one_line(char *text, size_t len);

/* Whether a media type (without parameters) is JSON: application/json or …+json. */
bool json_media_type(struct str type);

/* Walks the members of an object, or the elements of an array, that json_check has accepted,
 * without building a tree: for the few API bodies that carry payloads which must be kept byte for
 * byte. Start with `pos` = 0. Returns 1 with the member's raw key (still escaped, without quotes;
 * STR_NONE in an array) and raw value, 0 at the end. */
int json_next(struct str container, size_t *pos, struct str *ret_key, struct str *ret_value);

/* Decodes a raw JSON string value (with its quotes) into `out`, as UTF-8. -EINVAL when `raw` is no
 * string or has a lone surrogate (which UTF-8 cannot say), -ENOMEM. */
int json_unescape(struct str raw, struct buf *out);
