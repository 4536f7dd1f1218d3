/* Whether the server runs, and whether it is ready for requests. */
#pragma once

#include "api/api.h"

void health_live(struct exchange *exchange, struct str rest);
void health_ready(struct exchange *exchange, struct str rest);
