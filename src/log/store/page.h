/* A page under construction: the events that a read has found, and how many more it may take. */
#pragma once

#include "log/store.h"

enum { PAGE_NAMES = 64 };

/* Each store searches in its own way, and adds events here in the order in which it looked at them.
 * The query's bounds are checked here, so that both stores stop at the same place. */
struct page {
    const struct store_query *query;
    struct batch *batch;
    size_t bytes;       /* bytes of data so far */
    uint64_t rows_left; /* rows that may still be looked at */
    uint64_t seen;      /* id of the last row looked at; 0: none */
    /* Names that the batch already has, by the low bits of the channel's number. */
    struct {
        struct str name;
        uint32_t number;
    } names[PAGE_NAMES];
};

/* Returns -ENOMEM, or 0; then the page holds a batch until page_finish() or page_drop(). */
int page_init(struct page *page, const struct store_query *query);
void page_drop(struct page *page);

/* Whether no further event may be added. */
bool page_full(const struct page *page);

/* The number of events that may still be added: at least one unless the page is full. */
static inline size_t page_room(const struct page *page)
{
    return page->query->limit - page->batch->count;
}

/* Counts a row that is looked at; returns false, counting nothing, if no row is left. */
static inline bool page_look(struct page *page, uint64_t id)
{
    if (!page->rows_left)
        return false;
    page->rows_left--;
    page->seen = id;
    return true;
}

/* Counts work that found no row, such as a skipped file. */
static inline void page_spend(struct page *page, uint64_t rows)
{
    page->rows_left -= rows < page->rows_left ? rows : page->rows_left;
}

/* Whether the query has this channel. Only for queries by bitmap. */
static inline bool page_has(const struct page *page, uint32_t number)
{
    const struct store_query *query = page->query;
    return number < query->bitmap_bits && (query->bitmap[number >> 3] >> (number & 7) & 1);
}

/* The name of a channel with an event in the page, from a small cache; `at == NULL` if it is not
 * there. Valid as an event's `channel` for page_add(). */
struct str page_name(const struct page *page, uint32_t number);

/* Copies an event and its strings behind the others, as APPENDED. Returns 0 or -ENOMEM. */
int page_add(struct page *page, const struct event *event);

/* Hands the batch over, ascending, with its `through`. `complete`: all rows of the query were
 * looked at. */
void page_finish(struct page *page, bool complete, struct batch **ret_batch, uint64_t *ret_through);
