/* The number that stands for a peer's address wherever addresses are counted. */
#pragma once

#include <stdint.h>

struct sockaddr;

/* No address: a Unix socket, or a peer that is gone. */
enum { PEER_NONE = 0 };

/* An IPv6 network of 64 bits is one address, since its owner has all of it. An IPv4 address that
 * is mapped into IPv6 (RFC 4291 section 2.5.5.2) is that IPv4 address. */
uint64_t peer_number(const struct sockaddr *address);

/* The number of a connected socket's peer. */
uint64_t peer_of(int fd);
