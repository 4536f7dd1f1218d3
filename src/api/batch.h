/* POST /events: publishes many events, which succeed or fail together. */
#pragma once

#include "api/api.h"

void batch_handle(struct exchange *exchange);
