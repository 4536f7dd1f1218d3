/* zlib compresses, this file keeps a compressor for each window. The context is reset before each
 * text, so a thread's compressor serves all of its connections. */
#define ZLIB_CONST
#include "base/deflate.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    /* zlib's default is 8. Level 5 takes a third off the time for short messages and loses under 2
     * % on long ones. With 8 and the smallest window, zlib would also slide a hash table of 64 KiB
     * every 256 bytes, which a stranger could use to burn our time. */
    MEM_LEVEL = 5,
    SCRATCH_KEEP = 65536,
    FLUSH_ROOM = 16, /* for the flush, beyond deflateBound() */
};

static const uint8_t class_bits[DEFLATE_CLASSES] = {DEFLATE_BITS_MIN, 12, DEFLATE_BITS_MAX};

void *deflate_alloc(void *opaque, unsigned items, unsigned size)
{
    (void)opaque;
    return mem_try_alloc((size_t)items * size);
}

void deflate_free(void *opaque, void *block)
{
    (void)opaque;
    free(block);
}

static z_stream *stream_new(unsigned bits)
{
    z_stream *stream = mem_try_alloc(sizeof(*stream));
    if (!stream)
        return NULL;
    *stream = (z_stream){.zalloc = deflate_alloc, .zfree = deflate_free};
    if (deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -(int)bits, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) == Z_OK)
        return stream;
    free(stream);
    return NULL;
}

unsigned deflate_bits(unsigned bits)
{
    unsigned best = 0;
    for (size_t i = 0; i < DEFLATE_CLASSES; i++)
        if (class_bits[i] <= bits)
            best = class_bits[i];
    return best;
}

void deflater_deinit(struct deflater *deflater)
{
    for (size_t i = 0; i < DEFLATE_CLASSES; i++) {
        if (deflater->streams[i])
            deflateEnd(deflater->streams[i]);
        free(deflater->streams[i]);
    }
    buf_free(&deflater->scratch);
    *deflater = (struct deflater){0};
}

void deflater_fit(struct deflater *deflater)
{
    if (deflater->scratch.cap > SCRATCH_KEEP)
        buf_free(&deflater->scratch);
}

static size_t class_of(unsigned bits)
{
    for (size_t i = 0; i < DEFLATE_CLASSES; i++)
        if (class_bits[i] == bits)
            return i;
    abort();
}

/* A compressor without history; NULL if there is no memory for it. */
static z_stream *fresh(struct deflater *deflater, unsigned bits, size_t len)
{
    struct z_stream_s **slot = &deflater->streams[class_of(bits)];
    if (*slot)
        deflateReset(*slot);
    else
        *slot = stream_new(bits);
    /* Right after a reset this only sets the level. */
    if (*slot)
        deflateParams(*slot, len < DEFLATE_FAST ? Z_DEFAULT_COMPRESSION : Z_BEST_SPEED,
                      Z_DEFAULT_STRATEGY);
    return *slot;
}

int deflate_run(struct deflater *deflater, unsigned bits, struct str text, struct buf *out)
{
    z_stream *stream = text.len < UINT_MAX / 2 ? fresh(deflater, bits, text.len) : NULL;
    size_t room = stream ? deflateBound(stream, text.len) + FLUSH_ROOM : 0;
    char *to = stream ? buf_reserve(out, room) : NULL;
    if (!to)
        return -ENOMEM;
    stream->next_in = (const Bytef *)text.at;
    stream->avail_in = (unsigned)text.len;
    stream->next_out = (Bytef *)to;
    stream->avail_out = (unsigned)room;
    if (deflate(stream, Z_FULL_FLUSH) != Z_OK || stream->avail_in || !stream->avail_out)
        return -ENOMEM;
    out->len += room - stream->avail_out;
    return 0;
}
