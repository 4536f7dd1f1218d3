/* permessage-deflate (RFC 7692) without context takeover: compressors and decompressors belong to
 * a thread, so that a connection holds none. */
#pragma once

#include "ws/frame.h"

struct z_stream_s;

/* Windows are 2^9, 2^12 or 2^15 bytes: few enough that subscribers of a view nearly always share
 * one compressed copy. zlib cannot do 2^8 for raw deflate. */
enum {
    WS_WINDOW_BITS_MIN = 9,
    WS_WINDOW_BITS_MAX = 15,
    WS_DEFLATE_CLASSES = 3,
};

/* Payloads outside of these bounds are never compressed by ws_add_message(): one message is
 * compressed in one go, and a mebibyte would hold the thread for 25 to 130 ms. From
 * WS_DEFLATE_FAST on the lowest level has to do, 3 to 40 ns a byte. */
enum { WS_DEFLATE_LEAST = 64, WS_DEFLATE_FAST = 8 << 10, WS_DEFLATE_MOST = 128 << 10 };

/* The largest window that we use which is at most `bits`; 0 when there is none. */
unsigned ws_window_bits(unsigned bits);

/* One thread's compressors. All zeroes is the start; each is made when first used (150 KB for the
 * largest window). */
struct ws_deflater {
    struct z_stream_s *streams[WS_DEFLATE_CLASSES];
    struct buf scratch;
};

void ws_deflater_deinit(struct ws_deflater *deflater);

/* Adds `message` to `out` in the form of section 7.2.1: raw deflate, flushed, without the tail
 * 00 00 ff ff. `window_bits` must be one that ws_window_bits() returns. 0 or -ENOMEM; then `out` is
 * as it was, except that it may be marked failed. */
int ws_deflate(struct ws_deflater *deflater, unsigned window_bits, struct str message,
               struct buf *out);

/* Adds a message of one unmasked frame, compressed when that was negotiated and pays: the payload
 * has WS_DEFLATE_LEAST to WS_DEFLATE_MOST bytes and gets smaller. `deflater` NULL or `window_bits`
 * 0 means not negotiated. Without memory for a compressor the message goes out plain. The bytes are
 * the same for all connections that agreed on the same window, so they can be encoded once for all.
 */
void ws_add_message(struct buf *buf, struct ws_deflater *deflater, unsigned window_bits,
                    enum ws_opcode opcode, struct str payload);

/* One thread's decompressor; it reads what was compressed with any window. All zeroes is the start.
 */
struct ws_inflater {
    struct z_stream_s *stream;
};

/* About what one takes while a message is decompressed. */
enum { WS_INFLATER_SIZE = 40 << 10 };

void ws_inflater_deinit(struct ws_inflater *inflater);

enum ws_inflate_error {
    WS_INFLATE_BROKEN = 1, /* not deflate, cut short, or of far too many blocks */
    WS_INFLATE_TOO_BIG,    /* more than `max` bytes come out */
    WS_INFLATE_MORE,       /* no failure: the piece is done, and the message is not */
};

/* A message that is decompressed in pieces. */
struct ws_inflating {
    struct ws_inflater *inflater;
    struct z_stream_s *stream;
    struct buf *out;
    struct str rest;           /* what the stream has not been given yet */
    const unsigned char *from; /* what it was given last */
    size_t start;              /* where the message begins in `out` */
    size_t max;
    unsigned finals;      /* blocks that said they were the last, and were not */
    unsigned blocks_cost; /* of those that there may be */
    bool between_blocks;
    bool in_tail; /* the message is read, and what its sender has left out comes */
};

/* Begins to decompress `bytes`, which must stay, or be told of by ws_inflate_move(); then
 * ws_inflate_some() adds about `piece` bytes to `out` at a time, or fewer if they come in many
 * blocks: WS_INFLATE_MORE, 0 at the end, another enum ws_inflate_error, or -ENOMEM. Meanwhile the
 * thread may decompress other messages. ws_inflate_end() follows in any case, once. */
int ws_inflate_begin(struct ws_inflating *in, struct ws_inflater *inflater, struct str bytes,
                     size_t max, struct buf *out);
int ws_inflate_some(struct ws_inflating *in, size_t piece);
void ws_inflate_end(struct ws_inflating *in);

/* The same bytes lie elsewhere now. */
void ws_inflate_move(struct ws_inflating *in, struct str bytes);

/* Adds the message that was compressed into `bytes` (all its frames joined) to `out`, at most `max`
 * bytes of it: a bomb costs no more than that. 0, an enum ws_inflate_error, or -ENOMEM; after a
 * failure what was added to `out` means nothing. */
int ws_inflate(struct ws_inflater *inflater, struct str bytes, size_t max, struct buf *out);
