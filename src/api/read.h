/* GET /channels/{channel} and GET /events: the same URL for every mechanism; headers and parameters
 * choose it. */
#pragma once

#include "api/api.h"
#include "http/parameters.h"

void read_channel(struct exchange *exchange, struct str rest);
void read_events(struct exchange *exchange);

/* The parameters of both. */
struct parameter_table read_parameters_of_channel(void);
struct parameter_table read_parameters_of_events(void);

/* Answers a poll that the worker's request cache knows, by the reading in worker->known. */
void read_known(struct exchange *exchange);
