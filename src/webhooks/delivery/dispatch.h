/* Decides which lanes of an endpoint read or send now. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Looks at the ready endpoints, until the turn's budget is spent. */
void endpoints_go(struct courier *courier);
