/* POST /hub: WebSub's hub, for subscribers. */
#pragma once

#include "api/api.h"

void hub_handle(struct exchange *exchange, struct str rest);
