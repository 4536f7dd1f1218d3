/* Every message is compressed on its own, by base/deflate.h. The sender flushes to a byte boundary
 * and leaves out the last four bytes, which are always 00 00 ff ff; the receiver puts them back. */
#define ZLIB_CONST
#include "ws/deflate.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    ROOM_LEAST = 256,
    HISTORY_MAX = 32768,  /* the greatest distance of a back-reference */
    BLOCK_BOUNDARY = 128, /* a bit of z_stream.data_type: the last block has ended */
    UNUSED_BITS = 7,      /* mask of z_stream.data_type: the number of unused bits of the last
                           * byte */
    TYPE_DYNAMIC = 2,     /* in the header of a block (RFC 1951, section 3.2.3) */

    /* Empty blocks cost time too. These costs bound a message to about 10,000 dynamic blocks (1 us
     * each, for their tables) or 320,000 others. Compressors stay below: of a mebibyte, zlib with
     * its smallest memory makes 8,192 dynamic blocks, and with a flush after each of 100,000 writes
     * 200,000 others. */
    DYNAMIC_COST = 32,
    BLOCK_COST = 1,
    BLOCKS_COST_MAX = 10000 * DYNAMIC_COST,
    PIECE_COST = 256 * DYNAMIC_COST, /* most cost of the blocks of a piece */
    /* Final blocks that may be followed by others, each of which copies the history. Compressors
     * use a final block only to end a message. */
    FINALS_MAX = 16,
};

static z_stream *stream_new(void)
{
    z_stream *stream = mem_try_alloc(sizeof(*stream));
    if (stream)
        *stream = (z_stream){.zalloc = deflate_alloc, .zfree = deflate_free};
    return stream;
}

static unsigned least_uint(size_t n)
{
    return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

/* Opens the room behind `out`'s bytes to the stream, up to `max` bytes. Returns 0 or -ENOMEM. */
static int give_room(z_stream *stream, struct buf *out, size_t max)
{
    char *room = buf_reserve(out, max < ROOM_LEAST ? max : ROOM_LEAST);
    if (!room)
        return -ENOMEM;
    size_t free_len = out->cap - out->len;
    stream->next_out = (Bytef *)room;
    stream->avail_out = least_uint(free_len < max ? free_len : max);
    return 0;
}

static void take_output(const z_stream *stream, struct buf *out)
{
    out->len = (size_t)((char *)stream->next_out - out->at);
}

int ws_deflate(struct deflater *deflater, unsigned window_bits, struct str message, struct buf *out)
{
    size_t before = out->len;
    if (!message.len) {
        /* zlib refuses a flush with nothing to flush; section 7.2.3.6 gives the bytes of an empty
         * message. */
        buf_add_char(out, 0);
        return buf_failed(out) ? -ENOMEM : 0;
    }
    if (deflate_run(deflater, window_bits, message, out))
        return -ENOMEM;
    assert(out->len - before > DEFLATE_TAIL.len);
    out->len -= DEFLATE_TAIL.len;
    return 0;
}

/* Compresses into the scratch buffer. Returns whether that made the payload shorter. */
static bool gets_smaller(struct deflater *deflater, unsigned window_bits, struct str payload)
{
    buf_clear(&deflater->scratch);
    return ws_deflate(deflater, window_bits, payload, &deflater->scratch) == 0 &&
           deflater->scratch.len < payload.len;
}

void ws_add_message(struct buf *buf, struct deflater *deflater, unsigned window_bits,
                    enum ws_opcode opcode, struct str payload)
{
    bool fits = payload.len >= DEFLATE_LEAST && payload.len <= DEFLATE_MOST;
    if (!deflater || !window_bits || !fits) {
        ws_add_frame(buf, true, false, opcode, payload, NULL);
        return;
    }
    bool smaller = gets_smaller(deflater, window_bits, payload);
    ws_add_frame(buf, true, smaller, opcode, smaller ? buf_str(&deflater->scratch) : payload, NULL);
    deflater_fit(deflater);
}

void ws_inflater_deinit(struct ws_inflater *inflater)
{
    if (inflater->stream)
        inflateEnd(inflater->stream);
    free(inflater->stream);
    *inflater = (struct ws_inflater){0};
}

/* A decompressor without history; NULL if there is no memory for it. */
static z_stream *fresh_inflate(struct ws_inflater *inflater)
{
    if (inflater->stream) {
        inflateReset(inflater->stream);
        return inflater->stream;
    }
    z_stream *stream = stream_new();
    if (stream && inflateInit2(stream, -DEFLATE_BITS_MAX) != Z_OK) {
        free(stream);
        return NULL;
    }
    return inflater->stream = stream;
}

/* Goes on after a block that claims to be the last: others may follow (section 7.2.3.4), and they
 * may refer to the text before it. */
static int go_on_after_last(struct ws_inflating *in)
{
    size_t len = in->out->len - in->start;
    size_t history = len < HISTORY_MAX ? len : HISTORY_MAX;
    if (in->finals++ == FINALS_MAX)
        return WS_INFLATE_BROKEN;
    inflateReset(in->stream);
    in->stream->data_type = BLOCK_BOUNDARY;
    if (!history)
        return 0;
    const Bytef *from = (const Bytef *)in->out->at + in->out->len - history;
    return inflateSetDictionary(in->stream, from, (unsigned)history) == Z_OK ? 0 : -ENOMEM;
}

/* The cost of the block that begins here. Its type is in the next bits: the unused bits of the last
 * byte, and the next byte. */
static unsigned block_cost(const z_stream *stream, const Bytef *piece)
{
    unsigned left = (unsigned)stream->data_type & UNUSED_BITS;
    if (left && stream->next_in == piece)
        return BLOCK_COST; /* the only block of the tail */
    unsigned header = (unsigned)*stream->next_in << left;
    if (left)
        header |= stream->next_in[-1] >> (8 - left);
    return (header >> 1 & 3) == TYPE_DYNAMIC ? DYNAMIC_COST : BLOCK_COST;
}

/* Charges for a block if one begins here. Returns false if the message has had too many. */
static bool may_go_on(struct ws_inflating *in, const Bytef *piece)
{
    if (in->between_blocks && in->stream->avail_in)
        in->blocks_cost += block_cost(in->stream, piece);
    return in->blocks_cost <= BLOCKS_COST_MAX;
}

/* Runs zlib once, to the end of a block or to `until` bytes of output at most. Returns 0, an enum
 * ws_inflate_error, or -ENOMEM. */
static int inflate_some(struct ws_inflating *in, size_t until)
{
    /* Room for a byte more than allowed, to tell a message that just fits from a longer one. */
    size_t room = in->max - (in->out->len - in->start) + 1;
    size_t wanted = until - in->out->len;
    if (give_room(in->stream, in->out, wanted < room ? wanted : room) < 0)
        return -ENOMEM;
    int r = inflate(in->stream, Z_BLOCK);
    take_output(in->stream, in->out);
    if (in->out->len - in->start > in->max)
        return WS_INFLATE_TOO_BIG;
    in->between_blocks = r == Z_STREAM_END || (in->stream->data_type & BLOCK_BOUNDARY);
    if (r == Z_STREAM_END)
        return go_on_after_last(in);
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    bool starved = r == Z_BUF_ERROR && !in->stream->avail_in;
    return r == Z_OK || starved ? 0 : WS_INFLATE_BROKEN;
}

/* Whether the stream has used up its input, and has no output left that waits for room. */
static bool is_dry(const struct ws_inflating *in)
{
    return !in->stream->avail_in && (in->stream->avail_out || in->between_blocks);
}

/* Gives the stream its next input: the message, then the tail that the sender has left out. Returns
 * false if there is no more. */
static bool feed_next(struct ws_inflating *in)
{
    if (!in->rest.len && !in->in_tail) {
        in->in_tail = true;
        in->rest = DEFLATE_TAIL;
    }
    unsigned n = least_uint(in->rest.len);
    in->from = (const unsigned char *)in->rest.at;
    in->stream->next_in = in->from;
    in->stream->avail_in = n;
    in->rest = str_skip(in->rest, n);
    return n > 0;
}

/* The tail completes a block of whole bytes, so no bits may be left. */
static int end_of_all(const struct ws_inflating *in)
{
    bool complete = in->between_blocks && !(in->stream->data_type & UNUSED_BITS);
    return complete ? 0 : WS_INFLATE_BROKEN;
}

int ws_inflate_some(struct ws_inflating *in, size_t piece)
{
    size_t until = piece < SIZE_MAX - in->out->len ? in->out->len + piece : SIZE_MAX;
    unsigned cost_until = piece < SIZE_MAX ? in->blocks_cost + PIECE_COST : UINT_MAX;
    while (in->out->len < until && in->blocks_cost < cost_until) {
        if (is_dry(in) && !feed_next(in))
            return end_of_all(in);
        int r = may_go_on(in, in->from) ? inflate_some(in, until) : WS_INFLATE_BROKEN;
        if (r)
            return r;
    }
    return WS_INFLATE_MORE;
}

int ws_inflate_begin(struct ws_inflating *in, struct ws_inflater *inflater, struct str bytes,
                     size_t max, struct buf *out)
{
    *in = (struct ws_inflating){.inflater = inflater,
                                .stream = fresh_inflate(inflater),
                                .out = out,
                                .rest = bytes,
                                .start = out->len,
                                .max = max < SIZE_MAX ? max : SIZE_MAX - 1,
                                .between_blocks = true};
    if (!in->stream)
        return -ENOMEM;
    inflater->stream = NULL;
    in->stream->data_type = BLOCK_BOUNDARY;
    in->stream->avail_in = 0;
    in->stream->avail_out = 0;
    return 0;
}

void ws_inflate_move(struct ws_inflating *in, struct str bytes)
{
    if (in->in_tail)
        return;
    /* The unread bytes are the end of the message, in two runs at most. */
    size_t unread = in->stream->avail_in + in->rest.len;
    const char *end = bytes.at + bytes.len;
    ptrdiff_t read = (const char *)in->stream->next_in - (const char *)in->from;
    in->stream->next_in = (const Bytef *)(end - unread);
    in->from = in->stream->next_in - read;
    in->rest = (struct str){end - in->rest.len, in->rest.len};
}

void ws_inflate_end(struct ws_inflating *in)
{
    struct ws_inflater own = {.stream = in->stream};
    if (in->stream && !in->inflater->stream)
        in->inflater->stream = in->stream;
    else
        ws_inflater_deinit(&own);
    in->stream = NULL;
}
