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

/* Disables the endpoints that their makers may not have under the rules after, with what their
 * credentials granted, or a key grants now. Where that is not known, since an older version saved
 * the endpoint, they stay unless the rules before gave what those after do not. */
void revoked_by_change(struct courier *courier, const struct rules *before,
                       const struct rules *after);

/* Disables the endpoints that their makers may not have any more, after a time without the server:
 * rules and keys may be others than before. */
void revoked_by_restart(struct courier *courier);

/* Whether its maker is known not to have the right to the endpoint any more. */
bool revoked_has_lost(const struct endpoint *endpoint);

/* Whether its maker has lost the credential or the right to it: asked of an endpoint that was not
 * in the directory while the others were looked at. */
bool revoked_is_due(const struct endpoint *endpoint);

/* Disables the endpoint if that is so. */
void revoked_look_at(struct endpoint *endpoint);

/* change_listener.look of the courier. */
void revoked_look(struct change_listener *listener);
