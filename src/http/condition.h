/* What makes a request conditional or repeatable: entity tags, If-Match, Idempotency-Key. */
#pragma once

#include "base/str.h"

struct http_etag {
    bool weak;
    struct str opaque; /* without quotes */
};

/* Takes the next entity tag off a list (RFC 9110 section 8.8.3). 1, 0 at the end, -EINVAL when the
 * list holds anything else; `*` is the caller's to look for. `*rest` begins as the whole value. */
int http_etag_next(struct str *rest, struct http_etag *ret);

/* Reads an If-Match that is exactly one strong entity tag (RFC 9110 section 13.1.1); `*ret_opaque`
 * is what stands between its quotes. 0 or -EINVAL. */
int http_if_match(struct str value, struct str *ret_opaque);

/* Reads the value of Idempotency-Key: a quoted string of a structured field (RFC 8941 section
 * 3.3.3) with its escapes undone, or the bare value as it is. `out` (of `size` bytes) gets it. 0,
 * -EINVAL when it is empty or badly quoted, -EMSGSIZE when it is longer than `size`. */
int http_idempotency_key(struct str value, char *out, size_t size, size_t *ret_len);
