/* The requests of an HTTP/2 connection: their heads and bodies, until the API handles them. */
#pragma once

#include "transport/http2_state.h"

/* The calls of http2_ops (http2/http2.h) for a stream's request: it begins (NULL without memory),
 * its head has come, some of its body, and its end. */
struct http2_stream *http2_request_begin(void *connection);
void http2_request_head(struct http2_stream *wire, const struct http2_request *request);
void http2_request_body(struct http2_stream *wire, char *bytes, size_t len);
void http2_request_whole(struct http2_stream *wire);
