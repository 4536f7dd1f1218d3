/* Ranges of addresses, as configurations name them, and the addresses in them. */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct sockaddr;

/* The bits in front of an IPv4 address that is written as IPv6. */
enum { NETWORK_V4_BITS = 96 };

/* A range of addresses, in IPv6's notation: IPv4 stands as ::ffff:a.b.c.d. */
struct network {
    uint8_t address[16];
    uint8_t bits;
};

/* Reads "10.0.0.0/8", "fd00::/8", or one address. -EINVAL when it is none, or has bits set behind
 * its length. */
int network_parse(struct str text, struct network *ret);

/* Reads an address alone, in the same notation; true in `*ret_v4` for one of IPv4. -EINVAL when it
 * is none. */
int network_parse_address(struct str text, uint8_t ret[16], bool *ret_v4);

/* The notation of a socket's address. False if it is neither IPv4 nor IPv6. */
bool network_address(const struct sockaddr *address, uint8_t ret[16]);

/* The same for the four bytes of an IPv4 address. */
void network_map_v4(const void *v4, uint8_t ret[16]);

/* Whether an address is IPv4. */
bool network_is_v4(const uint8_t address[16]);

/* Whether the first `bits` are equal. */
bool network_has_prefix(const uint8_t address[16], const uint8_t *prefix, unsigned bits);

static inline bool network_has(const struct network *network, const uint8_t address[16])
{
    return network_has_prefix(address, network->address, network->bits);
}
