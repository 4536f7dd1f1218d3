/* A strict, incremental decoder of chunked bodies, and a writer of them (RFC 9112 section 7.1). */
#pragma once

#include "base/buf.h"
#include "http/fields.h"

/* Results of http_chunked_feed(), apart from a negative errno. From HTTP_CHUNKED_E_… on the body
 * cannot be read: answer with http_chunked_error_status() and close the connection. */
enum http_chunked_result {
    HTTP_CHUNKED_END = 0,
    HTTP_CHUNKED_DATA = 1,
    HTTP_CHUNKED_E_SIZE,       /* not hexadecimal digits, or more than 16 of them */
    HTTP_CHUNKED_E_OVERFLOW,   /* 2^63 or more */
    HTTP_CHUNKED_E_EXTENSION,  /* outside the grammar */
    HTTP_CHUNKED_E_EXTENSIONS, /* more bytes of them than limits->chunk_ext_max */
    HTTP_CHUNKED_E_LINE_END,   /* CRLF was due */
    HTTP_CHUNKED_E_TRAILER,    /* not a header line */
    HTTP_CHUNKED_E_TRAILERS,   /* more than limits->trailer_max: 431 */
    HTTP_CHUNKED_E_COUNT,
};

int http_chunked_error_status(int result);
/* A sentence for people. Static memory. */
struct str http_chunked_error_detail(int result);

/* The decoder of a body. A decoder of zeroes is at the start; nothing to free. */
struct http_chunked {
    uint64_t decoded; /* bytes of data handed out so far */
    uint64_t left;    /* bytes left of the current chunk; a caller may read this to refuse a large
                       * chunk early */
    uint32_t spent;   /* bytes of extensions, then of trailers */
    uint8_t state;
    uint8_t digits;
    uint8_t error;
};

/* Takes bytes from the front of `*bytes` and moves it on. Returns
 *   HTTP_CHUNKED_DATA  `*ret_data` is the next piece of the body, never empty, and points into the
 *                      bytes; call again;
 *   HTTP_CHUNKED_END   the body is whole; the rest of `*bytes` belongs to the next request;
 *   -EAGAIN            all bytes were taken; call again with the bytes that come next;
 *   else               an error; every later call returns the same.
 * Trailers are checked and dropped. The caller limits the size of the data. */
int http_chunked_feed(struct http_chunked *chunked, const struct http_limits *limits,
                      struct str *bytes, struct str *ret_data);

/* Adds a chunk. Empty `data` adds nothing, since an empty chunk would end the body. */
void http_chunk_add(struct buf *buf, struct str data);

/* Begins a chunk whose size is not yet known. Pass the result to http_chunk_close() once the data
 * stands behind it. Drop nothing from the buffer's front in between. */
size_t http_chunk_open(struct buf *buf);

/* Ends that chunk; an empty one is removed. A chunk of 4 GiB or more makes `buf` fail. */
void http_chunk_close(struct buf *buf, size_t opened);

/* Adds the last chunk, without trailers. */
void http_chunk_end(struct buf *buf);
