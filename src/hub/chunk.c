#include "hub/chunk.h"

#include "base/mem.h"

#include <stdlib.h>

enum { RECORDS_FIRST = 8 };

struct chunk *chunk_new(uint64_t from)
{
    struct chunk *chunk = mem_try_alloc(sizeof(*chunk));
    if (chunk)
        *chunk = (struct chunk){.refs = 1, .from = from, .through = from};
    return chunk;
}

struct chunk *chunk_ref(struct chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

struct chunk *chunk_unref(struct chunk *chunk)
{
    if (!chunk || --chunk->refs)
        return NULL;
    buf_free(&chunk->bytes);
    free(chunk->records);
    free(chunk);
    return NULL;
}

static bool room(struct chunk *chunk)
{
    if (chunk->count < chunk->cap)
        return true;
    uint32_t cap = chunk->cap ? chunk->cap * 2 : RECORDS_FIRST;
    struct record *records = mem_try_realloc(chunk->records, cap * sizeof(*records));
    if (!records)
        return false;
    chunk->records = records;
    chunk->cap = cap;
    return true;
}

bool chunk_add(struct chunk *chunk, const struct event *event)
{
    if (buf_failed(&chunk->bytes) || chunk->bytes.len > UINT32_MAX || !room(chunk)) {
        chunk->bytes.len = chunk_start(chunk, chunk->count);
        chunk->bytes.failed = false;
        return false;
    }
    chunk->records[chunk->count++] = (struct record){
        .id = event->state == EVENT_EPHEMERAL ? 0 : event->id,
        .accepted_ns = event->accepted_ns,
        .end = (uint32_t)chunk->bytes.len,
        .origin = event->origin,
    };
    return true;
}

uint32_t chunk_after(const struct chunk *chunk, uint64_t id)
{
    uint32_t low = 0, high = chunk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->records[middle].id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t chunk_size(const struct chunk *chunk)
{
    return sizeof(*chunk) + chunk->bytes.cap + chunk->cap * sizeof(struct record);
}
