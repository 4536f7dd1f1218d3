/* Writing the content coding gzip (RFC 1952) in parts that are made once and sent to many.
 *
 * A stream is a header, parts, and an end. A part refers to nothing before it, so the same bytes
 * fit into every stream. The end holds a checksum of all the text that this one stream has had:
 * each stream adds up the sums of its parts, which takes the time of a few hundred instructions
 * whatever the length of the text. */
#pragma once

#include "base/deflate.h"

/* The checksum of a stream's text so far. Zeroes are the start. */
struct gzip_sum {
    uint32_t crc;
    uint32_t len; /* modulo 2^32 */
};

/* The text of a part, in the form that sums add up quickly. */
struct gzip_part {
    uint32_t crc;
    uint32_t len;
    uint32_t shift; /* moves a checksum over a text of this length */
};

void gzip_add_header(struct buf *out);

/* Adds a part with the text as it is: five bytes more for each 64 KiB, and no work. */
void gzip_add_stored(struct buf *out, struct str text);

/* Adds a part, compressed if that makes it shorter: texts of less than DEFLATE_LEAST bytes, or of
 * more than DEFLATE_MOST, are stored, as are all without memory for a compressor. `out` may be
 * marked failed. */
void gzip_add_part(struct buf *out, struct deflater *deflater, struct str text);

struct gzip_part gzip_part_of(struct str text);
void gzip_sum_part(struct gzip_sum *sum, const struct gzip_part *part);
void gzip_sum_text(struct gzip_sum *sum, struct str text);

/* Ends the stream whose text has that sum. */
void gzip_add_end(struct buf *out, const struct gzip_sum *sum);
