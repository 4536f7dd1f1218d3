/* Searches in the whole chain: for a page, or for a certain event. Any thread. */
#pragma once

#include "log/store/sqlite/chain.h"

/* The functions of the same names in store_ops. */
int find_page(struct chain *chain, const struct store_query *query, struct batch **ret_batch,
              uint64_t *ret_through);
int find_time(struct chain *chain, int64_t time_us, uint64_t *ret_id);
int find_cuts(struct chain *chain, struct store_cut *cuts, size_t count);
int find_each(struct chain *chain, uint64_t after, uint64_t upto,
              bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
              void *context);

/* Makes chain->oldest_id the oldest retained event, or 0. Looks at `rows` rows at most, from where
 * the last call ended; if all of them are trimmed, oldest_id becomes the id of the last one.
 * Upkeep. */
int find_oldest(struct chain *chain, uint64_t rows);

/* The newest row of a file with low <= id <= high whose time is <= time_us; the row `low` must be
 * one of these. */
int find_time_in(struct reader *reader, int64_t time_us, uint64_t low, uint64_t high,
                 uint64_t *ret_id);
