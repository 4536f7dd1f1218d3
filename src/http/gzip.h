/* Bodies in the content coding gzip (RFC 9110 section 8.4.1.3, RFC 1952), decoded in pieces. */
#pragma once

#include "base/buf.h"
#include "http/fields.h"

#include <errno.h>

struct z_stream_s;

enum http_coding {
    HTTP_CODING_NONE,  /* no Content-Encoding, or identity */
    HTTP_CODING_GZIP,  /* gzip or x-gzip, only once */
    HTTP_CODING_OTHER, /* any other coding, or several */
};

enum http_coding http_coding_of(const struct http_fields *fields);

/* The memory of a decoder, apart from its output. */
enum { HTTP_GZIP_SIZE = 40 << 10 };

/* The most blocks of a body. An empty block may take 13 us; compressors make a block for some
 * kilobytes of text. */
enum { HTTP_GZIP_BLOCKS_MAX = 20000 };

/* The decoder of a body. A decoder of zeroes holds nothing. */
struct http_gzip {
    struct z_stream_s *stream;
    size_t used;     /* bytes of the body that were decoded */
    unsigned blocks; /* blocks that were decoded */
};

/* Returns 0 or -ENOMEM. http_gzip_end() must follow in both cases. */
int http_gzip_begin(struct http_gzip *gzip);

/* Decodes the next piece: adds up to `piece` bytes, of up to 64 blocks, to `out`, which may grow to
 * `max` bytes. `body` is the whole body each time, though it may have moved. Returns 0 at the end,
 * -EAGAIN when the piece is done and the body is not, -EMSGSIZE if more than `max` bytes come out,
 * -EBADMSG if the body is not gzip, is cut short, or has too many blocks, or -ENOMEM. */
int http_gzip_some(struct http_gzip *gzip, struct str body, size_t piece, size_t max,
                   struct buf *out);

void http_gzip_end(struct http_gzip *gzip);
