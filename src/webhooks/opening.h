/* Opens the courier: its parts, then endpoints and lanes from disk. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Fills in the configuration's defaults, and initializes an empty courier. */
void opening_set_up(struct courier *courier, const struct courier_config *config);

/* Takes the limits of the hub, but for those that webhooks bound in other ways. */
void opening_limit(struct courier *courier, const struct hub_limits *limits);

/* Opens the registry, the client and the hub; the hub last, since it cannot be detached from the
 * log. Returns 0, or a negative errno with none of them open. */
int opening_open_parts(struct courier *courier);

/* Loads endpoints and lanes. On an error the server does not start, because going on without them
 * would lose them. */
int opening_load(struct courier *courier);
