/* /subscribers: who is subscribed, and disconnecting. */
#pragma once

#include "transport/exchange.h"

/* Answers all methods of /subscribers; `rest` is empty. */
void subscribers_handle(struct exchange *exchange, struct str rest);
