/* Turns of endpoints: which lanes read and send now. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Looks through endpoints that are ready, for as long as the turn's budget lasts. */
void endpoints_go(struct courier *courier);
