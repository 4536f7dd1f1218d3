/* The credential of a request, and the caller that the authority makes of it.
 *
 * A request carries at most one credential that counts. The first of these that is there is taken:
 *
 *     Authorization: Bearer or Basic
 *     Sec-WebSocket-Protocol: freshet.v1, freshet.token.TOKEN
 *     ?token=
 *     the cookie that the configuration names, from pages of this server and of `origins`
 *     the certificate of the connection, from the same pages
 *
 * A credential that is not valid refuses the request, even where anybody may do what it asks for:
 * whoever sends one means to be somebody. One that no source knows may be of the operator's own
 * server, which is asked about it with the channels of the request: see authorization.h. Nothing of
 * a credential is logged or repeated in an answer. */
#pragma once

#include "api/api.h"

/* Whether the request may use what a browser sends by itself, for whatever page: see above. */
bool identity_may_use_browsers(const struct exchange *exchange);

/* The verified certificate of the request's connection, or NULL. That of a trusted proxy is the
 * proxy's, and says nothing of its clients. */
const struct tls_peer *identity_certificate(const struct exchange *exchange);

/* The credential of the request as text, a secret. `room` is for what has to be decoded, and is the
 * caller's to wipe. Empty without one. */
struct str identity_credential(const struct exchange *exchange, struct buf *room);

/* Sets the exchange's caller. False: the request was refused, or waits for the authority and is
 * handled again. */
bool identity_find(struct exchange *exchange);
