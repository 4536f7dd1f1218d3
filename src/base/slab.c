/* Blocks are aligned to their size, so that the address of a structure leads to its block. A block
 * is mapped, not allocated: the pages behind its last structure in use cost nothing. Under a
 * sanitizer every structure is allocated by itself, so that the sanitizer sees a use after
 * slab_give(). */
#include "base/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_BY_ONE
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ONE_BY_ONE
#endif

static size_t rounded(size_t size)
{
    size_t step = _Alignof(uint64_t);
    return (size + step - 1) / step * step;
}

void slab_init(struct slab *slab, size_t size)
{
    assert(size <= SLAB_BLOCK / 16);
    *slab = (struct slab){.size = rounded(size)};
    list_init(&slab->open);
}

#ifdef ONE_BY_ONE

void *slab_take(struct slab *slab)
{
    return mem_try_alloc(slab->size);
}

void slab_give(void *ptr)
{
    free(ptr);
}

void slab_deinit(struct slab *slab)
{
    (void)slab;
}

#else

struct given {
    struct given *next;
};

struct block {
    struct list node; /* in slab->open while there is room */
    struct slab *slab;
    struct given *given; /* structures that were given back */
    size_t end;          /* behind the last structure that was ever taken */
    size_t used;         /* number of structures in use */
};

/* Maps twice the size and unmaps the parts around the aligned block. */
static struct block *map_block(void)
{
    char *at = mmap(NULL, (size_t)2 * SLAB_BLOCK, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t before = (SLAB_BLOCK - (uintptr_t)at % SLAB_BLOCK) % SLAB_BLOCK;
    if (before)
        munmap(at, before);
    munmap(at + before + SLAB_BLOCK, SLAB_BLOCK - before);
    return (struct block *)(void *)(at + before);
}

static struct block *block_new(struct slab *slab)
{
    struct block *block = map_block();
    if (!block)
        return NULL;
    *block = (struct block){.slab = slab, .end = sizeof(*block)};
    list_add_first(&slab->open, &block->node);
    slab->blocks++;
    return block;
}

static void block_free(struct block *block)
{
    list_remove(&block->node);
    block->slab->blocks--;
    munmap(block, SLAB_BLOCK);
}

static bool is_full(const struct block *block)
{
    return !block->given && block->end + block->slab->size > SLAB_BLOCK;
}

void *slab_take(struct slab *slab)
{
    struct block *block = list_empty(&slab->open)
                              ? block_new(slab)
                              : container_of(slab->open.next, struct block, node);
    if (!block)
        return NULL;
    void *ptr = block->given;
    if (ptr) {
        block->given = block->given->next;
    } else {
        ptr = (char *)block + block->end;
        block->end += slab->size;
    }
    block->used++;
    if (is_full(block))
        list_remove(&block->node);
    return ptr;
}

void slab_give(void *ptr)
{
    if (!ptr)
        return;
    struct block *block = (struct block *)((uintptr_t)ptr / SLAB_BLOCK * SLAB_BLOCK);
    struct slab *slab = block->slab;
    struct given *given = ptr;
    given->next = block->given;
    block->given = given;
    if (!list_linked(&block->node))
        list_add_first(&slab->open, &block->node);
    /* Keep the last block: one structure that comes and goes must not map and unmap each time. */
    if (!--block->used && slab->blocks > 1)
        block_free(block);
}

void slab_deinit(struct slab *slab)
{
    list_each (&slab->open, node)
        block_free(container_of(node, struct block, node));
}

#endif

void *slabs_take(struct slabs *slabs, size_t size)
{
    unsigned at = 0;
    while (at < slabs->count && slabs->at[at].size != rounded(size))
        at++;
    assert(at < SLABS_MAX);
    if (at == slabs->count)
        slab_init(&slabs->at[slabs->count++], size);
    return slab_take(&slabs->at[at]);
}

void slabs_deinit(struct slabs *slabs)
{
    for (unsigned i = 0; i < slabs->count; i++)
        slab_deinit(&slabs->at[i]);
    slabs->count = 0;
}
