/* The cached pages of a view, in the order of their cursors.
 *
 * A page serves the cursors from <= cursor < through of its chunk. Pages of a view may overlap, but
 * none contains another of its kind. So `from` and `through` rise together, and a binary search
 * finds the page for a cursor. */
#pragma once

#include "hub/chunk.h"

struct view;
struct pages;

/* A page in the cache. */
struct page {
    struct list in_cache; /* in the hub's cache */
    struct view *view;
    struct chunk *chunk;
    bool stored; /* read from the store; a kind of its own */
};

/* The page with the events behind the cursor, or NULL. `pages` is NULL for a view without pages. */
struct page *pages_find(const struct pages *pages, uint64_t cursor, bool stored);

/* The page of this kind that contains the chunk; NULL if there is none. */
struct page *pages_around(const struct pages *pages, const struct chunk *chunk, bool stored);

/* A page of this kind that the chunk contains; NULL if there is none. */
struct page *pages_within(const struct pages *pages, const struct chunk *chunk, bool stored);

/* Adds a page, which must not contain another of its kind or be contained in one. Returns false if
 * there is no memory. */
bool pages_add(struct pages **pages, struct page *page);

/* Removes a page, and frees `*pages` with the last; the page itself is the caller's. */
void pages_remove(struct pages **pages, const struct page *page);

/* Any page; NULL if there is none. */
struct page *pages_any(const struct pages *pages);
