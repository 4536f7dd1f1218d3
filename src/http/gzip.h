/* Bodies in the content coding gzip (RFC 9110 section 8.4.1.3, RFC 1952), decoded in pieces. */
#pragma once

#include "base/buf.h"
#include "http/fields.h"

#include <errno.h>

struct z_stream_s;

enum http_coding {
    HTTP_CODING_NONE,  /* no Content-Encoding, or identity */
    HTTP_CODING_GZIP,  /* gzip or x-gzip, once */
    HTTP_CODING_OTHER, /* anything else, or several */
};

enum http_coding http_coding_of(const struct http_fields *fields);

/* The memory of a decoder, apart from its output. */
enum { HTTP_GZIP_SIZE = 40 << 10 };

/* A body of more blocks than that is refused: each may take 13 us and hold nothing. Compressors
 * make one for some kilobytes of text. */
enum { HTTP_GZIP_BLOCKS_MAX = 20000 };

/* One body's decoder. All zeroes is none. */
struct http_gzip {
    struct z_stream_s *stream;
    size_t used;     /* bytes of the body */
    unsigned blocks; /* decoded so far */
};

/* -ENOMEM. http_gzip_end() follows in any case. */
int http_gzip_begin(struct http_gzip *gzip);

/* Decodes on: adds up to `piece` bytes, of up to 64 blocks, to `out`, which holds at most `max` in
 * the end. `body` is the whole body each time, wherever it lies. 0 at the end, -EAGAIN when the
 * piece is done and the body is not, -EMSGSIZE when more than `max` bytes come out, -EBADMSG when
 * it is not gzip, is cut short, or has too many blocks, -ENOMEM. */
int http_gzip_some(struct http_gzip *gzip, struct str body, size_t piece, size_t max,
                   struct buf *out);

void http_gzip_end(struct http_gzip *gzip);
