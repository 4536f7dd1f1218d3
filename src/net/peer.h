/* The number that stands for a peer's address wherever addresses are counted. */
#pragma once

#include <stdint.h>

struct sockaddr;

/* Limits of addresses do not apply to Unix sockets, whose peers have no address. They apply to
 * peers whose address the kernel does not know, since a client makes itself such a peer: it sends a
 * request and resets the connection. All of them are one address together. */
enum {
    PEER_NONE = 0,    /* a Unix socket, or no client at all */
    PEER_UNKNOWN = 2, /* no number of an address */
};

/* An IPv6 network of 64 bits is one address, since its owner has all of it. An IPv4 address that
 * is mapped into IPv6 (RFC 4291 section 2.5.5.2) is that IPv4 address. */
uint64_t peer_number(const struct sockaddr *address);

/* The number of a connected socket's peer; PEER_UNKNOWN if it has reset the connection. */
uint64_t peer_of(int fd);
