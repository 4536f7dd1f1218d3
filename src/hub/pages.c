#include "hub/pages.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <stdlib.h>

enum { KINDS = 2, CAP_FIRST = 2 };

/* Pages of one kind, in ascending order. */
struct shelf {
    struct page **at;
    uint32_t count;
    uint32_t cap;
};

struct pages {
    struct shelf shelves[KINDS];
};

/* The index of the first page that begins behind the cursor; shelf->count if there is none. */
static uint32_t place_behind(const struct shelf *shelf, uint64_t cursor)
{
    uint32_t low = 0, high = shelf->count;
    BISECT(low, high, middle, shelf->at[middle]->chunk->from <= cursor);
    return low;
}

/* The last page that begins at or before the cursor; it reaches farthest of those. */
static struct page *last_before(const struct pages *pages, uint64_t cursor, bool stored)
{
    if (!pages)
        return NULL;
    const struct shelf *shelf = &pages->shelves[stored];
    uint32_t place = place_behind(shelf, cursor);
    return place ? shelf->at[place - 1] : NULL;
}

struct page *pages_find(const struct pages *pages, uint64_t cursor, bool stored)
{
    struct page *page = last_before(pages, cursor, stored);
    return page && cursor < page->chunk->through ? page : NULL;
}

struct page *pages_around(const struct pages *pages, const struct chunk *chunk, bool stored)
{
    struct page *page = last_before(pages, chunk->from, stored);
    return page && page->chunk->through >= chunk->through ? page : NULL;
}

struct page *pages_within(const struct pages *pages, const struct chunk *chunk, bool stored)
{
    if (!pages)
        return NULL;
    const struct shelf *shelf = &pages->shelves[stored];
    uint32_t place = chunk->from ? place_behind(shelf, chunk->from - 1) : 0;
    struct page *page = place < shelf->count ? shelf->at[place] : NULL;
    return page && page->chunk->through <= chunk->through ? page : NULL;
}

static bool room_for_one(struct shelf *shelf)
{
    if (shelf->count < shelf->cap)
        return true;
    uint32_t cap = shelf->cap ? shelf->cap * 2 : CAP_FIRST;
    struct page **at = mem_try_realloc(shelf->at, cap * sizeof(struct page *));
    if (!at)
        return false;
    shelf->at = at;
    shelf->cap = cap;
    return true;
}

/* A view without pages keeps no table. */
static void free_if_empty(struct pages **pages)
{
    struct pages *all = *pages;
    if (all->shelves[0].count || all->shelves[1].count)
        return;
    free(all->shelves[0].at);
    free(all->shelves[1].at);
    free(all);
    *pages = NULL;
}

bool pages_add(struct pages **pages, struct page *page)
{
    if (!*pages) {
        *pages = mem_try_alloc(sizeof(**pages));
        if (!*pages)
            return false;
        **pages = (struct pages){0};
    }
    struct shelf *shelf = &(*pages)->shelves[page->stored];
    if (!room_for_one(shelf)) {
        free_if_empty(pages);
        return false;
    }
    uint32_t place = place_behind(shelf, page->chunk->from);
    memmove(shelf->at + place + 1, shelf->at + place,
            (shelf->count - place) * sizeof(struct page *));
    shelf->at[place] = page;
    shelf->count++;
    return true;
}

void pages_remove(struct pages **pages, const struct page *page)
{
    struct shelf *shelf = &(*pages)->shelves[page->stored];
    uint32_t place = place_behind(shelf, page->chunk->from) - 1;
    shelf->count--;
    memmove(shelf->at + place, shelf->at + place + 1,
            (shelf->count - place) * sizeof(struct page *));
    free_if_empty(pages);
}

struct page *pages_any(const struct pages *pages)
{
    for (int kind = 0; pages && kind < KINDS; kind++)
        if (pages->shelves[kind].count)
            return pages->shelves[kind].at[pages->shelves[kind].count - 1];
    return NULL;
}
