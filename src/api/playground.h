/* /playground/webhooks: webhooks of visitors, whose receivers are inside of this server. */
#pragma once

#include "transport/exchange.h"

void playground_handle(struct exchange *exchange, struct str rest);
