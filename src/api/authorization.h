/* Permissions of the operator's own server: the question whether a request may have what neither a
 * rule nor its credential gives it, before the request is handled. */
#pragma once

#include "api/api.h"
#include "backend/authorize.h"

/* The namespaces whose permissions are asked for. Made once, before the workers start. */
struct authorizers {
    struct authorize *authorize;
    const struct authorize_server *at; /* a server for each prefix */
    size_t count;
};

/* Asks for what the request lacks: `action` on the channels that its path or query names. False:
 * the request waits, and is handled again with a caller that has it, or was refused, since nobody
 * can be asked. True: it goes on, and the doors decide; a permission that was denied is lacking
 * there, too. */
bool authorization_find(struct exchange *exchange, enum action action, struct str rest);
