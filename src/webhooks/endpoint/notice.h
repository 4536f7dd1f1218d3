/* Notices for operators, as events on $webhooks/ID, for every mechanism. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Publishes `{"webhook":…,"url":…` and `more` (members, beginning with a comma) there. */
void endpoint_notice(struct endpoint *endpoint, const char *type, struct str more);
