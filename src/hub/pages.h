/* The cached pages of one view, in the order of their cursors.
 *
 * A page stands for the cursors from <= cursor < through of its chunk. Pages of one view may
 * overlap, but none contains another of its kind: so `from` and `through` rise together, and the
 * page for a cursor is found in a few steps, however many there are. */
#pragma once

#include "hub/chunk.h"

struct view;
struct pages;

/* A page in the cache. */
struct page {
    struct list in_cache; /* of the hub */
    struct view *view;
    struct chunk *chunk;
    bool stored; /* read from the store; a kind of its own */
};

/* The page that has what follows the cursor, or NULL. `pages` is NULL while a view has none. */
struct page *pages_find(const struct pages *pages, uint64_t cursor, bool stored);

/* The page of this kind that contains the chunk; NULL if there is none. */
struct page *pages_around(const struct pages *pages, const struct chunk *chunk, bool stored);

/* A page of this kind that the chunk contains; NULL if there is none. */
struct page *pages_within(const struct pages *pages, const struct chunk *chunk, bool stored);

/* Adds a page that neither contains another of its kind nor is contained. False without memory. */
bool pages_add(struct pages **pages, struct page *page);

/* Frees `*pages` with the last one; the page itself is the caller's. */
void pages_remove(struct pages **pages, const struct page *page);

/* Any page; NULL when there is none. */
struct page *pages_any(const struct pages *pages);
