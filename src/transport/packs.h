/* Runs of records as parts of gzip streams: compressed once, for all the streams that take the same
 * run.
 *
 * The hub encodes each event once for a view, and all subscribers of the view take runs of these
 * bytes: usually the same run, since they lack the same records. A stream that is compressed sends,
 * in place of a run, its *pack*: the whole run as one part (http/gzip_stream.h), within a chunk of
 * HTTP/1.1 if its connection has those. So new events of one turn are one part, and so are the many
 * events of a page for a subscriber that catches up. The hub knows nothing of it, and views are
 * shared by streams with and without compression.
 *
 * A few packs are kept until the flush has ended, like the chunks that they were made of. Their
 * memory counts with that of the chunks. All of it belongs to one thread. */
#pragma once

#include "http/gzip_stream.h"
#include "hub/hub.h"

/* The most bytes of records in a pack with several, so that making one takes no more than a
 * millisecond. */
enum { PACK_BYTES = 64 << 10 };

enum { PACKS_KEPT = 32 };

struct pack {
    uint32_t refs;
    bool chunked;
    uint32_t first; /* records [first, end) of the chunk */
    uint32_t end;
    struct chunk *chunk;   /* a reference, so that no other chunk has its address */
    struct piece *piece;   /* the bytes to send, also a reference */
    struct gzip_part part; /* the text, for the stream's checksum */
};

/* The packs that are kept, by a hash of their runs. Zeroes are the start. */
struct packs {
    struct pack *at[PACKS_KEPT];
};

/* Returns the pack of the records that were taken, or of the first of them if they are long, with a
 * reference; NULL if there is no memory. Makes it if it is not kept. */
struct pack *packs_get(struct packs *packs, struct chunk_room *room, struct deflater *deflater,
                       const struct taken *taken, bool chunked);

/* Gives a reference back. `pack` may be NULL. Returns NULL. */
struct pack *pack_unref(struct pack *pack);

/* Lets go of all that are kept. */
void packs_clear(struct packs *packs);
