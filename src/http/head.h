/* A strict reader of HTTP/1.1 request heads that copies nothing (RFC 9112). */
#pragma once

#include "http/fields.h"
#include "http/origin.h"

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
    HTTP_OTHER, /* any other token, see method_raw */
};

/* The head of a request. All text points into the parsed bytes (or to constants) and is valid as
 * long as they are. About 3.4 KB: keep one for each thread, not for each connection. */
struct http_head {
    size_t size; /* bytes of the head, with the empty lines before and behind it */
    enum http_method method;
    struct str method_raw;
    struct str target; /* unchanged */
    struct str path;   /* still encoded; begins with '/'; `*` with OPTIONS, empty with CONNECT */
    struct str query;  /* still encoded, behind the '?'; `at == NULL` without one */
    int minor;         /* HTTP/1.0 or 1.1 */
    struct str host;   /* the target's authority if it has one, else Host; checked host [":" port];
                          `at == NULL` only in HTTP/1.0 */
    struct http_authority authority; /* the parts of `host` */
    struct http_framing framing;     /* no body unless chunked or content_length > 0 */
    bool expect_continue;   /* the client waits for `100 Continue` before it sends a body */
    bool upgrade_websocket; /* Upgrade names websocket, and Connection names upgrade */
    struct http_fields fields;
};

/* Reads a request's head from the front of `bytes`, which is everything since the last request.
 *   0        the head is whole: `*ret_head` is filled, the body begins at ret_head->size, and
 *            `*scan` is ready for the next head;
 *   -EAGAIN  the head is not whole yet. Call again with more behind the same bytes (they may have
 *            moved). `*scan` remembers the bytes that were searched, so a head that trickles in
 *            byte by byte costs no more than one that comes at once. `*ret_head` is unchanged;
 *   else     an enum http_head_error. The content of `*ret_head` is undefined.
 * A bad request is refused when its head is whole, or before. */
int http_head_parse(struct str bytes, const struct http_limits *limits, struct http_scan *scan,
                    struct http_head *ret_head);

/* Reads the request line alone, without its CRLF: method, target, path, query and version, and the
 * host that an absolute target names. Returns 0 or an enum http_head_error. */
int http_request_line_parse(struct str line, struct http_head *ret_head);

/* Of bytes that cannot be read as a request: whether they begin one of HEAD, whose answer has no
 * body; and whether the end of a head is in them. */
bool http_asks_head(struct str bytes);
bool http_head_ended(struct str bytes);

/* The value of the first header field of that name; `at == NULL` if there is none. */
static inline struct str http_header(const struct http_head *head, struct str lowercase_name)
{
    return http_fields_get(&head->fields, lowercase_name);
}

/* Walks the header fields of a name: `*pos` begins as 0; returns false at the end. */
static inline bool http_header_next(const struct http_head *head, struct str lowercase_name,
                                    size_t *pos, struct str *ret_value)
{
    return http_fields_next(&head->fields, lowercase_name, pos, ret_value);
}
