/* Notices for operators, as events on $webhooks/ID, for every mechanism. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Publishes a notice: an object with the webhook's id, its URL without secrets, and the members
 * `more`, written by a json_members_writer(). */
void endpoint_notice(struct endpoint *endpoint, const char *type, struct str more);
