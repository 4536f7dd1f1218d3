/* Information about the server: figures, health, and the index page. */
#pragma once

#include "api/api.h"

void info_root(struct exchange *exchange, struct str rest);
void info_stats(struct exchange *exchange, struct str rest);
void info_metrics(struct exchange *exchange, struct str rest);
void info_health(struct exchange *exchange, struct str rest);
void info_ready(struct exchange *exchange, struct str rest);
