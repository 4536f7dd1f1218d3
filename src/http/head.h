/* Reads the head of an HTTP/1.1 request, strictly and without copying (RFC 9112). */
#pragma once

#include "http/fields.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_CONNECT,
    HTTP_TRACE,
    HTTP_OTHER, /* any other token: method_raw says which */
};

/* A request's head. All text points into the bytes that were parsed (or to constants) and stands as
 * long as they do. About 3.4 KB: keep one a thread, not one a connection. */
struct http_head {
    size_t size; /* bytes of the head, with empty lines before it and the one that ends it */
    enum http_method method;
    struct str method_raw;
    struct str target; /* as it came */
    struct str path;   /* still encoded; begins with '/'; `*` with OPTIONS, empty with CONNECT */
    struct str query;  /* still encoded, behind the '?'; `at == NULL` without one */
    int minor;         /* HTTP/1.0 or 1.1 */
    struct str host;   /* the target's authority if it has one, else Host; checked host [":" port];
                          `at == NULL` only in HTTP/1.0 */
    struct http_framing framing; /* no body when neither chunked nor content_length > 0 */
    bool expect_continue;        /* the client waits for `100 Continue` before it sends a body */
    bool upgrade_websocket;      /* Upgrade names websocket, and Connection names upgrade */
    struct http_fields fields;
};

/* Reads a request's head from the front of `bytes`: all that has come since the last request ended.
 *   0        the head is whole: `*ret_head` is filled, the body begins at ret_head->size, and
 *            `*scan` is ready for the next head;
 *   -EAGAIN  it is not yet whole. Call again with more behind the same bytes (they may have moved);
 *            `*scan` keeps what was searched from being searched again, so a head that trickles in
 *            byte by byte costs no more than one that comes at once. `*ret_head` is untouched;
 *   else     an enum http_head_error. The content of `*ret_head` means nothing.
 * A request that is refused is refused no later than its head is whole. */
int http_head_parse(struct str bytes, const struct http_limits *limits, struct http_scan *scan,
                    struct http_head *ret_head);

/* The value of the first header field of that name; `at == NULL` when there is none. */
static inline struct str http_header(const struct http_head *head, struct str lowercase_name)
{
    return http_fields_get(&head->fields, lowercase_name);
}

/* Walks the header fields of one name: `*pos` begins as 0; false at the end. */
static inline bool http_header_next(const struct http_head *head, struct str lowercase_name,
                                    size_t *pos, struct str *ret_value)
{
    return http_fields_next(&head->fields, lowercase_name, pos, ret_value);
}
