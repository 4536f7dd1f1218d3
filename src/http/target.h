/* Paths and queries: split first, then each part decoded exactly once (RFC 3986 section 2.4). */
#pragma once

#include "base/buf.h"

enum http_target_error {
    HTTP_TARGET_E_PERCENT = 1, /* '%' without two hexadecimal digits */
    HTTP_TARGET_E_NUL,         /* %00 */
    HTTP_TARGET_E_SLASH,       /* %2F inside a path segment */
    HTTP_TARGET_E_COUNT,
};

/* A sentence for people. Static memory. */
struct str http_target_error_detail(int error);

/* Takes the next segment off a path that is empty or begins with '/', still encoded: `/a/b` has `a`
 * and `b`, `/a/` has `a` and an empty segment, `/` has an empty segment. Returns false at the end.
 * `*rest` begins as the path. */
bool http_path_next(struct str *rest, struct str *ret_segment_raw);

/* Adds a segment to `out`, decoded. '/' and NUL may not come out of it; nothing else is checked.
 * Returns 0, an enum http_target_error, or -ENOMEM; after an error nothing was added. */
int http_segment_decode(struct str raw, struct buf *out);

/* Adds all segments of a path to `out`, each decoded, with '/' between them: `/a/b%20c` becomes
 * `a/b c`. Returns as http_segment_decode(); after an error the segments before it were added. */
int http_path_decode(struct str path, struct buf *out);

/* Takes the next `name=value` off a query, both still encoded; empty pairs (`a&&b`) are skipped. A
 * value is `at == NULL` without '='. Returns false at the end. `*rest` begins as the query. */
bool http_query_next(struct str *rest, struct str *ret_name_raw, struct str *ret_value_raw);

/* Adds a name or value of a query to `out`, decoded, '+' as a space; NUL may not come out of it.
 * Returns 0, an enum http_target_error, or -ENOMEM; after an error nothing was added. */
int http_query_decode(struct str raw, struct buf *out);

/* Whether a raw name of a query, once decoded, is `name`. */
bool http_query_name_is(struct str name_raw, struct str name);

/* Adds a URL without what may be a secret in it: userinfo and the values of its query become `***`,
 * and a fragment goes. For logs and notices. Any text may be given. */
void http_url_hide(struct buf *out, struct str url);

/* The same for a text that may be a URL or anything else: a text without `://` is added as it is.
 */
void http_text_hide(struct buf *out, struct str text);

/* Adds `s` with everything but unreserved characters percent-encoded: for a path segment or for a
 * name or value of a query. */
void http_percent_encode(struct buf *buf, struct str s);
