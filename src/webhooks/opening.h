/* Opening the courier: its parts, and what is on disk of endpoints and lanes. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Fills in the configuration's defaults and makes everything empty. */
void opening_set_up(struct courier *courier, const struct courier_config *config);

/* Opens registry, client and hub; the hub last, since once attached to the log it has to stay. 0 or
 * a negative errno, and then none of them is open. */
int opening_open_parts(struct courier *courier);

/* Loads everything. On an error the server does not start: to go on without the data would lose
 * it. */
int opening_load(struct courier *courier);
