/* Compressors of a thread (RFC 1951): each text becomes a run of blocks that refers to nothing
 * before it, so compressed texts can be joined in any order, and one copy serves many receivers. */
#pragma once

#include "base/buf.h"

struct z_stream_s;

/* Windows are 2^9, 2^12 or 2^15 bytes. With so few sizes, receivers nearly always share one
 * compressed copy. zlib cannot do 2^8 for raw deflate. */
enum { DEFLATE_BITS_MIN = 9, DEFLATE_BITS_MAX = 15, DEFLATE_CLASSES = 3 };

/* A text is compressed in one step: a mebibyte would hold the thread for 25 to 130 ms. Leave texts
 * outside of these bounds as they are. From DEFLATE_FAST bytes on, DEFLATE_LEVEL_OF uses the lowest
 * level, 3 to 40 ns a byte. */
enum { DEFLATE_LEAST = 64, DEFLATE_FAST = 8 << 10, DEFLATE_MOST = 128 << 10 };

/* zlib's memory, from mem_try_alloc(): for z_stream.zalloc and z_stream.zfree. */
void *deflate_alloc(void *opaque, unsigned items, unsigned size);
void deflate_free(void *opaque, void *block);

/* The largest of our windows that is at most `bits`; 0 if there is none. */
unsigned deflate_bits(unsigned bits);

/* The compressors of a thread, each made when first used (150 KB for the largest window). Zeroes
 * are the start. */
struct deflater {
    struct z_stream_s *streams[DEFLATE_CLASSES];
    struct buf scratch; /* for those who use the deflater, within a call */
};

void deflater_deinit(struct deflater *deflater);

/* Frees the scratch buffer if it has grown large. */
void deflater_fit(struct deflater *deflater);

/* Ends every run of deflate_run(): an empty stored block, which fills the last byte. */
#define DEFLATE_TAIL STR("\x00\x00\xff\xff")

/* Adds `text`, not empty, to `out` as blocks that end at a byte, none of them marked as the last.
 * `bits` must be a result of deflate_bits(). The level follows from the length of the text. Returns
 * 0, or -ENOMEM with `out` unchanged, except that it may be marked failed. */
int deflate_run(struct deflater *deflater, unsigned bits, struct str text, struct buf *out);
