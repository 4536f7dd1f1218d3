#include "log/store/sqlite/trimmed_ids.h"

#include "base/mem.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BITS = 12, CHUNK = 1 << CHUNK_BITS, CHUNKS = 1 << (32 - CHUNK_BITS) };

struct trimmed_ids_chunk {
    _Atomic uint64_t trimmed_ids[CHUNK];
};

void trimmed_ids_init(struct trimmed_ids *trimmed_ids)
{
    /* Reserves 8 MiB of addresses, of which the kernel backs only the pages in use. */
    trimmed_ids->chunks = mem_alloc(CHUNKS * sizeof(*trimmed_ids->chunks));
    atomic_init(&trimmed_ids->bytes, 0);
}

void trimmed_ids_deinit(struct trimmed_ids *trimmed_ids)
{
    for (size_t i = 0; trimmed_ids->chunks && i < CHUNKS; i++)
        free(atomic_load(&trimmed_ids->chunks[i]));
    free((void *)(uintptr_t)trimmed_ids->chunks);
    trimmed_ids->chunks = NULL;
}

static struct trimmed_ids_chunk *chunk_of(const struct trimmed_ids *trimmed_ids, uint32_t number)
{
    return atomic_load_explicit(&trimmed_ids->chunks[number >> CHUNK_BITS], memory_order_acquire);
}

int trimmed_ids_room(struct trimmed_ids *trimmed_ids, uint32_t number)
{
    if (chunk_of(trimmed_ids, number))
        return 0;
    struct trimmed_ids_chunk *made = mem_try_alloc(sizeof(*made)), *none = NULL;
    if (!made)
        return -ENOMEM;
    memset(made, 0, sizeof(*made));
    if (atomic_compare_exchange_strong(&trimmed_ids->chunks[number >> CHUNK_BITS], &none, made))
        atomic_fetch_add_explicit(&trimmed_ids->bytes, mem_taken(sizeof(*made)),
                                  memory_order_relaxed);
    else
        free(made);
    return 0;
}

void trimmed_ids_raise(struct trimmed_ids *trimmed_ids, uint32_t number, uint64_t upto)
{
    _Atomic uint64_t *trimmed = &chunk_of(trimmed_ids, number)->trimmed_ids[number & (CHUNK - 1)];
    uint64_t have = atomic_load_explicit(trimmed, memory_order_relaxed);
    while (have < upto && !atomic_compare_exchange_weak(trimmed, &have, upto))
        ;
}

uint64_t trimmed_ids_get(const struct trimmed_ids *trimmed_ids, uint32_t number)
{
    struct trimmed_ids_chunk *chunk = chunk_of(trimmed_ids, number);
    return chunk ? atomic_load_explicit(&chunk->trimmed_ids[number & (CHUNK - 1)],
                                        memory_order_acquire)
                 : 0;
}
