#include "transport/packs.h"

#include "base/mem.h"
#include "http/body.h"

#include <stdlib.h>

struct pack *pack_unref(struct pack *pack)
{
    if (!pack || --pack->refs)
        return NULL;
    piece_unref(pack->piece);
    chunk_unref(pack->chunk);
    free(pack);
    return NULL;
}

/* The records of the run that go into one pack. */
static uint32_t end_of(const struct taken *taken)
{
    const struct chunk *chunk = taken->chunk;
    size_t start = chunk_start(chunk, taken->first);
    uint32_t low = taken->first + 1, high = taken->end;
    while (low < high) { /* the last end within PACK_BYTES */
        uint32_t middle = high - (high - low) / 2;
        if (chunk->records[middle - 1].end - start <= PACK_BYTES)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static struct str text_of(const struct taken *taken, uint32_t end)
{
    const struct chunk *chunk = taken->chunk;
    if (end == taken->end)
        return taken->bytes;
    return (struct str){taken->bytes.at,
                        chunk->records[end - 1].end - chunk_start(chunk, taken->first)};
}

static struct piece *piece_of(struct chunk_room *room, struct deflater *deflater, struct str text,
                              bool chunked)
{
    struct buf bytes = {0};
    size_t opened = chunked ? http_chunk_open(&bytes) : 0;
    gzip_add_part(&bytes, deflater, text);
    if (chunked)
        http_chunk_close(&bytes, opened);
    return piece_new(room, 0, &bytes);
}

static struct pack *pack_new(struct chunk_room *room, struct deflater *deflater,
                             const struct taken *taken, uint32_t end, bool chunked)
{
    struct str text = text_of(taken, end);
    struct pack *pack = mem_try_alloc(sizeof(*pack));
    struct piece *piece = pack ? piece_of(room, deflater, text, chunked) : NULL;
    if (!piece) {
        free(pack);
        return NULL;
    }
    *pack = (struct pack){.refs = 1,
                          .chunked = chunked,
                          .first = taken->first,
                          .end = end,
                          .chunk = chunk_ref(taken->chunk),
                          .piece = piece,
                          .part = gzip_part_of(text)};
    return pack;
}

static struct pack **place_of(struct packs *packs, const struct taken *taken, bool chunked)
{
    uint64_t mix = (uint64_t)(uintptr_t)taken->chunk / sizeof(struct chunk);
    mix = (mix * 31 + taken->first) * 31 + (uint64_t)taken->end * 2 + chunked;
    return &packs->at[(mix * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (PACKS_KEPT - 1)];
}

static bool is_pack_of(const struct pack *pack, const struct taken *taken, uint32_t end,
                       bool chunked)
{
    return pack && pack->chunk == taken->chunk && pack->first == taken->first && pack->end == end &&
           pack->chunked == chunked;
}

struct pack *packs_get(struct packs *packs, struct chunk_room *room, struct deflater *deflater,
                       const struct taken *taken, bool chunked)
{
    struct pack **place = place_of(packs, taken, chunked);
    uint32_t end = end_of(taken);
    if (!is_pack_of(*place, taken, end, chunked)) {
        struct pack *pack = pack_new(room, deflater, taken, end, chunked);
        if (!pack)
            return NULL;
        pack_unref(*place);
        *place = pack;
    }
    (*place)->refs++;
    return *place;
}

void packs_clear(struct packs *packs)
{
    for (int i = 0; i < PACKS_KEPT; i++)
        packs->at[i] = pack_unref(packs->at[i]);
}
