/* Which addresses a webhook may be sent to: a stranger's URL must not reach into our network. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* Whether a connection to this very address is allowed. Public addresses are; loopback is with
 * `allow_loopback`; private, link-local, reserved and translated ones are not. An IPv4 address
 * inside an IPv6 one is judged as what it is. */
bool policy_allows(const struct sockaddr *address, bool allow_loopback);
