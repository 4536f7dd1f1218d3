/* POST /inbound/{source}: the webhooks of others become events. */
#pragma once

#include "api/api.h"

void inbound_handle(struct exchange *exchange, struct str rest);
