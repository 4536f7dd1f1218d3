#include "base/arena.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_FIRST = 1024, BLOCK_MAX = 64 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *older;
    size_t size;
};

_Static_assert(sizeof(struct arena_block) == ALIGN, "what follows the header must stay aligned");

static bool add_block(struct arena *arena, size_t need)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_FIRST;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < need + sizeof(struct arena_block))
        size = need + sizeof(struct arena_block);
    struct arena_block *block = mem_try_alloc(size);
    if (!block)
        return false;
    *block = (struct arena_block){arena->blocks, size};
    arena->blocks = block;
    arena->left = size - sizeof(struct arena_block);
    arena->total += size;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    bool fits = arena->blocks && arena->left >= need;
    if (!fits && !add_block(arena, need))
        return NULL;
    char *end = (char *)arena->blocks + arena->blocks->size;
    char *at = end - arena->left;
    arena->left -= need;
    return at;
}

struct str arena_copy(struct arena *arena, struct str s)
{
    if (!s.len)
        return STR("");
    char *at = arena_alloc(arena, s.len);
    if (at)
        memcpy(at, s.at, s.len);
    return (struct str){at, s.len};
}

void arena_free(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks, *older; block; block = older) {
        older = block->older;
        free(block);
    }
    *arena = (struct arena){0};
}
