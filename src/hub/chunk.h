/* Encoded events with their boundaries: made once for a view, sent to all who share it. */
#pragma once

#include "base/buf.h"
#include "log/event.h"

struct record {
    uint64_t id;         /* 0 for an ephemeral event */
    int64_t accepted_ns; /* when its publish was understood, 0 if not known */
    uint32_t end;        /* where its bytes end; they begin where the one before ends */
    uint32_t origin;     /* the connection it came by */
};

/* Holds every matching event with from < id <= through, up to its last record when it was cut. */
struct chunk {
    uint32_t refs; /* one thread: that of the hub */
    uint32_t count;
    uint32_t cap;
    uint64_t from;
    uint64_t through;
    uint64_t first_stamp; /* stamp of the first record, in a live chunk; see hub.c */
    struct buf bytes;
    struct record *records;
};

/* One reference; NULL when there is no memory. */
struct chunk *chunk_new(uint64_t from);
struct chunk *chunk_ref(struct chunk *chunk);
/* NULL is fine. Returns NULL. */
struct chunk *chunk_unref(struct chunk *chunk);

/* Closes a record over the bytes added to chunk->bytes since the last one. False when there is no
 * memory, and then these bytes are taken away again. */
bool chunk_add(struct chunk *chunk, const struct event *event);

/* The first record whose id is above `id`; chunk->count when there is none. Not for chunks with
 * ephemeral events. */
uint32_t chunk_after(const struct chunk *chunk, uint64_t id);

static inline uint32_t chunk_start(const struct chunk *chunk, uint32_t record)
{
    return record ? chunk->records[record - 1].end : 0;
}

/* The heap that it holds. */
size_t chunk_size(const struct chunk *chunk);
