/* A writer of response heads, and a reader of them for our own client (RFC 9112 section 4). */
#pragma once

#include "base/buf.h"
#include "http/fields.h"

/* The reason phrase of a status; empty for a status that we never send. Static memory. */
struct str http_reason(int status);

/* Adds the status line; `status` is 100 to 599. Then fields, then http1_response_end() or
 * http1_response_body(). */
void http1_response_start(struct buf *buf, int status);

/* Adds a header field. A byte that is not allowed in a value becomes a space, and no value can end
 * the line, so that no value can forge a header, wherever it comes from. A name that is not a token
 * is a fault of ours: nothing is added and `buf` is failed. */
void http1_response_header(struct buf *buf, struct str name, struct str value);
void http1_response_header_u64(struct buf *buf, struct str name, uint64_t value);

/* Adds the empty line. */
void http1_response_end(struct buf *buf);

/* Adds Content-Length, the empty line and the body. For HEAD: `http1_response_header_u64()` and
 * `http1_response_end()`. Not for 1xx, 204 and 304. */
void http1_response_body(struct buf *buf, struct str body);

/* Adds `100 Continue`. */
void http1_response_continue(struct buf *buf);

/* A response's head; text points into the bytes that were parsed. */
struct http_status {
    size_t size; /* bytes of the head, with the empty line */
    int minor;
    int status;
    struct str reason;
    bool no_body; /* 1xx, 204 or 304, whatever the framing. A response to HEAD has no body either;
                   * that the caller knows */
    struct http_framing framing; /* neither chunked nor sized: the body ends with the connection */
    struct http_fields fields;
};

/* Reads a response's head from the front of `bytes`, in the way of http_head_parse(). */
int http_status_parse(struct str bytes, const struct http_limits *limits, struct http_scan *scan,
                      struct http_status *ret);
