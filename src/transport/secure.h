/* Requests that came without TLS where it is wanted: the answer names the https URL. */
#pragma once

#include "transport/exchange.h"

/* Whether connections that came by this door are answered so. */
static inline bool secure_refuses(uint8_t door)
{
    return door & (DOOR_BARE | DOOR_REDIRECT);
}

/* Answers with 308 and the URL at a door that redirects, else with 400. */
void secure_refuse(struct exchange *exchange, const struct http_head *head, uint8_t door);
