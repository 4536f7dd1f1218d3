/* Endpoints whose maker's credential has ended: they are disabled, since a webhook is a way to
 * read. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Why the maker of the endpoint has no rights any more; NULL if it has, or if nobody in particular
 * has made it. */
const char *revoked_why(const struct endpoint *endpoint);

/* Whether the credential of its maker has expired: asked before anything is sent. */
bool revoked_has_expired(const struct endpoint *endpoint);

/* Disables the endpoints whose maker's credential was revoked or has expired. */
void revoked_disable(struct courier *courier);

/* Disables the endpoints whose maker could have them under the rules before, and cannot under those
 * after, or with the grants that the key of the maker has now. */
void revoked_by_change(struct courier *courier, const struct rules *before,
                       const struct rules *after);

/* change_listener.look of the courier. */
void revoked_look(struct change_listener *listener);
