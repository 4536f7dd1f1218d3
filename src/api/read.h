/* GET /channels/{channel} and GET /events: one URL, and how it is asked decides the mechanism. */
#pragma once

#include "api/api.h"

void read_channel(struct exchange *exchange, struct str rest);
void read_events(struct exchange *exchange);

/* Answers a poll that the worker's request cache knows: worker->known is its reading. */
void read_known(struct exchange *exchange);
