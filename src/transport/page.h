/* Pages of history, and long-polls: a page as soon as there is something in it. */
#pragma once

#include "transport/reading.h"

/* Answers the exchange with a page, at once or after a wait. Takes the reading over. */
void page_begin(struct exchange *exchange, struct reading *reading);
