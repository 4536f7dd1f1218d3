/* Pages of history, and long-polls: a page as soon as there is something in it. */
#pragma once

#include "transport/reading.h"

/* Answers the exchange with a page, at once or after a wait. Takes the reading over. */
void page_begin(struct exchange *exchange, struct reading *reading);

/* Answers 410: events between `after` and `trimmed` are gone, or `after` is no position of this log
 * (reading->unknown). Does not free the reading. */
void page_answer_gap(struct exchange *exchange, const struct reading *reading, uint64_t after,
                     uint64_t trimmed);
