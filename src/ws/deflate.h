/* permessage-deflate (RFC 7692) without context takeover: compressors (base/deflate.h) and
 * decompressors belong to a thread, so that connections hold none. */
#pragma once

#include "base/deflate.h"
#include "ws/frame.h"

/* Adds `message` to `out` in the form of section 7.2.1: raw deflate, flushed, without the tail 00
 * 00 ff ff. `window_bits` must be a result of deflate_bits(). Returns 0, or -ENOMEM with `out`
 * unchanged, except that it may be marked failed. */
int ws_deflate(struct deflater *deflater, unsigned window_bits, struct str message,
               struct buf *out);

/* Adds a message as one unmasked frame, compressed if that was negotiated and pays: the payload has
 * DEFLATE_LEAST to DEFLATE_MOST bytes and gets smaller. `deflater` NULL or `window_bits` 0
 * means not negotiated. Without memory for a compressor the message is sent uncompressed. The bytes
 * are the same for all connections with the same window, so they can be encoded once for all. */
void ws_add_message(struct buf *buf, struct deflater *deflater, unsigned window_bits,
                    enum ws_opcode opcode, struct str payload);

/* The decompressor of a thread, for messages compressed with any window. Zeroes are the start. */
struct ws_inflater {
    struct z_stream_s *stream;
};

/* The approximate memory of a decompressor at work. */
enum { WS_INFLATER_SIZE = 40 << 10 };

void ws_inflater_deinit(struct ws_inflater *inflater);

enum ws_inflate_error {
    WS_INFLATE_BROKEN = 1, /* not deflate, cut short, or too many blocks */
    WS_INFLATE_TOO_BIG,    /* more than `max` bytes come out */
    WS_INFLATE_MORE,       /* no failure: the piece is done, the message is not */
};

/* A message that is decompressed in pieces. */
struct ws_inflating {
    struct ws_inflater *inflater;
    struct z_stream_s *stream;
    struct buf *out;
    struct str rest;           /* bytes that the stream has not been given yet */
    const unsigned char *from; /* start of the bytes that it was given last */
    size_t start;              /* where the message begins in `out` */
    size_t max;
    unsigned finals;      /* final blocks that others followed */
    unsigned blocks_cost; /* cost of the blocks so far */
    bool between_blocks;
    bool in_tail; /* the message is read, and its left-out tail comes */
};

/* Begins to decompress `bytes`, all frames of a message joined, to the end of `out`. The bytes must
 * stay where they are, or ws_inflate_move() must be called. Then each ws_inflate_some() adds about
 * `piece` bytes to `out`, or fewer if they come in many blocks, and returns WS_INFLATE_MORE, 0 at
 * the end, another enum ws_inflate_error, or -ENOMEM; after a failure the bytes added to `out` are
 * undefined. At most `max` bytes come out, so a bomb costs no more than that. Meanwhile the thread
 * may decompress other messages. Call ws_inflate_end() once in any case. */
int ws_inflate_begin(struct ws_inflating *in, struct ws_inflater *inflater, struct str bytes,
                     size_t max, struct buf *out);
int ws_inflate_some(struct ws_inflating *in, size_t piece);
void ws_inflate_end(struct ws_inflating *in);

/* Tells that the same bytes have moved. */
void ws_inflate_move(struct ws_inflating *in, struct str bytes);
