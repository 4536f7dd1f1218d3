/* POST /events: many events that stand or fall together. */
#pragma once

#include "api/api.h"

void batch_handle(struct exchange *exchange);
