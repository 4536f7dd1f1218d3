/* Encoded events with their boundaries: made once for a view, sent to all of its subscribers.
 *
 * Small events lie in the chunk one behind the other, so that many are sent as one run of bytes. A
 * large event is a piece of its own: encoded once in each format, and shared by reference between
 * the chunks of all views that want it, whatever their selections. */
#pragma once

#include "base/account.h"
#include "base/buf.h"
#include "base/list.h"
#include "log/event.h"

/* The total size of all chunks and pieces of a hub. */
struct chunk_room {
    size_t bytes;
    struct account *account; /* the account that counts them too; may be NULL */
};

struct record {
    uint64_t id;         /* 0 for an ephemeral event */
    int64_t accepted_ns; /* when its publish was parsed, 0 if unknown */
    uint32_t end;        /* end of its bytes; they begin at the end of the previous record */
    uint32_t except;     /* the connection that is not to get it; 0: none */
};

/* A large event in one format. */
struct piece {
    struct list node; /* in a list of the hub, which finds it there for other views */
    struct chunk_room *room;
    void *keeper;    /* the holder that counts the piece instead of the room; NULL: the room counts
                      * it */
    uint64_t id;     /* of a logged event; 0 for an ephemeral one */
    uint64_t serial; /* the hub's number of an ephemeral event */
    uint32_t refs;   /* not atomic: only the hub's thread counts */
    unsigned encoding;
    struct buf bytes;
};

/* A record whose bytes are a piece; in the chunk it has no bytes. */
struct piece_at {
    uint32_t record;
    struct piece *piece;
};

/* Encoded events, all that match with from < id <= through; a chunk that was cut ends with its last
 * record. */
struct chunk {
    struct chunk_room *room;
    size_t counted; /* bytes of it that the room counts */
    uint32_t refs;  /* not atomic: only the hub's thread counts */
    uint32_t count;
    uint32_t cap;
    uint32_t pieces_count;
    uint32_t pieces_cap;
    bool has_except; /* some record is not for everybody */
    uint64_t from;
    uint64_t through;
    uint64_t first_stamp; /* stamp of the first record, in a live chunk; see live_chunk.h */
    size_t by_reference;  /* bytes of its pieces */
    struct buf bytes;
    struct record *records;
    struct piece_at *pieces; /* in ascending order of records */
};

/* Takes over the bytes and returns a piece with a reference. NULL if there is no memory, or if
 * `bytes` has failed; the bytes are freed then. */
struct piece *piece_new(struct chunk_room *room, unsigned encoding, struct buf *bytes);
struct piece *piece_ref(struct piece *piece);
/* `piece` may be NULL. Returns NULL. */
struct piece *piece_unref(struct piece *piece);

/* The heap memory of a piece. */
size_t piece_size(const struct piece *piece);

/* From now on `keeper` counts the piece, for the connections whose sends were cut within it, and
 * the room does not; with NULL the room does again. The keeper has a reference, and gives it back
 * last. */
void piece_set_keeper(struct piece *piece, void *keeper);

/* Returns a chunk with a reference; NULL if there is no memory. */
struct chunk *chunk_new(struct chunk_room *room, uint64_t from);
/* Frees a chunk without references. For chunk_unref() alone. */
void chunk_free(struct chunk *chunk);

/* Takes a reference. Inline, like chunk_unref(): each delivery calls both. */
static inline struct chunk *chunk_ref(struct chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

/* Gives a reference back. `chunk` may be NULL. Returns NULL. */
static inline struct chunk *chunk_unref(struct chunk *chunk)
{
    if (chunk && !--chunk->refs)
        chunk_free(chunk);
    return NULL;
}

/* Ends a record: its bytes are those added to chunk->bytes since the last record. Returns false if
 * there is no memory, with those bytes removed. */
bool chunk_add(struct chunk *chunk, const struct event *event);

/* Adds a record whose bytes are the piece, of which the chunk takes a reference. Returns false if
 * there is no memory. */
bool chunk_add_piece(struct chunk *chunk, const struct event *event, struct piece *piece);

/* The index of the first record with a higher id; chunk->count if there is none. Not for chunks
 * with ephemeral events. */
uint32_t chunk_after(const struct chunk *chunk, uint64_t id);

static inline uint32_t chunk_start(const struct chunk *chunk, uint32_t record)
{
    return record ? chunk->records[record - 1].end : 0;
}

/* For a chunk with pieces: the index of the first piece at or behind the record. */
uint32_t chunk_first_piece(const struct chunk *chunk, uint32_t record);

/* The piece that holds the record's bytes; NULL if the chunk holds them. */
static inline struct piece *chunk_piece(const struct chunk *chunk, uint32_t record)
{
    if (!chunk->pieces_count) /* the usual case */
        return NULL;
    uint32_t at = chunk_first_piece(chunk, record);
    bool is = at < chunk->pieces_count && chunk->pieces[at].record == record;
    return is ? chunk->pieces[at].piece : NULL;
}

/* The end of the run of records from `first` on that lie one behind the other. The run stops at the
 * next piece, which stands alone. */
static inline uint32_t chunk_run_end(const struct chunk *chunk, uint32_t first)
{
    if (!chunk->pieces_count)
        return chunk->count;
    uint32_t at = chunk_first_piece(chunk, first);
    if (at == chunk->pieces_count)
        return chunk->count;
    return chunk->pieces[at].record > first ? chunk->pieces[at].record : first + 1;
}

/* The bytes of a record. */
struct str chunk_record(const struct chunk *chunk, uint32_t record);

/* The heap memory of a chunk, with the pieces that it refers to. */
size_t chunk_size(const struct chunk *chunk);

/* The bytes of all of its events. */
static inline size_t chunk_len(const struct chunk *chunk)
{
    return chunk->bytes.len + chunk->by_reference;
}
