/* Pages of history, and long-polls: a page as soon as there is something in it. */
#pragma once

#include "transport/reading.h"

/* Answers the exchange with a page, at once or after a wait. Takes the reading over. */
void page_begin(struct exchange *exchange, struct reading *reading);

/* Makes polls dirty that were held for a pace and are due, by the clock and not by when the turn
 * began, or of which something may have been deleted. In how many ms the next may be, or -1. */
int64_t pages_due(struct worker *worker);
