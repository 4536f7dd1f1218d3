/* Chunked bodies: an incremental, strict decoder, and the little that is needed to write them
 * (RFC 9112 section 7.1). */
#pragma once

#include "base/buf.h"
#include "http/fields.h"

/* What http_chunked_feed() returns when it is not a negative errno. From HTTP_CHUNKED_E_… on the
 * body cannot be read: answer with http_chunked_error_status() and close the connection. */
enum http_chunked_result {
    HTTP_CHUNKED_END = 0,
    HTTP_CHUNKED_DATA = 1,
    HTTP_CHUNKED_E_SIZE,       /* not hexadecimal digits, or more than 16 of them */
    HTTP_CHUNKED_E_OVERFLOW,   /* 2^63 or more */
    HTTP_CHUNKED_E_EXTENSION,  /* outside the grammar */
    HTTP_CHUNKED_E_EXTENSIONS, /* more of them than limits->chunk_ext_max */
    HTTP_CHUNKED_E_LINE_END,   /* CRLF was due */
    HTTP_CHUNKED_E_TRAILER,    /* not a header line */
    HTTP_CHUNKED_E_TRAILERS,   /* more than limits->trailer_max: 431 */
    HTTP_CHUNKED_E_COUNT,
};

int http_chunked_error_status(int result);
/* One sentence for people. Static memory. */
struct str http_chunked_error_detail(int result);

/* One body's decoder. All zeroes is the start; nothing to free. */
struct http_chunked {
    uint64_t decoded; /* bytes of data handed out so far */
    uint64_t left;    /* of the current chunk; may be looked at to refuse a large one early */
    uint32_t spent;   /* bytes of extensions, then of trailers */
    uint8_t state;
    uint8_t digits;
    uint8_t error;
};

/* Takes from the front of `*bytes` and moves it on. Returns
 *   HTTP_CHUNKED_DATA  `*ret_data` is the next piece of the body, never empty, pointing into the
 *                      bytes; call again;
 *   HTTP_CHUNKED_END   the body is whole; what is left in `*bytes` belongs to the next request;
 *   -EAGAIN            all was taken; call again with what comes next, without what was taken;
 *   else               an error; every later call says the same.
 * Trailers are checked and thrown away. How much data is too much is the caller's to say. */
int http_chunked_feed(struct http_chunked *chunked, const struct http_limits *limits,
                      struct str *bytes, struct str *ret_data);

/* Adds one chunk; nothing when `data` is empty, since that would end the body. */
void http_chunk_add(struct buf *buf, struct str data);

/* Begins a chunk whose size is not known yet; give the answer to http_chunk_close() once the data
 * stands behind it. Nothing may be dropped from the buffer's front in between. */
size_t http_chunk_open(struct buf *buf);

/* Ends that chunk; an empty one vanishes. A chunk holds less than 4 GiB, else `buf` is failed. */
void http_chunk_close(struct buf *buf, size_t opened);

/* Adds the last chunk, without trailers. */
void http_chunk_end(struct buf *buf);
