/* GET /topics/{channel}: the newest event of a channel as a resource of its own, which is what
 * WebSub calls a topic. */
#pragma once

#include "api/api.h"

void topic_handle(struct exchange *exchange, struct str rest);
