/* Following over HTTP: server-sent events, NDJSON, and long-polling. */
#pragma once

#include "client/follow.h"

/* One connection (for polls: as many requests as go well), until it ends. */
enum follow_end follow_http_run(struct follow *follow, struct transfer *transfer);
