/* Requests that came without TLS where it is wanted: the answer names the https URL. */
#pragma once

#include "transport/exchange.h"

/* Whether connections that came by this door are answered so, or such of their requests. */
static inline bool secure_refuses(uint8_t door)
{
    return door & (DOOR_BARE | DOOR_REDIRECT);
}

/* Whether this request is answered so: at a door that redirects it is not if a trusted proxy says
 * that its client has used TLS. Otherwise the client would be sent where it is already. */
bool secure_refuses_request(const struct worker *worker, const struct conn *conn,
                            const struct http_head *head);

/* Answers with 308 and the URL at a door that redirects, else with 400. */
void secure_refuse(struct exchange *exchange, const struct conn *conn,
                   const struct http_head *head);
