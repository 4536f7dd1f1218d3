/* The credential of a request, and the caller that the authority makes of it.
 *
 * A request carries at most one credential that counts. The first of these that is there is taken:
 *
 *     Authorization: Bearer or Basic
 *     Sec-WebSocket-Protocol: freshet.v1, freshet.token.TOKEN
 *     ?token=
 *     the cookie that the configuration names, from pages of this server and of `origins`
 *
 * A credential that is not valid refuses the request, even where anybody may do what it asks for:
 * whoever sends one means to be somebody. Nothing of it is logged or repeated in an answer. */
#pragma once

#include "api/api.h"

/* Whether cookies of the request count: see above. */
bool identity_may_use_cookie(const struct exchange *exchange);

/* Sets the exchange's caller. False: the request was refused, or waits for the authority and is
 * handled again. */
bool identity_find(struct exchange *exchange);
