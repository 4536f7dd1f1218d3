/* The content coding of responses that have a body of known length. */
#pragma once

#include "http/accept.h"
#include "http/gzip_stream.h"
#include "http/response.h"

/* Bodies outside of these bounds are sent as they are: compression of short ones gains nothing, and
 * that of long ones would hold up the thread for milliseconds. */
enum { RESPONSE_GZIP_LEAST = 1 << 10, RESPONSE_GZIP_MOST = 256 << 10 };

/* Compresses the body of a response with status 200 if the client wishes it, if the body is text,
 * and if that makes it shorter; says so in Content-Encoding, and in Vary that others may get
 * another body. A client that refuses to take a body without a coding (HTTP_GZIP_ONLY) gets a short
 * one compressed, too. The new body lies in the scratch buffer of the deflater, until its next use.
 */
void response_gzip(struct response *response, enum http_gzip_wish wish, struct deflater *deflater);

/* Adds the Vary that the response with this body would have to one without it: a 304, which a cache
 * may have to compare with what it keeps (RFC 9110 section 15.4.5). */
void response_gzip_vary(struct response *response, struct str type, size_t len);
