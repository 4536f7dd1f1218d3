/* The server's half of an HTTP/2 connection (RFC 9113, by nghttp2): bytes in, requests and their
 * bodies out; responses in, bytes out. No sockets, and the time is a parameter.
 *
 * A request's head comes as the text of a head of HTTP/1.1: see head.h. The owner embeds a
 * `struct http2_stream` in what it makes of the request, and answers by http2_respond(). The body
 * of the response is asked for by `fill` when it can be sent: windows are back-pressure, and a
 * stream whose window is spent is not asked. http2_gather() writes all that is due of all streams
 * into one buffer, so that an event for many streams of a connection leaves in one send.
 *
 * One thread. Operations are called from within http2_receive() and http2_gather() only, and may
 * call all functions but these two and http2_free(). */
#pragma once

#include "base/buf.h"
#include "http/response.h"

#include <stdint.h>

struct http2;

/* A request and its response. */
struct http2_stream {
    int32_t id;       /* 0: it is over */
    bool is_whole;    /* the request has come whole */
    bool has_body;    /* the response has a body, of which `fill` is asked */
    bool is_ready;    /* `fill` may have bytes; otherwise it is asked after http2_resume() */
    bool is_deferred; /* nghttp2 has been told that it has none */
};

struct http2_request {
    struct str head; /* reads as a head of HTTP/1.1; empty if it is large; valid during the call */
    bool is_whole;   /* no body follows */
    bool is_tunnel;  /* a WebSocket by extended CONNECT (RFC 8441) */
    bool is_large;   /* over http2_limits.head_max: to be refused */
    bool is_foreign; /* extended CONNECT for another protocol: to be refused */
};

/* Offences of peers against the rules or limits, for counters. */
enum http2_offence {
    HTTP2_FLOOD,   /* more than control_max: the connection ends with ENHANCE_YOUR_CALM */
    HTTP2_STREAMS, /* a stream over streams_max, refused */
};

struct http2_ops {
    /* A request has begun. Returns a stream for it, of zeroes; NULL refuses it: it may come again.
     * And: its head. */
    struct http2_stream *(*begin)(void *owner);
    void (*request)(struct http2_stream *stream, const struct http2_request *request);
    /* A part of its body, which is to be given back by http2_consume(); the bytes may be changed.
     * And: the body is whole. */
    void (*body)(struct http2_stream *stream, char *bytes, size_t len);
    void (*whole)(struct http2_stream *stream);
    /* Returns the next bytes of the response's body, which must stay until `sent` follows, at once,
     * with the number that was taken; `blocked` if the window allows no more. If none were taken,
     * `fill` is asked again at once. Sets `*ret_end` if nothing follows these bytes. Without bytes,
     * and not at the end: nothing is to be sent now. `sent` returns whether `fill` may have more at
     * once; if not, http2_resume() says when. */
    struct str (*fill)(struct http2_stream *stream, bool *ret_end);
    bool (*sent)(struct http2_stream *stream, size_t n, bool blocked);
    /* The response is sent whole, and the request has not come whole. */
    void (*ended)(struct http2_stream *stream);
    /* The stream is over: the owner frees it. Not called after http2_reset(). */
    void (*closed)(struct http2_stream *stream);
    void (*offence)(void *owner, enum http2_offence offence);
};

struct http2_limits {
    uint32_t streams_max; /* at a time */
    uint32_t head_max;    /* bytes of a request's head */
    uint32_t control_max; /* in a second: frames that are no use in number (PING, SETTINGS,
                           * PRIORITY, RST_STREAM, empty DATA), heads that are no requests, and
                           * streams that are refused */
};

/* NULL without memory. `owner`, `ops` and `limits` are borrowed. Whatever the peer's first bytes
 * are, SETTINGS are to be sent. */
struct http2 *http2_new(void *owner, const struct http2_ops *ops,
                        const struct http2_limits *limits);

/* Calls no operation: the owner frees its streams itself. NULL is ignored. */
void http2_free(struct http2 *http2);

/* How many of these bytes, which come next, to give to http2_receive() at once: those up to the end
 * of a request's head, so that the owner can look at its budget between two requests. */
size_t http2_next_piece(struct http2 *http2, const char *bytes, size_t len);

/* Works through bytes of the peer, which begin with the preface, at the time `now_ns`. Returns 0,
 * or a negative errno after which nothing more can be read: what is due is still to be sent. */
int http2_receive(struct http2 *http2, char *bytes, size_t len, int64_t now_ns);

/* The bytes that are held of a request's head that is not whole, and since when; 0: there is none.
 */
size_t http2_head_held(const struct http2 *http2, int64_t *ret_since_ns);

/* The bytes that nghttp2 has for the connection: streams, fields, frames that wait. */
size_t http2_held(const struct http2 *http2);

/* Adds what is to be sent to a buffer, until that has more than `most` bytes. Returns 0 or a
 * negative errno: the connection cannot go on. */
int http2_gather(struct http2 *http2, struct buf *out, size_t most);

/* Whether http2_gather() would add something. */
bool http2_has_more(const struct http2 *http2);

/* Whether nothing is to be read or sent any more. */
bool http2_is_over(const struct http2 *http2);

/* Sends the head of a response, and has the body asked for. Without a body (`body` false) the
 * stream ends with the head. Returns a negative errno if the stream cannot be answered: to be
 * reset. */
int http2_respond(struct http2 *http2, struct http2_stream *stream, const struct response *response,
                  bool body);

/* Sends 100: the client may send the body. */
void http2_continue(struct http2 *http2, const struct http2_stream *stream);

/* Asks the stream for bytes again, after its `fill` had none. */
void http2_resume(struct http2 *http2, struct http2_stream *stream);

/* Takes back `n` bytes of a request's body: the peer may send as many more of it. The window of the
 * connection, which all streams share, is opened at once for all that comes: a stream whose bytes
 * are not used holds up no other. */
void http2_consume(struct http2 *http2, const struct http2_stream *stream, size_t n);

/* The reasons for which a stream is reset (RFC 9113 section 7). */
enum http2_reset {
    HTTP2_RESET_NONE = 0, /* the response is whole, and the rest of the request is not wanted */
    HTTP2_RESET_FAILED = 2,
    HTTP2_RESET_CANCEL = 8,
};

/* Ends a stream at once. No operation is called for it any more. */
void http2_reset(struct http2 *http2, struct http2_stream *stream, enum http2_reset reason);

/* Tells the peer to begin no more streams; those under way still come. And: ends the connection
 * once that is sent; streams that are open are lost. */
void http2_announce_end(struct http2 *http2);
void http2_end(struct http2 *http2);

/* The same for a connection that is one too many: it may come again later. */
void http2_refuse(struct http2 *http2);
