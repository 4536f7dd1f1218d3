#include "courier/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct network4 {
    uint32_t base;
    unsigned bits;
};

#define NET4(a, b, c, d, bits)                                                                     \
    {                                                                                              \
        (uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d), bits       \
    }

/* IANA's special-purpose registry, less what is global. */
static const struct network4 closed4[] = {
    NET4(0, 0, 0, 0, 8),      NET4(10, 0, 0, 0, 8),     NET4(100, 64, 0, 0, 10),
    NET4(127, 0, 0, 0, 8),    NET4(169, 254, 0, 0, 16), NET4(172, 16, 0, 0, 12),
    NET4(192, 0, 0, 0, 24),   NET4(192, 0, 2, 0, 24),   NET4(192, 88, 99, 0, 24),
    NET4(192, 168, 0, 0, 16), NET4(198, 18, 0, 0, 15),  NET4(198, 51, 100, 0, 24),
    NET4(203, 0, 113, 0, 24), NET4(224, 0, 0, 0, 4),    NET4(240, 0, 0, 0, 4),
};

static bool allows4(uint32_t address, bool allow_loopback)
{
    if (address >> 24 == 127)
        return allow_loopback;
    for (size_t i = 0; i < sizeof(closed4) / sizeof(closed4[0]); i++)
        if ((address ^ closed4[i].base) >> (32 - closed4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t read4(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool starts(const uint8_t *address, const char *prefix, unsigned bits)
{
    struct in6_addr want;
    inet_pton(AF_INET6, prefix, &want);
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, want.s6_addr, whole) != 0)
        return false;
    return !rest || (address[whole] ^ want.s6_addr[whole]) >> (8 - rest) == 0;
}

static bool allows6(const uint8_t *address, bool allow_loopback)
{
    static const uint8_t one[16] = {[15] = 1};
    if (memcmp(address, one, 16) == 0)
        return allow_loopback;
    if (starts(address, "::ffff:0:0", 96))
        return allows4(read4(address + 12), allow_loopback);
    if (starts(address, "64:ff9b::", 96)) /* NAT64 */
        return allows4(read4(address + 12), false);
    if (starts(address, "2002::", 16)) /* 6to4 */
        return allows4(read4(address + 2), false);
    /* Only 2000::/3 is global unicast, and of that not documentation, Teredo, ORCHID and the like.
     */
    return starts(address, "2000::", 3) && !starts(address, "2001::", 23) &&
           !starts(address, "2001:db8::", 32) && !starts(address, "3fff::", 20);
}

bool policy_allows(const struct sockaddr *address, bool allow_loopback)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return allows4(ntohl(v4.sin_addr.s_addr), allow_loopback);
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof(v6));
    return allows6(v6.sin6_addr.s6_addr, allow_loopback);
}
