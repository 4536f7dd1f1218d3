#include "net/network.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

enum { TEXT_MAX = 64 };

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void network_map_v4(const void *v4, uint8_t ret[16])
{
    memcpy(ret, mapped, sizeof(mapped));
    memcpy(ret + sizeof(mapped), v4, 4);
}

bool network_has_prefix(const uint8_t address[16], const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, whole) != 0)
        return false;
    return !rest || ((address[whole] ^ prefix[whole]) & (uint8_t)(0xff << (8 - rest))) == 0;
}

bool network_is_v4(const uint8_t address[16])
{
    return network_has_prefix(address, mapped, NETWORK_V4_BITS);
}

bool network_address(const struct sockaddr *address, uint8_t ret[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        network_map_v4(&v4.sin_addr, ret);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof(v6));
    memcpy(ret, &v6.sin6_addr, sizeof(v6.sin6_addr));
    return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int parse_address(const char *text, uint8_t ret[16], unsigned *ret_most)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        network_map_v4(&v4, ret);
        *ret_most = 32;
        return 0;
    }
    *ret_most = 128;
    return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}

static int parse_bits(const char *text, unsigned most, unsigned *ret_bits)
{
    uint64_t bits;
    if (number_read(str_from(text), &bits) || bits > most)
        return -EINVAL;
    *ret_bits = (unsigned)bits;
    return 0;
}

/* Whether all bits behind the prefix are zero: a typing error would open another range than
 * meant. */
static bool is_clean(const struct network *network)
{
    for (unsigned bit = network->bits; bit < 128; bit++)
        if (network->address[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

static int copy_text(struct str text, char copy[TEXT_MAX])
{
    if (text.len >= TEXT_MAX || (text.len && memchr(text.at, '\0', text.len)))
        return -EINVAL;
    if (text.len)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return 0;
}

int network_parse_address(struct str text, uint8_t ret[16], bool *ret_v4)
{
    char copy[TEXT_MAX];
    unsigned most = 0;
    if (copy_text(text, copy) || parse_address(copy, ret, &most))
        return -EINVAL;
    *ret_v4 = most == 32;
    return 0;
}

int network_parse(struct str text, struct network *ret)
{
    char copy[TEXT_MAX];
    unsigned most, bits;
    if (copy_text(text, copy))
        return -EINVAL;
    char *slash = strchr(copy, '/');
    if (slash)
        *slash++ = '\0';
    int result = parse_address(copy, ret->address, &most);
    if (result)
        return result;
    bits = most;
    if (slash && (result = parse_bits(slash, most, &bits)))
        return result;
    ret->bits = (uint8_t)(most == 32 ? bits + NETWORK_V4_BITS : bits);
    return is_clean(ret) ? 0 : -EINVAL;
}
