/* Readers of the fields that make a request conditional or repeatable: entity tags, If-Match,
 * Idempotency-Key. */
#pragma once

#include "base/str.h"

struct http_etag {
    bool weak;
    struct str opaque; /* without quotes */
};

/* Takes the next entity tag off a list (RFC 9110 section 8.8.3). Returns 1, 0 at the end, -EINVAL
 * if the list holds anything else. The caller checks for `*` before. `*rest` begins as the whole
 * value. */
int http_etag_next(struct str *rest, struct http_etag *ret);

/* Reads an If-Match that is exactly one strong entity tag (RFC 9110 section 13.1.1); `*ret_opaque`
 * is the text between its quotes. Returns 0 or -EINVAL. */
int http_if_match(struct str value, struct str *ret_opaque);

/* Reads the value of Idempotency-Key into `out` (of `size` bytes): a quoted string of a structured
 * field (RFC 8941 section 3.3.3) with its escapes decoded, or a bare value unchanged. Returns 0,
 * -EINVAL if the key is empty or badly quoted, -EMSGSIZE if it is longer than `size`. */
int http_idempotency_key(struct str value, char *out, size_t size, size_t *ret_len);
