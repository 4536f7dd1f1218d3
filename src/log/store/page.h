/* A page under construction: what a read has found so far and how much more it may take. */
#pragma once

#include "log/store.h"

enum { PAGE_NAMES = 64 };

/* The two stores look for events, each in its way, and put them here in the order in which they
 * were looked at; what a query bounds is counted here, so that both stop at the same place. */
struct page {
    const struct store_query *query;
    struct batch *batch;
    size_t bytes;       /* of data so far */
    uint64_t rows_left; /* that may still be looked at */
    uint64_t seen;      /* id of the row looked at last; 0 for none */
    /* The names already in the batch, by the low bits of the channel's number. */
    struct {
        struct str name;
        uint32_t number;
    } names[PAGE_NAMES];
};

/* -ENOMEM, or 0 and the page holds a batch until page_finish() or page_drop(). */
int page_init(struct page *page, const struct store_query *query);
void page_drop(struct page *page);

/* Whether no further event may be added. */
bool page_full(const struct page *page);

/* How many events may be added yet: at least one unless the page is full. */
static inline size_t page_room(const struct page *page)
{
    return page->query->limit - page->batch->count;
}

/* Accounts for one more row looked at; false, and nothing is counted, when the budget is spent. */
static inline bool page_look(struct page *page, uint64_t id)
{
    if (!page->rows_left)
        return false;
    page->rows_left--;
    page->seen = id;
    return true;
}

/* Accounts for work that found no row, such as a file passed over. */
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

/* The name of a channel of which the page has an event, out of a small cache; `at == NULL` when it
 * is not in there. Good as an event's `channel` for page_add(). */
struct str page_name(const struct page *page, uint32_t number);

/* Copies an event and all its strings behind the others, as APPENDED. -ENOMEM. */
int page_add(struct page *page, const struct event *event);

/* Hands the batch over, ascending, and tells its `through`; `complete` when all rows that the query
 * asks for were looked at. */
void page_finish(struct page *page, bool complete, struct batch **ret_batch, uint64_t *ret_through);
