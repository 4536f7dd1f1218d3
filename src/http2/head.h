/* The head of a request as HTTP/2 carries it, written as a head of HTTP/1.1.
 *
 * One strict reader (http/head.h) then reads the requests of both versions, so that no check exists
 * in only one of them. The lines cannot be forged: nghttp2 lets no field pass that has a CR, a LF
 * or a NUL in it, and this writer checks again. */
#pragma once

#include "base/buf.h"

/* The pseudo-header fields of requests (RFC 9113 section 8.3.1, RFC 8441 section 4). */
enum http2_pseudo {
    HTTP2_METHOD,
    HTTP2_PATH,
    HTTP2_AUTHORITY,
    HTTP2_SCHEME,
    HTTP2_PROTOCOL,
    HTTP2_PSEUDOS,
};

/* A head that is being received. Zeroes are the start. */
struct http2_head {
    struct buf pseudo; /* the values of pseudo-header fields, each with its place */
    struct {
        size_t from, len;
        bool is_there;
    } places[HTTP2_PSEUDOS];
    struct buf fields;  /* header lines */
    struct buf cookies; /* all crumbs, joined (RFC 9113 section 8.2.3) */
    struct buf text;    /* the head, once it is whole */
    size_t bytes;       /* of all fields so far */
    bool is_large;      /* over the limit: what came behind was dropped */
    bool is_broken;     /* has bytes that no head may have, or lacked memory */
};

/* Takes the next field, pseudo or not. More than `most` bytes make the head large. */
void http2_head_add(struct http2_head *head, struct str name, struct str value, size_t most);

/* Writes the head of HTTP/1.1; valid until the next call. A WebSocket's CONNECT (RFC 8441) becomes
 * the GET with Upgrade that it stands for, and sets `*ret_tunnel`. Empty if the head is broken. */
struct str http2_head_end(struct http2_head *head, bool *ret_tunnel);

/* Whether this is an extended CONNECT for another protocol than WebSockets. */
bool http2_head_is_foreign(const struct http2_head *head);

/* Begins the next head, and keeps the memory. */
void http2_head_clear(struct http2_head *head);
void http2_head_free(struct http2_head *head);
