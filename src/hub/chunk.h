/* Encoded events with their boundaries: made once for a view, sent to all who share it.
 *
 * Small events lie in the chunk one behind the other, so that many go out as one piece of memory. A
 * large one is a piece of its own: encoded once in its format, and shared by reference between the
 * chunks of all views that want it, whatever else they select. */
#pragma once

#include "base/account.h"
#include "base/buf.h"
#include "base/list.h"
#include "log/event.h"

/* What all chunks and pieces of one hub hold together. */
struct chunk_room {
    size_t bytes;
    struct account *account; /* where they are counted too; may be NULL */
};

struct record {
    uint64_t id;         /* 0 for an ephemeral event */
    int64_t accepted_ns; /* when its publish was understood, 0 if not known */
    uint32_t end;        /* where its bytes end; they begin where the one before ends */
    uint32_t origin;     /* the connection it came by */
};

/* A large event in one format. */
struct piece {
    struct list node; /* in a list of the owner, who finds it there for others that want it */
    struct chunk_room *room;
    void *keeper;    /* who counts it instead of the room; NULL: nobody does */
    uint64_t id;     /* of a logged event */
    uint64_t serial; /* the hub's number of an ephemeral one */
    uint32_t refs;   /* one thread: that of the hub */
    unsigned encoding;
    struct buf bytes;
};

/* A record whose bytes are a piece; in the chunk it has none. */
struct piece_at {
    uint32_t record;
    struct piece *piece;
};

/* Holds every matching event with from < id <= through, up to its last record when it was cut. */
struct chunk {
    struct chunk_room *room;
    size_t counted; /* in the room */
    uint32_t refs;  /* one thread: that of the hub */
    uint32_t count;
    uint32_t cap;
    uint32_t pieces_count;
    uint32_t pieces_cap;
    uint64_t from;
    uint64_t through;
    uint64_t first_stamp; /* stamp of the first record, in a live chunk; see hub.c */
    size_t by_reference;  /* bytes of its pieces */
    struct buf bytes;
    struct record *records;
    struct piece_at *pieces; /* ascending */
};

/* Takes the bytes over, and gives back one reference. NULL when there is no memory, or `bytes` has
 * failed; they are freed then. */
struct piece *piece_new(struct chunk_room *room, unsigned encoding, struct buf *bytes);
struct piece *piece_ref(struct piece *piece);
/* NULL is fine. Returns NULL. */
struct piece *piece_unref(struct piece *piece);

/* The heap that it holds. */
size_t piece_size(const struct piece *piece);

/* Connections that the piece was cut for hold it from now on: their keeper counts it, and not the
 * room. With NULL the room does again. The keeper has a reference, and gives it back last. */
void piece_set_keeper(struct piece *piece, void *keeper);

/* One reference; NULL when there is no memory. */
struct chunk *chunk_new(struct chunk_room *room, uint64_t from);
/* Frees a chunk without references. For chunk_unref() alone. */
void chunk_free(struct chunk *chunk);

/* Another reference. Inline, like the next: each delivery takes one and gives it back. */
static inline struct chunk *chunk_ref(struct chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

/* Gives a reference back. NULL is fine. Returns NULL. */
static inline struct chunk *chunk_unref(struct chunk *chunk)
{
    if (chunk && !--chunk->refs)
        chunk_free(chunk);
    return NULL;
}

/* Closes a record over the bytes added to chunk->bytes since the last one. False when there is no
 * memory, and then these bytes are taken away again. */
bool chunk_add(struct chunk *chunk, const struct event *event);

/* Adds a record whose bytes are the piece, to which it takes a reference. False without memory. */
bool chunk_add_piece(struct chunk *chunk, const struct event *event, struct piece *piece);

/* The first record whose id is above `id`; chunk->count when there is none. Not for chunks with
 * ephemeral events. */
uint32_t chunk_after(const struct chunk *chunk, uint64_t id);

static inline uint32_t chunk_start(const struct chunk *chunk, uint32_t record)
{
    return record ? chunk->records[record - 1].end : 0;
}

/* For a chunk that has pieces: the first that is at or behind the record, as its place among them.
 */
uint32_t chunk_first_piece(const struct chunk *chunk, uint32_t record);

/* The piece that is the record's bytes; NULL when they lie in the chunk. */
static inline struct piece *chunk_piece(const struct chunk *chunk, uint32_t record)
{
    if (!chunk->pieces_count) /* as nearly always */
        return NULL;
    uint32_t at = chunk_first_piece(chunk, record);
    bool is = at < chunk->pieces_count && chunk->pieces[at].record == record;
    return is ? chunk->pieces[at].piece : NULL;
}

/* How far the records from `first` on lie one behind the other: to the next that is a piece, which
 * stands alone. */
static inline uint32_t chunk_run_end(const struct chunk *chunk, uint32_t first)
{
    if (!chunk->pieces_count)
        return chunk->count;
    uint32_t at = chunk_first_piece(chunk, first);
    if (at == chunk->pieces_count)
        return chunk->count;
    return chunk->pieces[at].record > first ? chunk->pieces[at].record : first + 1;
}

/* The bytes of one record. */
struct str chunk_record(const struct chunk *chunk, uint32_t record);

/* The heap that it holds, with what it holds by reference. */
size_t chunk_size(const struct chunk *chunk);

/* How many bytes of events are in it. */
static inline size_t chunk_len(const struct chunk *chunk)
{
    return chunk->bytes.len + chunk->by_reference;
}
