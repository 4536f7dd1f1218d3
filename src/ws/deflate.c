/* Every message is compressed on its own: the context is reset before each, so one serves all
 * connections of a thread. The sender flushes to a byte boundary and leaves out the last four
 * bytes, which are always 00 00 ff ff; the receiver puts them back. */
#define ZLIB_CONST
#include "ws/deflate.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    /* zlib's default is 8. 5 takes a third off the time for short messages and loses under 2 % on
     * long ones; and with 8 and the smallest window every 256 bytes would pay for sliding a hash
     * table of 64 KiB, which is a way to burn our time that a stranger could ask for. */
    MEM_LEVEL = 5,
    ROOM_LEAST = 256,
    HISTORY_MAX = 32768, /* what a distance can reach back */
    SCRATCH_KEEP = 65536,
    BLOCK_BOUNDARY = 128, /* a bit of z_stream.data_type */
    UNUSED_BITS = 7,      /* and the mask of those that count the unused bits of the last byte */
    TYPE_DYNAMIC = 2,     /* of a block's header (RFC 1951, section 3.2.3) */

    /* A block that holds nothing costs its time too. These bound a message to about 10,000 dynamic
     * blocks (1 us each, for their tables) or 320,000 others. The most that a compressor makes of
     * a mebibyte is 8,192 dynamic ones, with its smallest memory; one that flushes after each of
     * 100,000 writes makes 200,000 others. */
    DYNAMIC_COST = 32,
    BLOCK_COST = 1,
    BLOCKS_COST_MAX = 10000 * DYNAMIC_COST,
    /* To go on behind a final block copies the history. Compressors end a message so at most. */
    FINALS_MAX = 16,
};

#define FLUSH_TAIL STR("\x00\x00\xff\xff")

static const uint8_t class_bits[WS_DEFLATE_CLASSES] = {9, 12, 15};

static void *allocate(void *opaque, unsigned items, unsigned size)
{
    (void)opaque;
    return mem_try_alloc((size_t)items * size);
}

static void release(void *opaque, void *block)
{
    (void)opaque;
    free(block);
}

static z_stream *stream_new(void)
{
    z_stream *stream = mem_try_alloc(sizeof(*stream));
    if (stream)
        *stream = (z_stream){.zalloc = allocate, .zfree = release};
    return stream;
}

unsigned ws_window_bits(unsigned bits)
{
    unsigned best = 0;
    for (size_t i = 0; i < WS_DEFLATE_CLASSES; i++)
        if (class_bits[i] <= bits)
            best = class_bits[i];
    return best;
}

void ws_deflater_deinit(struct ws_deflater *deflater)
{
    for (size_t i = 0; i < WS_DEFLATE_CLASSES; i++) {
        if (deflater->streams[i])
            deflateEnd(deflater->streams[i]);
        free(deflater->streams[i]);
    }
    buf_free(&deflater->scratch);
    *deflater = (struct ws_deflater){0};
}

static size_t class_of(unsigned window_bits)
{
    for (size_t i = 0; i < WS_DEFLATE_CLASSES; i++)
        if (class_bits[i] == window_bits)
            return i;
    abort();
}

/* A compressor that remembers nothing; NULL when there is no memory for one. */
static z_stream *fresh_deflate(struct ws_deflater *deflater, unsigned window_bits)
{
    struct z_stream_s **slot = &deflater->streams[class_of(window_bits)];
    if (*slot) {
        deflateReset(*slot);
        return *slot;
    }
    z_stream *stream = stream_new();
    if (stream && deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -(int)window_bits,
                               MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return NULL;
    }
    return *slot = stream;
}

static unsigned least_uint(size_t n)
{
    return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

/* Opens all the room behind `out`'s bytes, but at most `max`, to the stream. 0 or -ENOMEM. */
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

static int deflate_piece(z_stream *stream, int flush, struct buf *out)
{
    do {
        if (give_room(stream, out, SIZE_MAX) < 0)
            return -ENOMEM;
        deflate(stream, flush);
        take_output(stream, out);
    } while (!stream->avail_out);
    return 0;
}

static int deflate_all(z_stream *stream, struct str message, struct buf *out)
{
    int r = 0;
    while (!r && message.len) {
        unsigned n = least_uint(message.len);
        stream->next_in = (const Bytef *)message.at;
        stream->avail_in = n;
        r = deflate_piece(stream, n == message.len ? Z_SYNC_FLUSH : Z_NO_FLUSH, out);
        message = str_skip(message, n);
    }
    return r;
}

static int deflate_at(struct ws_deflater *deflater, unsigned window_bits, int level,
                      struct str message, struct buf *out)
{
    size_t before = out->len;
    if (!message.len) {
        /* A flush with nothing to flush is no progress to zlib; section 7.2.3.6 gives the bytes. */
        buf_add_char(out, 0);
        return buf_failed(out) ? -ENOMEM : 0;
    }
    z_stream *stream = fresh_deflate(deflater, window_bits);
    /* Behind a reset this only notes the level. */
    if (stream)
        deflateParams(stream, level, Z_DEFAULT_STRATEGY);
    if (!stream || deflate_all(stream, message, out) < 0) {
        out->len = before;
        return -ENOMEM;
    }
    assert(out->len - before > FLUSH_TAIL.len);
    out->len -= FLUSH_TAIL.len;
    return 0;
}

int ws_deflate(struct ws_deflater *deflater, unsigned window_bits, struct str message,
               struct buf *out)
{
    return deflate_at(deflater, window_bits, Z_DEFAULT_COMPRESSION, message, out);
}

/* Compresses into the scratch buffer; whether that made it shorter. */
static bool gets_smaller(struct ws_deflater *deflater, unsigned window_bits, struct str payload)
{
    int level = payload.len < WS_DEFLATE_FAST ? Z_DEFAULT_COMPRESSION : Z_BEST_SPEED;
    buf_clear(&deflater->scratch);
    return deflate_at(deflater, window_bits, level, payload, &deflater->scratch) == 0 &&
           deflater->scratch.len < payload.len;
}

void ws_add_message(struct buf *buf, struct ws_deflater *deflater, unsigned window_bits,
                    enum ws_opcode opcode, struct str payload)
{
    bool fits = payload.len >= WS_DEFLATE_LEAST && payload.len <= WS_DEFLATE_MOST;
    if (!deflater || !window_bits || !fits) {
        ws_add_frame(buf, true, false, opcode, payload, NULL);
        return;
    }
    bool smaller = gets_smaller(deflater, window_bits, payload);
    ws_add_frame(buf, true, smaller, opcode, smaller ? buf_str(&deflater->scratch) : payload, NULL);
    if (deflater->scratch.cap > SCRATCH_KEEP)
        buf_free(&deflater->scratch);
}

void ws_inflater_deinit(struct ws_inflater *inflater)
{
    if (inflater->stream)
        inflateEnd(inflater->stream);
    free(inflater->stream);
    *inflater = (struct ws_inflater){0};
}

/* One message on its way out of the decompressor. */
struct inflating {
    z_stream *stream;
    struct buf *out;
    size_t start; /* where the message begins in `out` */
    size_t max;
    bool between_blocks;
    unsigned finals;      /* blocks that said they were the last, and were not */
    unsigned blocks_cost; /* of BLOCKS_COST_MAX */
};

/* A decompressor that remembers nothing; NULL when there is no memory for one. */
static z_stream *fresh_inflate(struct ws_inflater *inflater)
{
    if (inflater->stream) {
        inflateReset(inflater->stream);
        return inflater->stream;
    }
    z_stream *stream = stream_new();
    if (stream && inflateInit2(stream, -WS_WINDOW_BITS_MAX) != Z_OK) {
        free(stream);
        return NULL;
    }
    return inflater->stream = stream;
}

/* A block may say that it is the last (section 7.2.3.4), yet others follow, and they may refer to
 * what came before it. */
static int go_on_after_last(struct inflating *in)
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

/* What the block costs that begins here. Its type is in the bits that follow: those that the last
 * byte has left, and the next byte. */
static unsigned block_cost(const z_stream *stream, const Bytef *piece)
{
    unsigned left = (unsigned)stream->data_type & UNUSED_BITS;
    if (left && stream->next_in == piece)
        return BLOCK_COST; /* the tail's only one */
    unsigned header = (unsigned)*stream->next_in << left;
    if (left)
        header |= stream->next_in[-1] >> (8 - left);
    return (header >> 1 & 3) == TYPE_DYNAMIC ? DYNAMIC_COST : BLOCK_COST;
}

/* Charges for the block if one begins here; false when the message has had too many. */
static bool may_go_on(struct inflating *in, const Bytef *piece)
{
    if (in->between_blocks && in->stream->avail_in)
        in->blocks_cost += block_cost(in->stream, piece);
    return in->blocks_cost <= BLOCKS_COST_MAX;
}

/* Lets zlib run once, to the end of a block at most. 0, an enum ws_inflate_error, or -ENOMEM. */
static int inflate_some(struct inflating *in)
{
    size_t len = in->out->len - in->start;
    /* One byte more than allowed, to tell a message that just fits from one that does not. */
    if (give_room(in->stream, in->out, in->max - len + 1) < 0)
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

static int inflate_piece(struct inflating *in, struct str piece)
{
    int r = 0;
    while (!r && piece.len) {
        unsigned n = least_uint(piece.len);
        const Bytef *from = (const Bytef *)piece.at;
        in->stream->next_in = from;
        in->stream->avail_in = n;
        do
            r = may_go_on(in, from) ? inflate_some(in) : WS_INFLATE_BROKEN;
        while (!r && (in->stream->avail_in || (!in->stream->avail_out && !in->between_blocks)));
        piece = str_skip(piece, n);
    }
    return r;
}

int ws_inflate(struct ws_inflater *inflater, struct str bytes, size_t max, struct buf *out)
{
    struct inflating in = {.stream = fresh_inflate(inflater), .out = out, .start = out->len};
    if (!in.stream)
        return -ENOMEM;
    in.max = max < SIZE_MAX ? max : SIZE_MAX - 1;
    in.between_blocks = true;
    in.stream->data_type = BLOCK_BOUNDARY;
    int r = inflate_piece(&in, bytes);
    if (!r)
        r = inflate_piece(&in, FLUSH_TAIL);
    /* The tail completes a block of bytes, so that no bits are left. */
    bool complete = in.between_blocks && !(in.stream->data_type & UNUSED_BITS);
    return r || complete ? r : WS_INFLATE_BROKEN;
}
