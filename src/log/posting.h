/* Delivery: hands safe batches to every port, in log order, and then the answers to the
 * publishers. */
#pragma once

#include "log/log_internal.h"

/* Enclose the posting of batches that have become safe, which begins with a new newest id.
 * Broadcasts wait until its end. If posting_end() returns true, the caller posts them by
 * posting_broadcasts(); posting_end_all() does both. Any thread; the end without the log's lock. */
void posting_begin(struct log *log);
bool posting_end(struct log *log);
void posting_end_all(struct log *log);

/* Posts broadcasts that were left, so many at most. True while there may be more, which are for the
 * caller to post. */
bool posting_broadcasts(struct log *log, unsigned most);

/* Posts an append that is safe, or refused, and takes it over. Within a posting. */
void posting_safe(struct log *log, struct append *append);
