/* Sources of inbound webhooks in the configuration file. */
#pragma once

#include "server/config_walk.h"

list_reader config_read_sources; /* inbound */
list_reader config_read_secrets; /* inbound.secrets */
