/* The figures of the server: as JSON at /stats, for Prometheus at /metrics. */
#pragma once

#include "api/api.h"

void info_stats(struct exchange *exchange, struct str rest);
void info_metrics(struct exchange *exchange, struct str rest);
