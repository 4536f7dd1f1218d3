#include "log/store/sqlite/trimmed_ids.h"

#include "base/mem.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BITS = 12, CHUNK = 1 << CHUNK_BITS, CHUNKS = 1 << (32 - CHUNK_BITS) };

struct floors_chunk {
    _Atomic uint64_t floors[CHUNK];
};

void floors_init(struct floors *floors)
{
    /* 8 MiB of addresses, of which the kernel gives only the pages that are touched. */
    floors->chunks = mem_alloc(CHUNKS * sizeof(*floors->chunks));
    atomic_init(&floors->bytes, 0);
}

void floors_deinit(struct floors *floors)
{
    for (size_t i = 0; floors->chunks && i < CHUNKS; i++)
        free(atomic_load(&floors->chunks[i]));
    free((void *)(uintptr_t)floors->chunks);
    floors->chunks = NULL;
}

static struct floors_chunk *chunk_of(const struct floors *floors, uint32_t number)
{
    return atomic_load_explicit(&floors->chunks[number >> CHUNK_BITS], memory_order_acquire);
}

int floors_room(struct floors *floors, uint32_t number)
{
    if (chunk_of(floors, number))
        return 0;
    struct floors_chunk *made = mem_try_alloc(sizeof(*made)), *none = NULL;
    if (!made)
        return -ENOMEM;
    memset(made, 0, sizeof(*made));
    if (atomic_compare_exchange_strong(&floors->chunks[number >> CHUNK_BITS], &none, made))
        atomic_fetch_add_explicit(&floors->bytes, mem_taken(sizeof(*made)), memory_order_relaxed);
    else
        free(made);
    return 0;
}

void floors_raise(struct floors *floors, uint32_t number, uint64_t upto)
{
    _Atomic uint64_t *floor = &chunk_of(floors, number)->floors[number & (CHUNK - 1)];
    uint64_t have = atomic_load_explicit(floor, memory_order_relaxed);
    while (have < upto && !atomic_compare_exchange_weak(floor, &have, upto))
        ;
}

uint64_t floors_get(const struct floors *floors, uint32_t number)
{
    struct floors_chunk *chunk = chunk_of(floors, number);
    return chunk ? atomic_load_explicit(&chunk->floors[number & (CHUNK - 1)], memory_order_acquire)
                 : 0;
}
