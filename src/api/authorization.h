/* Permissions of the operator's own server: the question whether a request may have what neither a
 * rule nor its credential gives it. */
#pragma once

#include "api/api.h"
#include "backend/authorize.h"

/* The namespaces whose permissions are asked for. Part of the settings, and never changed. */
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

/* The same for channels and patterns that the body names: a handler asks before it begins. The
 * terms are borrowed for the call. */
bool authorization_allow(struct exchange *exchange, enum action action, const struct str *terms,
                         size_t count);

/* Whether there is any server to ask. */
bool authorization_asks(const struct exchange *exchange);

/* worker_config.permissions: for messages of WebSockets. */
extern const struct permission_source authorization_source;

/* worker_config.show */
struct evidence *authorization_keep(struct exchange *exchange);
