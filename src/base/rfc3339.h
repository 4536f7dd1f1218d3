/* Times as people and JSON write them (RFC 3339), with microseconds, always in UTC when written. */
#pragma once

#include "base/buf.h"

/* 2026-11-23T18:38:00.123456Z */
enum { RFC3339_LEN = 27 };
void rfc3339_add(struct buf *buf, int64_t us_since_1970);

/* Reads any RFC 3339 date-time: any offset, any number of fraction digits, `t` and `z` in lower
 * case too, a leap second as the second before it. Returns -EINVAL if the text is none. */
int rfc3339_parse(struct str text, int64_t *ret_us);
