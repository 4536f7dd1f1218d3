/* Pages for subscribers that are behind: the events behind a cursor, read from the window or from
 * the store, and encoded into a chunk.
 *
 * Each turn has a budget for pages, hub->paging. Once it is spent, subscribers wait for a later
 * turn, and so do answers of the store. */
#pragma once

#include "hub/hub.h"

void page_read_init(struct hub *hub);
/* Ends the reads that were put off. No others may be under way. */
void page_read_deinit(struct hub *hub);

/* Makes a page of events in the window, and caches it. The cursor must be at least
 * window.held_above. Returns a reference; NULL if there is no memory even for one event. */
struct chunk *page_read_window(struct view *view, uint64_t cursor);

/* Lets the subscriber wait for a page from the store; subscribers with the same view and cursor
 * share the read. Once the page is in the cache, or the read has failed (sub->failed), they are
 * behind again, and woken. Returns TAKE_WAIT, or TAKE_FAILED if there is no memory. */
enum take page_read_store(struct sub *sub);

/* Lets the subscriber wait for a later turn, because this one has spent its budget. Returns
 * TAKE_WAIT. */
enum take page_read_put_off(struct hub *hub, struct sub *sub);

/* Continues what earlier turns have put off: makes pages of reads that are done, until the budget
 * is spent, and wakes subscribers. */
void page_read_go_on(struct hub *hub);

/* Takes a subscriber that leaves out of the list that it is in. Drops the read that it waits for,
 * if nobody else does. */
void page_read_leave(struct hub *hub, struct sub *sub);
