/* The request streams of an HTTP/2 connection: their responses, their phases and their end. */
#pragma once

#include "transport/http2_state.h"

/* A stream for a request that has begun; `ops` are its request stream's. NULL without memory. */
struct http2_request_stream *http2_stream_new(struct http2_connection *connection,
                                              const struct request_stream_ops *ops,
                                              void (*ring)(struct timer *timer));

/* Frees a stream that is over for nghttp2, with its pull and its poll. */
void http2_stream_free(struct http2_request_stream *stream);

/* Drops the bytes of a WebSocket that came and were not used. The client may send as many more. */
void http2_stream_drop_input(struct http2_request_stream *stream);

/* Begins a phase and sets its timer: a deadline that counts from `since_ns`. And: sets it again. */
void http2_stream_enter(struct http2_request_stream *stream, enum http2_phase phase,
                        int64_t since_ns);

/* The exchange of a request: whoever asked is a browser if `origin` is there. NULL without
 * memory. */
struct exchange *http2_exchange_new(struct http2_request_stream *stream, struct str origin);

/* Replaces the exchange by one of our own, which has the same to answer: the real one finds itself
 * dropped. NULL without memory. */
struct exchange *http2_exchange_replace(struct http2_request_stream *stream);

/* The server stops: ends a pull or a poll in `after_ms`. */
void http2_stream_drain(struct http2_request_stream *stream, int64_t after_ms);

/* The calls of http2_ops (http2/http2.h) for a stream's response: its next bytes, how many were
 * sent, that all were, and that the stream is gone. */
struct str http2_stream_fill(struct http2_stream *wire, bool *ret_end);
bool http2_stream_sent(struct http2_stream *wire, size_t n, bool blocked);
void http2_stream_ended(struct http2_stream *wire);
void http2_stream_closed(struct http2_stream *wire);

/* The operations of exchanges and request streams; see request_stream_ops. */
void http2_stream_respond(struct exchange *exchange, const struct response *response,
                          const struct page_key *key);
bool http2_stream_open(struct exchange *exchange, const struct response *response,
                       struct pull *pull);
void http2_stream_free_exchange(struct exchange *exchange);
void http2_stream_wait(struct exchange *exchange);
void http2_stream_end_wait(struct exchange *exchange);
void http2_stream_dirty(struct request_stream *request);
void http2_stream_woken(struct request_stream *request, bool behind);
void http2_stream_behind(struct request_stream *request, bool behind);
void http2_stream_end(struct request_stream *request);
void http2_stream_close(struct request_stream *request);
enum request_stream_state http2_stream_state(const struct request_stream *request);
struct conn *http2_stream_conn(const struct request_stream *request);
uint32_t http2_stream_id(const struct request_stream *request);
struct poll_pace *http2_stream_pace(const struct request_stream *request);
void http2_stream_ring_in(struct request_stream *request, int64_t ms);
struct stream_intake *http2_stream_intake_new(struct request_stream *request);
