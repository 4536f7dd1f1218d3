/* Times as people and JSON write them (RFC 3339), with microseconds, always in UTC when written. */
#pragma once

#include "base/buf.h"

/* 2026-11-23T18:38:00.123456Z */
enum { RFC3339_LEN = 27 };
void rfc3339_add(struct buf *buf, int64_t us_since_1970);

/* The same for one who writes many times that are close to each other: within a second only the
 * fraction is written anew. All zeroes is empty. The text is good until the next call. */
struct rfc3339_memo {
    int64_t second_us; /* the start of the second that the text is of, since 1970 */
    bool is_set;
    char text[RFC3339_LEN];
};
/* The time as text, in the memo until its next use: within one second only the fraction is written.
 */
struct str rfc3339_by_memo(struct rfc3339_memo *memo, int64_t us_since_1970);

/* Reads any RFC 3339 date-time: any offset, any number of fraction digits, `t` and `z` in lower
 * case too, a leap second as the second before it. Returns -EINVAL if the text is none. */
int rfc3339_parse(struct str text, int64_t *ret_us);
