#include "hub/chunk.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <stdlib.h>

enum { RECORDS_FIRST = 4, PIECES_FIRST = 2, PIECE_SLACK = 1024 };

/* ---- counting ------------------------------------------------------------------------------- */

/* Sets `*counted`, which is part of the room's total, to `bytes`. */
static void count(struct chunk_room *room, size_t *counted, size_t bytes)
{
    if (!room || *counted == bytes)
        return;
    room->bytes += bytes - *counted;
    if (room->account)
        account_set(room->account, ACCOUNT_CHUNKS, counted, bytes);
    *counted = bytes;
}

static size_t own_size(const struct chunk *chunk)
{
    return sizeof(*chunk) + chunk->bytes.cap + chunk->cap * sizeof(struct record) +
           chunk->pieces_cap * sizeof(struct piece_at);
}

/* ---- pieces --------------------------------------------------------------------------------- */

size_t piece_size(const struct piece *piece)
{
    return sizeof(*piece) + piece->bytes.cap;
}

void piece_set_keeper(struct piece *piece, void *keeper)
{
    size_t counted = piece->keeper ? 0 : piece_size(piece);
    count(piece->room, &counted, keeper ? 0 : piece_size(piece));
    piece->keeper = keeper;
}

struct piece *piece_new(struct chunk_room *room, unsigned encoding, struct buf *bytes)
{
    struct piece *piece = buf_failed(bytes) ? NULL : mem_try_alloc(sizeof(*piece));
    if (!piece) {
        buf_free(bytes);
        return NULL;
    }
    size_t nothing = 0;
    if (bytes->cap - bytes->len > bytes->len / 4 + PIECE_SLACK)
        buf_fit(bytes); /* Trims the allocation, because a slow peer may hold the piece for long. */
    *piece = (struct piece){.room = room, .refs = 1, .encoding = encoding, .bytes = *bytes};
    *bytes = (struct buf){0};
    count(room, &nothing, piece_size(piece));
    return piece;
}

struct piece *piece_ref(struct piece *piece)
{
    piece->refs++;
    return piece;
}

struct piece *piece_unref(struct piece *piece)
{
    if (!piece || --piece->refs)
        return NULL;
    size_t counted = piece_size(piece);
    count(piece->room, &counted, 0);
    list_remove(&piece->node);
    buf_free(&piece->bytes);
    free(piece);
    return NULL;
}

/* ---- chunks --------------------------------------------------------------------------------- */

struct chunk *chunk_new(struct chunk_room *room, uint64_t from)
{
    struct chunk *chunk = mem_try_alloc(sizeof(*chunk));
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){.room = room, .refs = 1, .from = from, .through = from};
    count(room, &chunk->counted, own_size(chunk));
    return chunk;
}

void chunk_free(struct chunk *chunk)
{
    count(chunk->room, &chunk->counted, 0);
    for (uint32_t i = 0; i < chunk->pieces_count; i++)
        piece_unref(chunk->pieces[i].piece);
    buf_free(&chunk->bytes);
    free(chunk->pieces);
    free(chunk->records);
    free(chunk);
}

static bool room_for_record(struct chunk *chunk)
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

static bool room_for_piece(struct chunk *chunk)
{
    if (chunk->pieces_count < chunk->pieces_cap)
        return true;
    uint32_t cap = chunk->pieces_cap ? chunk->pieces_cap * 2 : PIECES_FIRST;
    struct piece_at *pieces = mem_try_realloc(chunk->pieces, cap * sizeof(*pieces));
    if (!pieces)
        return false;
    chunk->pieces = pieces;
    chunk->pieces_cap = cap;
    return true;
}

bool chunk_add(struct chunk *chunk, const struct event *event)
{
    if (buf_failed(&chunk->bytes) || chunk->bytes.len > UINT32_MAX || !room_for_record(chunk)) {
        chunk->bytes.len = chunk_start(chunk, chunk->count);
        chunk->bytes.failed = false;
        return false;
    }
    chunk->records[chunk->count++] = (struct record){
        .id = event->state == EVENT_EPHEMERAL ? 0 : event->id,
        .accepted_ns = event->accepted_ns,
        .end = (uint32_t)chunk->bytes.len,
        .except = event->except,
    };
    chunk->has_except |= event->except != 0;
    count(chunk->room, &chunk->counted, own_size(chunk));
    return true;
}

bool chunk_add_piece(struct chunk *chunk, const struct event *event, struct piece *piece)
{
    if (!room_for_piece(chunk) || !chunk_add(chunk, event))
        return false;
    chunk->pieces[chunk->pieces_count++] =
        (struct piece_at){.record = chunk->count - 1, .piece = piece_ref(piece)};
    chunk->by_reference += piece->bytes.len;
    return true;
}

uint32_t chunk_after(const struct chunk *chunk, uint64_t id)
{
    uint32_t low = 0, high = chunk->count;
    BISECT(low, high, middle, chunk->records[middle].id <= id);
    return low;
}

uint32_t chunk_first_piece(const struct chunk *chunk, uint32_t record)
{
    uint32_t low = 0, high = chunk->pieces_count;
    BISECT(low, high, middle, chunk->pieces[middle].record < record);
    return low;
}

struct str chunk_record(const struct chunk *chunk, uint32_t record)
{
    const struct piece *piece = chunk_piece(chunk, record);
    uint32_t start = chunk_start(chunk, record);
    return piece ? buf_str(&piece->bytes)
                 : (struct str){chunk->bytes.at + start,
                                (size_t)(chunk->records[record].end - start)};
}

size_t chunk_size(const struct chunk *chunk)
{
    return own_size(chunk) + chunk->by_reference;
}
