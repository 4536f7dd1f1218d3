/* GET /configuration: the configuration in force, without its secrets. */
#pragma once

#include "transport/exchange.h"

void configuration_handle(struct exchange *exchange, struct str rest);
