/* zlib decodes, this file bounds the work.
 *
 * A body may be a bomb in two ways: a kilobyte may become a mebibyte, and an empty block of a few
 * bytes may take longer to read than a kilobyte of text. So a piece ends after a number of bytes or
 * a number of blocks, and the caller looks at the clock between pieces. zlib stops behind each
 * block if asked to (Z_BLOCK). */
#include "http/gzip.h"

#include "base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_WINDOW_BITS = 15 + 16, PIECE_BLOCKS = 64, BLOCK_ENDED = 128 };

/* ---- the coding of a body -------------------------------------------------------------------- */

static enum http_coding coding_of(struct str value)
{
    if (!value.len || str_eq_nocase(value, STR("identity")))
        return HTTP_CODING_NONE;
    if (str_eq_nocase(value, STR("gzip")) || str_eq_nocase(value, STR("x-gzip")))
        return HTTP_CODING_GZIP;
    return HTTP_CODING_OTHER;
}

enum http_coding http_coding_of(const struct http_fields *fields)
{
    static const struct str name = {"content-encoding", 16};
    enum http_coding coding = HTTP_CODING_NONE;
    if (!http_fields_may_have(fields, name))
        return coding;
    for (size_t i = 0; i < fields->count; i++) {
        if (!http_field_is(&fields->at[i], name))
            continue;
        enum http_coding next = coding_of(fields->at[i].value);
        bool both = coding != HTTP_CODING_NONE && next != HTTP_CODING_NONE;
        if (next != HTTP_CODING_NONE)
            coding = both ? HTTP_CODING_OTHER : next;
    }
    return coding;
}

/* ---- decoding -------------------------------------------------------------------------------- */

int http_gzip_begin(struct http_gzip *gzip)
{
    *gzip = (struct http_gzip){.stream = mem_try_alloc(sizeof(z_stream))};
    if (!gzip->stream)
        return -ENOMEM;
    *gzip->stream = (z_stream){0};
    if (inflateInit2(gzip->stream, GZIP_WINDOW_BITS) == Z_OK)
        return 0;
    free(gzip->stream);
    gzip->stream = NULL;
    return -ENOMEM;
}

static uInt at_most(size_t size)
{
    return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

/* Decodes to the end of a block at most, or until `room` bytes have come out. Returns a zlib
 * result. */
static int inflate_some(struct http_gzip *gzip, struct str body, char *to, size_t room,
                        size_t *ret_made)
{
    z_stream *stream = gzip->stream;
    struct str rest = str_skip(body, gzip->used);
    uInt given = at_most(rest.len);
    stream->next_in = (z_const Bytef *)(uintptr_t)rest.at;
    stream->avail_in = given;
    stream->next_out = (Bytef *)to;
    stream->avail_out = at_most(room);
    int result = inflate(stream, Z_BLOCK);
    gzip->used += given - stream->avail_in;
    gzip->blocks += (stream->data_type & BLOCK_ENDED) != 0;
    *ret_made = at_most(room) - stream->avail_out;
    return result;
}

/* Ends a member of the body, which may have several in a row (RFC 1952 section 2.2). Returns 0
 * behind the last, -EAGAIN before another. */
static int end_member(struct http_gzip *gzip, struct str body)
{
    if (gzip->used == body.len)
        return 0;
    gzip->blocks++;
    return inflateReset(gzip->stream) == Z_OK ? -EAGAIN : -EBADMSG;
}

/* Decodes up to a block. Returns -EAGAIN if there is more to do. */
static int go_on(struct http_gzip *gzip, struct str body, size_t room, struct buf *out)
{
    size_t made = 0;
    char *to = buf_reserve(out, room);
    if (!to)
        return -ENOMEM;
    int result = inflate_some(gzip, body, to, room, &made);
    out->len += made;
    if (result == Z_STREAM_END)
        return end_member(gzip, body);
    if (result == Z_MEM_ERROR)
        return -ENOMEM;
    /* zlib asks for more input if the body is used up and room is left: the body was cut short. */
    bool goes_on = result == Z_OK && (made == room || gzip->used < body.len);
    return goes_on && gzip->blocks <= HTTP_GZIP_BLOCKS_MAX ? -EAGAIN : -EBADMSG;
}

void http_gzip_end(struct http_gzip *gzip)
{
    if (gzip->stream)
        inflateEnd(gzip->stream);
    free(gzip->stream);
    *gzip = (struct http_gzip){0};
}

int http_gzip_some(struct http_gzip *gzip, struct str body, size_t piece, size_t max,
                   struct buf *out)
{
    size_t start = out->len;
    unsigned blocks = gzip->blocks;
    int result = -EAGAIN;
    while (result == -EAGAIN && out->len - start < piece && gzip->blocks - blocks < PIECE_BLOCKS) {
        size_t left = piece - (out->len - start), rest = max + 1 - out->len;
        result = go_on(gzip, body, left < rest ? left : rest, out);
        if ((!result || result == -EAGAIN) && out->len > max)
            return -EMSGSIZE;
    }
    return result;
}
