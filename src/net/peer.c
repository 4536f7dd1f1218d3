#include "net/peer.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* The upper half of an IPv6 address of a peer is never a small number as these are: its first bytes
 * would be zero. */
static uint64_t of_ipv4(uint32_t address)
{
    return (uint64_t)1 << 32 | ntohl(address);
}

uint64_t peer_number(const struct sockaddr *address)
{
    uint64_t number = 0;
    if (address->sa_family == AF_INET)
        return of_ipv4(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr);
    if (address->sa_family != AF_INET6)
        return address->sa_family == AF_UNIX ? PEER_NONE : PEER_UNKNOWN;
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(ipv6))
        return of_ipv4(ipv6->s6_addr32[3]);
    for (int i = 0; i < 8; i++)
        number = number << 8 | ipv6->s6_addr[i];
    return number ? number : 1; /* ::1 */
}

uint64_t peer_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in6 v6;
    } peer = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(peer);
    return getpeername(fd, &peer.any, &size) ? PEER_UNKNOWN : peer_number(&peer.any);
}
