/* /subscribers: disconnecting what goes on under a subject. */
#pragma once

#include "transport/exchange.h"

/* Answers DELETE /subscribers; `rest` is empty. */
void subscribers_handle(struct exchange *exchange, struct str rest);
