/* Subscriptions over HTTP: server-sent events, NDJSON, and long-polling. */
#pragma once

#include "client/lib/following.h"

/* Runs a connection (for polls: requests, as long as they succeed) until it ends. */
enum follow_end follow_http_run(struct following *following, struct transfer *transfer);
