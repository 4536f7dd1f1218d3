/* Scrolling back: the page that ends before a position. */
#pragma once

#include "transport/reading.h"

/* Answers the exchange with the newest events below reading->before, read from the store. Takes the
 * reading over. */
void page_before_begin(struct exchange *exchange, struct reading *reading);
