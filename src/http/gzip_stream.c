#define ZLIB_CONST
#include "http/gzip_stream.h"

#include <zlib.h>

enum { STORED_MAX = 65535, STORED_HEAD = 5, OS_UNKNOWN = 255 };

static void add_u16(struct buf *out, size_t n)
{
    buf_add_char(out, (char)(n & 0xff));
    buf_add_char(out, (char)(n >> 8 & 0xff));
}

static void add_u32(struct buf *out, uint32_t n)
{
    add_u16(out, n & 0xffff);
    add_u16(out, n >> 16);
}

/* No name and no time: equal texts have equal bytes (RFC 1952 section 2.3). */
void gzip_add_header(struct buf *out)
{
    static const uint8_t header[10] = {0x1f, 0x8b, Z_DEFLATED, [9] = OS_UNKNOWN};
    buf_add(out, header, sizeof(header));
}

void gzip_add_stored(struct buf *out, struct str text)
{
    while (text.len) {
        size_t len = text.len < STORED_MAX ? text.len : STORED_MAX;
        buf_add_char(out, 0); /* not the last block, stored (RFC 1951 section 3.2.4) */
        add_u16(out, len);
        add_u16(out, ~len);
        buf_add(out, text.at, len);
        text = str_skip(text, len);
    }
}

void gzip_add_part(struct buf *out, struct deflater *deflater, struct str text)
{
    size_t before = out->len;
    bool fits = text.len >= DEFLATE_LEAST && text.len <= DEFLATE_MOST;
    if (fits && !deflate_run(deflater, DEFLATE_BITS_MAX, text, out) &&
        out->len - before < text.len + STORED_HEAD)
        return;
    out->len = before;
    gzip_add_stored(out, text);
}

struct gzip_part gzip_part_of(struct str text)
{
    return (struct gzip_part){.crc = (uint32_t)crc32_z(0, (const Bytef *)text.at, text.len),
                              .len = (uint32_t)text.len,
                              .shift = (uint32_t)crc32_combine_gen((z_off_t)text.len)};
}

void gzip_sum_part(struct gzip_sum *sum, const struct gzip_part *part)
{
    sum->crc = (uint32_t)crc32_combine_op(sum->crc, part->crc, part->shift);
    sum->len += part->len;
}

void gzip_sum_text(struct gzip_sum *sum, struct str text)
{
    if (text.len)
        sum->crc = (uint32_t)crc32_z(sum->crc, (const Bytef *)text.at, text.len);
    sum->len += (uint32_t)text.len;
}

void gzip_add_end(struct buf *out, const struct gzip_sum *sum)
{
    buf_add_lit(out, "\x03"); /* the last block, which is empty */
    buf_add_char(out, 0);
    add_u32(out, sum->crc);
    add_u32(out, sum->len);
}
