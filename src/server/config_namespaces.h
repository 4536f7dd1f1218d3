/* Namespaces in the configuration file: retention, limits, rules, presence, and the server that is
 * asked about access; and the namespace of the playground. */
#pragma once

#include "server/config_walk.h"

list_reader config_read_namespaces;
list_reader config_read_authorize_headers; /* namespaces.authorize.headers */

/* Adds the limits and the rule of the playground, if it is wanted. */
void config_add_playground(struct config *config);
